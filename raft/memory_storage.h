#ifndef KEEL_RAFT_MEMORY_STORAGE_H
#define KEEL_RAFT_MEMORY_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#include "raft/storage.h"

// A raft_storage in memory: for tests, for examples, and as the cache in front
// of a durable one. Owned and used by one thread. Entries and snapshots are kept
// by reference.

struct raft_memory_storage;

// NULL when memory is short. Starts with an empty log before index 1 and no members.
struct raft_memory_storage *raft_memory_storage_new(void);
void raft_memory_storage_free(struct raft_memory_storage *s); // NULL is fine

// The view that raft_config wants; valid as long as `s` lives.
struct raft_storage raft_memory_storage_interface(struct raft_memory_storage *s);

void raft_memory_storage_set_hard_state(struct raft_memory_storage *s,
                                        const struct raft_hard_state *state);

// Writes consecutive entries, dropping what the log had from the first one on.
// Entries at or before the compacted index are skipped. RAFT_E_INVALID when they
// would leave a gap.
int raft_memory_storage_append(struct raft_memory_storage *s, struct raft_entry *const *entries,
                               size_t count);

// Replaces log and membership by the snapshot (one more reference is taken).
// RAFT_E_SNAPSHOT_OUT_OF_DATE when the one held is as new.
int raft_memory_storage_apply_snapshot(struct raft_memory_storage *s,
                                       struct raft_snapshot *snapshot);

// Keeps a snapshot of the application's state at `index`, which must be in the
// log: the next call of snapshot() returns it. `conf` is the membership at that
// index; NULL means unchanged since the last one. RAFT_E_SNAPSHOT_OUT_OF_DATE,
// RAFT_E_UNAVAILABLE, RAFT_E_NO_MEMORY.
int raft_memory_storage_create_snapshot(struct raft_memory_storage *s, uint64_t index,
                                        const struct raft_conf_state *conf, const void *data,
                                        size_t size);

// Drops the entries up to and including `index`. RAFT_E_COMPACTED, RAFT_E_UNAVAILABLE.
int raft_memory_storage_compact(struct raft_memory_storage *s, uint64_t index);

#endif
