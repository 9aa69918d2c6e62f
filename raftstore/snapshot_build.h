/* The making of a snapshot's files from an image of the data. */
#ifndef KEELFS_RAFTSTORE_SNAPSHOT_BUILD_H
#define KEELFS_RAFTSTORE_SNAPSHOT_BUILD_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/region_worker.h"
#include "raftstore/snap_files.h"

#include <stdatomic.h>

/* What the files of the image's snapshot are called. */
struct snap_id snapshot_build_id(const struct region_image *image);

/* Writes the files, durably, and describes them in `*ret_snapshot` (one reference);
 * the files hold one reference then. KE_CANCELLED when `*interrupts` is not 0;
 * KE_BUSY when files of that name are there. On failure nothing is left. */
int snapshot_build(struct engine *kv, struct snap_files *files, const struct region_image *image,
                   const atomic_uint *interrupts, struct raft_snapshot **ret_snapshot,
                   struct err *e);

#endif
