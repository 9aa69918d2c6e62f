/* POSIX access control lists (acl(5)) in the form in which setxattr(2) carries them.
 *
 * The kernel checks access by them; here they are kept in step with the mode of
 * their file, and inherited. A list says for whom beside owner, group and others
 * there are permissions, and its mask bounds all but those of owner and others. The
 * group bits of the mode are those of the mask, when there is one.
 *
 * Pure. Any thread may call.
 */
#ifndef KEELFS_RAFTSTORE_ACL_H
#define KEELFS_RAFTSTORE_ACL_H

#include "raftstore/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Extended attributes: who may use the object, and what is made in the directory. */
#define ACL_ACCESS_NAME  "system.posix_acl_access"
#define ACL_DEFAULT_NAME "system.posix_acl_default"

/* The kernel reads a page of it. */
#define ACL_ENTRIES_MAX 511
#define ACL_BYTES_MAX   (4 + 8 * ACL_ENTRIES_MAX)

enum acl_tag {
    ACL_USER_OBJ = 0x01, /* the owner */
    ACL_USER = 0x02,
    ACL_GROUP_OBJ = 0x04,
    ACL_GROUP = 0x08,
    ACL_MASK = 0x10,
    ACL_OTHER = 0x20,
};

struct acl_entry {
    enum acl_tag tag;
    uint32_t permissions; /* 0 to 7 */
    uint32_t id;          /* of ACL_USER and ACL_GROUP */
};

struct acl {
    size_t count;
    struct acl_entry entries[ACL_ENTRIES_MAX];
};

/* 0; KE_INVALID for what is no list in the order of acl(5), KE_TOO_LARGE. */
int acl_unpack(struct bytes bytes, struct acl *ret_acl);
/* Into `out` (ACL_BYTES_MAX bytes). */
struct bytes acl_pack(const struct acl *acl, uint8_t *out);

/* The permission bits, 0777, of a file with this list. */
uint32_t acl_mode(const struct acl *acl);
/* It says nothing that the mode does not. */
bool acl_is_mode(const struct acl *acl);

/* chmod(2): the mode of the file is this from now on. */
void acl_set_mode(struct acl *acl, uint32_t mode);

/* The default list becomes that of a new file, made with `mode`: it grants nothing
 * that the mode does not. */
void acl_restrict(struct acl *acl, uint32_t mode);

#endif
