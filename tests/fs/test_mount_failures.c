/* A mount whose store does not answer, callers that give up, and mounts that end
 * under their users. */
#include "fs/given.h"
#include "mounted.h"
#include "seed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 700

static struct mounted m;

static void ignore_signal(int number)
{
    (void)number;
}

static void setup(void)
{
    const struct sigaction action = {.sa_handler = ignore_signal};

    sigaction(SIGINT, &action, NULL);
    mounted_start(&m, TIMEOUT_MS);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_failures, .init = setup, .fini = teardown, .timeout = 120);

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void assert_times_out(int result, double begun_s)
{
    int saved = errno;
    double took_s = now_s() - begun_s;

    cr_assert_eq(result, -1);
    cr_assert_eq(saved, ETIMEDOUT, "%s", strerror(saved));
    cr_assert_gt(took_s, TIMEOUT_MS / 1000.0 * 0.9);
    cr_assert_lt(took_s, TIMEOUT_MS / 1000.0 * 1.9, "took %f s", took_s);
}

/* --- no space --- */

Test(mount_failures, a_full_cluster_is_said_by_close_and_by_mkdir)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    int fd = open(mounted_path(&m, "f"), O_WRONLY);
    cr_assert_eq(write(fd, "y", 1), 1);
    fake_store_refuse(m.store, KE_NO_SPACE);
    cr_assert_eq(close(fd), -1);
    cr_assert_eq(errno, ENOSPC);
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), -1);
    cr_assert_eq(errno, ENOSPC);
    fake_store_refuse(m.store, 0);
    cr_assert(remote_is(&m, "f", "x"));
    cr_assert_eq(mounted_write(&m, "f", 0, "z"), 0);
}

/* --- nobody answers --- */

static void hold_without_a_leader(void)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
}

/* Which call is first must not matter; so each has a test of its own. */
Test(mount_failures, without_a_majority_an_open_times_out)
{
    hold_without_a_leader();
    double begun = now_s();
    assert_times_out(open(mounted_path(&m, "f"), O_RDONLY), begun);
}

Test(mount_failures, without_a_majority_an_open_that_truncates_times_out)
{
    hold_without_a_leader();
    double begun = now_s();
    assert_times_out(open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC), begun);
}

Test(mount_failures, without_a_majority_mkdir_times_out)
{
    hold_without_a_leader();
    double begun = now_s();
    assert_times_out(mkdir(mounted_path(&m, "d"), 0755), begun);
}

Test(mount_failures, without_a_majority_a_listing_times_out)
{
    hold_without_a_leader();
    double begun = now_s();
    assert_times_out(open(m.mountpoint, O_RDONLY | O_DIRECTORY), begun);
}

/* Else a program that goes on to its next file would wait for each. */
Test(mount_failures, without_a_majority_the_next_call_of_a_process_does_not_wait_again)
{
    hold_without_a_leader();
    double begun = now_s();
    assert_times_out(open(mounted_path(&m, "f"), O_RDONLY), begun);
    begun = now_s();
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), -1);
    cr_assert_eq(errno, ETIMEDOUT);
    cr_assert_lt(now_s() - begun, 0.2);
    fake_store_release(m.store);
    fake_store_set_leader(m.store, 1);
    char *text = mounted_read(&m, "f");
    cr_assert_str_eq(text, "x");
    free(text);
}

Test(mount_failures, without_a_majority_the_control_directory_answers_at_once)
{
    struct stat st;

    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
    double begun = now_s();
    char *text = mounted_read(&m, ".keelfs/status");
    cr_assert_not_null(text);
    cr_assert_not_null(strstr(text, "leader     none known"));
    cr_assert_eq(stat(m.mountpoint, &st), 0);
    cr_assert_lt(now_s() - begun, 0.3);
    free(text);
}

Test(mount_failures, a_close_that_times_out_says_so_and_its_data_is_gone_here)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);
    char text[8];

    cr_assert_eq(write(fd, "new", 3), 3);
    fake_store_hold(m.store);
    double begun = now_s();
    assert_times_out(fsync(fd), begun);
    fake_store_release(m.store);
    cr_assert_eq(pread(fd, text, sizeof(text), 0), 0);
    cr_assert_eq(close(fd), -1);
    cr_assert_eq(errno, ETIMEDOUT);
    cr_assert_eq(mounted_write(&m, "f", 0, "again"), 0);
    cr_assert(remote_is(&m, "f", "again"));
}

