#ifndef KEEL_RAFT_ENTRY_H
#define KEEL_RAFT_ENTRY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

// One entry of the log: a header and its payload in a single allocation.
//
// An entry is filled by whoever makes it, then proposed. The leader stamps term
// and index when it appends; from then on nothing in it changes, so the log,
// the messages, the storage and the apply thread all share the one object by
// reference and nobody copies it. The references are atomic: an entry may be
// released by any thread.

enum raft_entry_type {
    RAFT_ENTRY_NORMAL = 0,
    // data is one change in the form of raft_conf_change_encode(), v1.
    RAFT_ENTRY_CONF_CHANGE = 1,
    // data is a list of changes in the v2 form; no data at all means "leave the joint
    // configuration".
    RAFT_ENTRY_CONF_CHANGE_V2 = 2,
};

// Largest payload of one entry, in bytes.
#define RAFT_ENTRY_SIZE_MAX (64u << 20)

struct raft_entry {
    atomic_uint refs;
    enum raft_entry_type type;
    uint64_t term;  // 0 until a leader appended it
    uint64_t index; // 0 until a leader appended it
    size_t size;    // bytes in data
    uint8_t data[];
};

// A new entry with one reference, owned by the caller, its data not initialised
// (alloc) or copied from `data` (new). NULL when memory is short or size is over
// RAFT_ENTRY_SIZE_MAX.
struct raft_entry *raft_entry_alloc(enum raft_entry_type type, size_t size);
struct raft_entry *raft_entry_new(enum raft_entry_type type, const void *data, size_t size);

// One more reference; returns `entry` so that it can be stored in the same line.
struct raft_entry *raft_entry_ref(struct raft_entry *entry);

// One reference less; the last one frees. NULL is fine.
void raft_entry_unref(struct raft_entry *entry);

// Bytes the entry takes when it is encoded as an eraftpb.Entry: the unit of all
// limits on messages and on entries being applied.
uint64_t raft_entry_encoded_size(const struct raft_entry *entry);

#endif
