/* Open files begin and end: open, create, release.
 *
 * All files are opened for direct I/O: see docs/decisions/0003.
 */
#include "fs/control.h"
#include "fs/file.h"
#include "fs/names.h"
#include "fs/ops.h"
#include "fs/remains.h"
#include "fs/reply.h"
#include "fs/resolve.h"
#include "raftstore/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* What is to be opened, and for whom. */
struct opening {
    struct inode *inode;
    int flags;
    uint32_t pid;
    uid_t uid;
};

/* An inode without a path: open already, or looked up a moment ago. KE_NOT_FOUND: neither. */
static int open_removed(struct fs *fs, const struct opening *opening, struct handle **ret_handle)
{
    struct remains *remains = inode_remains(opening->inode);
    struct view *view = recent_find(&fs->recent, opening->inode->id);
    struct attr last;

    if (remains != NULL)
        remains_get_attr(remains, &last);
    *ret_handle = file_open_removed(fs, opening->inode, view, remains != NULL ? &last : NULL,
                                    opening->flags, opening->pid);
    view_unref(view);
    return *ret_handle != NULL ? FILE_READY : KE_NOT_FOUND;
}

/* Returns an enum file_answer or a KE_ code. */
static int open_inode(struct request *request, const struct opening *opening,
                      struct handle **ret_handle, uint64_t *ret_round)
{
    struct fs *fs = request->fs;
    struct resolved resolved;
    int code = resolve_inode(request, opening->inode, &resolved);

    if (code == KE_NOT_FOUND)
        return open_removed(fs, opening, ret_handle);
    if (code != 0)
        return code;
    if (resolved.look.attr.type == FILE_REGULAR)
        code = file_open(fs, opening->inode, &resolved.look, opening->flags, opening->pid,
                         ret_handle, ret_round);
    else
        code = resolved.look.attr.type == FILE_DIRECTORY ? KE_IS_DIR : KE_NOT_REGULAR;
    look_release(&resolved.look);
    if (code == FILE_READY && (*ret_handle)->writable)
        recall_opened(fs, resolved.path);
    return code;
}

/* Of an inode that is gone the kernel walks the path anew. */
static void open_failed(struct request *request, int code)
{
    request_fail(request, code == KE_NOT_FOUND ? KE_STALE : code);
}

static void fill_file_info(const struct handle *handle, int flags, struct fuse_file_info *ret_fi)
{
    *ret_fi = (struct fuse_file_info){
        .flags = flags,
        .direct_io = 1,
        .fh = (uint64_t)(uintptr_t)handle,
    };
}

/* --- open --- */

struct open_request {
    struct request request;
    struct opening opening; /* pins the inode */
};

static void open_free(struct request *request)
{
    struct open_request *open = (struct open_request *)request;

    inode_unpin(open->opening.inode);
    free(open);
}

static void open_reply(struct open_request *open, struct handle *handle)
{
    struct fuse_file_info fi;
    struct attr attr;

    if (open->opening.flags & O_TRUNC)
        file_truncate(handle, 0, open->opening.uid != 0, &attr);
    fill_file_info(handle, open->opening.flags, &fi);
    if (fuse_reply_open(open->request.req, &fi) != 0)
        file_release(handle);
    request_end(&open->request);
}

static void open_step(struct request *request, const struct op_result *result)
{
    struct open_request *open = (struct open_request *)request;
    int code = result->code;
    struct handle *handle = NULL;
    uint64_t round = 0;

    if (code == 0)
        code = open_inode(request, &open->opening, &handle, &round);
    if (code == FILE_READY)
        open_reply(open, handle);
    else if (code == FILE_WAIT)
        request_wait_file(request, open->opening.inode, round, open_step);
    else if (!request_read_again(request, code, open_step))
        open_failed(request, code);
}

void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fs *fs = ops_fs(req);

    if (control_owns(ino)) {
        control_open(req, ino, fi);
        return;
    }
    struct inode *inode = inode_pin(&fs->inodes, ino);
    if (inode == NULL) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    struct open_request *open = mem_zalloc(sizeof(*open));
    request_init(&open->request, fs, req, open_free);
    open->opening = (struct opening){
        .inode = inode,
        .flags = fi->flags,
        .pid = (uint32_t)fuse_req_ctx(req)->pid,
        .uid = fuse_req_ctx(req)->uid,
    };
    request_read(&open->request, open_step);
}

/* --- create --- */

static void create_reply(struct name_request *name, struct handle *handle)
{
    struct fuse_entry_param entry;
    struct fuse_file_info fi;
    struct inode *inode = handle->inode;
    const struct keep nothing = {0};
    struct attr attr;

    /* Nothing is there to truncate in a file that this call has made. */
    if ((name->flags & O_TRUNC) && !name->is_new)
        file_truncate(handle, 0, name->uid != 0, &attr);
    file_show_handle(handle, &attr);
    reply_fill_entry(inode, &attr, &nothing, &entry);
    fill_file_info(handle, name->flags, &fi);
    if (fuse_reply_create(name->request.req, &entry, &fi) != 0) {
        inode_forget(inode->table, inode->id, 1);
        file_release(handle);
    }
    request_end(&name->request);
}

static void create_open(struct request *request, const struct op_result *result);

static void create_opened(struct name_request *name, int code, struct handle *handle,
                          uint64_t round)
{
    if (code == FILE_READY)
        create_reply(name, handle);
    else if (code == FILE_WAIT)
        request_wait_file(&name->request, name->made, round, create_open);
    else if (!request_read_again(&name->request, code, create_open))
        open_failed(&name->request, code);
}

/* Opens what was made or found, as it is now. */
static void create_open(struct request *request, const struct op_result *result)
{
    struct name_request *name = (struct name_request *)request;
    const struct opening opening = {
        .inode = name->made,
        .flags = name->flags,
        .pid = name->pid,
        .uid = name->uid,
    };
    struct handle *handle = NULL;
    uint64_t round = 0;
    int code = result->code;

    if (code == 0)
        code = open_inode(request, &opening, &handle, &round);
    create_opened(name, code, handle, round);
}

/* Opening an empty file needs no look at the store. By the time of that it may be removed,
 * by a command behind the one that has made it; then it is open without a name. */
static void create_open_empty(struct name_request *name, const struct attr *attr)
{
    const struct look look = {.path = name->path, .attr = *attr, .since_ns = clock_ns()};
    struct handle *handle = NULL;
    uint64_t round = 0;
    int code =
        file_open(name->request.fs, name->made, &look, name->flags, name->pid, &handle, &round);

    if (code == FILE_READY && !name->is_new)
        recall_opened(name->request.fs, name->path);
    create_opened(name, code, handle, round);
}

static void reply_create(struct name_request *name, const struct attr *attr)
{
    const struct op_result done = {0};

    name->made = name_made_inode(name, attr);
    name->is_new = attr->id == attr->version && attr->size == 0 && attr->ctime_ns == name->time_ns;
    if (attr->size == 0)
        create_open_empty(name, attr);
    else
        create_open(&name->request, &done);
}

void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                struct fuse_file_info *fi)
{
    struct name_request *started = name_start(req, parent, name);

    if (started == NULL)
        return;
    started->may_exist = (fi->flags & O_EXCL) == 0;
    started->flags = fi->flags;
    started->reply = reply_create;
    name_set_type(started, FILE_REGULAR, mode);
    name_send(started);
}

/* --- release --- */

void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    ops_lock_release(ops_fs(req), ino, fi);
    if (control_owns(ino))
        control_release(fi);
    else
        file_release((struct handle *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}
