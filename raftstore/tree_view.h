/* Private to the readers of the namespace: what a view is. */
#ifndef KEELFS_RAFTSTORE_TREE_VIEW_H
#define KEELFS_RAFTSTORE_TREE_VIEW_H

#include "raftstore/attr_row.h"
#include "raftstore/engine.h"
#include "raftstore/tree.h"

#include <stdatomic.h>
#include <stdbool.h>

struct tree_view {
    atomic_int refs;
    struct engine *kv;
    const struct engine_snapshot *snapshot;
};

/* Of a name of a file with several, the attributes from its home row. */
int tree_view_resolve(struct tree_view *view, struct attr_row *row);

/* The row `path` or, of a directory, `path/`. */
int tree_view_find(struct tree_view *view, const char *path, bool directory,
                   struct attr_row *ret_row);

#endif
