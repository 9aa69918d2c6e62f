/* The making of a tree, for the store that owns the engine. */
#ifndef KEELFS_RAFTSTORE_TREE_ENGINE_H
#define KEELFS_RAFTSTORE_TREE_ENGINE_H

#include "raftstore/engine.h"
#include "raftstore/tree.h"

/* `kv` is borrowed and must outlive the tree and every view of it. */
struct tree *tree_new(struct engine *kv);
void tree_free(struct tree *tree); /* NULL is fine */

#endif
