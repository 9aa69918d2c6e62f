/* Open files in use: read, write, lseek, fallocate, flush, fsync. */
#include "fs/control.h"
#include "fs/errno.h"
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/request.h"
#include "fs/thread_stat.h"
#include "raftstore/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* As much as one write(2) of the kernel brings. */
#define COPY_BLOCK_MAX (1u << 20)

/* Of a hole that is copied, in one call: the answer has 32 bits. */
#define COPY_HOLE_MAX (1u << 30)

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct handle *)(uintptr_t)fi->fh;
}

/* --- read --- */

/* Needs no wait: the version was chosen at open. */
void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    size_t got;

    if (control_owns(ino)) {
        control_read(req, size, offset, fi);
        return;
    }
    void *buffer = mem_alloc(size);
    int code = file_read(handle_of(fi), (uint64_t)offset, buffer, size,
                         (uint32_t)fuse_req_ctx(req)->pid, &got);
    if (code == 0)
        fuse_reply_buf(req, buffer, got);
    else
        fuse_reply_err(req, errno_of(code));
    free(buffer);
}

/* --- write, flush, fsync: may have to wait --- */

struct io_request {
    struct request request;
    struct handle *handle; /* stays open: the kernel waits for the answer */
    struct inode *inode;   /* pinned */
    struct file_write write;
    void *data;    /* own copy of what is written, or NULL */
    size_t held;   /* its size, as the budget knows it */
    bool is_write; /* the answer is a number of bytes */
    bool is_written;
    bool publishes; /* after the write: the file was opened with O_SYNC */
    struct file_publish publish;
    bool was_interrupted; /* what went before; see the handle's */
};

static void io_free(struct request *request)
{
    struct io_request *io = (struct io_request *)request;

    inode_unpin(io->inode);
    budget_unhold(&request->fs->budget, io->held);
    free(io->data);
    free(io);
}

static void io_interrupted(struct request *request)
{
    atomic_store(&((struct io_request *)request)->handle->was_interrupted, true);
}

static struct io_request *io_start(fuse_req_t req, struct handle *handle)
{
    struct io_request *io = mem_zalloc(sizeof(*io));

    request_init(&io->request, handle->fs, req, io_free);
    io->request.interrupted = io_interrupted;
    io->handle = handle;
    io->was_interrupted = atomic_exchange(&handle->was_interrupted, false);
    io->inode = handle->inode;
    io->publish.deadline_ns = io->request.deadline_ns;
    inode_pin_again(io->inode);
    return io;
}

/* For a write that waits: its data is libfuse's and goes with the handler. */
static bool keep_data(struct io_request *io)
{
    if (!io->is_write || io->is_written || io->data != NULL || io->write.data == NULL)
        return true;
    if (!budget_hold(&io->request.fs->budget, io->write.size))
        return false;
    io->held = io->write.size;
    io->data = mem_dup(io->write.data, io->write.size);
    io->write.data = io->data;
    return true;
}

static void io_wait_budget(struct io_request *io, uint64_t round, request_step_fn *step)
{
    struct fs *fs = io->request.fs;
    struct op *op = request_wait(&io->request, step);

    if (op == NULL)
        return;
    budget_wait(&fs->budget, round, op);
    op_unref(op);
}

static void io_wait(struct io_request *io, int answer, uint64_t round, request_step_fn *step)
{
    if (clock_ns() >= io->request.deadline_ns) {
        request_fail(&io->request, KE_TIMEOUT);
        return;
    }
    if (!keep_data(io))
        request_fail(&io->request, KE_BUSY);
    else if (answer == FILE_WAIT_BUDGET)
        io_wait_budget(io, round, step);
    else
        request_wait_file(&io->request, io->inode, round, step);
}

static void io_done(struct io_request *io)
{
    if (io->is_write)
        fuse_reply_write(io->request.req, io->write.size);
    else
        fuse_reply_err(io->request.req, 0);
    request_end(&io->request);
}

/* Whether who closes has been told to stop, and waited once already or is gone for
 * good: the publish goes on without him. With a leader it is over soon anyway. */
static bool close_is_over(const struct io_request *io)
{
    struct store_status status;
    struct thread_stat stat;

    if (!io->publish.is_close)
        return false;
    if (io->was_interrupted)
        return true;
    store_status(io->request.fs->store, &status);
    return status.leader_id == 0 && thread_stat_read((pid_t)io->publish.pid, &stat) &&
           stat.signal != 0;
}

static void publish_step(struct request *request, const struct op_result *result)
{
    struct io_request *io = (struct io_request *)request;
    uint64_t round;
    int answer = result->code;

    if (answer == 0)
        answer = file_publish(io->handle, &io->publish, &round);
    if (answer < 0)
        request_fail(request, answer);
    else if (answer == FILE_READY)
        io_done(io);
    else if (close_is_over(io))
        request_fail_errno(request, EINTR);
    else
        io_wait(io, answer, round, publish_step);
}

static void write_step(struct request *request, const struct op_result *result)
{
    struct io_request *io = (struct io_request *)request;
    uint64_t round;
    int answer = result->code;

    if (answer == 0)
        answer = file_write(io->handle, &io->write, &round);
    if (answer < 0) {
        request_fail(request, answer);
        return;
    }
    if (answer != FILE_READY) {
        io_wait(io, answer, round, write_step);
        return;
    }
    io->is_written = true;
    if (io->publishes)
        publish_step(request, result);
    else
        io_done(io);
}