struct closing {
    int fd;
    int code;
    double took_s;
};

static void *close_it(void *arg)
{
    struct closing *closing = arg;
    double begun = now_s();

    closing->code = close(closing->fd) == 0 ? 0 : errno;
    closing->took_s = now_s() - begun;
    return NULL;
}

/* They wait for each other: one publish of a file at a time. */
Test(mount_failures, closes_that_queue_behind_each_other_all_end_in_time)
{
    struct closing closings[5];
    pthread_t threads[5];

    for (int i = 0; i < 5; i++) {
        closings[i].fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY | O_APPEND, 0644);
        cr_assert_eq(write(closings[i].fd, "x", 1), 1);
    }
    fake_store_hold(m.store);
    for (int i = 0; i < 5; i++)
        pthread_create(&threads[i], NULL, close_it, &closings[i]);
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(closings[i].code, ETIMEDOUT);
        cr_assert_lt(closings[i].took_s, TIMEOUT_MS / 1000.0 * 1.9);
    }
}

Test(mount_failures, a_writer_that_fills_its_piece_while_nothing_is_published_fails_in_time)
{
    size_t size = 1 << 20;
    char *block = calloc(1, size);
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);
    ssize_t written = 0;
    int pieces = 0;

    fake_store_hold(m.store);
    double begun = now_s();
    while ((written = write(fd, block, size)) == (ssize_t)size && pieces < 100)
        pieces++;
    cr_assert_eq(written, -1);
    cr_assert_eq(errno, ETIMEDOUT);
    cr_assert_gt(pieces, 7);
    cr_assert_lt(pieces, 20);
    cr_assert_lt(now_s() - begun, TIMEOUT_MS / 1000.0 * 2.5);
    close(fd);
    free(block);
}

struct locking {
    pthread_barrier_t begins;
    int fd;
    int code;
};

static void *lock_it(void *arg)
{
    struct locking *locking = arg;

    pthread_barrier_wait(&locking->begins);
    pthread_barrier_wait(&locking->begins);
    locking->code = flock(locking->fd, LOCK_EX) == 0 ? 0 : errno;
    return NULL;
}

/* Others that are behind one that has timed out do not wait: a lock has nothing to do with
 * that. */
Test(mount_failures, without_a_majority_a_lock_is_waited_for)
{
    struct locking locking = {.fd = -1};
    struct timespec until;
    pthread_t thread;
    struct stat st;

    int holder = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);
    locking.fd = open(mounted_path(&m, "f"), O_RDWR);
    cr_assert_eq(flock(holder, LOCK_EX), 0);
    pthread_barrier_init(&locking.begins, NULL, 2);
    pthread_create(&thread, NULL, lock_it, &locking);
    pthread_barrier_wait(&locking.begins);
    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
    cr_assert_neq(stat(mounted_path(&m, "none"), &st), 0);
    cr_assert_eq(errno, ETIMEDOUT, "%s", strerror(errno));
    pthread_barrier_wait(&locking.begins);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    cr_assert_eq(pthread_timedjoin_np(thread, NULL, &until), ETIMEDOUT);
    cr_assert_eq(flock(holder, LOCK_UN), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(locking.code, 0, "%s", strerror(locking.code));
    fake_store_release(m.store);
    close(locking.fd);
    close(holder);
}

/* --- callers that give up --- */

struct blocked {
    pthread_t thread;
    const char *path;
    int flags;
    int result;
    int saved;
};

static void *open_blocked(void *arg)
{
    struct blocked *blocked = arg;

    blocked->result = open(blocked->path, blocked->flags, 0644);
    blocked->saved = errno;
    return NULL;
}

