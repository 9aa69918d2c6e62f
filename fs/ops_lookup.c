/* Looking without opening: lookup, forget, getattr, readlink, statfs. */
#include "fs/control.h"
#include "fs/ops.h"
#include "fs/remains.h"
#include "fs/reply.h"
#include "fs/request.h"
#include "fs/resolve.h"
#include "raftstore/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* A node that does not know a leader answers for the root from what it has. One
 * that lost it finds out within this time. */
#define ROOT_PATIENCE_NS 500000000ull

/* --- lookup --- */

struct lookup {
    struct request request;
    struct inode *parent; /* pinned */
    char name[PATH_COMPONENT_MAX + 1];
};

static void lookup_free(struct request *request)
{
    struct lookup *lookup = (struct lookup *)request;

    inode_unpin(lookup->parent);
    free(lookup);
}

static void lookup_step(struct request *request, const struct op_result *result);

static int lookup_reply(struct lookup *lookup, const struct look *look, const struct attr *attr)
{
    struct fs *fs = lookup->request.fs;
    struct inode *inode =
        inode_remember_found(&fs->inodes, attr->id, attr->type, look->path, look->moment);

    if (inode == NULL)
        return KE_STALE;
    const struct keep keep = resolve_keep(fs, look, inode);
    if (attr->type == FILE_REGULAR)
        recent_add(&fs->recent, view_new(look->tree, &look->attr));
    reply_entry(lookup->request.req, inode, attr, &keep);
    inode_unpin(inode);
    request_end(&lookup->request);
    return 0;
}

static void lookup_missing(struct lookup *lookup, const struct look *look)
{
    const struct keep keep = resolve_keep_missing(lookup->request.fs, look);

    reply_missing(lookup->request.req, &keep);
    request_end(&lookup->request);
}

/* The child is there; it may be open here, with more than the store has. KE_STALE: it was
 * removed or renamed since the look, or may have been. */
static int lookup_found(struct lookup *lookup, const struct look *look)
{
    struct inode *inode = inode_pin(&lookup->request.fs->inodes, look->attr.id);
    struct attr attr = look->attr;
    enum file_answer answer = FILE_READY;
    uint64_t round;
    int code = 0;

    if (inode != NULL)
        answer = file_show(inode, look, 0, &attr, &round);
    if (answer == FILE_READY)
        code = lookup_reply(lookup, look, &attr);
    else
        request_wait_file(&lookup->request, inode, round, lookup_step);
    inode_unpin(inode);
    return code;
}

static void lookup_step(struct request *request, const struct op_result *result)
{
    struct lookup *lookup = (struct lookup *)request;
    struct resolved resolved;
    int code = result->code;

    if (code == 0)
        code = resolve_child(request, lookup->parent, lookup->name, &resolved);
    if (result->code == 0 && code == KE_NOT_FOUND) {
        lookup_missing(lookup, &resolved.look);
        return;
    }
    if (code == 0) {
        code = lookup_found(lookup, &resolved.look);
        look_release(&resolved.look);
        if (code == 0)
            return;
    }
    if (!request_read_again(request, code, lookup_step))
        request_fail(request, code);
}

void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fs *fs = ops_fs(req);

    if (control_lookup(req, parent, name))
        return;
    if (strlen(name) > PATH_COMPONENT_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    struct inode *inode = inode_pin(&fs->inodes, parent);
    if (inode == NULL) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    struct lookup *lookup = mem_zalloc(sizeof(*lookup));
    request_init(&lookup->request, fs, req, lookup_free);
    lookup->parent = inode;
    memcpy(lookup->name, name, strlen(name) + 1);
    request_read(&lookup->request, lookup_step);
}

static void forget(struct fs *fs, fuse_ino_t ino, uint64_t count)
{
    if (control_owns(ino))
        control_forget(fs, ino, count);
    else
        inode_forget(&fs->inodes, ino, count);
}

void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    forget(ops_fs(req), ino, count);
    fuse_reply_none(req);
}

