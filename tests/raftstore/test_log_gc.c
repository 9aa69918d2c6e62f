#include "raftstore/engine.h"
#include "raftstore/keys.h"
#include "raftstore/log_gc.h"
#include "scratch.h"
#include "syncs.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION 3

struct node {
    char dir[SCRATCH_PATH_MAX];
    struct engine *raft;
    struct engine *kv;
};

static struct engine *open_engine(const char *dir, const char *name, enum engine_kind kind)
{
    char path[SCRATCH_PATH_MAX + 16];
    struct engine *engine;
    struct err e = {0};

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert_eq(engine_open(path, kind, &engine, &e), 0, "%s", e.text);
    return engine;
}

static void open_node(struct node *node)
{
    node->raft = open_engine(node->dir, "raft", ENGINE_RAFT);
    node->kv = open_engine(node->dir, "kv", ENGINE_KV);
}

static void close_node(struct node *node)
{
    engine_close(node->raft);
    engine_close(node->kv);
}

static void make_node(struct node *node)
{
    scratch_make(node->dir);
    open_node(node);
}

static void remove_node(struct node *node)
{
    close_node(node);
    scratch_remove(node->dir);
}

static void append(struct node *node, uint64_t region_id, uint64_t first, uint64_t last)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct key state = key_raft_state(region_id);
    uint64_t seed = first;

    for (uint64_t index = first; index <= last; index++) {
        struct key key = key_raft_log(region_id, index);
        uint32_t value[75]; /* of which nothing is saved by compression */

        for (size_t i = 0; i < sizeof value / sizeof value[0]; i++) {
            value[i] = scratch_random(&seed, UINT32_MAX);
        }
        engine_batch_put(batch, node->raft, CF_DEFAULT, key_bytes(&key),
                         (struct bytes){.data = (const uint8_t *)value, .size = sizeof value});
    }
    engine_batch_put(batch, node->raft, CF_DEFAULT, key_bytes(&state),
                     (struct bytes){.data = (const uint8_t *)"state", .size = 5});
    engine_write(node->raft, batch, false);
    engine_batch_free(batch);
}

static bool has_row(struct node *node, struct key key)
{
    uint8_t *value;
    size_t size;
    int code = engine_get(node->raft, NULL, CF_DEFAULT, key_bytes(&key), &value, &size);

    if (code == 0) {
        free(value);
    }
    cr_assert(code == 0 || code == KE_NOT_FOUND);
    return code == 0;
}

/* The first entry of a log that goes up to `last` without a gap. */
static uint64_t first_entry(struct node *node, uint64_t region_id, uint64_t last)
{
    uint64_t first = last;

    cr_assert(has_row(node, key_raft_log(region_id, last)));
    while (first > 0 && has_row(node, key_raft_log(region_id, first - 1))) {
        first--;
    }
    for (uint64_t index = 0; index < first; index++) {
        cr_assert_not(has_row(node, key_raft_log(region_id, index)));
    }
    return first;
}

Test(log_gc, entries_up_to_the_index_go_and_no_other)
{
    struct node node;
    struct log_gc *gc;

    make_node(&node);
    append(&node, REGION - 1, 1, 20);
    append(&node, REGION, 1, 20);
    append(&node, REGION + 1, 1, 20);
    gc = log_gc_start(node.raft, node.kv, REGION);
    log_gc_delete(gc, 12);
    log_gc_wait(gc);
    cr_assert_eq(first_entry(&node, REGION, 20), 13);
    cr_assert(has_row(&node, key_raft_state(REGION)));
    cr_assert_eq(first_entry(&node, REGION - 1, 20), 1);
    cr_assert_eq(first_entry(&node, REGION + 1, 20), 1);
    log_gc_stop(gc);
    remove_node(&node);
}

Test(log_gc, of_tasks_that_wait_the_furthest_covers_the_others)
{
    struct node node;
    struct log_gc *gc;

    make_node(&node);
    append(&node, REGION, 1, 100);
    gc = log_gc_start(node.raft, node.kv, REGION);
    for (uint64_t index = 1; index <= 90; index++) {
        log_gc_delete(gc, index);
    }
    log_gc_delete(gc, 50);
    log_gc_wait(gc);
    cr_assert_eq(first_entry(&node, REGION, 100), 91);
    log_gc_delete(gc, 7);
    log_gc_wait(gc);
    cr_assert_eq(first_entry(&node, REGION, 100), 91);
    log_gc_stop(gc);
    remove_node(&node);
}

