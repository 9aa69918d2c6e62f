#include "raftstore/snapshot_install.h"
#include "replica.h"
#include "steps.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 500
/* Steps of an installation: four writes and a table for each column family, before
 * and after each. */
#define STEPS (2 * (4 + CF_COUNT))
/* The first step by which the log is replaced; the last by which nothing is. */
#define STEP_LOG_REPLACED 3
#define STEP_NOTHING_DONE 0
/* The exit status of a process that ended at its step. */
#define CRASHED 99
/* That of one that ended because of what it found: log_fatal()'s. */
#define STOPPED 74

/* Shared by the processes of a test. RocksDB does not survive a fork, so the process
 * that forks never opens an engine: each part of a test is one of its own. */
struct fixture {
    char template_dir[SCRATCH_PATH_MAX]; /* a receiver before the installation */
    char dir[SCRATCH_PATH_MAX];          /* a copy of it, or none */
    struct snapshot_meta meta;
    struct snap_id id;
    uint64_t old_hash;
    uint64_t new_hash;
    int step;                /* at which the next process ends */
    int steps_before_resume; /* that the installation got to */
};

/* --- processes --- */

static int run_process(struct fixture *f, void (*run)(struct fixture *f))
{
    int status;
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        run(f);
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void prepare(struct fixture *f)
{
    uint64_t seed = scratch_seed("snapshot_crash");
    struct replica from;
    struct replica to;

    replica_make(&from, 1);
    replica_make(&to, 2);
    replica_scribble(&from, &seed, ROWS);
    replica_put_session(&from, 2, "results");
    replica_put_usage(&from, 11, 1234);
    replica_scribble(&to, &seed, ROWS);
    replica_put_usage(&to, 3, 33);
    f->old_hash = replica_hash(&to);
    f->new_hash = replica_hash(&from);
    replica_build(&from, 30);
    replica_receive(&to, &from, &f->meta);
    f->id = replica_received_id(&f->meta);
    replica_close(&from);
    replica_remove(&from);
    replica_close(&to);
    memcpy(f->template_dir, to.dir, sizeof to.dir);
}

static struct fixture *start(void)
{
    struct fixture *f =
        mmap(NULL, sizeof *f, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(f, MAP_FAILED);
    cr_assert_eq(run_process(f, prepare), 0);
    return f;
}

static void stop(struct fixture *f)
{
    scratch_remove(f->template_dir);
    (void)munmap(f, sizeof *f);
}

static void make_copy(struct fixture *f)
{
    char command[2 * SCRATCH_PATH_MAX + 32];

    scratch_make(f->dir);
    (void)snprintf(command, sizeof command, "cp -a '%s/.' '%s'", f->template_dir, f->dir);
    cr_assert_eq(system(command), 0);
}

static void open_copy(struct fixture *f, struct replica *r)
{
    memset(r, 0, sizeof *r);
    memcpy(r->dir, f->dir, sizeof r->dir);
    replica_open(r, &f->id);
}

/* --- parts --- */

static void count_down(void *ctx, enum step step, enum step_side side)
{
    struct fixture *f = ctx;

    (void)side;
    if ((step == STEP_WRITE || step == STEP_INGEST) && f->step-- == 0) {
        _exit(CRASHED);
    }
}

static void install(struct fixture *f)
{
    struct raft_local_state local = replica_local(&f->meta);
    struct replica r;

    open_copy(f, &r);
    steps_set_hook(count_down, f);
    region_worker_install(r.worker, &f->meta, &local);
}

/* What a start does before any thread. False when there is nothing to go on with. */
static bool resume_if_applying(struct fixture *f, struct replica *r, int *ret_code)
{
    struct applying applying = {0};
    struct snapshot_meta meta;
    enum peer_state state;
    struct region region;
    struct err e = {0};

    cr_assert_eq(region_load(r->kv, REPLICA_REGION, &state, &region, &applying, &e), 0);
    if (state == PEER_NORMAL) {
        return false;
    }
    cr_assert_eq(state, PEER_APPLYING);
    cr_assert_eq(snapshot_unpack_applying(&applying, &meta, &e), 0, "%s", e.text);
    cr_assert_eq(meta.index, f->meta.index);
    free(applying.data);
    *ret_code = snapshot_resume(r->raft, r->kv, r->files, &meta, &e);
    return true;
}

static void resume(struct fixture *f)
{
    struct replica r;
    int code = 0;

    open_copy(f, &r);
    steps_set_hook(count_down, f);
    (void)resume_if_applying(f, &r, &code);
    cr_assert_eq(code, 0);
}

/* The next start of all: as if nothing had been cut short. */
static void check(struct fixture *f)
{
    struct raft_local_state local = replica_local(&f->meta);
    struct replica r;
    int code = 0;

    if (f->steps_before_resume < STEP_LOG_REPLACED) {
        local.hard_state.term = f->meta.term;
        local.hard_state.vote = 0;
    }
    open_copy(f, &r);
    (void)resume_if_applying(f, &r, &code);
    cr_assert_eq(code, 0);
    if (f->steps_before_resume == STEP_NOTHING_DONE) {
        cr_assert_eq(raft_local_state_load(r.raft, REPLICA_REGION, &local, NULL), 0);
        cr_assert_eq(local.last_index, 20, "all is as it was");
        cr_assert_eq(replica_hash(&r), f->old_hash);
    } else {
        replica_assert_installed(&r, &f->meta, &local);
        cr_assert_eq(replica_hash(&r), f->new_hash);
    }
    /* The tables are sound to an engine that opens them anew. */
    cr_assert_eq(engine_flush(r.kv, NULL), 0);
    replica_close(&r);
    replica_open(&r, &f->id);
    cr_assert_eq(replica_hash(&r),
                 f->steps_before_resume == STEP_NOTHING_DONE ? f->old_hash : f->new_hash);
    replica_close(&r);
}

Test(snapshot_crash, at_any_step_it_is_made_good_at_the_next_start, .timeout = 120)
{
    struct fixture *f = start();
    int status = CRASHED;
    int step;

    for (step = 0; status == CRASHED && step <= STEPS; step++) {
        make_copy(f);
        f->step = f->steps_before_resume = step;
        status = run_process(f, install);
        cr_assert(status == CRASHED || status == 0);
        cr_assert_eq(run_process(f, check), 0, "step %d", step);
        scratch_remove(f->dir);
    }
    cr_assert_eq(step - 1, STEPS);
    stop(f);
}

Test(snapshot_crash, while_that_is_made_good_is_made_good_too, .timeout = 120)
{
    struct fixture *f = start();
    int status = CRASHED;
    int step;

    for (step = 0; status == CRASHED && step <= STEPS; step++) {
        make_copy(f);
        /* In front of the last write: all tables are in. */
        f->step = f->steps_before_resume = STEPS - 2;
        cr_assert_eq(run_process(f, install), CRASHED);
        f->step = step;
        status = run_process(f, resume);
        cr_assert(status == CRASHED || status == 0);
        cr_assert_eq(run_process(f, check), 0, "step %d", step);
        scratch_remove(f->dir);
    }
    cr_assert_eq(step - 1, STEPS);
    stop(f);
}

/* --- files that are not whole --- */

static void try_resume(struct fixture *f)
{
    struct replica r;
    int code = 0;

    open_copy(f, &r);
    cr_assert(resume_if_applying(f, &r, &code));
    cr_assert_eq(code, KE_CORRUPT);
    _exit(STOPPED);
}

static void check_applying(struct fixture *f)
{
    struct applying applying = {0};
    enum peer_state state;
    struct region region;
    struct replica r;

    open_copy(f, &r);
    cr_assert_eq(region_load(r.kv, REPLICA_REGION, &state, &region, &applying, NULL), 0);
    cr_assert_eq(state, PEER_APPLYING);
    free(applying.data);
    replica_close(&r);
}

static void attr_table_path(const struct fixture *f, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/snap/rev_1_%d_30_attr.sst", f->dir, REPLICA_TERM);
}

static void flip_bit(const char *path, uint64_t at)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;

    cr_assert_eq(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
    (void)close(fd);
}

Test(snapshot_crash, a_start_that_finds_a_table_damaged_or_missing_stops, .timeout = 60)
{
    /* In rows, and in what is around them. */
    static const unsigned at_percent[] = {5, 50, 99};
    struct fixture *f = start();
    char path[SCRATCH_PATH_MAX + 64];

    for (size_t i = 0; i <= sizeof at_percent / sizeof at_percent[0]; i++) {
        make_copy(f);
        f->step = 1;
        cr_assert_eq(run_process(f, install), CRASHED);
        attr_table_path(f, path, sizeof path);
        if (i == sizeof at_percent / sizeof at_percent[0]) {
            cr_assert_eq(unlink(path), 0);
        } else {
            flip_bit(path, f->meta.files[CF_ATTR].size * at_percent[i] / 100);
        }
        cr_assert_eq(run_process(f, try_resume), STOPPED, "case %zu", i);
        cr_assert_eq(run_process(f, check_applying), 0, "case %zu", i);
        scratch_remove(f->dir);
    }
    stop(f);
}