void ops_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
               struct fuse_file_info *fi)
{
    const struct op_result begin = {0};
    struct io_request *io = io_start(req, handle_of(fi));

    (void)ino;
    io->publishes = (fi->flags & (O_SYNC | O_DSYNC)) != 0;
    io->write = (struct file_write){
        .append = (fi->flags & O_APPEND) != 0 && !fi->writepage,
        .clear_suid = fuse_req_ctx(req)->uid != 0,
        .offset = (uint64_t)offset,
        .data = data,
        .size = size,
        .writer = fi->writepage ? 0 : fi->lock_owner,
        .deadline_ns = io->request.deadline_ns,
    };
    io->is_write = true;
    write_step(&io->request, &begin);
}

/* Brings what is to be copied, one block of data or much of a hole: the kernel asks on. */
static int copy_in(struct io_request *io, struct handle *from, uint64_t offset, size_t size,
                   uint32_t pid)
{
    bool is_data;
    uint64_t end;
    int code = file_probe(from, offset, &is_data, &end);

    if (code == KE_NOT_FOUND)
        return 0; /* behind the end there is nothing */
    if (code != 0)
        return code;
    size = end - offset < size ? (size_t)(end - offset) : size;
    if (!is_data) {
        io->write.kind = FILE_WRITE_ZEROS;
        io->write.size = size < COPY_HOLE_MAX ? size : COPY_HOLE_MAX;
        return 0;
    }
    size = size < COPY_BLOCK_MAX ? size : COPY_BLOCK_MAX;
    if (!budget_hold(&io->request.fs->budget, size))
        return KE_BUSY;
    io->held = size;
    io->data = mem_alloc(size);
    io->write.data = io->data;
    return file_read(from, offset, io->data, size, pid, &io->write.size);
}

/* What the kernel would do by reading through its page cache, with the version
 * that the source was opened at, but for the holes: they stay holes. */
void ops_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
                         struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
                         struct fuse_file_info *fi_out, size_t size, int flags)
{
    const struct op_result begin = {0};

    (void)flags;
    if (control_owns(ino_in) || control_owns(ino_out)) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    struct io_request *io = io_start(req, handle_of(fi_out));
    io->write = (struct file_write){
        .clear_suid = fuse_req_ctx(req)->uid != 0,
        .offset = (uint64_t)off_out,
        .deadline_ns = io->request.deadline_ns,
    };
    io->is_write = true;
    int code =
        copy_in(io, handle_of(fi_in), (uint64_t)off_in, size, (uint32_t)fuse_req_ctx(req)->pid);
    if (code != 0)
        request_fail(&io->request, code);
    else
        write_step(&io->request, &begin);
}

/* --- lseek, fallocate --- */

/* Only for data and holes: the kernel knows the rest. */
void ops_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
    uint64_t found;

    if (control_owns(ino) || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    int code = file_seek(handle_of(fi), (uint64_t)offset, whence == SEEK_DATA, &found);
    if (code == 0)
        fuse_reply_lseek(req, (off_t)found);
    else
        fuse_reply_err(req, code == KE_NOT_FOUND ? ENXIO : errno_of(code));
}

/* Nothing is set aside: room is found, or not, when a write is published. A longer file
 * is made so without a truncation, which would cut off what other nodes append
 * meanwhile. */
void ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                   struct fuse_file_info *fi)
{
    const struct op_result begin = {0};
    bool zeroes = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
    uint64_t start = (uint64_t)offset;
    uint64_t end = start + (uint64_t)length;
    struct attr attr;

    if (control_owns(ino) ||
        (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    if (end > TREE_FILE_MAX && !(mode & FALLOC_FL_KEEP_SIZE)) {
        fuse_reply_err(req, EFBIG);
        return;
    }
    file_show_handle(handle_of(fi), &attr);
    if ((mode & FALLOC_FL_KEEP_SIZE) && end > attr.size)
        end = attr.size;
    if (zeroes ? start >= end : end <= attr.size) {
        fuse_reply_err(req, 0);
        return;
    }
    struct io_request *io = io_start(req, handle_of(fi));
    io->write = (struct file_write){
        .kind = zeroes ? FILE_WRITE_ZEROS : FILE_WRITE_LENGTH,
        .clear_suid = fuse_req_ctx(req)->uid != 0,
        .offset = zeroes ? start : end,
        .size = zeroes ? (size_t)(end - start) : 0,
        .deadline_ns = io->request.deadline_ns,
    };
    write_step(&io->request, &begin);
}

/* One process closes the file; others may go on using it. */
void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    const struct op_result begin = {0};

    /* Other processes of this node see what is not published yet. */
    ops_lock_flush(ops_fs(req), ino, fi);
    if (control_owns(ino)) {
        fuse_reply_err(req, 0);
        return;
    }
    struct io_request *io = io_start(req, handle_of(fi));
    io->publish.is_close = true;
    io->publish.closer = fi->lock_owner;
    io->publish.pid = (uint32_t)fuse_req_ctx(req)->pid;
    publish_step(&io->request, &begin);
}

void ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    const struct op_result begin = {0};

    (void)datasync;
    if (control_owns(ino))
        fuse_reply_err(req, 0);
    else
        publish_step(&io_start(req, handle_of(fi))->request, &begin);
}

/* Files are always ready, but for some of the control directory. */
void ops_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
              struct fuse_pollhandle *notify)
{
    if (control_owns(ino)) {
        control_poll(req, fi, notify);
        return;
    }
    fuse_reply_poll(req, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
    if (notify != NULL)
        fuse_pollhandle_destroy(notify);
}