static void assert_interruptible(const char *path, int flags, bool proposals_only)
{
    struct blocked blocked = {.path = path, .flags = flags};

    if (proposals_only)
        fake_store_hold_proposals(m.store);
    else
        fake_store_hold(m.store);
    pthread_create(&blocked.thread, NULL, open_blocked, &blocked);
    fake_store_await_held(m.store, 1);
    double begun = now_s();
    pthread_kill(blocked.thread, SIGINT);
    pthread_join(blocked.thread, NULL);
    cr_assert_eq(blocked.result, -1);
    cr_assert_eq(blocked.saved, EINTR, "%s", strerror(blocked.saved));
    cr_assert_lt(now_s() - begun, 0.2);
    fake_store_release(m.store);
}

Test(mount_failures, an_open_that_waits_can_be_interrupted)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    assert_interruptible(mounted_path(&m, "f"), O_RDONLY, false);
}

Test(mount_failures, a_signal_that_does_not_mean_stop_ends_no_call)
{
    const struct sigaction action = {.sa_handler = ignore_signal};
    struct blocked blocked = {.path = mounted_path(&m, "f"), .flags = O_RDONLY};

    sigaction(SIGCHLD, &action, NULL);
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    fake_store_hold(m.store);
    pthread_create(&blocked.thread, NULL, open_blocked, &blocked);
    fake_store_await_held(m.store, 1);
    pthread_kill(blocked.thread, SIGCHLD);
    /* Where it counted, it would have ended the call well within this. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    cr_assert_eq(pthread_timedjoin_np(blocked.thread, NULL, &until), ETIMEDOUT);
    fake_store_release(m.store);
    pthread_join(blocked.thread, NULL);
    cr_assert_geq(blocked.result, 0);
    close(blocked.result);
}

Test(mount_failures, a_create_that_waits_can_be_interrupted)
{
    assert_interruptible(mounted_path(&m, "f"), O_CREAT | O_WRONLY, true);
}

static void *sync_it(void *arg)
{
    struct closing *closing = arg;

    closing->code = fsync(closing->fd) == 0 ? 0 : errno;
    return NULL;
}

/* Else who is told to stop waits once more, for the same. */
Test(mount_failures, after_an_interrupted_fsync_close_does_not_wait_and_what_is_new_does)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);
    struct closing closing = {.fd = fd};
    pthread_t thread;

    cr_assert_eq(write(fd, "x", 1), 1);
    int copy = dup(fd);
    fake_store_hold_proposals(m.store);
    pthread_create(&thread, NULL, sync_it, &closing);
    fake_store_await_held(m.store, 1);
    pthread_kill(thread, SIGINT);
    pthread_join(thread, NULL);
    cr_assert_eq(closing.code, EINTR);
    double begun = now_s();
    cr_assert_eq(close(copy), -1);
    cr_assert_eq(errno, EINTR);
    cr_assert_lt(now_s() - begun, 0.3);
    fake_store_release(m.store);
    cr_assert_eq(fsync(fd), 0);
    cr_assert(remote_is(&m, "f", "x"));
    cr_assert_eq(write(fd, "y", 1), 1);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "xy"));
}

/* With a leader that may answer yet a killed process waits like another. */
Test(mount_failures, without_a_leader_a_killed_process_does_not_wait_for_what_it_wrote)
{
    int ends[2];
    char byte;

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, ""), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(mounted_path(&m, "f"), O_WRONLY);
        if (write(fd, "x", 1) == 1 && write(ends[1], "w", 1) == 1)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
    double begun = now_s();
    kill(child, SIGKILL);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    cr_assert_lt(now_s() - begun, 0.3);
    fake_store_await_held(m.store, 1);
    fake_store_release(m.store);
    fake_store_set_leader(m.store, 1);
    /* It is published all the same; an open waits for that. */
    mounted_assert_content(&m, "f", "x");
}

Test(mount_failures, an_interrupted_close_goes_on_publishing)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);
    struct closing closing = {.fd = fd};
    pthread_t thread;

    cr_assert_eq(write(fd, "x", 1), 1);
    fake_store_hold_proposals(m.store);
    pthread_create(&thread, NULL, close_it, &closing);
    fake_store_await_held(m.store, 1);
    pthread_kill(thread, SIGINT);
    pthread_join(thread, NULL);
    cr_assert_eq(closing.code, EINTR);
    fake_store_release(m.store);
    mounted_stop(&m);
    cr_assert_eq(closing.code, EINTR);
}

