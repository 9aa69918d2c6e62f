#include "fs/reply_guard.h"

#include "raftstore/log.h"
#include "raftstore/op.h"

#include <assert.h>
#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_SIGNAL SIGRTMIN
/* Without an answer for so many the timer stops. */
#define IDLE_TICKS_MAX 8

#define NS_PER_S 1000000000ull

/* Of one thread. The signal comes on the same thread: what both use is volatile. */
struct guard {
    struct reply_timeouts next; /* of the next answer */

    volatile bool is_armed; /* an answer is about to be written: */
    enum reply_kind kind;
    uint64_t until_ns;
    char *volatile body;
    volatile size_t size;
    volatile unsigned ticks;
    volatile unsigned idle_ticks;
    volatile bool is_ticking;
    bool has_timer;
    bool has_failed;
    timer_t timer;
};

static _Thread_local struct guard guard;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;

/* --- filling in --- */

struct rest {
    uint64_t seconds;
    uint32_t ns;
};

static struct rest rest_until(uint64_t until_ns)
{
    uint64_t now_ns = clock_ns() + REPLY_GUARD_MARGIN_NS;
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;

    return (struct rest){.seconds = left_ns / NS_PER_S, .ns = (uint32_t)(left_ns % NS_PER_S)};
}

/* What is 0 already has no timeout, and stays so. */
static void fill(uint64_t *seconds, uint32_t *ns, const struct rest *rest)
{
    if (*seconds == 0 && *ns == 0)
        return;
    *seconds = rest->seconds;
    *ns = rest->ns;
}

static void fill_entry(struct fuse_entry_out *entry, const struct rest *rest)
{
    fill(&entry->entry_valid, &entry->entry_valid_nsec, rest);
    fill(&entry->attr_valid, &entry->attr_valid_nsec, rest);
}

static void fill_listing(char *body, size_t size, const struct rest *rest)
{
    size_t at = 0;

    while (at + offsetof(struct fuse_direntplus, dirent.name) <= size) {
        struct fuse_direntplus *entry = (struct fuse_direntplus *)(void *)(body + at);
        fill_entry(&entry->entry_out, rest);
        at += FUSE_DIRENTPLUS_SIZE(entry);
    }
}

/* Also in the signal handler. */
static void fill_body(void)
{
    const struct rest rest = rest_until(guard.until_ns);
    char *body = guard.body;

    if (guard.kind == REPLY_LISTING) {
        fill_listing(body, guard.size, &rest);
    } else if (guard.kind == REPLY_ENTRY) {
        fill_entry((struct fuse_entry_out *)(void *)body, &rest);
    } else {
        struct fuse_attr_out *attr = (struct fuse_attr_out *)(void *)body;
        fill(&attr->attr_valid, &attr->attr_valid_nsec, &rest);
    }
}

/* --- the timer --- */

static void set_timer(uint64_t period_ns)
{
    const struct timespec period = {
        .tv_sec = (time_t)(period_ns / NS_PER_S),
        .tv_nsec = (long)(period_ns % NS_PER_S),
    };
    const struct itimerspec when = {.it_interval = period, .it_value = period};

    timer_settime(guard.timer, 0, &when, NULL);
}

static void tick(int number)
{
    int saved = errno;

    (void)number;
    guard.ticks++;
    if (guard.is_armed) {
        fill_body();
    } else if (guard.is_ticking && ++guard.idle_ticks > IDLE_TICKS_MAX) {
        guard.is_ticking = false;
        set_timer(0);
    }
    errno = saved;
}

static void end_thread(void *timer_of_thread)
{
    (void)timer_of_thread;
    guard.has_failed = true; /* whatever it answers from here on has no timeouts */
    guard.is_ticking = false;
    timer_delete(guard.timer);
}

static void begin_process(void)
{
    const struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    int rc = pthread_key_create(&at_thread_end, end_thread);

    assert(rc == 0);
    sigaction(TICK_SIGNAL, &action, NULL);
}

static bool make_timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
    sigset_t set;

    pthread_once(&once, begin_process);
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_BOOTTIME, &event, &guard.timer) != 0) {
        log_warn("no timer, the kernel caches less: %s", strerror(errno));
        return false;
    }
    pthread_setspecific(at_thread_end, &guard);
    sigemptyset(&set);
    sigaddset(&set, TICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return true;
}

/* False: there is none. */
static bool start_ticking(void)
{
    if (!guard.has_timer && !guard.has_failed) {
        guard.has_timer = make_timer();
        guard.has_failed = !guard.has_timer;
    }
    if (guard.has_failed)
        return false;
    guard.idle_ticks = 0;
    if (!guard.is_ticking) {
        guard.is_ticking = true;
        set_timer(REPLY_GUARD_TICK_NS);
    }
    return true;
}

/* --- answers --- */

void reply_guard_begin(enum reply_kind kind, uint64_t until_ns)
{
    guard.next = (struct reply_timeouts){.is_set = true, .kind = kind, .until_ns = until_ns};
}

struct reply_timeouts reply_guard_take(void)
{
    struct reply_timeouts taken = guard.next;

    guard.next.is_set = false;
    return taken;
}

static ssize_t write_guarded(const struct reply_timeouts *timeouts, int fd, const struct iovec *iov,
                             int count)
{
    unsigned ticks;

    guard.kind = timeouts->kind;
    guard.until_ns = start_ticking() ? timeouts->until_ns : 0;
    guard.body = iov[1].iov_base;
    guard.size = iov[1].iov_len;
    atomic_signal_fence(memory_order_seq_cst);
    guard.is_armed = true;
    do {
        ticks = guard.ticks;
        fill_body();
        atomic_signal_fence(memory_order_seq_cst);
    } while (ticks != guard.ticks);
    ssize_t written = writev(fd, iov, count);
    guard.is_armed = false;
    atomic_signal_fence(memory_order_seq_cst);
    return written;
}

ssize_t reply_guard_writev(const struct reply_timeouts *timeouts, int fd, const struct iovec *iov,
                           int count)
{
    const struct fuse_out_header *header = iov[0].iov_base;

    if (!timeouts->is_set || count < 2 || header->error != 0)
        return writev(fd, iov, count);
    return write_guarded(timeouts, fd, iov, count);
}
