#include "raftstore/region_worker.h"
#include "replica.h"
#include "steps.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

/* Keeps the region thread in front of a row of a table until so many mails have been
 * put into its mailbox. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned mails;
    unsigned mails_to_open;
    bool reached;
};

static void pass_gate(void *ctx, enum step step, enum step_side side)
{
    struct gate *gate = ctx;

    pthread_mutex_lock(&gate->lock);
    if (step == STEP_MAIL && side == STEP_AFTER) {
        gate->mails++;
        pthread_cond_broadcast(&gate->changed);
    } else if (step == STEP_TABLE_PUT && side == STEP_BEFORE) {
        gate->reached = true;
        pthread_cond_broadcast(&gate->changed);
        while (gate->mails < gate->mails_to_open) {
            pthread_cond_wait(&gate->changed, &gate->lock);
        }
    }
    pthread_mutex_unlock(&gate->lock);
}

static void gate_close(struct gate *gate, unsigned mails_to_open)
{
    *gate = (struct gate){.mails_to_open = mails_to_open};
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->changed, NULL);
    steps_set_hook(pass_gate, gate);
}

static void gate_await_reached(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    while (!gate->reached) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

/* A replica with a few rows, and the files of a snapshot of another one. */
static void start(struct replica *r, struct snapshot_meta *meta)
{
    struct replica from;

    replica_make(&from, 1);
    replica_make(r, 2);
    replica_put(&from, CF_LOCK, "new", "v");
    replica_put(r, CF_LOCK, "old", "v");
    replica_put(r, CF_WRITE, "old", "v");
    replica_build(&from, 30);
    replica_receive(r, &from, meta);
    replica_drop_built(&from);
    replica_close(&from);
    replica_remove(&from);
}

static void build(struct replica *r, uint64_t index)
{
    struct region_image image = replica_image(r, index);

    region_worker_build(r->worker, &image);
}

static void hash(struct replica *r, uint64_t index)
{
    struct region_image image = replica_image(r, index);

    region_worker_hash(r->worker, &image);
}

Test(region_worker, an_installation_cancels_the_build_under_way_and_those_that_wait)
{
    struct raft_local_state local;
    struct snapshot_meta meta;
    struct replica r;
    struct gate gate;

    start(&r, &meta);
    local = replica_local(&meta);
    gate_close(&gate, 3);
    build(&r, 20);
    gate_await_reached(&gate);
    build(&r, 21);
    region_worker_install(r.worker, &meta, &local);
    cr_assert(replica_has(&r, CF_LOCK, "new"));
    cr_assert_not(replica_has(&r, CF_LOCK, "old"));
    cr_assert_eq(r.build_count, 2, "both reported by then");
    cr_assert_null(r.snapshot);
    cr_assert_eq(r.error.code, KE_CANCELLED);
    steps_set_hook(NULL, NULL);

    replica_build(&r, 31);
    cr_assert_not_null(r.snapshot, "the thread goes on");
    replica_drop_built(&r);
    replica_close(&r);
    replica_remove(&r);
}

Test(region_worker, a_hash_waits_for_an_installation_and_is_of_its_image_still)
{
    struct raft_local_state local;
    struct snapshot_meta meta;
    struct replica r;
    struct gate gate;
    uint64_t expected;
    uint64_t found = 0;

    start(&r, &meta);
    local = replica_local(&meta);
    expected = replica_hash(&r);
    gate_close(&gate, 3);
    build(&r, 20);
    gate_await_reached(&gate);
    hash(&r, 21);
    region_worker_install(r.worker, &meta, &local);
    cr_assert_neq(replica_hash(&r), expected);
    steps_set_hook(NULL, NULL);
    replica_build(&r, 31); /* comes behind the hash */
    cr_assert(region_worker_hash_result(r.worker, 21, &found));
    cr_assert_eq(found, expected);
    replica_drop_built(&r);
    replica_close(&r);
    replica_remove(&r);
}

