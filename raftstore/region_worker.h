/* The region thread: work on the whole data of a region that takes long. Builds
 * snapshots into files, applies received ones, hashes the data.
 *
 * A build or hash works from an engine snapshot and stops nobody. One task at a time,
 * in order, except that installing a snapshot goes first and cancels a build under
 * way. Tasks come from the raft and the apply thread.
 */
#ifndef KEELFS_RAFTSTORE_REGION_WORKER_H
#define KEELFS_RAFTSTORE_REGION_WORKER_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/membership.h"
#include "raftstore/snap_files.h"
#include "raftstore/snapshot.h"
#include "raftstore/states.h"
#include "raftstore/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* Hashes that are remembered, newest first. */
#define REGION_WORKER_HASHES_MAX 16
/* Builds and hashes that may wait; each keeps an engine snapshot. */
#define REGION_WORKER_TASKS_MAX 16

struct region_worker;

struct region_worker_config {
    struct engine *raft;
    struct engine *kv;
    struct tree *tree;
    struct snap_files *files;
    /* A build ended: a snapshot with one reference (the callee's; its files hold one
     * reference of SNAP_GENERATED too, which the callee drops with
     * snap_files_unref()), or NULL and why: KE_CANCELLED when an installation went
     * first, KE_SHUTDOWN, KE_BUSY. On the region thread, or within
     * region_worker_build() when too many tasks wait; must not block. */
    void (*built)(void *ctx, struct raft_snapshot *snapshot, const struct err *e);
    void *ctx;
};

struct region_worker *region_worker_start(const struct region_worker_config *config);
/* Cancels a build; an installation under way is finished. NULL is fine. */
void region_worker_stop(struct region_worker *worker);

/* The state at one moment, taken by the apply thread between two batches. */
struct region_image {
    const struct engine_snapshot *snapshot; /* taken over */
    struct apply_state state;
    struct membership membership;
};
/* Builds a snapshot; `built` is told. One of the same index whose files are still
 * there is given out again. */
void region_worker_build(struct region_worker *worker, const struct region_image *image);
/* Hashes the data of the image under its applied index. Dropped when too many tasks
 * wait. */
void region_worker_hash(struct region_worker *worker, const struct region_image *image);
/* False when it is not known: not yet, no longer, or never. Any thread. */
bool region_worker_hash_result(struct region_worker *worker, uint64_t index, uint64_t *ret_hash);

/* Replaces the data by a received snapshot, crash-atomically, and waits until that is
 * done: region state Applying (synced), log and RaftLocalState as `local` has it
 * (synced), old rows deleted, tables put in, states Normal (synced). In the
 * meantime readers see the old state (tree_hold()). Called by the apply thread,
 * which has nothing half done then. Does not return when it fails: half a store
 * serves nobody, and the next start goes on with it. */
void region_worker_install(struct region_worker *worker, const struct snapshot_meta *meta,
                           const struct raft_local_state *local);

/* Goes on with an installation that a crash has cut short; at start, before any
 * thread. KE_CORRUPT when its files are not whole; rows that cannot be read end the
 * process. The region stays Applying then. */
int snapshot_resume(struct engine *raft, struct engine *kv, struct snap_files *files,
                    const struct snapshot_meta *meta, struct err *e);

#endif
