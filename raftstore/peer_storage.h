/* What one peer keeps on disk: its Raft log and the states around it.
 *
 *   raft instance   raft_log_key    an Entry an index
 *                   raft_state_key  RaftLocalState: hard state, end of the log
 *   kv instance     apply_state_key RaftApplyState: how far kv has applied,
 *                                   and where the log begins
 *                   region_state_key RegionLocalState: the members
 *
 * Implements struct raft_storage for the core. RaftApplyState is written by the
 * apply thread together with the data; here it is only read, at open. Owned by
 * the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_PEER_STORAGE_H
#define KEELFS_RAFTSTORE_PEER_STORAGE_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/states.h"

#include <stdbool.h>
#include <stdint.h>

struct peer_storage;

/* Reads the states of `region_id` and checks that they fit together: the log has
 * no gap, reaches as far as kv has applied and agrees with it on the term there.
 * KE_CORRUPT names what does not fit. The engines are borrowed. */
int peer_storage_open(struct engine *raft, struct engine *kv, uint64_t region_id,
                      struct peer_storage **ret_storage, struct err *e);
void peer_storage_free(struct peer_storage *storage);

struct raft_storage peer_storage_interface(struct peer_storage *storage);

/* As they were at open. */
const struct region *peer_storage_region(const struct peer_storage *storage);
const struct apply_state *peer_storage_apply_state(const struct peer_storage *storage);

/* Writes what a STORAGE_APPEND asks for, in one batch: entries, the removal of
 * the tail they replace, RaftLocalState. Durable on return when `sync`. Does
 * not return when the write fails. */
void peer_storage_append(struct peer_storage *storage, const struct raft_message *append,
                         bool sync);

#endif
