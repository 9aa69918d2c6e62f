/* Access control lists: kept as extended attributes, in step with the mode of their
 * object, and inherited from the directory. */
#include "raftstore/acl.h"
#include "raftstore/command.h"
#include "raftstore/executor_run.h"

#include <stdlib.h>
#include <string.h>

#define SET_GROUP_ID 02000u
#define PERMISSIONS  0777u

bool run_is_acl(struct bytes name)
{
    return (name.size == strlen(ACL_ACCESS_NAME) &&
            memcmp(name.data, ACL_ACCESS_NAME, name.size) == 0) ||
           (name.size == strlen(ACL_DEFAULT_NAME) &&
            memcmp(name.data, ACL_DEFAULT_NAME, name.size) == 0);
}

static struct bytes as_bytes(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

/* Of the object with `attr`. False: it has none. */
static bool find_acl(struct run *run, const struct attr *attr, const char *name,
                     struct acl *ret_acl)
{
    uint8_t *value;
    size_t size;
    int code;

    if (attr->xattr_bytes == 0 || !run_get_xattr(run, attr->id, as_bytes(name), &value, &size)) {
        return false;
    }
    code = acl_unpack((struct bytes){.data = value, .size = size}, ret_acl);
    free(value);
    if (code != 0) {
        run_stop_unreadable(KE_CORRUPT);
    }
    return true;
}

static int put_acl(struct run *run, struct attr *attr, const char *name, const struct acl *acl,
                   enum command_xattr_mode mode)
{
    uint8_t bytes[ACL_BYTES_MAX];

    return run_put_xattr(run, attr, as_bytes(name), acl_pack(acl, bytes), mode);
}

/* --- setting --- */

static int set_default(struct run *run, struct attr *attr, const struct acl *acl,
                       enum command_xattr_mode mode)
{
    if (attr->type != FILE_DIRECTORY) {
        return KE_INVALID;
    }
    return put_acl(run, attr, ACL_DEFAULT_NAME, acl, mode);
}

/* A list that says no more than the mode is not kept. */
static int set_access(struct run *run, struct attr *attr, const struct acl *acl,
                      enum command_xattr_mode mode)
{
    struct bytes name = as_bytes(ACL_ACCESS_NAME);
    int code;

    if (attr->type == FILE_SYMLINK) {
        return KE_INVALID;
    }
    code = put_acl(run, attr, ACL_ACCESS_NAME, acl, mode);
    if (code != 0) {
        return code;
    }
    if (acl_is_mode(acl)) {
        (void)run_put_xattr(run, attr, name, (struct bytes){0}, COMMAND_XATTR_REMOVE);
    }
    attr->mode = (attr->mode & ~PERMISSIONS) | acl_mode(acl);
    return 0;
}

int run_set_acl(struct run *run, struct attr *attr, struct bytes name, struct bytes value,
                enum command_xattr_mode mode)
{
    bool is_default = name.size == strlen(ACL_DEFAULT_NAME);
    struct acl acl;
    int code = acl_unpack(value, &acl);

    if (code != 0) {
        return code;
    }
    return is_default ? set_default(run, attr, &acl, mode) : set_access(run, attr, &acl, mode);
}

void run_follow_mode(struct run *run, struct attr *attr)
{
    struct acl acl;

    if (find_acl(run, attr, ACL_ACCESS_NAME, &acl)) {
        acl_set_mode(&acl, attr->mode);
        /* As large as the one that it replaces. */
        (void)put_acl(run, attr, ACL_ACCESS_NAME, &acl, COMMAND_XATTR_REPLACE);
    }
}

/* --- inheriting --- */

static void inherit_acl(struct run *run, const struct acl *acl, struct attr *attr)
{
    struct acl access = *acl;

    acl_restrict(&access, attr->mode);
    attr->mode = (attr->mode & ~PERMISSIONS) | acl_mode(&access);
    /* Two lists of a page are less than what a file may have. */
    if (!acl_is_mode(&access)) {
        (void)put_acl(run, attr, ACL_ACCESS_NAME, &access, COMMAND_XATTR_ANY);
    }
    if (attr->type == FILE_DIRECTORY) {
        (void)put_acl(run, attr, ACL_DEFAULT_NAME, acl, COMMAND_XATTR_ANY);
    }
}

void run_inherit(struct run *run, const struct attr *parent, uint32_t umask, struct attr *attr)
{
    struct acl acl;

    if ((parent->mode & SET_GROUP_ID) != 0) {
        attr->gid = parent->gid;
        if (attr->type == FILE_DIRECTORY) {
            attr->mode |= SET_GROUP_ID;
        }
    }
    if (attr->type == FILE_SYMLINK) {
        return;
    }
    if (find_acl(run, parent, ACL_DEFAULT_NAME, &acl)) {
        inherit_acl(run, &acl, attr);
    } else {
        attr->mode &= ~(umask & PERMISSIONS);
    }
}
