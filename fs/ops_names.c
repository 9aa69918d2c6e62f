/* Changes of the namespace: what makes, removes and renames.
 *
 * Each is one command at the paths that the inode table has, on the condition
 * that the directories there are the ones that were meant. When one was renamed
 * meanwhile the command is refused, changes nothing, and is sent again for the
 * new path.
 */
#include "fs/names.h"

#include "fs/control.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/resolve.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void name_free(struct request *request)
{
    struct name_request *name = (struct name_request *)request;

    inode_unpin(name->parent);
    inode_unpin(name->new_parent);
    inode_unpin(name->made);
    inode_unpin(name->linked);
    free(name->target);
    free(name);
}

struct name_request *name_start(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fs *fs = ops_fs(req);

    if (control_refuses_change(req, parent, name))
        return NULL;
    if (strlen(name) > PATH_COMPONENT_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
        return NULL;
    }
    struct inode *inode = inode_pin(&fs->inodes, parent);
    if (inode == NULL) {
        fuse_reply_err(req, ESTALE);
        return NULL;
    }
    struct name_request *started = mem_zalloc(sizeof(*started));
    request_init(&started->request, fs, req, name_free);
    started->parent = inode;
    memcpy(started->name, name, strlen(name) + 1);
    started->uid = fuse_req_ctx(req)->uid;
    started->gid = fuse_req_ctx(req)->gid;
    started->umask = fuse_req_ctx(req)->umask;
    started->pid = (uint32_t)fuse_req_ctx(req)->pid;
    return started;
}

/* --- sending --- */

static void name_step(struct request *request, const struct op_result *result);

/* The path of `child` in `dir`, and the condition that `dir` is still there. The
 * root cannot move. */
static int add_directory(struct inode *dir, const char *child, char *path, struct command *cmd)
{
    char dir_path[PATH_BYTES_MAX + 1];
    int code = resolve_child_path(dir, child, dir_path, path);

    if (code == 0 && dir->id != ATTR_ROOT_ID)
        command_require_id(cmd, dir_path, dir->id);
    return code;
}

/* As far as is known here. False: there is none. */
static bool stat_here(const struct fs *fs, const char *path, struct attr *ret_attr)
{
    struct tree_view *tree = tree_view_new(fs->tree);
    int code = tree_stat(tree, path, ret_attr);

    tree_view_unref(tree);
    return code == 0;
}

/* Whether the kernel still knows that directory, and it is somewhere. */
static bool lives_on(struct fs *fs, uint64_t id)
{
    struct inode *inode = inode_pin(&fs->inodes, id);
    bool lives = inode != NULL && !inode_is_removed(inode);

    inode_unpin(inode);
    return lives;
}

/* The directory that goes is the one that the kernel has found under the name: it takes that
 * one for dead afterwards. When that has moved away the kernel looks anew. */
static int require_replaced(struct name_request *name, const char *path, struct command *cmd)
{
    struct fs *fs = name->request.fs;
    struct attr attr;
    bool is_there = stat_here(fs, path, &attr);
    bool is_directory = is_there && attr.type == FILE_DIRECTORY;
    uint64_t id = is_directory ? attr.id : 0;

    if (name->replaced_id != 0 && name->replaced_id != id && lives_on(fs, name->replaced_id))
        return KE_STALE;
    name->replaced_id = id;
    if (is_directory)
        command_require_id(cmd, path, id);
    else if (name->removes_directory)
        return is_there ? KE_NOT_DIR : KE_NOT_FOUND;
    return 0;
}

static int add_replaced(struct name_request *name, struct command *cmd)
{
    struct attr attr;

    if (name->removes_directory)
        return require_replaced(name, name->path, cmd);
    if (name->new_parent == NULL || name->exchanges)
        return 0;
    /* Of a directory that is taken for a file the command is refused, and the next try
     * knows better. */
    name->moves_file =
        stat_here(name->request.fs, name->path, &attr) && attr.type != FILE_DIRECTORY;
    return name->moves_file ? 0 : require_replaced(name, name->new_path, cmd);
}