Test(region_worker, the_latest_hashes_are_remembered)
{
    struct replica r;
    uint64_t found = 0;
    uint64_t expected;

    replica_make(&r, 1);
    replica_put(&r, CF_LOCK, "k", "v");
    expected = replica_hash(&r);
    for (uint64_t index = 1; index <= REGION_WORKER_HASHES_MAX + 2; index++) {
        hash(&r, index);
        replica_build(&r, 100 + index); /* comes behind the hash */
        replica_drop_built(&r);
    }
    cr_assert_not(region_worker_hash_result(r.worker, 2, &found));
    cr_assert_eq(found, 0);
    for (uint64_t index = 3; index <= REGION_WORKER_HASHES_MAX + 2; index++) {
        cr_assert(region_worker_hash_result(r.worker, index, &found));
        cr_assert_eq(found, expected);
    }
    cr_assert_not(region_worker_hash_result(r.worker, 0, &found));
    replica_close(&r);
    replica_remove(&r);
}

Test(region_worker, a_snapshot_that_is_still_there_is_given_out_again)
{
    struct raft_snapshot *first;
    struct snap_id id = {
        .kind = SNAP_GENERATED, .region_id = REPLICA_REGION, .term = REPLICA_TERM, .index = 30};
    struct replica r;

    replica_make(&r, 1);
    replica_put(&r, CF_LOCK, "k", "v");
    replica_build(&r, 30);
    first = raft_snapshot_ref(r.snapshot);
    replica_build(&r, 30);
    cr_assert_eq(r.snapshot, first);
    snap_files_unref(r.files, &id);
    cr_assert(snap_files_ref(r.files, &id), "each has a reference of its own");
    snap_files_unref(r.files, &id);
    snap_files_unref(r.files, &id);
    cr_assert_not(snap_files_ref(r.files, &id));

    replica_build(&r, 30);
    cr_assert_not_null(r.snapshot, "it is made anew");
    cr_assert_neq(r.snapshot, first);
    replica_drop_built(&r);
    raft_snapshot_unref(first);
    replica_close(&r);
    replica_remove(&r);
}

Test(region_worker, tasks_past_the_limit_are_refused)
{
    struct replica r;
    struct gate gate;
    unsigned count;

    replica_make(&r, 1);
    replica_put(&r, CF_LOCK, "k", "v");
    gate_close(&gate, REGION_WORKER_TASKS_MAX + 1);
    build(&r, 1);
    gate_await_reached(&gate);
    for (uint64_t index = 2; index <= REGION_WORKER_TASKS_MAX; index++) {
        hash(&r, index);
    }
    hash(&r, 50);
    build(&r, 51);
    pthread_mutex_lock(&r.lock);
    count = r.build_count;
    pthread_mutex_unlock(&r.lock);
    cr_assert_eq(count, 1, "the second build is refused at once");
    cr_assert_eq(r.error.code, KE_BUSY);

    /* One mail more opens the gate: the end. */
    replica_close(&r);
    steps_set_hook(NULL, NULL);
    replica_remove(&r);
}

Test(region_worker, its_end_cancels_the_build_under_way_and_those_that_wait)
{
    struct replica r;
    struct gate gate;

    replica_make(&r, 1);
    replica_put(&r, CF_LOCK, "k", "v");
    replica_put(&r, CF_WRITE, "k", "v");
    gate_close(&gate, 4);
    build(&r, 1);
    gate_await_reached(&gate);
    build(&r, 2);
    hash(&r, 3);
    region_worker_stop(r.worker);
    r.worker = NULL;
    cr_assert_eq(r.build_count, 2);
    cr_assert_null(r.snapshot);
    cr_assert_eq(r.error.code, KE_SHUTDOWN);
    cr_assert_eq(snap_files_sweep(r.files), 0);
    steps_set_hook(NULL, NULL);
    replica_close(&r);
    replica_remove(&r);
}
