/* Extended attributes: getxattr, setxattr, listxattr, removexattr.
 *
 * Names of the namespaces user, trusted and security are kept as they are, and so are
 * access control lists; who may use which is checked by the kernel. What begins with "user.keelfs."
 * is made up here and never listed: user.keelfs.version      of the file, in decimal; read-only
 *   user.keelfs.if-version   write-only, of a file that is open on this node: the next
 *                            publish of what is written to it here fails with ESTALE
 *                            unless the file has this version then; 0: any
 */
#include "fs/control.h"
#include "fs/errno.h"
#include "fs/file.h"
#include "fs/ops.h"
#include "fs/remains.h"
#include "fs/request.h"
#include "fs/resolve.h"
#include "fs/thread_stat.h"
#include "raftstore/acl.h"
#include "raftstore/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define OWN_PREFIX      "user.keelfs."
#define VERSION_NAME    OWN_PREFIX "version"
#define IF_VERSION_NAME OWN_PREFIX "if-version"

#define TRUSTED_PREFIX "trusted."

/* Goes with every change of content or owner. */
#define CAPABILITY_NAME "security.capability"

struct xattr_request {
    struct request request;
    struct inode *inode; /* pinned */
    char name[XATTR_NAME_MAX + 1];
    size_t room;     /* of who asks; 0: only the size is asked for */
    bool is_by_root; /* sees trusted names in a list */
    void *value;     /* to set; malloc'ed */
    size_t value_size;
    enum command_xattr_mode mode;
    bool clears_sgid;
    bool sets_mode; /* first */
};

static void xattr_free(struct request *request)
{
    struct xattr_request *xattr = (struct xattr_request *)request;

    inode_unpin(xattr->inode);
    free(xattr->value);
    free(xattr);
}

/* NULL: answered already. `name` may be NULL. */
static struct xattr_request *xattr_start(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct fs *fs = ops_fs(req);
    struct inode *inode = inode_pin(&fs->inodes, ino);

    if (inode == NULL) {
        fuse_reply_err(req, ESTALE);
        return NULL;
    }
    struct xattr_request *xattr = mem_zalloc(sizeof(*xattr));
    request_init(&xattr->request, fs, req, xattr_free);
    xattr->inode = inode;
    xattr->is_by_root = fuse_req_ctx(req)->uid == 0;
    if (name != NULL)
        memcpy(xattr->name, name, strlen(name) + 1);
    return xattr;
}

static bool is_acl(const char *name)
{
    return strcmp(name, ACL_ACCESS_NAME) == 0 || strcmp(name, ACL_DEFAULT_NAME) == 0;
}

/* 0, or why the name is none that a file can have, as ext4 says it. */
static int check_name(const char *name)
{
    static const char *const prefixes[] = {"user.", TRUSTED_PREFIX, "security."};

    if (strlen(name) > XATTR_NAME_MAX)
        return ERANGE;
    if (is_acl(name))
        return 0;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t size = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], size) == 0)
            return name[size] == '\0' ? EINVAL : 0;
    }
    return EOPNOTSUPP;
}

static bool is_own(const char *name)
{
    return strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0;
}

/* --- reading --- */

static void reply_bytes(struct xattr_request *xattr, const void *bytes, size_t size)
{
    fuse_req_t req = xattr->request.req;

    if (xattr->room == 0)
        fuse_reply_xattr(req, size);
    else if (size > xattr->room)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, bytes, size);
    request_end(&xattr->request);
}

/* Looks behind the read point. True: found. False: the request tries again or has
 * failed, unless the inode is removed: then it is for the caller to answer. */
static bool xattr_look(struct xattr_request *xattr, const struct op_result *result,
                       request_step_fn *step, struct resolved *ret_resolved, bool *ret_is_removed)
{
    struct request *request = &xattr->request;
    int code = result->code;

    if (code == 0)
        code = resolve_inode(request, xattr->inode, ret_resolved);
    *ret_is_removed = code == KE_NOT_FOUND;
    if (code != 0 && !*ret_is_removed && !request_read_again(request, code, step))
        request_fail(request, code);
    return code == 0;
}

