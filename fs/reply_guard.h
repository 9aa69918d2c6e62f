/* The timeouts of an answer, filled in at the last moment: see
 * docs/decisions/0009-read-leases.md.
 *
 * The kernel counts a timeout from when it gets the answer. A thread that is stopped
 * between reading the clock and handing over the answer would make it end too late.
 * So the function that writes to the device fills in what is left of the time, and as
 * long as the answer is not written a timer of the thread, REPLY_GUARD_TICK_NS apart,
 * fills it in again. A thread that goes on after it was stopped takes the signal of the
 * timer before its next instruction. What is written is therefore at most a tick old.
 *
 *     reply_guard_begin()   what the next answer of this thread is, and its end
 *     fuse_reply_...()      with a timeout of REPLY_GUARD_SOME_S where there is to be
 *                           one, and 0 where not
 *     reply_guard_take()    as soon as libfuse hands the answer over
 *     reply_guard_writev()  writes it
 *
 * The timer runs only while its thread answers. Any thread may answer; all of it is
 * thread-local.
 */
#ifndef KEELFS_FS_REPLY_GUARD_H
#define KEELFS_FS_REPLY_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define REPLY_GUARD_TICK_NS 10000000ull
/* Timeouts end so long before what they must not outlive: a tick, two jiffies of the
 * kernel's rounding, and what it takes the caller to wake up and take the answer. */
#define REPLY_GUARD_MARGIN_NS 80000000ull
#define REPLY_GUARD_SOME_S    1.0

enum reply_kind {
    REPLY_ENTRY,   /* of lookup; create */
    REPLY_ATTR,    /* of getattr */
    REPLY_LISTING, /* of readdirplus */
};

/* Which timeouts an answer has. All zeros: none. */
struct reply_timeouts {
    bool is_set;
    enum reply_kind kind;
    uint64_t until_ns; /* clock_ns() */
};

/* Timeouts of the next answer of this thread end at `until_ns` (clock_ns()). */
void reply_guard_begin(enum reply_kind kind, uint64_t until_ns);

/* What was begun for the answer at hand. Others that this thread gives before it is
 * written, as to who reads the log of operations, have none of it. */
struct reply_timeouts reply_guard_take(void);

/* writev(2) of an answer, or of anything else. */
ssize_t reply_guard_writev(const struct reply_timeouts *timeouts, int fd, const struct iovec *iov,
                           int count);

#endif
