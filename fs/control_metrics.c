#include "fs/control_metrics.h"

#include "fs/fs.h"
#include "raftstore/op.h"
#include "raftstore/store.h"
#include "raftstore/tree.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Two lines before the values of a name. The description has no newline and no
 * backslash. */
static void describe(FILE *out, const char *name, const char *type, const char *words)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, words, name, type);
}

struct number {
    const char *name;
    const char *type;
    const char *words;
    uint64_t value;
};

static void write_numbers(FILE *out, const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        describe(out, numbers[i].name, numbers[i].type, numbers[i].words);
        fprintf(out, "%s %" PRIu64 "\n", numbers[i].name, numbers[i].value);
    }
}

#define WRITE_NUMBERS(out, numbers)                                                                \
    write_numbers(out, numbers, sizeof(numbers) / sizeof((numbers)[0]))

/* --- the cluster --- */

static void write_identity(const struct store_status *status, FILE *out)
{
    describe(out, "keelfs_info", "gauge", "Which node of which cluster this is, always 1.");
    fprintf(out,
            "keelfs_info{version=\"%s\",node=\"%s\",store=\"%" PRIu64 "\",cluster=\"%016" PRIx64
            "\"} 1\n",
            KEELFS_VERSION, status->name, status->store_id, status->cluster_id);
}

static void write_role(const struct store_status *status, FILE *out)
{
    static const char *const roles[] = {"leader", "follower", "candidate", "pre-candidate",
                                        "learner"};

    describe(out, "keelfs_raft_role", "gauge", "1 for the part that this node has.");
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        fprintf(out, "keelfs_raft_role{role=\"%s\"} %d\n", roles[i],
                strcmp(status->role, roles[i]) == 0);
}

static void write_raft(const struct store_status *status, FILE *out)
{
    const struct number numbers[] = {
        {"keelfs_raft_has_leader", "gauge", "Whether a leader is known.", status->leader_id != 0},
        {"keelfs_raft_is_leader", "gauge", "Whether this node leads.",
         status->leader_id != 0 && status->leader_id == status->store_id},
        {"keelfs_raft_term", "gauge", "The term.", status->term},
        {"keelfs_raft_commit_index", "gauge", "The last entry known to be committed.",
         status->commit_index},
        {"keelfs_raft_applied_index", "gauge", "The last entry that is applied here.",
         status->applied_index},
        {"keelfs_raft_log_first_index", "gauge", "The first entry of the log.",
         status->first_index},
        {"keelfs_raft_log_last_index", "gauge", "The last entry of the log.", status->last_index},
        {"keelfs_raft_log_bytes", "gauge", "The size of the log, about.", status->log_bytes},
        {"keelfs_revision", "gauge", "The version of the volume.", status->revision},
        {"keelfs_no_space", "gauge", "Whether nothing that takes space is accepted.",
         status->no_space},
        {"keelfs_proposals_total", "counter", "Changes that this node has proposed.",
         status->counters.proposals},
        {"keelfs_reads_total", "counter", "Reads that needed a read point.",
         status->counters.reads},
        {"keelfs_read_rounds_total", "counter", "Questions to the leader for read points.",
         status->counters.read_rounds},
        {"keelfs_leader_changes_total", "counter", "Leaders that came to be known.",
         status->counters.leader_changes},
        {"keelfs_snapshots_sent_total", "counter", "Snapshots that reached another member.",
         status->counters.snapshots_sent},
        {"keelfs_snapshot_send_failures_total", "counter", "Snapshots that did not.",
         status->counters.snapshots_failed},
        {"keelfs_snapshots_installed_total", "counter", "Snapshots that replaced the data here.",
         status->counters.snapshots_installed},
    };

    WRITE_NUMBERS(out, numbers);
}

