/* A command under construction: a raft_cmdpb.RaftCmdRequest, packed as it
 * grows. All its requests apply together or none does; conditions are checked
 * at apply, before any request.
 *
 * Owned by the caller until store_propose() takes it. Not thread-safe. Paths
 * are valid as path.h says (the caller checked them); every byte is copied.
 * Out of memory ends the process.
 */
#ifndef KEELFS_RAFTSTORE_COMMAND_H
#define KEELFS_RAFTSTORE_COMMAND_H

#include "raftstore/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Content bytes in one command; a publish up to here is atomic. */
#define COMMAND_CONTENT_MAX (8u << 20)
/* A whole packed command, with room for paths and attributes. */
#define COMMAND_BYTES_MAX (COMMAND_CONTENT_MAX + (256u << 10))
/* Chunks (TREE_CHUNK_SIZE) that the extents of one command may touch: a small
 * extent rewrites its whole chunk, so this bounds what apply writes. Past it:
 * KE_TOO_LARGE. */
#define COMMAND_CHUNKS_MAX 8192
/* Zeros count for the chunks that they delete one by one, from some number on all at
 * once, for their two ends, and for the maps of holes that they touch. */
#define COMMAND_ZEROED_ROWS_MAX 1024
uint32_t command_zeros_chunks(uint64_t size);
/* Keys of touch.h that one command names; one that changes more names TOUCH_EVERYTHING. */
#define COMMAND_TOUCHED_MAX 32

struct command;

/* Stamped with the wall clock and the effective user and group of the process. */
struct command *command_new(void);
void command_free(struct command *cmd);

/* The time that becomes mtime and ctime of what the command changes. */
void command_set_time(struct command *cmd, int64_t time_ns);
/* The owner of files and directories that a command_put() makes. */
void command_set_owner(struct command *cmd, uint32_t uid, uint32_t gid);

/* The packed bytes, valid until the next change. */
const void *command_bytes(const struct command *cmd, size_t *ret_size);

/* The keys of all that it may change, whatever it finds when it is applied; valid until
 * the next change. */
const uint64_t *command_touched(const struct command *cmd, size_t *ret_count);

/* --- conditions; one that fails answers KE_CONDITION, except where noted --- */
void command_require_absent(struct command *cmd, const char *path); /* KE_EXISTS */
void command_require_exists(struct command *cmd, const char *path); /* KE_NOT_FOUND */
void command_require_version(struct command *cmd, const char *path, uint64_t version);
void command_require_id(struct command *cmd, const char *path, uint64_t id); /* KE_STALE */

/* --- raw requests. `cf` is "default", "lock" or "write" --- */

/* In `default`: makes or replaces the file `key` whole, and missing parent
 * directories. KE_IS_DIR, KE_NOT_DIR (a parent is a file), KE_NOT_REGULAR. */
void command_put(struct command *cmd, const char *cf, const void *key, size_t key_size,
                 const void *value, size_t value_size);
/* Removing what is absent is no error. In `default` only regular files. */
void command_delete(struct command *cmd, const char *cf, const void *key, size_t key_size);

/* --- what a mount asks for. The parent directory must exist: KE_NOT_FOUND, or
 *     KE_NOT_DIR --- */

struct command_create {
    const char *path;
    enum file_type type;
    uint32_t mode; /* permission bits */
    uint32_t uid;
    uint32_t gid;
    const char *target; /* of a symbolic link, else NULL */
    uint64_t rdev;      /* of a device */
    uint32_t umask;     /* taken from the mode, unless an ACL is inherited */
    /* KE_EXISTS when the path exists. Otherwise an existing regular file is the
     * answer, unchanged. */
    bool exclusive;
};
void command_create(struct command *cmd, const struct command_create *create);

/* Data, or so many zeros, which take no room as far as they fill chunks, or neither:
 * then the file is made at least `offset` bytes long. */
struct command_extent {
    uint64_t offset;
    const void *data;
    size_t size;
    uint64_t zeros;
};

/* One publish, in this order: truncate, extents, append. KE_STALE when `path`
 * is not the file `id` any more; KE_TOO_LARGE past the largest file. */
