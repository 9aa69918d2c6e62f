/* Locks on a mount. The processes are children, or threads with open file
 * descriptions of their own. */
#include "fs/fs.h"
#include "mounted.h"
#include "seed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct mounted m;
static int file; /* open for reading and writing */

static void ignore_signal(int number)
{
    (void)number;
}

static int open_file(void)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);

    cr_assert_geq(fd, 0, "%s", strerror(errno));
    return fd;
}

static void setup(void)
{
    const struct sigaction action = {.sa_handler = ignore_signal};

    sigaction(SIGALRM, &action, NULL);
    mounted_start(&m, 10000);
    file = open_file();
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_locks, .init = setup, .fini = teardown, .timeout = 120);

/* 0 or errno. */
static int lock_range(int fd, int cmd, short type, off_t start, off_t size)
{
    struct flock lock = {.l_type = type, .l_start = start, .l_len = size};

    return fcntl(fd, cmd, &lock) == 0 ? 0 : errno;
}

/* In a child, which ends then: what another process gets. */
static int lock_in_child(int cmd, short type, off_t start, off_t size)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(lock_range(open_file(), cmd, type, start, size));
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A child that has done `act` and waits to be killed. */
static pid_t start_child(void (*act)(void))
{
    int ends[2];
    char byte;

    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        act();
        if (write(ends[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    close(ends[1]);
    return child;
}

static void end_child(pid_t child)
{
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, NULL, 0), child);
}

static void await_waiters(size_t count)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    size_t found = count + 1;

    while (found != count) {
        nanosleep(&moment, NULL);
        pthread_mutex_lock(&m.fs->locks_lock);
        found = m.fs->locks.waiter_count;
        pthread_mutex_unlock(&m.fs->locks_lock);
    }
}

static size_t count_locks(void)
{
    pthread_mutex_lock(&m.fs->locks_lock);
    size_t count = m.fs->locks.count;
    pthread_mutex_unlock(&m.fs->locks_lock);
    return count;
}

/* --- who keeps whom out --- */

