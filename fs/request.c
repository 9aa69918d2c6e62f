#include "fs/request.h"

#include "fs/errno.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/interrupt.h"
#include "raftstore/memory.h"
#include "raftstore/store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#define NS_PER_MS 1000000ull

/* How long a read that may be stale waits for a leader that is known. A leader that
 * is lost is known no longer within an election timeout. */
#define STALE_PATIENCE_MS 1000

/* One wait. Referenced by whoever will finish it and, until it ends, by the
 * interrupt function. */
struct wait {
    struct op op;
    struct request *request;
    request_step_fn *step;
    bool is_read_point; /* its success is */
    bool may_be_stale;  /* a read that nobody answers looks at what this node has */
    pthread_t beginner; /* of that thread: */
    bool is_beginning;
    bool was_cut_short; /* interrupted before it began */
};

/* A leader that is there answers, and is waited for. */
static bool is_behind(struct fs *fs, fuse_req_t req)
{
    struct store_status status;

    if (!behind_is_likely(&fs->behind))
        return false;
    store_status(fs->store, &status);
    return status.leader_id == 0 && behind_was_there(&fs->behind, fuse_req_ctx(req)->pid);
}

void request_init(struct request *request, struct fs *fs, fuse_req_t req, request_free_fn *free)
{
    *request = (struct request){
        .fs = fs,
        .req = req,
        .deadline_ns = clock_ns() + fs->op_timeout_ms * NS_PER_MS,
        .is_behind = is_behind(fs, req),
        .free = free,
    };
    fs_begin_work(fs);
}

void request_end(struct request *request)
{
    struct fs *fs = request->fs;

    request->free(request);
    fs_end_work(fs);
}

void request_fail_errno(struct request *request, int number)
{
    fuse_reply_err(request->req, number);
    request_end(request);
}

void request_fail(struct request *request, int code)
{
    if (code == KE_TIMEOUT && !request->is_behind)
        behind_note(&request->fs->behind);
    request_fail_errno(request, errno_of(code));
}

bool request_may_retry(struct request *request)
{
    return ++request->tries < REQUEST_TRIES_MAX;
}

uint32_t request_left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = clock_ns();

    return now_ns + NS_PER_MS > deadline_ns ? 1 : (uint32_t)((deadline_ns - now_ns) / NS_PER_MS);
}

/* --- waiting --- */

static struct wait *wait_of(struct op *op)
{
    return (struct wait *)((char *)op - offsetof(struct wait, op));
}

static void wait_release(struct op *op)
{
    free(wait_of(op));
}

static void wait_done(struct op *op, const struct op_result *result)
{
    struct request *request = wait_of(op)->request;
    request_step_fn *step = wait_of(op)->step;
    const struct op_result here = {.code = 0};
    bool is_stale = wait_of(op)->may_be_stale && result->code == KE_TIMEOUT;

    if (wait_of(op)->is_read_point && (result->code == 0 || is_stale))
        request->read_point_ns = clock_ns();
    fuse_req_interrupt_func(request->req, NULL, NULL);
    op_unref(op);
    step(request, is_stale ? &here : result);
}

/* After the cancelling. */
static void wait_answer_interrupted(struct wait *wait)
{
    struct request *request = wait->request;

    if (request->interrupted != NULL)
        request->interrupted(request);
    fuse_reply_err(request->req, EINTR);
    request_end(request);
    op_unref(&wait->op);
}

static void wait_interrupted(fuse_req_t req, void *data)
{
    struct wait *wait = data;
    struct request *request = wait->request;
    bool ends = request->any_signal_ends || interrupt_means_stop(fuse_req_ctx(req)->pid);

    if (!ends || !op_cancel(&wait->op))
        return;
    if (pthread_equal(wait->beginner, pthread_self()) && wait->is_beginning)
        wait->was_cut_short = true;
    else
        wait_answer_interrupted(wait);
}

/* libfuse calls the function at once, on this thread, when the interrupt is here already:
 * under a lock of its request, which the answer frees; so that waits until it returned. */
