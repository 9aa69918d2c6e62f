/* Attributes of a file, directory or whatever else has a name: a row of column
 * family `attr`, as a plain value. */
#ifndef KEELFS_RAFTSTORE_ATTR_H
#define KEELFS_RAFTSTORE_ATTR_H

#include <stdbool.h>
#include <stdint.h>

enum file_type {
    FILE_REGULAR = 0,
    FILE_DIRECTORY = 1,
    FILE_SYMLINK = 2,
    FILE_FIFO = 3,
    FILE_SOCKET = 4,
    FILE_CHAR_DEVICE = 5,
    FILE_BLOCK_DEVICE = 6,
};

/* Inode number of the root; every other id is greater. */
#define ATTR_ROOT_ID 1

struct attr {
    enum file_type type;
    uint32_t mode; /* permission bits, 07777 */
    uint32_t uid;
    uint32_t gid;
    uint64_t size; /* bytes; of a symbolic link: of its target */
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint64_t version;     /* revision of the last change */
    uint64_t id;          /* revision of the creation: the inode number */
    uint32_t nlink;       /* names; of a directory 1, and 1 for each directory in it */
    uint32_t xattr_bytes; /* of names and values of extended attributes */
    uint64_t hole_chunks; /* of content (tree.h): no row, and no room taken */
    uint64_t rdev;        /* of a device, as the kernel encodes it */
    bool has_home;        /* has, or had, several names; known to the readers of tree.h */
};

/* The mode after a write(2) by someone who is not the owner: see inode(7). */
static inline uint32_t attr_without_suid(uint32_t mode)
{
    return mode & ~((mode & 010) != 0 ? 06000u : 04000u);
}

#endif
