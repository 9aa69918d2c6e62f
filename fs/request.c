#include "fs/request.h"

#include "fs/errno.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/interrupt.h"
#include "raftstore/memory.h"
#include "raftstore/store.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define NS_PER_MS 1000000ull

/* One wait. Referenced by whoever will finish it and, until it ends, by the
 * interrupt function. */
struct wait {
    struct op op;
    struct request *request;
    request_step_fn *step;
};

void request_init(struct request *request, struct fs *fs, fuse_req_t req, request_free_fn *free)
{
    *request = (struct request){
        .fs = fs,
        .req = req,
        .deadline_ns = clock_ns() + fs->op_timeout_ms * NS_PER_MS,
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

    fuse_req_interrupt_func(request->req, NULL, NULL);
    op_unref(op);
    step(request, result);
}

static void wait_interrupted(fuse_req_t req, void *data)
{
    struct wait *wait = data;

    if (!interrupt_means_stop(fuse_req_ctx(req)->pid) || !op_cancel(&wait->op))
        return;
    fuse_reply_err(req, EINTR);
    request_end(wait->request);
    op_unref(&wait->op);
}

struct op *request_wait(struct request *request, request_step_fn *step)
{
    struct wait *wait = mem_alloc(sizeof(*wait));

    *wait = (struct wait){.request = request, .step = step};
    op_init(&wait->op, request_left_ms(request->deadline_ns), wait_done, wait_release);
    op_ref(&wait->op);
    /* Calls the function at once when the interrupt is here already. */
    fuse_req_interrupt_func(request->req, wait_interrupted, wait);
    if (op_is_claimed(&wait->op)) {
        op_unref(&wait->op);
        return NULL;
    }
    return &wait->op;
}

void request_barrier(struct request *request, request_step_fn *step)
{
    struct store *store = request->fs->store;
    struct op *op = request_wait(request, step);

    if (op == NULL)
        return;
    store_barrier(store, op);
    op_unref(op);
}

void request_propose(struct request *request, struct command **cmd, request_step_fn *step)
{
    struct store *store = request->fs->store;
    struct op *op = request_wait(request, step);

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