void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        forget(ops_fs(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

/* --- getattr and readlink: one inode --- */

struct stat_request {
    struct request request;
    struct inode *inode; /* pinned */
    uint32_t pid;
};

static void stat_free(struct request *request)
{
    struct stat_request *stat = (struct stat_request *)request;

    inode_unpin(stat->inode);
    free(stat);
}

static struct stat_request *stat_start(fuse_req_t req, fuse_ino_t ino)
{
    struct fs *fs = ops_fs(req);
    struct inode *inode = inode_pin(&fs->inodes, ino);

    if (inode == NULL) {
        fuse_reply_err(req, ESTALE);
        return NULL;
    }
    struct stat_request *stat = mem_zalloc(sizeof(*stat));
    request_init(&stat->request, fs, req, stat_free);
    stat->inode = inode;
    stat->pid = (uint32_t)fuse_req_ctx(req)->pid;
    return stat;
}

/* Looks at the inode, after a wait that ended with `result`. True: found. False:
 * the request tries again or has failed, unless the inode is removed: then it is
 * for the caller to answer. */
static bool stat_look(struct stat_request *stat, const struct op_result *result,
                      request_step_fn *step, struct resolved *ret_resolved, bool *ret_is_removed)
{
    struct request *request = &stat->request;
    int code = result->code;

    *ret_is_removed = false;
    if (code == 0)
        code = resolve_inode(request, stat->inode, ret_resolved);
    if (code == 0)
        return true;
    *ret_is_removed = code == KE_NOT_FOUND;
    if (!*ret_is_removed && !request_read_again(request, code, step))
        request_fail(request, code);
    return false;
}

static void getattr_reply(struct stat_request *stat, const struct attr *attr, nlink_t links,
                          const struct keep *keep)
{
    reply_attr(stat->request.req, attr, links, keep);
    request_end(&stat->request);
}

static void getattr_removed(struct stat_request *stat)
{
    const struct keep nothing = {0};
    struct attr attr;

    if (resolve_removed(stat->inode, &attr))
        getattr_reply(stat, &attr, 0, &nothing);
    else
        request_fail(&stat->request, KE_STALE);
}

static void getattr_step(struct request *request, const struct op_result *result);

static void getattr_found(struct stat_request *stat, const struct look *look)
{
    struct request *request = &stat->request;
    struct attr attr;
    uint64_t round;

    if (file_show(stat->inode, look, stat->pid, &attr, &round) == FILE_READY) {
        const struct keep keep = resolve_keep_attr(request->fs, look, stat->inode);
        getattr_reply(stat, &attr, reply_links(&attr), &keep);
    } else {
        request_wait_file(request, stat->inode, round, getattr_step);
    }
}

static void getattr_step(struct request *request, const struct op_result *result)
{
    struct stat_request *stat = (struct stat_request *)request;
    struct resolved resolved;
    bool is_removed;

    if (!stat_look(stat, result, getattr_step, &resolved, &is_removed)) {
        if (is_removed)
            getattr_removed(stat);
        return;
    }
    getattr_found(stat, &resolved.look);
    look_release(&resolved.look);
}

/* --- the root, whose attributes every path needs --- */

/* Every path walk asks for them, that to the control directory too, which has
 * to work without a majority. So when no leader is known, or none answers, they
 * are what this node has: they can be old then. */
static void getattr_root_locally(struct stat_request *stat)
{
    const struct keep nothing = {0};
    struct resolved resolved;

    stat->request.read_point_ns = clock_ns();
    int code = resolve_inode(&stat->request, stat->inode, &resolved);
    if (code != 0) {
        request_fail(&stat->request, code);
        return;
    }
    look_release(&resolved.look);
    getattr_reply(stat, &resolved.look.attr, reply_links(&resolved.look.attr), &nothing);
}

static void getattr_root_wait(struct stat_request *stat);

static void getattr_root_step(struct request *request, const struct op_result *result)
{
    struct stat_request *stat = (struct stat_request *)request;
    struct resolved resolved;

    if (result->code == KE_TIMEOUT) {
        getattr_root_locally(stat);
        return;
    }
    int code = result->code != 0 ? result->code : resolve_inode(request, stat->inode, &resolved);
    if (code == FILE_WAIT_READ_POINT) {
        getattr_root_wait(stat);
    } else if (code != 0) {
        request_fail(request, code);
    } else {
        getattr_found(stat, &resolved.look);
        look_release(&resolved.look);
    }
}

static void getattr_root_wait(struct stat_request *stat)
{
    struct store_status status;

    store_status(stat->request.fs->store, &status);
    if (status.leader_id == 0) {
        getattr_root_locally(stat);
        return;
    }
    if (stat->request.deadline_ns > clock_ns() + ROOT_PATIENCE_NS)
        stat->request.deadline_ns = clock_ns() + ROOT_PATIENCE_NS;
    request_barrier(&stat->request, getattr_root_step);
}

void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi; /* the kernel does not say which handle fstat() is for */
    if (control_owns(ino)) {
        control_getattr(req, ino);
        return;
    }
    struct stat_request *stat = stat_start(req, ino);
    if (stat != NULL)
        request_read(&stat->request, ino == FUSE_ROOT_ID ? getattr_root_step : getattr_step);
}

/* It was replaced after the kernel looked it up, as "current" is again and again. */
static void readlink_removed(struct stat_request *stat)
{
    struct remains *remains = inode_remains(stat->inode);

    if (remains == NULL) {
        request_fail(&stat->request, KE_STALE);
        return;
    }
    fuse_reply_readlink(stat->request.req, remains_target(remains));
    request_end(&stat->request);
}

static void readlink_step(struct request *request, const struct op_result *result)
{
    struct stat_request *stat = (struct stat_request *)request;
    char target[PATH_BYTES_MAX + 1];
    struct resolved resolved;
    bool is_removed;

    if (!stat_look(stat, result, readlink_step, &resolved, &is_removed)) {
        if (is_removed)
            readlink_removed(stat);
        return;
    }
    int code = resolved.is_by_id ? tree_read_link_id(resolved.look.tree, stat->inode->id, target)
                                 : tree_read_link(resolved.look.tree, resolved.path, target);
    look_release(&resolved.look);
    if (code != 0) {
        request_fail(request, code);
        return;
    }
    fuse_reply_readlink(request->req, target);
    request_end(request);
}

void ops_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct stat_request *stat = stat_start(req, ino);

    if (stat != NULL)
        request_read(&stat->request, readlink_step);
}

