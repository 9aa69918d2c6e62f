/* Locks between the processes of this node: getlk, setlk, flock.
 *
 * All that the file system knows of locks is here, over the table of locks.h: a step
 * that makes them hold between nodes changes nothing else.
 *
 * What ends a lock: its owner gives it back; a process closes the file (a flush comes
 * with each close, also by exit and by a signal) and loses its ranges; an open file
 * description goes (release), and with it what flock(2) and F_OFD_SETLK took through
 * it. A wait has no deadline, as on any file system, and ends at any signal: the
 * kernel asks again where the caller wants that.
 */
#include "fs/ops.h"
#include "fs/request.h"
#include "fs/waiters.h"
#include "raftstore/err.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/file.h>

/* The last byte that fcntl(2) can name. */
#define OFFSET_LAST ((uint64_t)INT64_MAX)

/* How long a call that would not wait does for what is closing. */
#define CLOSING_NS 50000000ull

struct lock_request {
    struct request request;
    struct locks_range range;
    uint64_t ino;
    bool blocks;
    bool awaits_closing; /* it does not block, but waits for a moment */

    /* Guarded by `locks_lock`. An interrupt can end the request at any moment of a
     * wait, also while that is still being begun. */
    unsigned refs;
    bool has_ended;
    enum locks_answer answer; /* to the attempt to wait */
    struct locks_waiter waiter;
    struct op *op; /* while the waiter is queued, with a reference */
};

static void lock_unref_locked(struct lock_request *lock)
{
    assert(lock->refs > 0);
    if (--lock->refs == 0)
        free(lock);
}

static void lock_free(struct request *request)
{
    struct lock_request *lock = (struct lock_request *)request;
    struct fs *fs = request->fs;

    pthread_mutex_lock(&fs->locks_lock);
    locks_forget(&fs->locks, &lock->waiter);
    struct op *op = lock->op;
    lock->op = NULL;
    lock->has_ended = true;
    lock_unref_locked(lock);
    pthread_mutex_unlock(&fs->locks_lock);
    if (op != NULL)
        op_unref(op);
}

/* --- who may try again --- */

/* Under the lock: from here on an interrupt may free the requests. */
static void collect_ops(struct locks_waiter *woken, struct waiters *ret_ops)
{
    while (woken != NULL) {
        struct lock_request *lock =
            (struct lock_request *)((char *)woken - offsetof(struct lock_request, waiter));
        woken = woken->next;
        lock->waiter.next = NULL;
        bool is_added = waiters_add(ret_ops, 0, lock->op);
        assert(is_added);
        op_unref(lock->op);
        lock->op = NULL;
    }
}

void ops_lock_flush(struct fs *fs, fuse_ino_t ino, const struct fuse_file_info *fi)
{
    struct locks_waiter *woken = NULL;
    struct waiters ops = {0};

    pthread_mutex_lock(&fs->locks_lock);
    locks_close(&fs->locks, ino, fi->lock_owner, fi->fh, &woken);
    collect_ops(woken, &ops);
    pthread_mutex_unlock(&fs->locks_lock);
    waiters_finish(&ops);
}

void ops_lock_release(struct fs *fs, fuse_ino_t ino, const struct fuse_file_info *fi)
{
    struct locks_waiter *woken = NULL;
    struct waiters ops = {0};

    pthread_mutex_lock(&fs->locks_lock);
    locks_drop(&fs->locks, ino, fi->fh, &woken);
    collect_ops(woken, &ops);
    pthread_mutex_unlock(&fs->locks_lock);
    waiters_finish(&ops);
}

void ops_lock_end(struct fs *fs)
{
    struct locks_waiter *woken = NULL;
    struct waiters ops = {0};

    pthread_mutex_lock(&fs->locks_lock);
    locks_drop_waiters(&fs->locks, &woken);
    collect_ops(woken, &ops);
    pthread_mutex_unlock(&fs->locks_lock);
    for (size_t i = 0; i < ops.count; i++)
        op_fail(ops.ops[i], KE_SHUTDOWN);
    waiters_finish(&ops);
}

/* --- setlk, flock --- */

static void lock_step(struct request *request, const struct op_result *result);

/* Under the lock. False: it is to try again at once, or to be refused. */
static bool lock_queue(struct lock_request *lock, struct op *op)
{
    lock->waiter.ino = lock->ino;
    lock->waiter.range = lock->range;
    lock->answer = locks_wait(&lock->request.fs->locks, &lock->waiter);
    if (lock->answer != LOCKS_BUSY)
        return false;
    op_ref(op);
    lock->op = op;
    return true;
}

static void lock_wait(struct lock_request *lock)
{
    const struct op_result at_once = {0};
    struct fs *fs = lock->request.fs;
    bool has_deadline = lock->awaits_closing;

    pthread_mutex_lock(&fs->locks_lock);
    lock->refs++;
    pthread_mutex_unlock(&fs->locks_lock);
    struct op *op = request_wait(&lock->request, lock_step);
    pthread_mutex_lock(&fs->locks_lock);
    bool waits = op == NULL || lock->has_ended || lock_queue(lock, op);
    lock_unref_locked(lock);
    pthread_mutex_unlock(&fs->locks_lock);
    if (op == NULL)
        return;
    if (!waits)
        op_finish(op, &at_once);
    else if (has_deadline)
        deadlines_add(fs->deadlines, op);
    op_unref(op);
}

