/* setattr: what chmod, chown, truncate and utimensat ask for.
 *
 * ftruncate() on an open file is a part of its next publish. So is what cp -p, tar
 * and rsync set before they close a file that they have just made: a command of its
 * own for each of owner, mode and times would take three times as long as the rest.
 * Everything else is a command of its own, after the publish of the file that is
 * under way. Times that are set while written data waits are set again by its
 * publish, which would otherwise change them.
 */
#include "fs/control.h"
#include "fs/errno.h"
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/remains.h"
#include "fs/reply.h"
#include "fs/request.h"
#include "fs/resolve.h"
#include "raftstore/memory.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S 1000000000

struct setattr_request {
    struct request request;
    struct inode *inode; /* pinned */
    struct command_set_attr set;
    char path[PATH_BYTES_MAX + 1]; /* of the last try */
};

static void setattr_free(struct request *request)
{
    struct setattr_request *setattr = (struct setattr_request *)request;

    inode_unpin(setattr->inode);
    free(setattr);
}

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

static void fill_times(const struct stat *attr, int to_set, struct command_set_attr *set)
{
    int64_t now_ns = fs_wall_clock_ns();

    if (to_set & FUSE_SET_ATTR_ATIME) {
        set->mask |= COMMAND_SET_ATIME;
        set->atime_ns = to_set & FUSE_SET_ATTR_ATIME_NOW ? now_ns : ns_of(&attr->st_atim);
    }
    if (to_set & FUSE_SET_ATTR_MTIME) {
        set->mask |= COMMAND_SET_MTIME;
        set->mtime_ns = to_set & FUSE_SET_ATTR_MTIME_NOW ? now_ns : ns_of(&attr->st_mtim);
    }
}

static void fill_set(const struct stat *attr, int to_set, struct command_set_attr *set)
{
    if (to_set & FUSE_SET_ATTR_MODE) {
        set->mask |= COMMAND_SET_MODE;
        set->mode = attr->st_mode & 07777;
    }
    if (to_set & FUSE_SET_ATTR_UID) {
        set->mask |= COMMAND_SET_UID;
        set->uid = attr->st_uid;
    }
    if (to_set & FUSE_SET_ATTR_GID) {
        set->mask |= COMMAND_SET_GID;
        set->gid = attr->st_gid;
    }
    if (to_set & FUSE_SET_ATTR_SIZE) {
        set->mask |= COMMAND_SET_SIZE;
        set->size = (uint64_t)attr->st_size;
    }
    /* Of a chown or truncate; a new mode has been cleared of them by the kernel. */
    if (to_set & (FUSE_SET_ATTR_KILL_SUID | FUSE_SET_ATTR_KILL_SGID))
        set->mask |= COMMAND_CLEAR_SUID;
    fill_times(attr, to_set, set);
}

static void setattr_settle(struct request *request, const struct op_result *result);
static void setattr_applied(struct request *request, const struct op_result *result);

/* It has no name any more: the change is for those who have it open here. */
static void setattr_removed(struct setattr_request *setattr)
{
    struct remains *remains = inode_remains(setattr->inode);
    const struct keep nothing = {0};
    struct attr attr;

    if (remains != NULL) {
        remains_set_attr(remains, &setattr->set, fs_wall_clock_ns());
        file_note_set_removed(setattr->inode, &setattr->set);
    }
    if (!resolve_removed(setattr->inode, &attr)) {
        request_fail(&setattr->request, KE_STALE);
        return;
    }
    reply_attr(setattr->request.req, &attr, 0, &nothing);
    request_end(&setattr->request);
}

static void setattr_send(struct setattr_request *setattr)
{
    if (!inode_path(setattr->inode, setattr->path)) {
        setattr_removed(setattr);
        return;
    }
    struct command *cmd = command_new();
    setattr->set.path = setattr->path;
    setattr->set.id = setattr->inode->id;
    command_set_attr(cmd, &setattr->set);
    request_propose(&setattr->request, &cmd, setattr_applied);
}

/* Waits for the publish under way, then begins. */
static void setattr_settle(struct request *request, const struct op_result *result)
{
    struct setattr_request *setattr = (struct setattr_request *)request;
    uint64_t round;

    if (result->code != 0)
        request_fail(request, result->code);
    else if (clock_ns() >= request->deadline_ns)
        request_fail(request, KE_TIMEOUT);
    else if (file_settled(setattr->inode, &round) == FILE_WAIT)
        request_wait_file(request, setattr->inode, round, setattr_settle);
    else
        setattr_send(setattr);
}

