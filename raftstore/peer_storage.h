/* What one peer keeps on disk: its Raft log and the states around it.
 *
 *   raft instance   raft_log_key    an Entry an index
 *                   raft_state_key  RaftLocalState: hard state, end of the log
 *   kv instance     apply_state_key RaftApplyState: how far kv has applied,
 *                                   and where the log begins
 *                   region_state_key RegionLocalState: the members
 *
 * Implements struct raft_storage for the core. The states in kv are written by the
 * apply thread together with the data; here they are only read, at open. Owned by
 * the raft thread.
 *
 * A snapshot is made on demand and kept as long as it is of use: for several
 * members, and until the log is cut past it.
 *
 *     NONE --the core asks--> BUILDING --built--> READY --overtaken--> NONE
 *                                 '--overtaken: again, five times in all--> NONE
 */
#ifndef KEELFS_RAFTSTORE_PEER_STORAGE_H
#define KEELFS_RAFTSTORE_PEER_STORAGE_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/log_size.h"
#include "raftstore/membership.h"
#include "raftstore/snap_files.h"
#include "raftstore/states.h"

#include <stdbool.h>
#include <stdint.h>

/* Builds of one snapshot in a row that may be overtaken by log GC. */
#define PEER_STORAGE_SNAPSHOT_TRIES 5

struct peer_storage;

/* Reads the states of `region_id` and checks that they fit together: the log has
 * no gap, reaches as far as kv has applied and agrees with it on the term there.
 * KE_CORRUPT names what does not fit. The engines are borrowed. */
int peer_storage_open(struct engine *raft, struct engine *kv, uint64_t region_id,
                      struct peer_storage **ret_storage, struct err *e);
void peer_storage_free(struct peer_storage *storage);

struct raft_storage peer_storage_interface(struct peer_storage *storage);

/* As they were at open. */
const struct membership *peer_storage_membership(const struct peer_storage *storage);
const struct apply_state *peer_storage_apply_state(const struct peer_storage *storage);

/* The log. */
uint64_t peer_storage_truncated_index(const struct peer_storage *storage);
const struct log_size *peer_storage_log_size(const struct peer_storage *storage);
/* 0 when the entry is not in the log. */
uint64_t peer_storage_term(struct peer_storage *storage, uint64_t index);

/* Writes what a STORAGE_APPEND asks for, in one batch: entries, the removal of
 * the tail they replace, RaftLocalState. Durable on return when `sync`. Does
 * not return when the write fails. */
void peer_storage_append(struct peer_storage *storage, const struct raft_message *append,
                         bool sync);

/* The log is cut: its entries up to `index`, of `term`, are read no more. */
void peer_storage_compact(struct peer_storage *storage, uint64_t index, uint64_t term);

/* --- snapshots --- */

/* `build` is called when a snapshot should be built; peer_storage_snapshot_built()
 * answers it. `files` is where it will be. */
void peer_storage_set_snapshots(struct peer_storage *storage, struct snap_files *files,
                                void (*build)(void *ctx), void *ctx);
/* Takes the reference; NULL and why when it failed. */
void peer_storage_snapshot_built(struct peer_storage *storage, struct raft_snapshot *snapshot,
                                 const struct err *why);
/* Snapshots older than `index` are of no use: the members have changed there. */
void peer_storage_outdate_snapshots(struct peer_storage *storage, uint64_t index);

/* A snapshot takes the place of everything: from now on the log is empty behind it.
 * `*ret_local` is what the installation has to write to the raft instance. */
void peer_storage_install(struct peer_storage *storage, const struct raft_message *append,
                          struct raft_local_state *ret_local);

#endif
