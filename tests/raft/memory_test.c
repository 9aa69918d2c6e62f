// Each allocation that raft/ makes in a run over scripts fails once: the call
// that needed it returns an error, nothing leaks, and what the nodes agree on
// stays true.

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cluster.h"
#include "raft/alloc.h"
#include "raft/node.h"
#include "runner.h"

static uint64_t calls;   // allocations so far in this run
static uint64_t fail_at; // the one that fails; 0: none
static int64_t live;     // blocks

// The linker puts these before the allocator of raft/ (--wrap).
void *__real_raft_mem_alloc(size_t size);
void *__wrap_raft_mem_alloc(size_t size);
void *__real_raft_mem_resize(void *block, size_t size);
void *__wrap_raft_mem_resize(void *block, size_t size);
void __real_raft_mem_free(void *block);
void __wrap_raft_mem_free(void *block);

void *__wrap_raft_mem_alloc(size_t size)
{
    if (++calls == fail_at) {
        return NULL;
    }
    live++;
    return __real_raft_mem_alloc(size);
}

void *__wrap_raft_mem_resize(void *block, size_t size)
{
    if (++calls == fail_at) {
        return NULL;
    }
    live += block == NULL;
    return __real_raft_mem_resize(block, size);
}

void __wrap_raft_mem_free(void *block)
{
    live -= block != NULL;
    __real_raft_mem_free(block);
}

static uint64_t allocations; // of all scripts
static uint64_t told;        // runs in which a command's answer named the error

static void look_at_node(struct raft *r)
{
    struct raft_log *log = &r->log;
    cr_assert_leq(log->applied, log->applying);
    cr_assert_leq(log->applying, log->committed);
    cr_assert_leq(log->committed, raft_log_last_index(log));
    cr_assert_leq(log->unstable.offset, log->unstable.in_progress_to);
    cr_assert_leq(log->unstable.in_progress_to, log->unstable.offset + log->unstable.count);
    for (size_t i = 0; i < log->unstable.count; i++) {
        cr_assert_eq(raft_unstable_at(&log->unstable, log->unstable.offset + i)->index,
                     log->unstable.offset + i);
    }
    for (uint32_t i = 0; i < r->tracker.count; i++) {
        cr_assert_lt(r->tracker.progress[i].match, r->tracker.progress[i].next);
    }
}

// Nodes agree on what is committed, and two leaders are never of one term.
static void look(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct raft *a = &c->members[i].node->raft;
        look_at_node(a);
        for (size_t j = 0; j < i; j++) {
            struct raft *b = &c->members[j].node->raft;
            cr_assert(a->role != RAFT_LEADER || b->role != RAFT_LEADER || a->term != b->term);
            uint64_t common =
                a->log.committed < b->log.committed ? a->log.committed : b->log.committed;
            uint64_t term_a;
            uint64_t term_b;
            if (raft_log_term(&a->log, common, &term_a) == 0 &&
                raft_log_term(&b->log, common, &term_b) == 0) {
                cr_assert_eq(term_a, term_b);
            }
        }
    }
}

static uint64_t run(const char *content, const char *name, uint64_t failing)
{
    struct text report = {.at = NULL};
    calls = 0;
    live = 0;
    fail_at = failing;
    run_script(content, name, &report, look);
    fail_at = 0;
    told += strstr(text_get(&report), raft_error_text(RAFT_E_NO_MEMORY)) != NULL;
    text_free(&report);
    cr_assert_eq(live, 0, "%s: %ld blocks leak when allocation %lu fails", name, (long)live,
                 (unsigned long)failing);
    return calls;
}

static void run_each(const char *content, const char *name)
{
    uint64_t count = run(content, name, 0);
    for (uint64_t failing = 1; failing <= count; failing++) {
        run(content, name, failing);
    }
    allocations += count;
}

static void run_folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inner[4096];
        struct stat st;
        snprintf(inner, sizeof(inner), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && stat(inner, &st) == 0) {
            if (S_ISDIR(st.st_mode)) {
                run_folder(inner);
            } else if (strstr(names[i]->d_name, ".txt") != NULL) {
                char *content = calloc(1, (size_t)st.st_size + 1);
                FILE *f = fopen(inner, "r");
                cr_assert_eq(fread(content, 1, (size_t)st.st_size, f), (size_t)st.st_size);
                fclose(f);
                run_each(content, inner);
                free(content);
            }
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
}

// The others were tried again at once by the interpreter: the storage's own, and
// those of a node that could not start.
static void check_told(void)
{
    cr_assert_gt(2 * told, allocations, "%lu of %lu", (unsigned long)told,
                 (unsigned long)allocations);
}

static const char *const script_of_everything =
    "add-nodes 3 voters=(1,2,3) index=2 async-storage-writes=true prevote=true checkquorum=true\n"
    "----\n\n"
    "campaign 1\n----\n\nstabilize\n----\n\n"
    "propose 1 a\n----\n\npropose 2 b\n----\n\nstabilize\n----\n\n"
    "add-nodes 1\n----\n\n"
    "propose-conf-change 1\nv4 l3\n----\n\nstabilize\n----\n\n"
    "compact 1 6\n----\n\nstabilize\n----\n\n"
    "transfer-leadership from=1 to=2\n----\n\nstabilize\n----\n\n"
    "tick-heartbeat 2\n----\n\nreport-unreachable 2 1\n----\n\nstabilize\n----\n\n"
    "forget-leader 1\n----\n\ncampaign 1\n----\n\nstabilize\n----\n\n"
    "status 2\n----\n\n";

Test(memory, each_allocation_of_a_long_story_fails_once)
{
    run_each(script_of_everything, "everything");
    cr_assert_gt(allocations, 100);
    check_told();
}

Test(memory, each_allocation_of_the_scripts_fails_once)
{
    const char *path = getenv("KEELFS_RAFT_SCRIPTS");
    struct stat st;
    if (path == NULL) {
        path = RAFT_SCRIPTS_DEFAULT;
    }
    if (stat(path, &st) != 0) {
        cr_skip("no scripts at %s", path);
    }
    run_folder(path);
    cr_assert_gt(allocations, 1000);
    check_told();
}