void name_send(struct name_request *name)
{
    struct command *cmd = command_new();
    int code = add_directory(name->parent, name->name, name->path, cmd);

    if (code == 0 && name->new_parent != NULL)
        code = add_directory(name->new_parent, name->new_name, name->new_path, cmd);
    if (code == 0)
        code = add_replaced(name, cmd);
    if (code == 0 && name->linked != NULL && !inode_path(name->linked, name->linked_path))
        code = KE_NOT_FOUND;
    if (code != 0) {
        command_free(cmd);
        request_fail(&name->request, code);
        return;
    }
    name->time_ns = fs_wall_clock_ns();
    command_set_time(cmd, name->time_ns);
    name->build(name, name->path, cmd);
    request_propose(&name->request, &cmd, name_step);
}

/* It was applied by way of a snapshot, which says nothing of single commands: looks
 * at what is there now. What another node put in its place since is not what was
 * made here; then nobody knows what became of that. */
static void name_look(struct name_request *name)
{
    struct request *request = &name->request;
    struct resolved resolved;
    int code = resolve_child(request, name->parent, name->name, &resolved);

    if (code != 0) {
        request_fail(request, name->may_exist ? KE_STALE : KE_TIMEOUT);
        return;
    }
    const struct attr attr = resolved.look.attr;
    look_release(&resolved.look);
    bool is_mine = name->linked != NULL ? attr.id == name->linked->id
                                        : attr.type == name->type && attr.ctime_ns == name->time_ns;
    if (name->may_exist ? attr.type == FILE_REGULAR : is_mine)
        name->reply(name, &attr);
    else
        request_fail(request, name->may_exist ? KE_STALE : KE_TIMEOUT);
}

/* What was to be opened, or made, is no file. The kernel goes on from a symbolic link, or
 * the like, when it looks that up anew. */
static void name_met_other(struct name_request *name)
{
    struct request *request = &name->request;
    struct resolved resolved;

    request->read_point_ns = clock_ns();
    int code = resolve_child(request, name->parent, name->name, &resolved);
    bool is_there = code == 0;
    if (is_there)
        look_release(&resolved.look);
    bool is_gone = code == KE_NOT_FOUND || (is_there && resolved.look.attr.type == FILE_REGULAR);
    if (is_there && resolved.look.attr.type == FILE_DIRECTORY)
        request_fail(request, KE_IS_DIR);
    else if (is_there && resolved.look.attr.type == FILE_SYMLINK && (name->flags & O_NOFOLLOW))
        request_fail_errno(request, ELOOP);
    else if (is_gone && request_may_retry(request))
        name_send(name);
    else
        request_fail(request, KE_STALE);
}

static void name_step(struct request *request, const struct op_result *result)
{
    struct name_request *name = (struct name_request *)request;

    if (result->code == KE_STALE && request_may_retry(request)) {
        name_send(name);
    } else if (result->code == KE_EXISTS && name->may_exist) {
        name_met_other(name);
    } else if (result->code != 0) {
        request_fail(request, result->code);
    } else if (name->makes && !result->has_attr) {
        name_look(name);
    } else {
        name->reply(name, &result->attr);
    }
}

/* --- making --- */

static void build_create(struct name_request *name, const char *path, struct command *cmd)
{
    const struct command_create create = {
        .path = path,
        .type = name->type,
        .mode = name->mode & 07777,
        .umask = name->umask,
        .uid = name->uid,
        .gid = name->gid,
        .target = name->target,
        .rdev = name->rdev,
        .exclusive = !name->may_exist,
    };

    command_create(cmd, &create);
}

/* A known inode keeps its path, which may be newer. */
struct inode *name_made_inode(struct name_request *name, const struct attr *attr)
{
    struct inode_table *inodes = &name->request.fs->inodes;
    struct inode *inode = inode_pin(inodes, attr->id);

    return inode != NULL ? inode : inode_remember(inodes, attr->id, attr->type, name->path);
}

static void reply_made(struct name_request *name, const struct attr *attr)
{
    struct inode *inode = name_made_inode(name, attr);
    const struct keep nothing = {0};

    reply_entry(name->request.req, inode, attr, &nothing);
    inode_unpin(inode);
    request_end(&name->request);
}

void name_set_type(struct name_request *name, enum file_type type, mode_t mode)
{
    name->makes = true;
    name->type = type;
    name->mode = mode;
    name->build = build_create;
}

static void make(struct name_request *name, enum file_type type, mode_t mode)
{
    name_set_type(name, type, mode);
    name->reply = reply_made;
    name_send(name);
}

void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct name_request *started = name_start(req, parent, name);

    if (started != NULL)
        make(started, FILE_DIRECTORY, mode);
}