static void write_lease(const struct store_status *status, FILE *out)
{
    uint64_t now = clock_ns();
    uint64_t until = status->lease_until_ns;
    const struct number numbers[] = {
        {"keelfs_lease_held", "gauge", "Whether this node may answer from what it has.",
         until > now},
        {"keelfs_lease_renewals_total", "counter", "Times that the end of its lease was put off.",
         status->counters.lease_renewals},
        {"keelfs_lease_refusals_total", "counter",
         "Messages of this leader to members that asked for a lease and got none.",
         status->counters.lease_refusals},
        {"keelfs_lease_holders", "gauge", "Other members that hold one, as this leader counts.",
         status->lease_holders},
        {"keelfs_lease_held_back_entries", "gauge",
         "Entries that a majority has, and a holder has not acknowledged.",
         status->lease_held_back},
    };

    WRITE_NUMBERS(out, numbers);
    describe(out, "keelfs_lease_seconds", "gauge",
             "How long its lease lasts if nothing renews it.");
    fprintf(out, "keelfs_lease_seconds %.3f\n", until > now ? (double)(until - now) / 1e9 : 0.0);
}

/* Only the leader knows how far the others are. */
static void write_members(const struct store_status *status, FILE *out)
{
    const struct number count = {"keelfs_members", "gauge", "Members, learners too.",
                                 status->member_count};

    write_numbers(out, &count, 1);
    if (status->leader_id != status->store_id)
        return;
    describe(out, "keelfs_member_active", "gauge", "Whether the leader hears of the member.");
    for (size_t i = 0; i < status->member_count; i++)
        fprintf(out, "keelfs_member_active{member=\"%s\"} %d\n", status->members[i].member.name,
                status->members[i].active);
    describe(out, "keelfs_member_match_index", "gauge",
             "The last entry the member is known to have.");
    for (size_t i = 0; i < status->member_count; i++)
        fprintf(out, "keelfs_member_match_index{member=\"%s\"} %" PRIu64 "\n",
                status->members[i].member.name, status->members[i].match_index);
}

static void write_volume(struct fs *fs, FILE *out)
{
    struct tree_usage usage;

    if (tree_usage(fs->tree, &usage) != 0)
        return;
    const struct number numbers[] = {
        {"keelfs_volume_bytes", "gauge", "Content of all files.", usage.bytes},
        {"keelfs_volume_files", "gauge", "Files, directories and links.", usage.files},
        {"keelfs_volume_quota_bytes", "gauge", "The most there may be, 0 without a quota.",
         usage.quota.bytes},
        {"keelfs_volume_quota_files", "gauge", "The most there may be, 0 without a quota.",
         usage.quota.files},
    };
    WRITE_NUMBERS(out, numbers);
}

/* --- the mount --- */

static void write_mount(struct fs *fs, FILE *out)
{
    pthread_mutex_lock(&fs->inodes.lock);
    uint64_t inodes = fs->inodes.count;
    pthread_mutex_unlock(&fs->inodes.lock);
    pthread_mutex_lock(&fs->budget.lock);
    uint64_t dirty = fs->budget.used;
    uint64_t held = fs->budget.held;
    uint64_t publishing = fs->budget.publishing;
    pthread_mutex_unlock(&fs->budget.lock);
    pthread_mutex_lock(&fs->history.lock);
    uint64_t watchers = fs->history.watcher_count;
    pthread_mutex_unlock(&fs->history.lock);
    pthread_mutex_lock(&fs->recall.lock);
    uint64_t names = fs->recall.names;
    uint64_t attrs = fs->recall.attrs;
    pthread_mutex_unlock(&fs->recall.lock);
    const struct number numbers[] = {
        {"keelfs_recalled_names_total", "counter", "Times that the kernel dropped all names.",
         names},
        {"keelfs_recalled_attributes_total", "counter",
         "Files and directories whose attributes the kernel dropped.", attrs},
        {"keelfs_inodes", "gauge", "Files and directories that the kernel knows.", inodes},
        {"keelfs_dirty_bytes", "gauge", "Memory of what is written and not published.", dirty},
        {"keelfs_dirty_limit_bytes", "gauge", "The most that may be.", BUDGET_BYTES_MAX},
        {"keelfs_waiting_write_bytes", "gauge", "Memory of writes that wait for room.", held},
        {"keelfs_publishes_in_progress", "gauge", "Files that are being published.", publishing},
        {"keelfs_operations_in_progress", "gauge", "Requests of the kernel under way.",
         atomic_load(&fs->op_trace.under_way)},
        {"keelfs_watchers", "gauge", "Watches that are open.", watchers},
    };
    WRITE_NUMBERS(out, numbers);
}

