#include "fs/init_flags.h"

#include "fs/fs.h"
#include "fs/reply_guard.h"
#include "raftstore/err.h"

#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than the header that Debian 12 has. */
#define INIT_DIRECT_IO_ALLOW_MMAP (1ull << 36)

#define INIT_WANTED                                                                                \
    ((uint64_t)FUSE_PARALLEL_DIROPS | (uint64_t)FUSE_HANDLE_KILLPRIV_V2 | INIT_DIRECT_IO_ALLOW_MMAP)

/* Asynchronous direct reads and writes that the kernel sends at a time. */
#define BACKGROUND_MAX 64

void init_flags_want(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    /* libfuse has chosen the rest: ATOMIC_O_TRUNC, READDIRPLUS, 1 MiB writes. No
     * WRITEBACK_CACHE: it loses O_APPEND, and sizes would be the kernel's. */
    conn->want |= conn->capable & (FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK);
    conn->max_background = BACKGROUND_MAX;
}

/* The kernel's request, as far as it is there: older kernels send less. */
static void note_request(struct init_handshake *init, const void *request, size_t size)
{
    struct fuse_in_header header;
    struct fuse_init_in in = {0};

    if (size < sizeof(header))
        return;
    memcpy(&header, request, sizeof(header));
    if (header.opcode != FUSE_INIT)
        return;
    size -= sizeof(header);
    memcpy(&in, (const char *)request + sizeof(header), size < sizeof(in) ? size : sizeof(in));
    init->unique = header.unique;
    init->offered = in.flags;
    if (in.flags & FUSE_INIT_EXT)
        init->offered |= (uint64_t)in.flags2 << 32;
}

static void amend_answer(const struct init_handshake *init, struct fuse_init_out *out, size_t size)
{
    uint64_t flags = init->offered & INIT_WANTED;

    if (size < offsetof(struct fuse_init_out, flags) + sizeof(out->flags))
        return;
    out->flags |= (uint32_t)flags;
    if ((out->flags & FUSE_INIT_EXT) &&
        size >= offsetof(struct fuse_init_out, flags2) + sizeof(out->flags2))
        out->flags2 |= (uint32_t)(flags >> 32);
}

static void note_interrupt(struct fs *fs, const void *request, size_t size)
{
    struct fuse_in_header header;
    struct fuse_interrupt_in in;

    if (size < sizeof(header) + sizeof(in))
        return;
    memcpy(&header, request, sizeof(header));
    memcpy(&in, (const char *)request + sizeof(header), sizeof(in));
    if (header.opcode == FUSE_INTERRUPT)
        interrupt_again_note(&fs->interrupts, in.unique);
}

static ssize_t hook_read(int fd, void *buffer, size_t size, void *userdata)
{
    struct fs *fs = userdata;
    ssize_t got = read(fd, buffer, size);

    if (got <= 0)
        return got;
    if (atomic_load_explicit(&fs->init.is_done, memory_order_acquire)) {
        note_interrupt(fs, buffer, (size_t)got);
        op_trace_begin(fs, buffer, (size_t)got);
    } else {
        note_request(&fs->init, buffer, (size_t)got);
    }
    return got;
}

static ssize_t hook_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    struct fs *fs = userdata;
    const struct fuse_out_header *header = iov[0].iov_base;
    bool is_done = atomic_load_explicit(&fs->init.is_done, memory_order_acquire);
    /* Who waits for the record of this answer gets one of its own, here and now. */
    const struct reply_timeouts timeouts = reply_guard_take();

    if (is_done && header->unique != 0) {
        op_trace_end(fs, header->unique, header->error);
    } else if (!is_done && header->unique == fs->init.unique && count > 1 && header->error == 0) {
        amend_answer(&fs->init, iov[1].iov_base, iov[1].iov_len);
        atomic_store_explicit(&fs->init.is_done, true, memory_order_release);
    }
    return reply_guard_writev(&timeouts, fd, iov, count);
}

int init_flags_install(struct fuse_session *session)
{
    const struct fuse_custom_io hooks = {.read = hook_read, .writev = hook_writev};

    return fuse_session_custom_io(session, &hooks, fuse_session_fd(session)) == 0 ? 0 : KE_IO;
}