/* --- the answer --- */

static void setattr_reply(struct setattr_request *setattr, const struct attr *attr)
{
    const struct keep nothing = {0};

    reply_attr(setattr->request.req, attr, reply_links(attr), &nothing);
    request_end(&setattr->request);
}

static void setattr_show(struct setattr_request *setattr, const struct attr *applied)
{
    struct request *request = &setattr->request;
    struct resolved resolved;
    struct attr attr = *applied;
    uint64_t round;

    int code = resolve_inode(request, setattr->inode, &resolved);
    if (code == 0) {
        file_note_set_attr(setattr->inode, &setattr->set, &resolved.look);
        if (file_show(setattr->inode, &resolved.look, 0, &attr, &round) != FILE_READY)
            attr = *applied;
        look_release(&resolved.look);
    } else if (code == KE_NOT_FOUND) {
        /* Removed by a command behind this one; who has it open here sees both. */
        file_note_set_removed(setattr->inode, &setattr->set);
        if (!resolve_removed(setattr->inode, &attr))
            attr = *applied;
    }
    setattr_reply(setattr, &attr);
}

/* It was applied by way of a snapshot, which says nothing of single commands. */
static void setattr_look(struct request *request, const struct op_result *result)
{
    struct setattr_request *setattr = (struct setattr_request *)request;
    struct resolved resolved;
    int code = result->code;

    if (code == 0)
        code = resolve_inode(request, setattr->inode, &resolved);
    if (code == KE_STALE && request_may_retry(request)) {
        request_barrier(request, setattr_look);
    } else if (code == KE_NOT_FOUND) {
        setattr_removed(setattr);
    } else if (code != 0) {
        request_fail(request, code);
    } else {
        const struct attr attr = resolved.look.attr;
        look_release(&resolved.look);
        setattr_show(setattr, &attr);
    }
}

static void setattr_applied(struct request *request, const struct op_result *result)
{
    struct setattr_request *setattr = (struct setattr_request *)request;

    if (result->code == KE_STALE && request_may_retry(request)) {
        setattr_send(setattr);
    } else if (result->code != 0) {
        request_fail(request, result->code);
    } else if (!result->has_attr) {
        setattr_look(request, result);
    } else if (setattr->inode->type == FILE_REGULAR && inode_file(setattr->inode) != NULL) {
        setattr_show(setattr, &result->attr);
    } else {
        setattr_reply(setattr, &result->attr);
    }
}

/* --- the handlers --- */

/* ftruncate(2) sets times too, always to now: the write does that. */
static void truncate_handle(fuse_req_t req, struct handle *handle, const struct stat *st,
                            int to_set)
{
    const struct keep nothing = {0};
    struct attr attr;
    int code = file_truncate(handle, (uint64_t)st->st_size, (to_set & FUSE_SET_ATTR_KILL_SUID) != 0,
                             &attr);

    if (code == 0)
        reply_attr(req, &attr, reply_links(&attr), &nothing);
    else
        fuse_reply_err(req, errno_of(code));
}

/* Whether it is answered: a part of the file's first publish. That takes a look at what
 * other nodes have set before, which must not wait. */
static bool set_with_publish(struct setattr_request *setattr)
{
    uint32_t pid = (uint32_t)fuse_req_ctx(setattr->request.req)->pid;
    struct resolved resolved;
    struct attr attr;

    if (!file_is_being_made(setattr->inode, pid) ||
        resolve_inode(&setattr->request, setattr->inode, &resolved) != 0)
        return false;
    bool deferred = file_defer_set_attr(setattr->inode, &setattr->set, &resolved.look, pid, &attr);
    look_release(&resolved.look);
    if (!deferred)
        return false;
    setattr_reply(setattr, &attr);
    return true;
}

void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                 struct fuse_file_info *fi)
{
    const struct op_result begin = {0};
    struct fs *fs = ops_fs(req);

    if (control_owns(ino)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    if (fi != NULL && (to_set & FUSE_SET_ATTR_SIZE)) {
        truncate_handle(req, (struct handle *)(uintptr_t)fi->fh, attr, to_set);
        return;
    }
    struct inode *inode = inode_pin(&fs->inodes, ino);
    if (inode == NULL) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    struct setattr_request *setattr = mem_zalloc(sizeof(*setattr));
    request_init(&setattr->request, fs, req, setattr_free);
    setattr->inode = inode;
    fill_set(attr, to_set, &setattr->set);
    if (!set_with_publish(setattr))
        setattr_settle(&setattr->request, &begin);
}
