/* The replacing of a region's data by a received snapshot, in steps that a crash may
 * cut short anywhere:
 *
 *   marked    kv: region state Applying, with the snapshot        synced
 *   log       raft: no entries, and the local state               synced
 *   cleared   kv: every row of the data is deleted
 *   ingested  kv: the tables are put in                           durable each
 *   normal    kv: apply state, members, region state Normal       synced
 *
 * A start that finds Applying does all steps again: each gives the same whatever
 * was there before. Readers see the old data until the last step.
 */
#ifndef KEELFS_RAFTSTORE_SNAPSHOT_INSTALL_H
#define KEELFS_RAFTSTORE_SNAPSHOT_INSTALL_H

#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/snap_files.h"
#include "raftstore/snapshot.h"
#include "raftstore/states.h"
#include "raftstore/tree.h"

#include <stdbool.h>

struct snapshot_install {
    struct engine *raft;
    struct engine *kv;
    struct tree *tree; /* NULL: nobody reads */
    struct snap_files *files;
    const struct snapshot_meta *meta;
    const struct raft_local_state *local;
    /* Read all rows before the last step. A try that was cut short has changed the
     * tables, so their checksums say nothing; the engine has its own, a block. */
    bool read_back;
};

/* When it fails the region stays Applying, and the tree held. */
int snapshot_install(const struct snapshot_install *what, struct err *e);

#endif