Test(mount_failures, a_caller_can_be_killed)
{
    fake_store_hold(m.store);
    pid_t child = fork();
    if (child == 0)
        _exit(open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644) < 0);
    fake_store_await_held(m.store, 1);
    double begun = now_s();
    kill(child, SIGKILL);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    cr_assert_lt(now_s() - begun, 0.2);
}

#define STORM_THREADS 6
#define STORM_ROUNDS  60

static atomic_bool storm_ends;

/* Any mix of requests, whatever comes of them. */
static void *storm(void *arg)
{
    uint64_t state = *(uint64_t *)arg;
    char name[16];
    struct stat st;

    while (!atomic_load(&storm_ends)) {
        snprintf(name, sizeof(name), "f%u", seed_below(&state, 4));
        const char *path = mounted_path(&m, name);
        char own[256];
        snprintf(own, sizeof(own), "%s", path);
        switch (seed_below(&state, 6)) {
        case 0:
            stat(own, &st);
            break;
        case 1:
            unlink(own);
            break;
        case 2: {
            char other[300];
            snprintf(other, sizeof(other), "%s.new", own);
            rename(own, other);
            rename(other, own);
            break;
        }
        default: {
            int flags = seed_below(&state, 2) ? O_APPEND : O_TRUNC;
            int fd = open(own, O_CREAT | O_RDWR | flags, 0644);
            char text[600];
            if (fd < 0)
                break;
            if (write(fd, "0123456789", 10) == 10 && seed_below(&state, 2))
                fsync(fd);
            if (pread(fd, text, sizeof(text), 0) > 0 && seed_below(&state, 4) == 0)
                cr_expect_leq(ftruncate(fd, 5), 0);
            close(fd);
        }
        }
    }
    return NULL;
}

/* A second answer to a request, a handle freed twice or a request forgotten is
 * found by the sanitizers and by the end of the mount. */
Test(mount_failures, interrupts_timeouts_and_answers_may_meet_in_any_order)
{
    pthread_t threads[STORM_THREADS];
    uint64_t seeds[STORM_THREADS];
    uint64_t state = seed_take("storm");

    for (int i = 0; i < STORM_THREADS; i++) {
        seeds[i] = ((uint64_t)seed_next(&state) << 32 | seed_next(&state)) | 1;
        pthread_create(&threads[i], NULL, storm, &seeds[i]);
    }
    for (int round = 0; round < STORM_ROUNDS; round++) {
        const struct timespec pause = {.tv_nsec = 1000000 + seed_below(&state, 8000000)};
        switch (seed_below(&state, 10)) {
        case 0:
            fake_store_hold(m.store);
            break;
        case 1:
            fake_store_hold_proposals(m.store);
            break;
        default:
            fake_store_release(m.store);
        }
        fake_store_refuse(m.store, seed_below(&state, 8) == 0 ? KE_STALE : 0);
        for (int i = 0; i < 10; i++)
            pthread_kill(threads[seed_below(&state, STORM_THREADS)], SIGINT);
        nanosleep(&pause, NULL);
    }
    atomic_store(&storm_ends, true);
    fake_store_refuse(m.store, 0);
    fake_store_release(m.store);
    for (int i = 0; i < STORM_THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(mounted_write(&m, "after", O_CREAT, "works"), 0);
    cr_assert(remote_is(&m, "after", "works"));
}

/* --- mounts that end --- */

Test(mount_failures, stopping_frees_what_is_still_open)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);
    int dir = open(m.mountpoint, O_RDONLY | O_DIRECTORY);
    int status = open(mounted_path(&m, ".keelfs/status"), O_RDONLY);

    cr_assert_eq(write(fd, "unpublished", 11), 11);
    mounted_stop(&m);
    cr_assert_eq(write(fd, "x", 1), -1);
    close(fd);
    close(dir);
    close(status);
}

