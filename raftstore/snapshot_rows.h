/* Every row that belongs to a snapshot, one after the other: what is built
 * from and hashed. Any thread may call.
 */
#ifndef KEELFS_RAFTSTORE_SNAPSHOT_ROWS_H
#define KEELFS_RAFTSTORE_SNAPSHOT_ROWS_H

#include "raftstore/engine.h"
#include "raftstore/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct snapshot_rows {
    struct engine *kv;
    const struct engine_snapshot *snapshot;
    uint64_t region_id;
    /* Not 0: stop with KE_CANCELLED. May be NULL. */
    const atomic_uint *interrupts;
};

/* Key and value are gone after the call. Another result than 0 ends the walk. */
typedef int snapshot_row_fn(void *ctx, struct bytes key, struct bytes value, struct err *e);

/* Calls `each` for the rows of `cf` in ascending order. */
int snapshot_rows_walk(const struct snapshot_rows *rows, enum engine_cf cf, snapshot_row_fn *each,
                       void *ctx, struct err *e);

#endif
