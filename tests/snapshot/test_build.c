#include "raftstore/keys.h"
#include "raftstore/snapshot_build.h"
#include "replica.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROWS 3000

/* --- there and back --- */

/* Builds at `from`, installs at `to`, and checks what is around the data. */
static void carry(struct replica *from, struct replica *to, uint64_t index)
{
    struct raft_local_state local;
    struct snapshot_meta meta;
    struct snap_id id;

    replica_build(from, index);
    cr_assert_not_null(from->snapshot, "%s", from->error.text);
    replica_receive(to, from, &meta);
    replica_drop_built(from);
    local = replica_local(&meta);
    region_worker_install(to->worker, &meta, &local);
    replica_assert_installed(to, &meta, &local);
    id = replica_received_id(&meta);
    snap_files_unref(to->files, &id);
    cr_assert_eq(snap_files_sweep(from->files), 0);
    cr_assert_eq(snap_files_sweep(to->files), 0);
}

struct writer {
    struct replica *replica;
    uint64_t seed;
    atomic_bool stop;
};

static void *write_on(void *arg)
{
    struct writer *writer = arg;

    while (!atomic_load(&writer->stop)) {
        replica_scribble(writer->replica, &writer->seed, 10);
    }
    return NULL;
}

Test(snapshot_build, it_holds_the_data_of_its_image_while_writes_go_on)
{
    uint64_t seed = scratch_seed("snapshot_build");
    struct replica a;
    struct replica b;
    struct writer writer = {.replica = &a, .seed = seed};
    struct region_image image;
    struct snapshot_meta meta;
    struct raft_local_state local;
    pthread_t thread;
    uint64_t hash;

    replica_make(&a, 1);
    replica_make(&b, 2);
    replica_scribble(&a, &seed, ROWS);
    replica_put_session(&a, 2, "results");
    replica_put_usage(&a, 11, 1234);
    replica_scribble(&b, &seed, ROWS);
    hash = replica_hash(&a);
    image = replica_image(&a, 30);
    cr_assert_eq(pthread_create(&thread, NULL, write_on, &writer), 0);
    region_worker_build(a.worker, &image);
    replica_await_built(&a, 1);
    atomic_store(&writer.stop, true);
    (void)pthread_join(thread, NULL);
    cr_assert_not_null(a.snapshot, "%s", a.error.text);

    replica_receive(&b, &a, &meta);
    local = replica_local(&meta);
    region_worker_install(b.worker, &meta, &local);
    cr_assert_eq(replica_hash(&b), hash);
    replica_scribble(&a, &seed, 1);
    cr_assert_neq(replica_hash(&a), hash);
    replica_drop_built(&a);
    replica_close(&a);
    replica_close(&b);
    replica_remove(&a);
    replica_remove(&b);
}

Test(snapshot_build, what_the_receiver_had_is_gone_and_what_is_its_own_stays)
{
    struct replica a;
    struct replica b;

    replica_make(&a, 1);
    replica_make(&b, 2);
    replica_put(&a, CF_ATTR, "both", "a");
    replica_put(&b, CF_ATTR, "both", "b");
    replica_put(&b, CF_ATTR, "old", "b");
    replica_put(&b, CF_DEFAULT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "b");
    replica_put(&b, CF_LOCK, "old", "b");
    replica_put_session(&b, 9, "old");
    replica_put_usage(&b, 5, 5);
    carry(&a, &b, 30);
    cr_assert_eq(replica_hash(&a), replica_hash(&b));
    cr_assert(replica_has(&b, CF_ATTR, "both"));
    cr_assert_not(replica_has(&b, CF_ATTR, "old"));
    cr_assert_not(replica_has(&b, CF_LOCK, "old"));
    replica_close(&a);
    replica_close(&b);
    replica_remove(&a);
    replica_remove(&b);
}