Test(mount_failures, an_unmount_by_somebody_ends_the_run)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    cr_assert_eq(umount2(m.mountpoint, 0), 0);
    pthread_join(m.runner, NULL);
    fs_mount_close(m.mount);
    fake_store_free(m.store);
    fs_free(m.fs);
    mounted_clean(&m);
}

Test(mount_failures, a_stop_before_the_run_makes_it_return_at_once)
{
    char second[128];
    struct fs_mount *mount;
    struct err e;

    snprintf(second, sizeof(second), "%s/second", m.dir);
    cr_assert_eq(mkdir(second, 0755), 0);
    const struct fs_config config = {.mountpoint = second, .data_dir = m.dir};
    char data[128];
    snprintf(data, sizeof(data), "%s/data2", m.dir);
    cr_assert_eq(mkdir(data, 0755), 0);
    struct store *store = fake_store_new(data);
    struct fs *fs = fs_new(store, &config);
    cr_assert_eq(fs_mount_open(fs, &mount, &e), 0, "%s", e.text);
    fs_mount_stop(mount);
    cr_assert_eq(fs_mount_run(mount, &e), 0);
    fs_mount_close(mount);
    fake_store_free(store);
    fs_free(fs);
}

/* --- mount points --- */

static void assert_refused(const char *path, int code, const char *words)
{
    struct err e;

    cr_assert_eq(fs_mount_check(path, &e), code);
    cr_assert_not_null(strstr(e.text, words), "%s", e.text);
    cr_assert_null(strchr(e.text, '\n'));
}

Test(mount_failures, a_mount_point_that_cannot_be_used_is_named_with_the_reason)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/missing", m.dir);
    assert_refused(path, KE_NOT_FOUND, "does not exist");
    snprintf(path, sizeof(path), "%s/file", m.dir);
    close(open(path, O_CREAT | O_WRONLY, 0644));
    assert_refused(path, KE_NOT_DIR, "not a directory");
    assert_refused(m.mountpoint, KE_BUSY, "fuse.keelfs is mounted there");
}

Test(mount_failures, unknown_mount_options_are_refused)
{
    const struct fs_config config = {
        .mountpoint = m.dir,
        .data_dir = m.dir,
        .options = "allow_other,no_such_option",
    };
    struct fs_mount *mount = NULL;
    struct err e;
    char data[128];

    snprintf(data, sizeof(data), "%s/data2", m.dir);
    cr_assert_eq(mkdir(data, 0755), 0);
    struct store *store = fake_store_new(data);
    struct fs *fs = fs_new(store, &config);
    cr_assert_eq(fs_mount_open(fs, &mount, &e), KE_INVALID);
    cr_assert_not_null(strstr(e.text, "no_such_option"), "%s", e.text);
    cr_assert_null(mount);
    fake_store_free(store);
    fs_free(fs);
}

/* What a daemon leaves that dies: a mount whose connection nobody holds. */
static void make_dead_mount(const char *path)
{
    char options[64];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    cr_assert_eq(mount("dead", path, "fuse.keelfs", MS_NOSUID | MS_NODEV, options), 0, "%s",
                 strerror(errno));
    close(fd);
}

Test(mount_failures, a_dead_mount_is_taken_away_first)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/dead mount", m.dir);
    cr_assert_eq(mkdir(path, 0755), 0);
    make_dead_mount(path);
    cr_assert_eq(stat(path, &st), -1);
    cr_assert_eq(errno, ENOTCONN);
    cr_assert_eq(fs_mount_check(path, NULL), 0);
    cr_assert_eq(stat(path, &st), 0);
}

/* What is kept for them lasts for a moment, and nobody can take it back. */
Test(mount_failures, a_dead_mount_with_somebody_in_it_is_waited_for)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/dead", m.dir);
    cr_assert_eq(mkdir(path, 0755), 0);
    make_dead_mount(path);
    int inside = open(path, O_PATH | O_DIRECTORY);
    cr_assert_geq(inside, 0);
    double begun = now_s();
    cr_assert_eq(fs_mount_check(path, NULL), 0);
    cr_expect_geq(now_s() - begun, GIVEN_LIFE_NS / 1e9);
    close(inside);
}
