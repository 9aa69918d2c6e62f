/* What a Raft snapshot of a region consists of, and the form in which it travels
 * in struct raft_snapshot: a raft_serverpb.RaftSnapshotData.
 *
 * The data is in one table file a column family (snap_files.h); with it go the
 * revision and the members. Index, term and configuration are the
 * raft_snapshot's own.
 */
#ifndef KEELFS_RAFTSTORE_SNAPSHOT_H
#define KEELFS_RAFTSTORE_SNAPSHOT_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/membership.h"

#include <stdint.h>

struct snapshot_file {
    enum engine_cf cf;
    uint64_t size;     /* 0: no rows, no file */
    uint32_t checksum; /* XXH32 of the whole file, seed 0 */
};

struct snapshot_meta {
    uint64_t index;
    uint64_t term;
    uint64_t revision;
    struct membership membership;
    struct snapshot_file files[CF_COUNT]; /* one each, in order of enum engine_cf */
    uint64_t total_bytes;
};

/* With one reference. */
struct raft_snapshot *snapshot_pack(const struct snapshot_meta *meta);
/* KE_INVALID: not made by snapshot_pack(), or contradicts itself. */
int snapshot_unpack(const struct raft_snapshot *snapshot, struct snapshot_meta *ret_meta,
                    struct err *e);
/* The same from the row of a region in state Applying; damage is KE_CORRUPT. */
int snapshot_unpack_applying(const struct applying *applying, struct snapshot_meta *ret_meta,
                             struct err *e);

/* Only these rows of CF_META are part of the data that is hashed and carried: those
 * of sessions and usage. Calls `each` for every range [from, to) of rows of `cf`
 * that are, in ascending order; both ends are finite, and gone after the call. */
typedef void snapshot_range_fn(void *ctx, struct bytes from, struct bytes to);
void snapshot_each_range(enum engine_cf cf, uint64_t region_id, snapshot_range_fn *each, void *ctx);

#endif
