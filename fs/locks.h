/* The locks of files: flock(2), and the ranges of fcntl(2), whether a process
 * (F_SETLK) or an open file description (F_OFD_SETLK) has them.
 *
 * The table knows owners and ranges, and nothing of processes, requests or time;
 * ops_lock.c is its only user. What the kernel tells fits it: an owner is a number,
 * the process for F_SETLK and the open file description for the other two, and no
 * number means both. A lock of flock(2) is a range over everything; the two kinds
 * do not see each other, as on any Linux file system.
 *
 *     locks_set()   takes, changes or gives back a range, or finds it taken
 *     locks_wait()  queues who found it taken, unless that closes a circle of
 *                   owners who wait for each other
 *     locks_close() a process closed the file
 *     locks_drop()  an open file description is gone
 *
 * Waiting is waiting for a chance: whatever gives locks back hands over the waiters
 * that nothing stands in the way of any more, and each of them tries again. So a
 * waiter that is gone by then leaves no lock behind, and none needs to be told of it.
 *
 * The kernel tells at once that a process closed the file, but only some time after
 * that close(2) has returned that the open file description is gone, if it is. What
 * a close leaves is `is_closing` until then or until somebody has waited for it in
 * vain: a call that would not wait does, for a moment, when nothing else is in the
 * way, and so finds what it would find on any file system.
 *
 * Invariants: the ranges of one owner, of a kind, do not overlap, and those of one
 * mode do not touch; exclusive ranges overlap no other owner's of their kind.
 *
 * Pure: no I/O and no lock; whoever embeds the table guards it.
 */
#ifndef KEELFS_FS_LOCKS_H
#define KEELFS_FS_LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ranges and waiters of all files together. */
#define LOCKS_MAX         65536
#define LOCKS_WAITERS_MAX 4096
/* Owners that the search for a circle looks at; past them none is found. */
#define LOCKS_CIRCLE_MAX 32

#define LOCKS_BUCKETS 1024

enum locks_kind { LOCKS_FLOCK, LOCKS_RANGE };
enum locks_mode { LOCKS_NONE, LOCKS_SHARED, LOCKS_EXCLUSIVE };
enum locks_answer { LOCKS_DONE, LOCKS_BUSY, LOCKS_DEADLOCK, LOCKS_FULL };

struct locks_range {
    enum locks_kind kind;
    enum locks_mode mode; /* LOCKS_NONE: to be given back */
    uint64_t owner;
    uint64_t handle; /* of the open file description it was last changed through */
    uint32_t pid;    /* who asked last */
    uint64_t first;
    uint64_t last; /* included */
    bool is_closing;
};

/* One who waits; embedded by the caller. */
struct locks_waiter {
    uint64_t ino;
    struct locks_range range;
    bool is_queued;            /* the rest is the table's */
    struct locks_waiter *prev; /* in the queue, a ring */
    struct locks_waiter *next; /* also in a list of who may try again */
};

struct locks_file; /* in locks.c: the ranges of one inode */

struct locks {
    struct locks_file *buckets[LOCKS_BUCKETS];
    size_t count;              /* ranges */
    struct locks_waiter queue; /* the head of the ring, oldest first */
    size_t waiter_count;
};

void locks_init(struct locks *locks);
/* Nobody waits any more. */
void locks_release(struct locks *locks);

/* Makes `range` so. LOCKS_BUSY: others are in the way; an flock(2) lock of the owner
 * is gone then, as that call has it, while ranges stay as they were. LOCKS_FULL:
 * nothing was changed. Waiters that may try again are put at the end of `*woken`. */
enum locks_answer locks_set(struct locks *locks, uint64_t ino, const struct locks_range *range,
                            struct locks_waiter **woken);

/* The first range of `ino` that is in the way of `range`. False: none is. */
bool locks_find(const struct locks *locks, uint64_t ino, const struct locks_range *range,
                struct locks_range *ret_range);

/* Queues the waiter, whose `ino` and `range` are filled: LOCKS_BUSY. LOCKS_DONE:
 * nothing is in the way, try again. LOCKS_DEADLOCK is only for ranges. */
enum locks_answer locks_wait(struct locks *locks, struct locks_waiter *waiter);
/* It waits no more, if it did. */
void locks_forget(struct locks *locks, struct locks_waiter *waiter);

/* A process, `owner`, closed the file that it had open through `handle`: its ranges
 * are gone, and what else was taken through the handle is closing. */
void locks_close(struct locks *locks, uint64_t ino, uint64_t owner, uint64_t handle,
                 struct locks_waiter **woken);
/* An open file description is gone, and all that was taken through it. */
void locks_drop(struct locks *locks, uint64_t ino, uint64_t handle, struct locks_waiter **woken);

/* Whether something is in the way of `range`, and all of that is closing. */
bool locks_is_closing(const struct locks *locks, uint64_t ino, const struct locks_range *range);
/* It does not close after all. */
void locks_settle(struct locks *locks, uint64_t ino, const struct locks_range *range);

/* All who wait, whatever they wait for. */
void locks_drop_waiters(struct locks *locks, struct locks_waiter **woken);

#endif
