/* From inodes to what the store has of them now.
 *
 * The paths in the inode table and the store move apart for moments. So each
 * look checks that what stands at a path is still the inode that is meant, in
 * the same snapshot as everything else. KE_STALE says that it is not: behind
 * another read point the table has caught up. A look takes a snapshot, which
 * look_release() lets go.
 *
 * A look needs a read point: something that makes sure that what was acknowledged
 * before the call is applied here. The lease is one, when the store says that nothing
 * is on its way to the path; otherwise FILE_WAIT_READ_POINT asks the caller to wait for
 * one (request_read_again()). Once reached, it holds for the rest of the request.
 * Objects that have, or had, several names always need a wait: another name's change
 * is not seen at this one.
 *
 * A file that has, or had, several names is found by its id when the path that is
 * known here is not one of them any more: another node may have made the others.
 */
#ifndef KEELFS_FS_RESOLVE_H
#define KEELFS_FS_RESOLVE_H

#include "fs/file.h"
#include "fs/inode.h"
#include "fs/reply.h"
#include "fs/request.h"
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

/* Returns 0; FILE_WAIT_READ_POINT; KE_STALE; KE_NOT_FOUND when the inode is removed;
 * KE_IO, KE_CORRUPT. Nothing to release on failure. */
int resolve_inode(struct request *request, struct inode *inode, struct resolved *ret_resolved);

/* The attributes of a removed inode, as those see it who have it open. False: nobody knows
 * them, since a snapshot removed it. */
bool resolve_removed(struct inode *inode, struct attr *ret_attr);

/* The child `name` of a directory. KE_NOT_FOUND also when there is none: then
 * `look.until_ns` and `look.given` say for how long. KE_STALE only for the directory;
 * KE_NAME_TOO_LONG, KE_INVALID. */
int resolve_child(struct request *request, struct inode *dir, const char *name,
                  struct resolved *ret_resolved);

/* What the kernel may keep of an answer that shows what was found, after file_show();
 * it is noted. `_missing`: when nothing was found. */
struct keep resolve_keep(struct fs *fs, const struct look *look, struct inode *inode);
struct keep resolve_keep_attr(struct fs *fs, const struct look *look, struct inode *inode);
struct keep resolve_keep_missing(struct fs *fs, const struct look *look);

void look_release(struct look *look);

/* The path of a child as the table has it: for a command, which checks it again
 * with
 * command_require_id(). KE_NOT_FOUND when the directory is removed. */
int resolve_child_path(struct inode *dir, const char *name, char *dir_path, char *path);

#endif
