#include "raftstore/acl.h"

#include "raftstore/err.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define VERSION     2
#define HEADER_SIZE 4
#define ENTRY_SIZE  8
#define NO_ID       UINT32_MAX
#define ALL_BITS    7u

/* Numbers are little-endian: tag and permissions of 16 bits, an id of 32. */
static struct acl_entry unpack_entry(const uint8_t *from)
{
    uint16_t halves[2];
    uint32_t id;

    memcpy(halves, from, sizeof halves);
    memcpy(&id, from + sizeof halves, sizeof id);
    return (struct acl_entry){
        .tag = (enum acl_tag)le16toh(halves[0]),
        .permissions = le16toh(halves[1]),
        .id = le32toh(id),
    };
}

/* Whether one entry may follow the other: owner, users, group, groups, perhaps a mask,
 * others. With users or groups there is a mask. */
static bool may_follow(const struct acl *acl, size_t i, bool names_any)
{
    enum acl_tag before = i > 0 ? acl->entries[i - 1].tag : 0;

    switch (acl->entries[i].tag) {
    case ACL_USER_OBJ:
        return i == 0;
    case ACL_USER:
    case ACL_GROUP_OBJ:
        return before == ACL_USER_OBJ || before == ACL_USER;
    case ACL_GROUP:
    case ACL_MASK:
        return before == ACL_GROUP_OBJ || before == ACL_GROUP;
    case ACL_OTHER:
        return before == ACL_MASK ||
               (!names_any && (before == ACL_GROUP_OBJ || before == ACL_GROUP));
    }
    return false;
}

static bool has_id(enum acl_tag tag)
{
    return tag == ACL_USER || tag == ACL_GROUP;
}

static int check(const struct acl *acl)
{
    bool names_any = false;

    for (size_t i = 0; i < acl->count; i++) {
        const struct acl_entry *entry = &acl->entries[i];

        names_any = names_any || has_id(entry->tag);
        if (entry->permissions > ALL_BITS || !may_follow(acl, i, names_any) ||
            (has_id(entry->tag) && entry->id == NO_ID)) {
            return KE_INVALID;
        }
    }
    return acl->entries[acl->count - 1].tag == ACL_OTHER ? 0 : KE_INVALID;
}

int acl_unpack(struct bytes bytes, struct acl *ret_acl)
{
    uint32_t version;

    if (bytes.size > ACL_BYTES_MAX) {
        return KE_TOO_LARGE;
    }
    if (bytes.size < HEADER_SIZE + ENTRY_SIZE || (bytes.size - HEADER_SIZE) % ENTRY_SIZE != 0) {
        return KE_INVALID;
    }
    memcpy(&version, bytes.data, sizeof version);
    if (le32toh(version) != VERSION) {
        return KE_INVALID;
    }
    ret_acl->count = (bytes.size - HEADER_SIZE) / ENTRY_SIZE;
    for (size_t i = 0; i < ret_acl->count; i++) {
        ret_acl->entries[i] = unpack_entry(bytes.data + HEADER_SIZE + i * ENTRY_SIZE);
    }
    return check(ret_acl);
}

struct bytes acl_pack(const struct acl *acl, uint8_t *out)
{
    uint32_t version = htole32(VERSION);

    memcpy(out, &version, sizeof version);
    for (size_t i = 0; i < acl->count; i++) {
        const struct acl_entry *entry = &acl->entries[i];
        uint16_t halves[2] = {htole16((uint16_t)entry->tag), htole16((uint16_t)entry->permissions)};
        uint32_t id = htole32(has_id(entry->tag) ? entry->id : NO_ID);
        uint8_t *to = out + HEADER_SIZE + i * ENTRY_SIZE;

        memcpy(to, halves, sizeof halves);
        memcpy(to + sizeof halves, &id, sizeof id);
    }
    return (struct bytes){.data = out, .size = HEADER_SIZE + acl->count * ENTRY_SIZE};
}

static struct acl_entry *find(const struct acl *acl, enum acl_tag tag)
{
    for (size_t i = 0; i < acl->count; i++) {
        if (acl->entries[i].tag == tag) {
            return (struct acl_entry *)&acl->entries[i];
        }
    }
    return NULL;
}

/* The entry that the group bits of the mode stand for. */
static struct acl_entry *group_class(const struct acl *acl)
{
    struct acl_entry *mask = find(acl, ACL_MASK);

    return mask != NULL ? mask : find(acl, ACL_GROUP_OBJ);
}

/* The entries behind the three digits of a mode; a checked list has them. */
static void find_classes(const struct acl *acl, struct acl_entry *ret_classes[3])
{
    ret_classes[0] = find(acl, ACL_OTHER);
    ret_classes[1] = group_class(acl);
    ret_classes[2] = find(acl, ACL_USER_OBJ);
    assert(ret_classes[0] != NULL && ret_classes[1] != NULL && ret_classes[2] != NULL);
}

uint32_t acl_mode(const struct acl *acl)
{
    struct acl_entry *classes[3];
    uint32_t mode = 0;

    find_classes(acl, classes);
    for (unsigned i = 0; i < 3; i++) {
        mode |= classes[i]->permissions << (3 * i);
    }
    return mode;
}

bool acl_is_mode(const struct acl *acl)
{
    return acl->count == 3;
}

void acl_set_mode(struct acl *acl, uint32_t mode)
{
    struct acl_entry *classes[3];

    find_classes(acl, classes);
    for (unsigned i = 0; i < 3; i++) {
        classes[i]->permissions = (mode >> (3 * i)) & ALL_BITS;
    }
}

void acl_restrict(struct acl *acl, uint32_t mode)
{
    acl_set_mode(acl, acl_mode(acl) & mode);
}
