/* What is left of an object when its last name is gone: attributes and extended
 * attributes, which whoever has it open still sees and changes. They are this node's
 * own, and go with its inode. The content of a file is with its open state (file.h).
 *
 * Its lock is the last one in the order.
 */
#ifndef KEELFS_FS_REMAINS_H
#define KEELFS_FS_REMAINS_H

#include "raftstore/attr.h"
#include "raftstore/command.h"
#include "raftstore/store.h"
#include "raftstore/tree.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct remains;

/* Of an object that was `change->last`. */
struct remains *remains_new(const struct change *change);
/* NULL is fine. */
void remains_free(struct remains *remains);

/* Without links. */
void remains_get_attr(struct remains *remains, struct attr *ret_attr);
void remains_set_attr(struct remains *remains, const struct command_set_attr *set, int64_t now_ns);

/* Of a symbolic link; as long as the remains are there. */
const char *remains_target(const struct remains *remains);

/* As tree_get_xattr() and tree_list_xattrs(). */
int remains_get_xattr(struct remains *remains, const char *name, uint8_t **ret_value,
                      size_t *ret_size);
void remains_list_xattrs(struct remains *remains, tree_xattr_fn *each, void *ctx);
/* As command_set_xattr(), but lists of access say nothing of the mode. */
int remains_set_xattr(struct remains *remains, const char *name, const void *value, size_t size,
                      enum command_xattr_mode mode);

#endif
