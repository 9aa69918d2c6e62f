#include "fs/stop_signals.h"

#include "raftstore/log.h"
#include "raftstore/op.h"
#include "raftstore/thread.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* Tells the thread to look at the flags; means nothing when it comes from outside. */
#define WAKE_SIGNAL SIGUSR1

/* A dead mount answers every call with ENOTCONN until somebody unmounts it. */
static void detach_mount(const char *mountpoint)
{
    char *const argv[] = {"fusermount3", "-u", "-z", "-q", "--", (char *)mountpoint, NULL};
    char *const no_environment[] = {NULL};
    pid_t child;

    if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno != EPERM)
        return;
    if (posix_spawnp(&child, argv[0], NULL, NULL, argv, no_environment) == 0)
        waitpid(child, NULL, 0);
}

static void __attribute__((noreturn)) end_at_once(struct stop_signals *signals, const char *why)
{
    log_error("%s: ending at once", why);
    detach_mount(signals->mountpoint);
    _exit(EXIT_FAILURE);
}

/* Waits for a signal, until `deadline_ns` when that is not 0. Returns 0 when the
 * time is up. */
static int wait_signal(const sigset_t *set, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now_ns = clock_ns();
        uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
        struct timespec left = {
            .tv_sec = (time_t)(left_ns / 1000000000),
            .tv_nsec = (long)(left_ns % 1000000000),
        };
        int number = sigtimedwait(set, NULL, deadline_ns ? &left : NULL);
        if (number > 0)
            return number;
        if (errno == EAGAIN)
            return 0;
    }
}

/* Under the lock. */
static void begin_stop(struct stop_signals *signals)
{
    signals->stopping = true;
    if (signals->mount)
        fs_mount_stop(signals->mount);
}

static void *run(void *arg)
{
    struct stop_signals *signals = arg;
    uint64_t deadline_ns = 0;

    for (;;) {
        int number = wait_signal(&signals->set, deadline_ns);
        pthread_mutex_lock(&signals->lock);
        bool finished = signals->finished;
        bool is_signal = number != 0 && number != WAKE_SIGNAL;
        bool again = signals->stopping && number != WAKE_SIGNAL;
        if (!finished && !signals->stopping && is_signal)
            log_info("stopping: %s", strsignal(number));
        if (!finished && !signals->stopping && (is_signal || atomic_load(&signals->asked)))
            begin_stop(signals);
        if (signals->stopping && deadline_ns == 0)
            deadline_ns = clock_ns() + signals->patience_ms * 1000000ull;
        pthread_mutex_unlock(&signals->lock);
        if (finished)
            return NULL;
        if (again)
            end_at_once(signals, number ? "asked to stop again" : "stopping takes too long");
    }
}

void stop_signals_start(struct stop_signals *signals, const char *mountpoint, uint32_t patience_ms)
{
    *signals = (struct stop_signals){
        .mountpoint = mountpoint,
        .patience_ms = patience_ms,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    sigemptyset(&signals->set);
    sigaddset(&signals->set, SIGTERM);
    sigaddset(&signals->set, SIGINT);
    sigaddset(&signals->set, SIGHUP);
    sigaddset(&signals->set, WAKE_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &signals->set, NULL);
    signal(SIGPIPE, SIG_IGN);
    thread_start(&signals->thread, "signals", run, signals);
}

void stop_signals_set_mount(struct stop_signals *signals, struct fs_mount *mount)
{
    pthread_mutex_lock(&signals->lock);
    signals->mount = mount;
    if (signals->stopping)
        fs_mount_stop(mount);
    pthread_mutex_unlock(&signals->lock);
}

void stop_signals_ask(struct stop_signals *signals)
{
    atomic_store(&signals->asked, true);
    pthread_kill(signals->thread, WAKE_SIGNAL);
}

void stop_signals_begin_stop(struct stop_signals *signals)
{
    pthread_mutex_lock(&signals->lock);
    signals->mount = NULL;
    signals->stopping = true;
    pthread_mutex_unlock(&signals->lock);
    pthread_kill(signals->thread, WAKE_SIGNAL);
}

void stop_signals_finish(struct stop_signals *signals)
{
    pthread_mutex_lock(&signals->lock);
    signals->finished = true;
    pthread_mutex_unlock(&signals->lock);
    pthread_kill(signals->thread, WAKE_SIGNAL);
    pthread_join(signals->thread, NULL);
    pthread_mutex_destroy(&signals->lock);
}
