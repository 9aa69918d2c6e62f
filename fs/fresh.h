/* What was made by the changes that the observer was told last, and removed or renamed by
 * them too.
 *
 * All changes of a turn of the apply thread are told before the commands that made them
 * are answered. The inode table is told nothing of what it does not have; so a file that
 * somebody else removes in the turn in which it is made here would be taken to be there
 * when its create is answered. Such objects are in the table before it is told the
 * changes, and stay until the next are told.
 *
 * Of the apply thread.
 */
#ifndef KEELFS_FS_FRESH_H
#define KEELFS_FS_FRESH_H

#include "fs/inode.h"
#include "raftstore/store.h"

#include <stdbool.h>
#include <stddef.h>

struct fresh {
    struct inode **inodes; /* pinned */
    size_t count;
    size_t capacity;
};

/* Lets go of them. All zeros has none. */
void fresh_release(struct fresh *fresh);

/* Whether something in `changes` may be removed or renamed behind its creation. */
bool fresh_is_needed(const struct change *changes, size_t count);

/* Of a creation; a new name of something is none. */
void fresh_add(struct fresh *fresh, struct inode_table *table, const struct change *change);

#endif