Test(mount_locks, a_range_keeps_out_other_processes_and_says_who_has_it)
{
    int status;

    cr_assert_eq(lock_range(file, F_SETLK, F_WRLCK, 10, 5), 0);
    cr_assert_eq(lock_in_child(F_SETLK, F_RDLCK, 14, 1), EAGAIN);
    cr_assert_eq(lock_in_child(F_SETLK, F_WRLCK, 15, 0), 0);
    cr_assert_eq(lock_range(file, F_SETLK, F_RDLCK, 10, 5), 0);
    cr_assert_eq(lock_in_child(F_SETLK, F_RDLCK, 14, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        struct flock asked = {.l_type = F_WRLCK};
        if (fcntl(open_file(), F_GETLK, &asked) != 0)
            _exit(1);
        _exit(asked.l_type != F_RDLCK || asked.l_start != 10 || asked.l_len != 5 ||
              asked.l_pid != getppid());
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(mount_locks, closing_any_descriptor_of_the_file_gives_back_the_process_s_ranges)
{
    cr_assert_eq(lock_range(file, F_SETLK, F_WRLCK, 0, 0), 0);
    close(open_file());
    cr_assert_eq(lock_in_child(F_SETLK, F_WRLCK, 0, 0), 0);
}

Test(mount_locks, an_open_file_description_keeps_its_locks_until_its_last_descriptor_is_closed)
{
    cr_assert_eq(lock_range(file, F_OFD_SETLK, F_WRLCK, 0, 4), 0);
    cr_assert_eq(flock(file, LOCK_SH), 0);
    int other = open_file();
    cr_assert_eq(lock_range(other, F_OFD_SETLK, F_RDLCK, 3, 1), EAGAIN);
    cr_assert_eq(flock(other, LOCK_EX | LOCK_NB), -1);
    cr_assert_eq(errno, EAGAIN);
    int copy = dup(file);
    close(file);
    cr_assert_eq(lock_range(other, F_OFD_SETLK, F_RDLCK, 3, 1), EAGAIN);
    close(open_file());
    cr_assert_eq(flock(other, LOCK_EX | LOCK_NB), -1);
    close(copy);
    cr_assert_eq(lock_range(other, F_OFD_SETLK, F_RDLCK, 3, 1), 0);
    cr_assert_eq(flock(other, LOCK_EX | LOCK_NB), 0);
}

/* The kernel tells of the close after it has returned. */
Test(mount_locks, a_lock_is_free_the_moment_its_last_descriptor_is_closed)
{
    for (int i = 0; i < 300; i++) {
        int holder = open_file(), other = open_file();
        cr_assert_eq(flock(holder, LOCK_EX | LOCK_NB), 0);
        cr_assert_eq(lock_range(holder, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
        close(holder);
        cr_assert_eq(flock(other, LOCK_EX | LOCK_NB), 0, "round %d", i);
        cr_assert_eq(lock_range(other, F_OFD_SETLK, F_WRLCK, 0, 0), 0, "round %d", i);
        close(other);
    }
}

Test(mount_locks, control_files_and_directories_can_be_locked)
{
    int status = open(mounted_path(&m, ".keelfs/status"), O_RDONLY);
    int dir = open(m.mountpoint, O_RDONLY | O_DIRECTORY);

    cr_assert_eq(flock(status, LOCK_EX | LOCK_NB), 0);
    cr_assert_eq(flock(dir, LOCK_EX | LOCK_NB), 0);
    cr_assert_eq(flock(open(m.mountpoint, O_RDONLY | O_DIRECTORY), LOCK_EX | LOCK_NB), -1);
    close(status);
    cr_assert_eq(flock(open(mounted_path(&m, ".keelfs/status"), O_RDONLY), LOCK_EX | LOCK_NB), 0);
}

/* --- who dies --- */

static void take_both(void)
{
    int fd = open_file();

    if (lock_range(fd, F_SETLK, F_WRLCK, 0, 1) != 0 || flock(fd, LOCK_EX) != 0 ||
        lock_range(fd, F_OFD_SETLK, F_WRLCK, 5, 1) != 0)
        _exit(1);
}

Test(mount_locks, a_process_that_is_killed_leaves_its_locks_to_who_waits)
{
    pid_t child = start_child(take_both);

    cr_assert_eq(lock_range(file, F_SETLK, F_WRLCK, 0, 1), EAGAIN);
    cr_assert_eq(lock_range(file, F_SETLK, F_WRLCK, 5, 1), EAGAIN);
    end_child(child);
    cr_assert_eq(lock_range(file, F_SETLKW, F_WRLCK, 0, 0), 0);
    cr_assert_eq(flock(file, LOCK_EX), 0);
    cr_assert_eq(count_locks(), 2);
}

Test(mount_locks, a_waiter_that_is_killed_leaves_nothing)
{
    cr_assert_eq(lock_range(file, F_SETLK, F_WRLCK, 0, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        lock_range(open_file(), F_SETLKW, F_WRLCK, 0, 0);
        _exit(0);
    }
    await_waiters(1);
    end_child(child);
    await_waiters(0);
    cr_assert_eq(lock_range(file, F_SETLK, F_UNLCK, 0, 0), 0);
    cr_assert_eq(count_locks(), 0);
}

/* --- waiting --- */

struct blocked {
    pthread_t thread;
    int fd;
    int code;
};

static void *flock_blocked(void *arg)
{
    struct blocked *blocked = arg;

    blocked->code = flock(blocked->fd, LOCK_EX) == 0 ? 0 : errno;
    return NULL;
}

Test(mount_locks, any_handled_signal_ends_a_wait)
{
    struct blocked blocked = {.fd = open_file()};

    cr_assert_eq(flock(file, LOCK_SH), 0);
    pthread_create(&blocked.thread, NULL, flock_blocked, &blocked);
    await_waiters(1);
    pthread_kill(blocked.thread, SIGALRM);
    pthread_join(blocked.thread, NULL);
    cr_assert_eq(blocked.code, EINTR, "%s", strerror(blocked.code));
    await_waiters(0);
    cr_assert_eq(flock(open_file(), LOCK_SH | LOCK_NB), 0);
}

static void *flock_in_turn(void *arg)
{
    flock_blocked(arg);
    close(((struct blocked *)arg)->fd);
    return NULL;
}

Test(mount_locks, all_who_wait_get_their_turn)
{
    struct blocked blocked[8];

    cr_assert_eq(flock(file, LOCK_EX), 0);
    for (size_t i = 0; i < 8; i++) {
        blocked[i].fd = open_file();
        pthread_create(&blocked[i].thread, NULL, flock_in_turn, &blocked[i]);
    }
    await_waiters(8);
    cr_assert_eq(flock(file, LOCK_UN), 0);
    for (size_t i = 0; i < 8; i++) {
        pthread_join(blocked[i].thread, NULL);
        cr_assert_eq(blocked[i].code, 0);
    }
    cr_assert_eq(flock(file, LOCK_EX), 0);
    cr_assert_eq(count_locks(), 1);
}

Test(mount_locks, processes_that_would_wait_for_each_other_are_told)
{
    int status;

    cr_assert_eq(lock_range(file, F_SETLK, F_WRLCK, 0, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open_file();
        int code = lock_range(fd, F_SETLK, F_WRLCK, 1, 1);
        _exit(code != 0 ? code : lock_range(fd, F_SETLKW, F_WRLCK, 0, 1));
    }
    await_waiters(1);
    cr_assert_eq(lock_range(file, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
    cr_assert_eq(lock_range(file, F_SETLK, F_UNLCK, 0, 0), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(mount_locks, the_end_of_the_mount_ends_every_wait)
{
    struct blocked blocked = {.fd = open_file()};

    cr_assert_eq(flock(file, LOCK_EX), 0);
    pthread_create(&blocked.thread, NULL, flock_blocked, &blocked);
    await_waiters(1);
    mounted_stop(&m);
    pthread_join(blocked.thread, NULL);
    cr_assert_neq(blocked.code, 0);
}

#define STORM_THREADS 6
#define STORM_SIGNALS 2000

static atomic_bool storm_ends;
static atomic_int holders;

/* An exclusive lock that is granted to two is seen by `holders`. */
static void *storm(void *arg)
{
    int fd = *(int *)arg;

    while (!atomic_load(&storm_ends)) {
        struct flock lock = {.l_type = F_WRLCK};
        if (fcntl(fd, F_OFD_SETLKW, &lock) != 0)
            continue;
        cr_expect_eq(atomic_fetch_add(&holders, 1), 0);
        atomic_fetch_sub(&holders, 1);
        lock.l_type = F_UNLCK;
        cr_expect_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
    }
    return NULL;
}

Test(mount_locks, signals_and_grants_may_meet_in_any_order)
{
    pthread_t threads[STORM_THREADS];
    int fds[STORM_THREADS];
    uint64_t state = seed_take("lock storm");

    for (size_t i = 0; i < STORM_THREADS; i++) {
        fds[i] = open_file();
        pthread_create(&threads[i], NULL, storm, &fds[i]);
    }
    for (int i = 0; i < STORM_SIGNALS; i++) {
        const struct timespec pause = {.tv_nsec = seed_below(&state, 300000)};
        pthread_kill(threads[seed_below(&state, STORM_THREADS)], SIGALRM);
        nanosleep(&pause, NULL);
    }
    atomic_store(&storm_ends, true);
    for (size_t i = 0; i < STORM_THREADS; i++)
        pthread_join(threads[i], NULL);
    await_waiters(0);
    cr_assert_eq(count_locks(), 0);
}