static void wait_listen(struct wait *wait)
{
    fuse_req_t req = wait->request->req;

    wait->beginner = pthread_self();
    wait->is_beginning = true;
    fuse_req_interrupt_func(req, wait_interrupted, wait);
    wait->is_beginning = false;
    if (!wait->was_cut_short)
        return;
    fuse_req_interrupt_func(req, NULL, NULL);
    wait_answer_interrupted(wait);
}

/* Takes `*template`, with an op that ends after `timeout_ms`. */
static struct op *wait_begin(const struct wait *template, uint32_t timeout_ms)
{
    struct request *request = template->request;
    struct wait *wait = mem_alloc(sizeof(*wait));
    bool is_behind = request->is_behind;

    *wait = *template;
    op_init(&wait->op, timeout_ms, wait_done, wait_release);
    op_ref(&wait->op);
    /* When it was interrupted the request is gone. */
    wait_listen(wait);
    if (is_behind)
        op_fail(&wait->op, KE_TIMEOUT);
    if (op_is_claimed(&wait->op)) {
        op_unref(&wait->op);
        return NULL;
    }
    return &wait->op;
}

struct op *request_wait(struct request *request, request_step_fn *step)
{
    const struct wait wait = {.request = request, .step = step};

    return wait_begin(&wait, request_left_ms(request->deadline_ns));
}

static void barrier_or_stale(struct request *request, request_step_fn *step)
{
    struct store *store = request->fs->store;
    uint32_t patience_ms = request_left_ms(request->deadline_ns);
    struct store_status status;

    store_status(store, &status);
    const struct wait wait = {
        .request = request,
        .step = step,
        .is_read_point = true,
        /* A node that has just joined has nothing yet, which is not what there is. */
        .may_be_stale = status.applied_index > 0,
    };
    if (wait.may_be_stale && patience_ms > STALE_PATIENCE_MS)
        patience_ms = STALE_PATIENCE_MS;
    struct op *op = wait_begin(&wait, patience_ms);
    if (op == NULL)
        return;
    if (wait.may_be_stale && status.leader_id == 0)
        op_fail(op, KE_TIMEOUT);
    else
        store_barrier(store, op);
    op_unref(op);
}

/* Of what is a read point too. */
static struct op *read_wait(struct request *request, request_step_fn *step)
{
    const struct wait wait = {.request = request, .step = step, .is_read_point = true};

    return wait_begin(&wait, request_left_ms(request->deadline_ns));
}

void request_read(struct request *request, request_step_fn *step)
{
    const struct op_result begin = {.code = 0};

    step(request, &begin);
}

bool request_read_again(struct request *request, int code, request_step_fn *step)
{
    bool again = code == FILE_WAIT_READ_POINT || (code == KE_STALE && request_may_retry(request));

    if (again)
        request_barrier(request, step);
    return again;
}

void request_barrier(struct request *request, request_step_fn *step)
{
    struct store *store = request->fs->store;

    request->read_point_ns = 0;
    if (request->fs->stale_reads || request->may_be_stale) {
        barrier_or_stale(request, step);
        return;
    }
    struct op *op = read_wait(request, step);
    if (op == NULL)
        return;
    store_barrier(store, op);
    op_unref(op);
}

void request_propose(struct request *request, struct command **cmd, request_step_fn *step)
{
    struct store *store = request->fs->store;
    struct op *op = read_wait(request, step);

    if (op == NULL) {
        command_free(*cmd);
        *cmd = NULL;
        return;
    }
    store_propose(store, cmd, op);
    op_unref(op);
}

void request_wait_file(struct request *request, struct inode *inode, uint64_t round,
                       request_step_fn *step)
{
    /* The request may have held the only pin, and may go. */
    inode_pin_again(inode);
    struct op *op = request_wait(request, step);
    if (op != NULL) {
        file_wait(inode_file(inode), round, op);
        op_unref(op);
    }
    inode_unpin(inode);
}