struct command_write {
    const char *path;
    uint64_t id;
    bool truncate;
    uint64_t truncate_size;
    const struct command_extent *extents;
    size_t extent_count;
    const void *append;
    size_t append_size;
    bool clear_suid;
    uint64_t if_version; /* KE_STALE unless the file has it; 0: any */
};
void command_write(struct command *cmd, const struct command_write *write);

enum command_set_attr_mask {
    COMMAND_SET_MODE = 1,
    COMMAND_SET_UID = 2,
    COMMAND_SET_GID = 4,
    COMMAND_SET_SIZE = 8,
    COMMAND_SET_ATIME = 16,
    COMMAND_SET_MTIME = 32,
    COMMAND_CLEAR_SUID = 64, /* as far as a write by another than the owner does */
    COMMAND_CLEAR_SGID = 128,
};

/* KE_STALE as for a write. Only the fields named in `mask` are read. The size is
 * that of a regular file: KE_IS_DIR, KE_NOT_REGULAR. `path` may be the root. */
struct command_set_attr {
    const char *path;
    uint64_t id;
    unsigned mask;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
};
void command_set_attr(struct command *cmd, const struct command_set_attr *set);

/* unlink and rmdir. KE_NOT_FOUND, KE_IS_DIR, KE_NOT_DIR, KE_NOT_EMPTY. */
void command_remove(struct command *cmd, const char *path, bool directory);

/* rename(2) semantics for files and directories. KE_EXISTS with `no_replace`,
 * KE_INVALID for a directory into itself, KE_NAME_TOO_LONG when a path below it
 * gets too long, KE_CROSS for a directory with more than RENAME_KEYS_MAX keys
 * below it, or with attribute rows of more than RENAME_BYTES_MAX. The size of
 * the files does not matter. */
#define RENAME_KEYS_MAX  100000
#define RENAME_BYTES_MAX (64u << 20)
void command_rename(struct command *cmd, const char *from, const char *to, bool no_replace);
/* The same for what is no directory: KE_STALE when it is one. It touches no more than the
 * two names, and so disturbs no cache of anything else. */
void command_rename_file(struct command *cmd, const char *from, const char *to, bool no_replace);

/* Both exist and change places, whatever they are. KE_NOT_FOUND, KE_INVALID when one is
 * below the other, KE_CROSS as above. */
void command_exchange(struct command *cmd, const char *from, const char *to);

/* link(2): one more name for the file `id`, which `from` names. KE_STALE, KE_IS_DIR,
 * KE_EXISTS, KE_TOO_MANY_LINKS. */
#define COMMAND_LINKS_MAX 65000
void command_link(struct command *cmd, const char *from, uint64_t id, const char *to);

/* setxattr(2) and removexattr(2). An access control list (acl.h) sets the mode too, and
 * KE_INVALID refuses what is none. KE_STALE, KE_EXISTS, KE_NO_XATTR, KE_NAME_TOO_LONG,
 * KE_TOO_LARGE past the first limit, KE_NO_SPACE past that of all names and values
 * of a file. */
#define COMMAND_XATTR_VALUE_MAX  (64u << 10)
#define COMMAND_XATTRS_BYTES_MAX (256u << 10)
enum command_xattr_mode {
    COMMAND_XATTR_ANY,
    COMMAND_XATTR_CREATE,
    COMMAND_XATTR_REPLACE,
    COMMAND_XATTR_REMOVE
};
void command_set_xattr(struct command *cmd, const char *path, uint64_t id, const char *name,
                       const void *value, size_t size, enum command_xattr_mode mode);

/* What the volume may hold; 0: no limit. A volume over it keeps what it has: KE_QUOTA
 * for commands that add. */
void command_set_quota(struct command *cmd, uint64_t bytes, uint64_t files);

/* --- for the store itself --- */

/* Cuts the log: entries up to `index`, of `term`, are not needed any more. */
void command_compact_log(struct command *cmd, uint64_t index, uint64_t term);
/* Every node hashes its data behind this entry. */
void command_compute_hash(struct command *cmd);

/* Whether it takes no space in the end: only removals, truncations to nothing, and
 * the store's own. Such commands run when the disk is nearly full. */
bool command_frees_space(const struct command *cmd);

#endif