/* --- statfs --- */

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A quota is the size of the volume; what is left of it is free, as far as the disk
 * has it. `limit` and `used` are in the unit of `free`. */
static void apply_limit(uint64_t limit, uint64_t used, uint64_t *total, uint64_t *free)
{
    if (limit == 0)
        return;
    *total = limit;
    *free = min_of(*free, limit > used ? limit - used : 0);
}

/* What is free is free on this node; what is used is content, which every node
 * has. */
void ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct fs *fs = ops_fs(req);
    struct tree_usage usage;
    struct statvfs local;

    (void)ino;
    if (statvfs(fs->data_dir, &local) != 0) {
        fuse_reply_err(req, errno);
        return;
    }
    tree_usage(fs->tree, &usage);
    uint64_t used = (usage.bytes + local.f_frsize - 1) / local.f_frsize;
    uint64_t free_blocks = local.f_bavail;
    uint64_t free_files = local.f_favail;
    uint64_t blocks = used + free_blocks;
    uint64_t files = usage.files + free_files;
    apply_limit((usage.quota.bytes + local.f_frsize - 1) / local.f_frsize, used, &blocks,
                &free_blocks);
    apply_limit(usage.quota.files, usage.files, &files, &free_files);
    struct statvfs st = {
        .f_bsize = local.f_bsize,
        .f_frsize = local.f_frsize,
        .f_blocks = blocks,
        .f_bfree = free_blocks,
        .f_bavail = free_blocks,
        .f_files = files,
        .f_ffree = free_files,
        .f_favail = free_files,
        .f_namemax = PATH_COMPONENT_MAX,
    };
    fuse_reply_statfs(req, &st);
}