static void reply_version(struct xattr_request *xattr, const struct attr *attr)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, attr->version);
    reply_bytes(xattr, text, strlen(text));
}

/* Of what has no name any more. */
static void get_removed(struct xattr_request *xattr)
{
    struct remains *remains = inode_remains(xattr->inode);
    uint8_t *value = NULL;
    struct attr attr;
    size_t size = 0;
    int code = KE_NO_XATTR;

    if (remains != NULL && strcmp(xattr->name, VERSION_NAME) == 0) {
        remains_get_attr(remains, &attr);
        reply_version(xattr, &attr);
        return;
    }
    if (remains != NULL)
        code = remains_get_xattr(remains, xattr->name, &value, &size);
    if (code != 0)
        request_fail(&xattr->request, code);
    else
        reply_bytes(xattr, value, size);
    free(value);
}

static void get_step(struct request *request, const struct op_result *result)
{
    struct xattr_request *xattr = (struct xattr_request *)request;
    struct resolved resolved;
    uint8_t *value = NULL;
    bool is_removed;
    size_t size = 0;

    if (!xattr_look(xattr, result, get_step, &resolved, &is_removed)) {
        if (is_removed)
            get_removed(xattr);
        return;
    }
    bool is_version = strcmp(xattr->name, VERSION_NAME) == 0;
    int code = is_own(xattr->name) ? KE_NO_XATTR
                                   : tree_get_xattr(resolved.look.tree, xattr->inode->id,
                                                    xattr->name, &value, &size);
    look_release(&resolved.look);
    if (is_version)
        reply_version(xattr, &resolved.look.attr);
    else if (code != 0)
        request_fail(request, code);
    else
        reply_bytes(xattr, value, size);
    free(value);
}

void ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    int number = check_name(name);

    if (control_owns(ino))
        number = is_acl(name) ? ENODATA : EOPNOTSUPP;
    if (number != 0) {
        fuse_reply_err(req, number);
        return;
    }
    struct xattr_request *xattr = xattr_start(req, ino, name);
    if (xattr == NULL)
        return;
    xattr->room = size;
    /* Who may enter the root is asked on the way to the control directory too, which
     * has to work without a majority. */
    xattr->request.may_be_stale = ino == FUSE_ROOT_ID && is_acl(name);
    request_read(&xattr->request, get_step);
}

/* --- listing --- */

/* Names with a zero behind each. */
struct name_list {
    bool with_trusted;
    char *bytes;
    size_t size;
    size_t capacity;
};

static void add_name(void *ctx, const void *name, size_t size)
{
    struct name_list *list = ctx;
    size_t prefix_size = strlen(TRUSTED_PREFIX);
    size_t needed = list->size + size + 1;

    if (!list->with_trusted && size >= prefix_size &&
        memcmp(name, TRUSTED_PREFIX, prefix_size) == 0)
        return;
    if (needed > list->capacity) {
        list->capacity = 2 * needed;
        list->bytes = mem_realloc(list->bytes, list->capacity);
    }
    memcpy(list->bytes + list->size, name, size);
    list->bytes[needed - 1] = '\0';
    list->size = needed;
}

static void list_removed(struct xattr_request *xattr)
{
    struct remains *remains = inode_remains(xattr->inode);
    struct name_list list = {.with_trusted = xattr->is_by_root};

    if (remains != NULL)
        remains_list_xattrs(remains, add_name, &list);
    reply_bytes(xattr, list.bytes, list.size);
    free(list.bytes);
}

static void list_step(struct request *request, const struct op_result *result)
{
    struct xattr_request *xattr = (struct xattr_request *)request;
    struct name_list list = {.with_trusted = xattr->is_by_root};
    struct resolved resolved;
    bool is_removed;
    int code = 0;

    if (!xattr_look(xattr, result, list_step, &resolved, &is_removed)) {
        if (is_removed)
            list_removed(xattr);
        return;
    }
    if (resolved.look.attr.xattr_bytes > 0)
        code = tree_list_xattrs(resolved.look.tree, xattr->inode->id, add_name, &list);
    look_release(&resolved.look);
    if (code != 0)
        request_fail(request, code);
    else
        reply_bytes(xattr, list.bytes, list.size);
    free(list.bytes);
}

void ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    if (control_owns(ino)) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    struct xattr_request *xattr = xattr_start(req, ino, NULL);
    if (xattr == NULL)
        return;
    xattr->room = size;
    request_read(&xattr->request, list_step);
}

/* --- changing --- */

static void set_step(struct request *request, const struct op_result *result);

static void set_end(struct xattr_request *xattr, int code)
{
    if (code == KE_TOO_LARGE)
        request_fail_errno(&xattr->request, E2BIG);
    else if (code == KE_NO_XATTR && is_acl(xattr->name))
        request_fail(&xattr->request, 0); /* everything has a list: without one, its mode */
    else
        request_fail(&xattr->request, code);
}

static void set_removed(struct xattr_request *xattr)
{
    bool needs_it = xattr->mode == COMMAND_XATTR_REMOVE || xattr->mode == COMMAND_XATTR_REPLACE;
    struct remains *remains = inode_remains(xattr->inode);
    int code = needs_it ? KE_NO_XATTR : KE_STALE;

    if (remains != NULL)
        code =
            remains_set_xattr(remains, xattr->name, xattr->value, xattr->value_size, xattr->mode);
    set_end(xattr, code);
}

static void set_send(struct xattr_request *xattr)
{
    char path[PATH_BYTES_MAX + 1];

    if (!inode_path(xattr->inode, path)) {
        set_removed(xattr);
        return;
    }
    struct command *cmd = command_new();
    struct command_set_attr mode = {
        .path = path,
        .id = xattr->inode->id,
        .mask = COMMAND_SET_MODE,
    };
    xattr->sets_mode =
        strcmp(xattr->name, ACL_ACCESS_NAME) == 0 && file_deferred_mode(xattr->inode, &mode.mode);
    if (xattr->sets_mode)
        command_set_attr(cmd, &mode);
    command_set_xattr(cmd, path, xattr->inode->id, xattr->name, xattr->value, xattr->value_size,
                      xattr->mode);
    if (xattr->clears_sgid) {
        const struct command_set_attr set = {
            .path = path,
            .id = xattr->inode->id,
            .mask = COMMAND_CLEAR_SGID,
        };
        command_set_attr(cmd, &set);
    }
    request_propose(&xattr->request, &cmd, set_step);
}

static void set_step(struct request *request, const struct op_result *result)
{
    struct xattr_request *xattr = (struct xattr_request *)request;

    if (result->code == 0 && xattr->sets_mode)
        file_note_mode_set(xattr->inode);
    if (result->code == KE_STALE && request_may_retry(request))
        set_send(xattr);
    else
        set_end(xattr, result->code);
}

/* What was written before a capability was set must not take it away when it is
 * published: it goes first. */
static void set_begin(struct request *request, const struct op_result *result)
{
    struct xattr_request *xattr = (struct xattr_request *)request;
    uint64_t round;

    if (result->code != 0)
        set_end(xattr, result->code);
    else if (strcmp(xattr->name, CAPABILITY_NAME) == 0 &&
             file_publish_all(xattr->inode, request->deadline_ns, &round) != FILE_READY)
        request_wait_file(request, xattr->inode, round, set_begin);
    else
        set_send(xattr);
}

/* 0, or why the attribute cannot be changed. */
static int check_change(fuse_ino_t ino, const char *name)
{
    if (control_owns(ino))
        return EOPNOTSUPP;
    return is_own(name) ? EPERM : check_name(name);
}

/* False: it is no decimal number. */
static bool read_version(const char *value, size_t size, uint64_t *ret_version)
{
    uint64_t version = 0;

    /* A trailing newline comes from the shell. */
    if (size > 0 && value[size - 1] == '\n')
        size--;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned)(value[i] - '0');
        if (digit > 9 || version > (UINT64_MAX - digit) / 10)
            return false;
        version = version * 10 + digit;
    }
    *ret_version = version;
    return size > 0;
}

static void set_if_version(fuse_req_t req, fuse_ino_t ino, const char *value, size_t size)
{
    struct inode *inode = inode_pin(&ops_fs(req)->inodes, ino);
    uint64_t version;
    int code = KE_STALE;

    if (inode != NULL)
        code =
            read_version(value, size, &version) ? file_set_if_version(inode, version) : KE_INVALID;
    inode_unpin(inode);
    fuse_reply_err(req, errno_of(code));
}