static void write_histogram(const struct op_metric *metric, const char *op, FILE *out)
{
    const char *name = "keelfs_operation_duration_seconds";
    uint64_t count = 0;

    for (size_t i = 0; i < OP_BOUNDS; i++) {
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        fprintf(out, "%s_bucket{op=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, op,
                (double)op_metrics_bounds_ns[i] / 1e9, count);
    }
    count += atomic_load_explicit(&metric->buckets[OP_BOUNDS], memory_order_relaxed);
    fprintf(out, "%s_bucket{op=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, op, count);
    fprintf(out, "%s_sum{op=\"%s\"} %.9f\n", name, op,
            (double)atomic_load_explicit(&metric->sum_ns, memory_order_relaxed) / 1e9);
    fprintf(out, "%s_count{op=\"%s\"} %" PRIu64 "\n", name, op, count);
}

static void write_operations(struct fs *fs, FILE *out)
{
    const struct op_metric *ops = fs->op_trace.metrics.ops;

    describe(out, "keelfs_operation_duration_seconds", "histogram",
             "From the kernel's request to the answer.");
    for (uint32_t i = 0; i < OP_CODES; i++) {
        if (op_name(i) != NULL)
            write_histogram(&ops[i], op_name(i), out);
    }
    describe(out, "keelfs_operation_errors_total", "counter",
             "Answers with an error, also the usual ones.");
    for (uint32_t i = 0; i < OP_CODES; i++) {
        if (op_name(i) != NULL)
            fprintf(out, "keelfs_operation_errors_total{op=\"%s\"} %" PRIu64 "\n", op_name(i),
                    (uint64_t)atomic_load_explicit(&ops[i].failed, memory_order_relaxed));
    }
}

/* --- the process, under the names that all exporters have --- */

static uint64_t resident_bytes(void)
{
    char line[256];
    FILE *statm = fopen("/proc/self/statm", "re");

    if (statm == NULL)
        return 0;
    bool is_read = fgets(line, sizeof(line), statm) != NULL;
    fclose(statm);
    /* In pages: the size, and how much of it is in memory. */
    const char *resident = is_read ? strchr(line, ' ') : NULL;
    return resident != NULL ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t open_files(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    /* ".", ".." and the directory itself. */
    return count > 3 ? count - 3 : 0;
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static void write_process(FILE *out)
{
    const struct number numbers[] = {
        {"process_resident_memory_bytes", "gauge", "Memory in use.", resident_bytes()},
        {"process_open_fds", "gauge", "Open files and connections.", open_files()},
    };
    struct rusage usage;

    WRITE_NUMBERS(out, numbers);
    getrusage(RUSAGE_SELF, &usage);
    describe(out, "process_cpu_seconds_total", "counter", "Time of all processors.");
    fprintf(out, "process_cpu_seconds_total %.6f\n",
            seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime));
}

void control_write_metrics(struct fs *fs, FILE *out)
{
    struct store_status status;

    store_status(fs->store, &status);
    write_identity(&status, out);
    write_role(&status, out);
    write_raft(&status, out);
    write_lease(&status, out);
    write_members(&status, out);
    write_volume(fs, out);
    write_mount(fs, out);
    write_operations(fs, out);
    write_process(out);
}
