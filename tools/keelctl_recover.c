/* keelctl recover: a cluster that lost its majority for good goes on from one node. */
#include "tools/keelctl.h"

#include "raftstore/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The members but the survivor: "n1, n3". */
static void print_others(const struct recover_report *report)
{
    const char *comma = "";
    for (size_t i = 0; i < report->member_count; i++) {
        if (strcmp(report->members[i].name, report->name) == 0)
            continue;
        printf("%s%s", comma, report->members[i].name);
        comma = ", ";
    }
}

static const char *own_address(const struct recover_report *report)
{
    for (size_t i = 0; i < report->member_count; i++) {
        if (strcmp(report->members[i].name, report->name) == 0)
            return report->members[i].address;
    }
    return "HOST:PORT";
}

static void print_found(const struct keelctl *ctl, const struct recover_report *report)
{
    uint64_t unknown =
        report->last_index > report->commit_index ? report->last_index - report->commit_index : 0;
    printf("data directory   %s\n", ctl->data_dir);
    printf("member           %s, one of %zu in cluster %016" PRIx64 "\n", report->name,
           report->member_count, report->old_cluster_id);
    printf("log ends at      index %" PRIu64 ", term %" PRIu64 "\n", report->last_index,
           report->last_term);
    printf("known committed  %" PRIu64 "\n", report->commit_index);
    printf("applied          %" PRIu64 "\n\n", report->applied_index);
    if (unknown > 0)
        printf("%" PRIu64 " entries at the end of the log are not known to be committed. They are "
               "kept.\n",
               unknown);
    printf("What was acknowledged behind index %" PRIu64 " is lost: this node does not have it,\n"
           "and cannot tell how much that is.\n",
           report->last_index);
}

static void print_consequences(const struct keelctl *ctl, const struct recover_report *report)
{
    printf("\n%s will be the only member of a new cluster", report->name);
    if (report->member_count > 1) {
        printf(". The data directories of ");
        print_others(report);
        printf("\nwill be refused there");
    }
    printf(".\n\nNothing was changed. When no majority can come back, and no other survivor has a\n"
           "longer log, do it with:\n"
           "  keelctl recover --data-dir %s --yes\n",
           ctl->data_dir);
}

static void print_next_steps(const struct keelctl *ctl, const struct recover_report *report)
{
    printf("\n%s is the only member of cluster %016" PRIx64 " now. Start it:\n"
           "  keelfs --name %s --data-dir %s /mnt/kv\n"
           "Then add others, each with an empty data directory:\n"
           "  keelctl --endpoint %s member add NAME=HOST:PORT\n",
           report->name, report->new_cluster_id, report->name, ctl->data_dir, own_address(report));
}

int keelctl_recover(const struct keelctl *ctl)
{
    struct recover_report report = {0};
    struct err e;
    if (ctl->data_dir == NULL)
        return keelctl_fail(KEELCTL_USAGE, "recover needs --data-dir DIR; see keelctl recover "
                                           "--help");
    if (recover_inspect(ctl->data_dir, &report, &e) != 0)
        return keelctl_fail(KEELCTL_REFUSED, "recover: %s", e.text);
    print_found(ctl, &report);
    if (!ctl->yes) {
        print_consequences(ctl, &report);
        return KEELCTL_REFUSED;
    }
    (void)fflush(stdout);
    if (recover_run(ctl->data_dir, &report, &e) != 0)
        return keelctl_fail(KEELCTL_REFUSED, "recover: %s", e.text);
    print_next_steps(ctl, &report);
    return KEELCTL_OK;
}