static void lock_refuse(struct lock_request *lock, enum locks_answer answer)
{
    if (answer == LOCKS_BUSY || (answer == LOCKS_DEADLOCK && !lock->blocks))
        request_fail_errno(&lock->request, EAGAIN);
    else
        request_fail_errno(&lock->request, answer == LOCKS_DEADLOCK ? EDEADLK : ENOLCK);
}

/* Of one that found others in the way. */
static bool lock_shall_wait(struct lock_request *lock, bool is_closing)
{
    if (is_closing && !lock->blocks && !lock->awaits_closing) {
        lock->awaits_closing = true;
        lock->request.deadline_ns = clock_ns() + CLOSING_NS;
    }
    return lock->blocks || is_closing;
}

static void lock_try(struct lock_request *lock)
{
    struct fs *fs = lock->request.fs;
    struct locks_waiter *woken = NULL;
    struct waiters ops = {0};

    pthread_mutex_lock(&fs->locks_lock);
    enum locks_answer answer = locks_set(&fs->locks, lock->ino, &lock->range, &woken);
    bool is_closing = locks_is_closing(&fs->locks, lock->ino, &lock->range);
    collect_ops(woken, &ops);
    pthread_mutex_unlock(&fs->locks_lock);
    waiters_finish(&ops);
    if (answer == LOCKS_DONE)
        request_fail_errno(&lock->request, 0);
    else if (answer == LOCKS_BUSY && lock_shall_wait(lock, is_closing))
        lock_wait(lock);
    else
        lock_refuse(lock, answer);
}

/* The open file description was not gone: another process has it too. */
static void lock_settle(struct lock_request *lock)
{
    struct fs *fs = lock->request.fs;

    pthread_mutex_lock(&fs->locks_lock);
    locks_settle(&fs->locks, lock->ino, &lock->range);
    pthread_mutex_unlock(&fs->locks_lock);
    request_fail_errno(&lock->request, EAGAIN);
}

static void lock_step(struct request *request, const struct op_result *result)
{
    struct lock_request *lock = (struct lock_request *)request;

    if (result->code == KE_TIMEOUT)
        lock_settle(lock);
    else if (result->code != 0)
        request_fail(request, result->code);
    else if (lock->answer == LOCKS_DEADLOCK || lock->answer == LOCKS_FULL)
        lock_refuse(lock, lock->answer);
    else
        lock_try(lock);
}

static void lock_start(fuse_req_t req, fuse_ino_t ino, const struct locks_range *range, bool blocks)
{
    struct lock_request *lock = mem_zalloc(sizeof(*lock));

    request_init(&lock->request, ops_fs(req), req, lock_free);
    lock->request.any_signal_ends = true;
    lock->request.is_behind = false; /* no majority is needed for it */
    lock->range = *range;
    lock->ino = ino;
    lock->blocks = blocks;
    lock->refs = 1;
    lock_try(lock);
}

static enum locks_mode mode_of(int type)
{
    if (type == F_UNLCK)
        return LOCKS_NONE;
    return type == F_WRLCK ? LOCKS_EXCLUSIVE : LOCKS_SHARED;
}

static struct locks_range range_of(const struct fuse_file_info *fi, const struct flock *lock)
{
    uint64_t first = (uint64_t)lock->l_start;

    return (struct locks_range){
        .kind = LOCKS_RANGE,
        .mode = mode_of(lock->l_type),
        .owner = fi->lock_owner,
        .handle = fi->fh,
        .pid = (uint32_t)lock->l_pid,
        .first = first,
        .last = lock->l_len == 0 ? OFFSET_LAST : first + (uint64_t)lock->l_len - 1,
    };
}

void ops_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
               int sleep)
{
    const struct locks_range range = range_of(fi, lock);

    lock_start(req, ino, &range, sleep != 0);
}

void ops_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
    struct locks_range range = {
        .kind = LOCKS_FLOCK,
        .owner = fi->lock_owner,
        .handle = fi->fh,
        .pid = (uint32_t)fuse_req_ctx(req)->pid,
        .last = UINT64_MAX,
    };

    if (op & LOCK_SH)
        range.mode = LOCKS_SHARED;
    else if (op & LOCK_EX)
        range.mode = LOCKS_EXCLUSIVE;
    lock_start(req, ino, &range, (op & LOCK_NB) == 0);
}

/* --- getlk --- */

void ops_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
    const struct locks_range wanted = range_of(fi, lock);
    struct fs *fs = ops_fs(req);
    struct locks_range found;

    pthread_mutex_lock(&fs->locks_lock);
    bool is_taken = locks_find(&fs->locks, ino, &wanted, &found);
    pthread_mutex_unlock(&fs->locks_lock);
    if (is_taken) {
        lock->l_type = found.mode == LOCKS_EXCLUSIVE ? F_WRLCK : F_RDLCK;
        lock->l_start = (off_t)found.first;
        lock->l_len = found.last == OFFSET_LAST ? 0 : (off_t)(found.last - found.first + 1);
        lock->l_pid = (pid_t)found.pid;
    } else {
        lock->l_type = F_UNLCK;
    }
    fuse_reply_lock(req, lock);
}
