#ifndef KEEL_RAFT_UNSTABLE_H
#define KEEL_RAFT_UNSTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/entry.h"
#include "raft/event.h"
#include "raft/message.h"

// The end of the log that the storage does not have for certain: entries and at
// most one snapshot before them, either waiting to be handed to the storage or
// handed over and not yet confirmed ("in progress").
//
//     storage ... | offset ... in progress ... | in_progress_to ... new ... | end
//
// The entries may start below the storage's last index: what the storage has
// from `offset` on is then about to be overwritten and no longer counts.

struct raft_unstable {
    struct raft_snapshot *snapshot; // one reference, or NULL
    bool snapshot_in_progress;
    struct raft_entry **slots; // one reference each in [start, start+count)
    size_t capacity;
    size_t start;
    size_t count;
    uint64_t offset;         // index of the first entry, were there one
    uint64_t in_progress_to; // first index not yet handed over; >= offset
    const struct raft_log_hook *hook;
};

void raft_unstable_init(struct raft_unstable *u, uint64_t offset, const struct raft_log_hook *hook);
void raft_unstable_release(struct raft_unstable *u);

// False when there is none. The term of an index that only the snapshot covers
// is known for the snapshot's last index alone.
bool raft_unstable_first_index(const struct raft_unstable *u, uint64_t *ret_index);
bool raft_unstable_last_index(const struct raft_unstable *u, uint64_t *ret_index);
bool raft_unstable_term(const struct raft_unstable *u, uint64_t index, uint64_t *ret_term);

// The entry at an index in [offset, offset+count). Borrowed.
struct raft_entry *raft_unstable_at(const struct raft_unstable *u, uint64_t index);
// Pointer to consecutive slots from `index` on. Borrowed, until the next change.
struct raft_entry **raft_unstable_slots(const struct raft_unstable *u, uint64_t index);

// Entries not handed over yet.
size_t raft_unstable_new_count(const struct raft_unstable *u);
// The snapshot, unless there is none or it is handed over. Borrowed.
struct raft_snapshot *raft_unstable_new_snapshot(const struct raft_unstable *u);
// All of it is now handed over.
void raft_unstable_accept(struct raft_unstable *u);

// Room for `count` more at the end. RAFT_E_NO_MEMORY, RAFT_E_TOO_MANY.
int raft_unstable_reserve(struct raft_unstable *u, size_t count);
// Consecutive entries replace whatever is there from the first one on; takes one
// more reference to each. Room for all was reserved.
void raft_unstable_append(struct raft_unstable *u, struct raft_entry *const *entries, size_t count);

// The storage has everything up to (term, index). Ignored when that entry has
// been replaced meanwhile.
void raft_unstable_stable_to(struct raft_unstable *u, uint64_t term, uint64_t index);
void raft_unstable_snapshot_stable(struct raft_unstable *u, uint64_t index);
// Everything gives way to the snapshot; takes one more reference.
void raft_unstable_restore(struct raft_unstable *u, struct raft_snapshot *snapshot);

#endif
