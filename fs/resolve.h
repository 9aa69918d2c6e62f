/* From inodes to what the store has of them now.
 *
 * The paths in the inode table and the store move apart for moments. So each
 * look checks that what stands at a path is still the inode that is meant, in
 * the same snapshot as everything else. KE_STALE says that it is not: behind
 * another read point the table has caught up. A look is made inside a step that
 * follows a read point; it takes a snapshot, which look_release() lets go.
 *
 * A file that has, or had, several names is found by its id when the path that is
 * known here is not one of them any more: another node may have made the others.
 */
#ifndef KEELFS_FS_RESOLVE_H
#define KEELFS_FS_RESOLVE_H

#include "fs/file.h"
#include "fs/inode.h"
#include "raftstore/path.h"
#include "raftstore/tree.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fs;

/* A look with room for its path. */
struct resolved {
    struct look look;
    bool is_by_id; /* `path` is none of its names */
    char path[PATH_BYTES_MAX + 1];
};

/* What `tree` has of the inode, which was at `path` when the table was told last.
 * KE_STALE when it has nothing. `ret_is_by_id` may be NULL. */
int resolve_in_tree(const struct inode *inode, struct tree_view *tree, const char *path,
                    struct attr *ret_attr, bool *ret_is_by_id);

/* `since_ns`: when the read point was reached. Returns 0; KE_STALE; KE_NOT_FOUND
 * when the inode is removed; KE_IO, KE_CORRUPT. Nothing to release on failure. */
int resolve_inode(struct fs *fs, struct inode *inode, uint64_t since_ns,
                  struct resolved *ret_resolved);

/* What is left of a removed inode: its attributes as those see it who have it
 * open, or as it was looked up a moment ago. False: nothing. */
bool resolve_removed(struct fs *fs, struct inode *inode, struct attr *ret_attr, nlink_t *ret_links);

/* The child `name` of a directory. KE_NOT_FOUND also when there is none,
 * KE_STALE only for the directory; KE_NAME_TOO_LONG, KE_INVALID. */
int resolve_child(struct fs *fs, struct inode *dir, const char *name, uint64_t since_ns,
                  struct resolved *ret_resolved);

void look_release(struct look *look);

/* The path of a child as the table has it: for a command, which checks it again
 * with
 * command_require_id(). KE_NOT_FOUND when the directory is removed. */
int resolve_child_path(struct inode *dir, const char *name, char *dir_path, char *path);

#endif
