#include "fs/control_handle.h"

#include "fs/request.h"
#include "raftstore/memory.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

static void handle_free(struct fs_object *object)
{
    struct control_handle *handle = (struct control_handle *)object;

    stream_release(&handle->stream);
    if (handle->notice != NULL)
        op_unref(handle->notice);
    pthread_mutex_destroy(&handle->lock);
    handle->ops->free(handle);
}

static void handle_stop(struct fs_object *object)
{
    struct control_handle *handle = (struct control_handle *)object;

    if (handle->ops->stop != NULL)
        handle->ops->stop(handle);
}

void control_handle_init(struct control_handle *handle, struct fs *fs,
                         const struct control_handle_ops *ops)
{
    handle->fs = fs;
    handle->ops = ops;
    handle->object.free = handle_free;
    handle->object.stop = handle_stop;
    pthread_mutex_init(&handle->lock, NULL);
    fs_object_add(fs, &handle->object);
}

void control_handle_close(struct control_handle *handle)
{
    fs_object_remove(handle->fs, &handle->object);
    handle_free(&handle->object);
}

/* --- reading --- */

struct control_read {
    struct request request;
    struct control_handle *handle; /* stays open: the kernel waits for the answer */
    size_t size;
    uint64_t offset;
};

static void read_free(struct request *request)
{
    free(request);
}

/* Answers, and returns true; or there is nothing before the end of `*ret_round`. */
static bool answer_read(struct control_handle *handle, fuse_req_t req, size_t size, uint64_t offset,
                        uint64_t *ret_round)
{
    const char *text;
    size_t got;

    pthread_mutex_lock(&handle->lock);
    if (offset == 0 && handle->ops->rewind != NULL)
        handle->ops->rewind(handle);
    bool is_kept = stream_read(&handle->stream, offset, size, &text, &got);
    if (is_kept && got == 0 && handle->ops->fill != NULL) {
        *ret_round = handle->ops->fill(handle);
        is_kept = stream_read(&handle->stream, offset, size, &text, &got);
    }
    char *copy = got > 0 && is_kept ? mem_dup(text, got) : NULL;
    pthread_mutex_unlock(&handle->lock);
    if (is_kept && got == 0 && handle->ops->wait != NULL)
        return false;
    if (is_kept)
        fuse_reply_buf(req, copy, got);
    else
        fuse_reply_err(req, EINVAL);
    free(copy);
    return true;
}

static void read_wait(struct control_read *read, uint64_t round);

static void read_step(struct request *request, const struct op_result *result)
{
    struct control_read *read = (struct control_read *)request;
    uint64_t round = 0;

    if (result->code != 0)
        request_fail(request, result->code);
    else if (answer_read(read->handle, request->req, read->size, read->offset, &round))
        request_end(request);
    else
        read_wait(read, round);
}

static void read_wait(struct control_read *read, uint64_t round)
{
    const struct op_result ended = {0};
    struct control_handle *handle = read->handle;
    struct op *op = request_wait(&read->request, read_step);

    if (op == NULL)
        return;
    if (!handle->ops->wait(handle, round, op))
        op_finish(op, &ended);
    op_unref(op);
}

void control_handle_read(struct control_handle *handle, fuse_req_t req, size_t size, off_t offset)
{
    uint64_t round = 0;

    if (answer_read(handle, req, size, (uint64_t)offset, &round))
        return;
    struct control_read *read = mem_zalloc(sizeof(*read));
    request_init(&read->request, handle->fs, req, read_free);
    read->request.any_signal_ends = true;
    read->request.is_behind = false; /* it waits as long as it takes */
    read->handle = handle;
    read->size = size;
    read->offset = (uint64_t)offset;
    read_wait(read, round);
}

/* --- poll --- */

/* Tells the kernel once that it is worth to ask again. */
struct notice {
    struct op op;
    struct fuse_pollhandle *notify;
};

static void notice_done(struct op *op, const struct op_result *result)
{
    (void)result;
    fuse_lowlevel_notify_poll(((struct notice *)op)->notify);
}

static void notice_release(struct op *op)
{
    fuse_pollhandle_destroy(((struct notice *)op)->notify);
    free(op);
}

static struct op *notice_new(struct fuse_pollhandle *notify)
{
    struct notice *notice = mem_zalloc(sizeof(*notice));

    notice->notify = notify;
    op_init(&notice->op, 0, notice_done, notice_release);
    return &notice->op;
}

/* Under the lock: one notice is enough. */
static void set_notice(struct control_handle *handle, struct op *notice)
{
    if (handle->notice != NULL) {
        op_cancel(handle->notice);
        op_unref(handle->notice);
    }
    handle->notice = notice;
    op_ref(notice);
}

void control_handle_poll(struct control_handle *handle, fuse_req_t req,
                         struct fuse_pollhandle *notify)
{
    const struct op_result ended = {0};
    struct op *notice = notify != NULL ? notice_new(notify) : NULL;
    uint64_t round = 0;

    pthread_mutex_lock(&handle->lock);
    if (stream_unread(&handle->stream) == 0 && handle->ops->fill != NULL)
        round = handle->ops->fill(handle);
    /* What does not wait is at its end, which is worth a read. */
    bool is_ready = stream_unread(&handle->stream) > 0 || handle->ops->wait == NULL;
    if (!is_ready && notice != NULL)
        set_notice(handle, notice);
    pthread_mutex_unlock(&handle->lock);
    if (!is_ready && notice != NULL && !handle->ops->wait(handle, round, notice))
        op_finish(notice, &ended);
    fuse_reply_poll(req, is_ready ? POLLIN | POLLRDNORM : 0);
    if (notice != NULL)
        op_unref(notice);
}