Test(snapshot_build, a_column_family_without_rows_has_no_file)
{
    struct snapshot_meta meta;
    struct replica a;
    struct replica b;

    replica_make(&a, 1);
    replica_make(&b, 2);
    replica_put(&a, CF_WRITE, "k", "v");
    replica_build(&a, 30);
    cr_assert_eq(snapshot_unpack(a.snapshot, &meta, NULL), 0);
    for (int cf = 0; cf < CF_COUNT; cf++) {
        char path[PATH_MAX];
        struct snap_id id = replica_received_id(&meta);

        id.kind = SNAP_GENERATED;
        snap_files_path(a.files, &id, (enum engine_cf)cf, false, path);
        cr_assert_eq(meta.files[cf].size > 0, cf == CF_WRITE);
        cr_assert_eq(access(path, F_OK) == 0, cf == CF_WRITE);
    }
    replica_drop_built(&a);
    carry(&a, &b, 31);
    cr_assert_eq(replica_hash(&a), replica_hash(&b));
    replica_close(&a);
    replica_close(&b);
    replica_remove(&a);
    replica_remove(&b);
}

Test(snapshot_build, an_empty_store_can_be_carried)
{
    struct replica a;
    struct replica b;

    replica_make(&a, 1);
    replica_make(&b, 2);
    replica_put(&b, CF_DEFAULT, "k", "v");
    carry(&a, &b, 30);
    cr_assert_not(replica_has(&b, CF_DEFAULT, "k"));
    replica_close(&a);
    replica_close(&b);
    replica_remove(&a);
    replica_remove(&b);
}

Test(snapshot_build, what_was_carried_is_carried_on_and_survives_a_restart)
{
    uint64_t seed = scratch_seed("snapshot_build");
    struct replica a;
    struct replica b;
    uint64_t hash;

    replica_make(&a, 1);
    replica_make(&b, 2);
    for (uint64_t index = 30; index < 32; index++) {
        replica_scribble(&a, &seed, ROWS);
        replica_put_session(&a, index, "results");
        carry(&a, &b, index);
        cr_assert_eq(replica_hash(&a), replica_hash(&b));
        replica_scribble(&b, &seed, ROWS);
        carry(&b, &a, index + 10);
        hash = replica_hash(&a);
        cr_assert_eq(hash, replica_hash(&b));
    }
    replica_close(&a);
    replica_close(&b);
    replica_open(&a, NULL);
    replica_open(&b, NULL);
    cr_assert_eq(replica_hash(&a), hash);
    cr_assert_eq(replica_hash(&b), hash);
    replica_close(&a);
    replica_close(&b);
    replica_remove(&a);
    replica_remove(&b);
}

/* --- builds that fail --- */

static int build_now(struct replica *r, const atomic_uint *interrupts, struct err *e)
{
    struct region_image image = replica_image(r, 30);
    struct raft_snapshot *snapshot = NULL;
    int code = snapshot_build(r->kv, r->files, &image, interrupts, &snapshot, e);

    engine_snapshot_free(r->kv, image.snapshot);
    raft_snapshot_unref(snapshot);
    return code;
}

Test(snapshot_build, one_that_is_interrupted_leaves_nothing)
{
    atomic_uint interrupts;
    struct replica r;
    struct err e = {0};

    atomic_init(&interrupts, 1);
    replica_make(&r, 1);
    replica_put(&r, CF_WRITE, "k", "v");
    cr_assert_eq(build_now(&r, &interrupts, &e), KE_CANCELLED);
    cr_assert_eq(snap_files_sweep(r.files), 0);
    atomic_store(&interrupts, 0);
    cr_assert_eq(build_now(&r, &interrupts, &e), 0, "%s", e.text);
    replica_close(&r);
    replica_remove(&r);
}

Test(snapshot_build, one_whose_files_are_there_is_refused)
{
    struct replica r;
    struct err e = {0};

    replica_make(&r, 1);
    cr_assert_eq(build_now(&r, NULL, &e), 0, "%s", e.text);
    cr_assert_eq(build_now(&r, NULL, &e), KE_BUSY);
    replica_close(&r);
    replica_remove(&r);
}

Test(snapshot_build, a_table_that_cannot_be_written_is_reported)
{
    char dir[SCRATCH_PATH_MAX + 8];
    struct replica r;

    replica_make(&r, 1);
    (void)snprintf(dir, sizeof dir, "%s/snap", r.dir);
    cr_assert_eq(rmdir(dir), 0);
    replica_build(&r, 30);
    cr_assert_null(r.snapshot);
    cr_assert_eq(r.error.code, KE_IO);
    cr_assert_not_null(strstr(r.error.text, "gen_1_7_30_default.sst.tmp"), "%s", r.error.text);
    replica_close(&r);
    replica_remove(&r);
}