static bool caller_is_in_group(fuse_req_t req, gid_t gid)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);

    return caller->gid == gid || thread_has_group(caller->pid, gid);
}

/* As chmod(2) by someone who is not of the file's group. The kernel has just checked
 * permissions by attributes that are current: what this node has is new enough. */
static bool acl_clears_sgid(fuse_req_t req, struct xattr_request *xattr)
{
    struct resolved resolved;

    if (xattr->is_by_root || strcmp(xattr->name, ACL_ACCESS_NAME) != 0)
        return false;
    xattr->request.read_point_ns = clock_ns();
    if (resolve_inode(&xattr->request, xattr->inode, &resolved) != 0)
        return false;
    look_release(&resolved.look);
    return !caller_is_in_group(req, resolved.look.attr.gid);
}

/* Whether the value is a list that says what a mode can say, for a file without a list of
 * its own; `*ret_mode` is the mode then, of a file that has `attr` now. */
static bool is_only_mode(const struct xattr_request *xattr, const struct attr *attr,
                         uint32_t *ret_mode)
{
    const struct bytes value = {.data = xattr->value, .size = xattr->value_size};
    struct acl acl;

    if (attr->xattr_bytes > 0 || acl_unpack(value, &acl) != 0 || !acl_is_mode(&acl))
        return false;
    *ret_mode = (attr->mode & ~(uint32_t)ACCESSPERMS) | acl_mode(&acl);
    return true;
}

/* Whether it is answered: a part of the first publish of a file that is being made. cp -a
 * sets the mode by a list; see ops_setattr.c. */
static bool set_with_publish(struct xattr_request *xattr)
{
    uint32_t pid = (uint32_t)fuse_req_ctx(xattr->request.req)->pid;
    struct command_set_attr set = {.mask = COMMAND_SET_MODE};
    struct resolved resolved;
    struct attr attr;
    uint64_t round;

    if (strcmp(xattr->name, ACL_ACCESS_NAME) != 0 || xattr->mode != COMMAND_XATTR_ANY ||
        xattr->clears_sgid || !file_is_being_made(xattr->inode, pid) ||
        resolve_inode(&xattr->request, xattr->inode, &resolved) != 0)
        return false;
    bool deferred = file_show(xattr->inode, &resolved.look, 0, &attr, &round) == FILE_READY &&
                    is_only_mode(xattr, &attr, &set.mode) &&
                    file_defer_set_attr(xattr->inode, &set, &resolved.look, pid, &attr);
    look_release(&resolved.look);
    if (deferred)
        set_end(xattr, 0);
    return deferred;
}

void ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                  int flags)
{
    const struct op_result begin = {0};
    int number = check_change(ino, name);

    if (!control_owns(ino) && strcmp(name, IF_VERSION_NAME) == 0) {
        set_if_version(req, ino, value, size);
        return;
    }
    if (number == 0 && flags == (XATTR_CREATE | XATTR_REPLACE))
        number = EINVAL;
    if (number != 0) {
        fuse_reply_err(req, number);
        return;
    }
    struct xattr_request *xattr = xattr_start(req, ino, name);
    if (xattr == NULL)
        return;
    xattr->value = mem_dup(value, size);
    xattr->value_size = size;
    if (flags == XATTR_CREATE)
        xattr->mode = COMMAND_XATTR_CREATE;
    else if (flags == XATTR_REPLACE)
        xattr->mode = COMMAND_XATTR_REPLACE;
    else
        xattr->mode = COMMAND_XATTR_ANY;
    xattr->clears_sgid = acl_clears_sgid(req, xattr);
    if (!set_with_publish(xattr))
        set_begin(&xattr->request, &begin);
}

void ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    const struct op_result begin = {0};
    int number = check_change(ino, name);

    if (number != 0) {
        fuse_reply_err(req, number);
        return;
    }
    struct xattr_request *xattr = xattr_start(req, ino, name);
    if (xattr == NULL)
        return;
    xattr->mode = COMMAND_XATTR_REMOVE;
    set_begin(&xattr->request, &begin);
}