/* False: mknod(2) does not make those. */
static bool type_of_node(mode_t mode, enum file_type *ret_type)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        *ret_type = FILE_REGULAR;
        return true;
    case S_IFIFO:
        *ret_type = FILE_FIFO;
        return true;
    case S_IFSOCK:
        *ret_type = FILE_SOCKET;
        return true;
    case S_IFCHR:
        *ret_type = FILE_CHAR_DEVICE;
        return true;
    case S_IFBLK:
        *ret_type = FILE_BLOCK_DEVICE;
        return true;
    default:
        return false;
    }
}

void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    enum file_type type;

    if (!type_of_node(mode, &type)) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    struct name_request *started = name_start(req, parent, name);
    if (started == NULL)
        return;
    if (S_ISCHR(mode) || S_ISBLK(mode))
        started->rdev = rdev;
    make(started, type, mode);
}

void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    struct name_request *started = name_start(req, parent, name);

    if (started == NULL)
        return;
    started->target = mem_strdup(target);
    make(started, FILE_SYMLINK, 0777);
}

/* --- one more name --- */

static void build_link(struct name_request *name, const char *path, struct command *cmd)
{
    command_link(cmd, name->linked_path, name->linked->id, path);
}

/* It may be open, with more than the store has. */
static void reply_linked(struct name_request *name, const struct attr *applied)
{
    const struct look look = {.attr = *applied, .since_ns = clock_ns()};
    const struct keep nothing = {0};
    struct attr attr;
    uint64_t round;

    if (file_show(name->linked, &look, 0, &attr, &round) != FILE_READY)
        attr = *applied;
    attr.nlink = applied->nlink;
    reply_entry(name->request.req, name->linked, &attr, &nothing);
    request_end(&name->request);
}

void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
    if (control_owns(ino)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    struct inode *linked = inode_pin(&ops_fs(req)->inodes, ino);
    if (linked == NULL) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    struct name_request *started = name_start(req, new_parent, new_name);
    if (started == NULL) {
        inode_unpin(linked);
        return;
    }
    started->makes = true;
    started->linked = linked;
    started->build = build_link;
    started->reply = reply_linked;
    name_send(started);
}

/* --- removing and renaming --- */

static void reply_plain(struct name_request *name, const struct attr *attr)
{
    (void)attr;
    request_fail(&name->request, 0);
}

static void build_unlink(struct name_request *name, const char *path, struct command *cmd)
{
    (void)name;
    command_remove(cmd, path, false);
}

static void build_rmdir(struct name_request *name, const char *path, struct command *cmd)
{
    (void)name;
    command_remove(cmd, path, true);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, name_build_fn *build)
{
    struct name_request *started = name_start(req, parent, name);

    if (started == NULL)
        return;
    started->build = build;
    started->removes_directory = build == build_rmdir;
    started->reply = reply_plain;
    name_send(started);
}

void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_name(req, parent, name, build_unlink);
}

void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_name(req, parent, name, build_rmdir);
}

static void build_rename(struct name_request *name, const char *path, struct command *cmd)
{
    if (name->exchanges)
        command_exchange(cmd, path, name->new_path);
    else if (name->moves_file)
        command_rename_file(cmd, path, name->new_path, name->no_replace);
    else
        command_rename(cmd, path, name->new_path, name->no_replace);
}

static void rename_start(struct name_request *name, struct inode *new_parent, const char *new_name)
{
    name->new_parent = new_parent;
    memcpy(name->new_name, new_name, strlen(new_name) + 1);
    name->build = build_rename;
    name->reply = reply_plain;
    name_send(name);
}

void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                const char *new_name, unsigned flags)
{
    if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (control_refuses_change(req, new_parent, new_name))
        return;
    if (strlen(new_name) > PATH_COMPONENT_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    /* The kernel does that itself, unless the name became another file's while it looked at
     * the two: it would take that one for the one that is replaced. It is to look again. */
    bool is_same = parent == new_parent && strcmp(name, new_name) == 0;
    struct inode *target = is_same ? NULL : inode_pin(&ops_fs(req)->inodes, new_parent);
    if (target == NULL) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    struct name_request *started = name_start(req, parent, name);
    if (started == NULL) {
        inode_unpin(target);
        return;
    }
    started->no_replace = flags == RENAME_NOREPLACE;
    started->exchanges = flags == RENAME_EXCHANGE;
    rename_start(started, target, new_name);
}