Test(log_gc, it_stops_with_and_without_work)
{
    struct node node;
    struct log_gc *gc;

    make_node(&node);
    log_gc_stop(NULL);
    log_gc_stop(log_gc_start(node.raft, node.kv, REGION));
    append(&node, REGION, 1, 10);
    gc = log_gc_start(node.raft, node.kv, REGION);
    log_gc_delete(gc, 5);
    log_gc_stop(gc);
    cr_assert(has_row(&node, key_raft_log(REGION, 6)));
    remove_node(&node);
}

static uint64_t property(struct node *node, const char *name)
{
    return engine_property(node->raft, CF_DEFAULT, name);
}

/* Until RocksDB would leave its files as they are. */
static void await_compaction(struct node *node)
{
    for (int i = 0; property(node, "rocksdb.num-running-compactions") > 0 ||
                    property(node, "rocksdb.compaction-pending") > 0;
         i++) {
        cr_assert_lt(i, 10000);
        (void)usleep(1000);
    }
}

Test(log_gc, the_space_of_deleted_entries_comes_back_without_compaction)
{
    struct node node;
    struct log_gc *gc;
    uint64_t last = 0;

    make_node(&node);
    while (last < 200000) {
        append(&node, REGION, last + 1, last + 1000);
        last += 1000;
    }
    cr_assert_eq(engine_flush(node.raft, NULL), 0);
    await_compaction(&node);
    cr_assert_gt(property(&node, "rocksdb.total-sst-files-size"), 60000000);
    gc = log_gc_start(node.raft, node.kv, REGION);
    log_gc_delete(gc, last - 1);
    log_gc_wait(gc);
    /* What has not come down to a level of its own yet stays for a while. */
    cr_assert_lt(property(&node, "rocksdb.total-sst-files-size"), 40000000);
    cr_assert(has_row(&node, key_raft_log(REGION, last)));
    log_gc_stop(gc);
    remove_node(&node);
}

static void apply_something(struct node *node)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct bytes text = {.data = (const uint8_t *)"text", .size = 4};

    engine_batch_put(batch, node->kv, CF_LOCK, text, text);
    engine_write(node->kv, batch, false);
    engine_batch_free(batch);
}

Test(log_gc, a_disk_that_is_nearly_full_has_deletions_written_out)
{
    struct node node;
    struct log_gc *gc;

    make_node(&node);
    apply_something(&node);
    gc = log_gc_start(node.raft, node.kv, REGION);
    log_gc_reclaim(gc);
    log_gc_reclaim(gc);
    log_gc_wait(gc);
    for (int i = 0; engine_property(node.kv, CF_LOCK, "rocksdb.total-sst-files-size") == 0; i++) {
        cr_assert_lt(i, 10000);
        (void)usleep(1000);
    }
    log_gc_stop(gc);
    remove_node(&node);
}

/* --- durability --- */

struct sync_of_kv {
    struct node *node;
    int seen;
    bool too_late;
};

static void look_at_log(void *ctx, const char *path)
{
    struct sync_of_kv *sync = ctx;

    if (strstr(path, "/kv/") != NULL) {
        sync->seen++;
        sync->too_late |= !has_row(sync->node, key_raft_log(REGION, 1));
    }
}

Test(log_gc, what_was_applied_is_on_the_disk_before_an_entry_goes)
{
    struct node node;
    struct sync_of_kv sync = {.node = &node};
    struct log_gc *gc;

    make_node(&node);
    append(&node, REGION, 1, 10);
    apply_something(&node);
    gc = log_gc_start(node.raft, node.kv, REGION);
    syncs_set_hook(look_at_log, &sync);
    log_gc_delete(gc, 5);
    log_gc_wait(gc);
    syncs_set_hook(NULL, NULL);
    cr_assert_eq(sync.seen, 1);
    cr_assert_not(sync.too_late);
    cr_assert_eq(first_entry(&node, REGION, 10), 6);
    log_gc_stop(gc);
    remove_node(&node);
}

Test(log_gc, nothing_goes_when_what_was_applied_cannot_be_synced)
{
    struct node node;
    int status;
    pid_t child;

    scratch_make(node.dir);
    child = fork();
    if (child == 0) {
        open_node(&node);
        append(&node, REGION, 1, 10);
        apply_something(&node);
        syncs_fail("/kv/");
        (void)alarm(20);
        log_gc_delete(log_gc_start(node.raft, node.kv, REGION), 5);
        (void)pause();
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 74);
    open_node(&node);
    cr_assert_eq(first_entry(&node, REGION, 10), 1);
    remove_node(&node);
}
