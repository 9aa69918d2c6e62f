#ifndef KEEL_RAFT_STORAGE_H
#define KEEL_RAFT_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/conf.h"
#include "raft/entry.h"
#include "raft/message.h"

// How a node reads back what the application has stored for it. The node never
// writes through this: what to write comes out of raft_node_ready().
//
// The log in the storage is the entries [first_index, last_index], preceded by
// one more index whose term alone is known: that of the last snapshot or
// compaction, 0 at the very start. The functions are called from within the
// calls into the node, by the same thread. They must answer from what is
// already written, including writes whose completion the node has not heard of
// yet; entries not yet written the node holds itself.
//
// Any function may fail with RAFT_E_NO_MEMORY or RAFT_E_STORAGE: the public
// call that needed it then fails with that, and has had no effect beyond what a
// lost message would have.

struct raft_hard_state {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};

bool raft_hard_state_equal(const struct raft_hard_state *a, const struct raft_hard_state *b);
bool raft_hard_state_is_empty(const struct raft_hard_state *state);

struct raft_storage_ops {
    // What was last written: zeroes on a node that never ran. Called once, by raft_node_new().
    int (*initial_state)(void *ctx, struct raft_hard_state *ret_hard,
                         struct raft_conf_state *ret_conf);

    // The entries lo .. hi-1, stopping before one that would bring their encoded
    // sizes over max_bytes, but at least one. `entries` has room for hi-lo, never
    // more than RAFT_MESSAGE_ENTRIES_MAX; each filled slot gets one reference that
    // the caller owns. RAFT_E_COMPACTED when lo is gone, RAFT_E_UNAVAILABLE when
    // part of the range is missing. On failure no slot holds a reference.
    int (*entries)(void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                   struct raft_entry **entries, size_t *ret_count);

    // The term at an index in [first_index-1, last_index]; else RAFT_E_COMPACTED
    // or RAFT_E_UNAVAILABLE.
    int (*term)(void *ctx, uint64_t index, uint64_t *ret_term);

    int (*first_index)(void *ctx, uint64_t *ret_index);
    int (*last_index)(void *ctx, uint64_t *ret_index);

    // A snapshot no older than first_index-1, with a reference for the caller.
    // RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE: not now, the node asks again.
    int (*snapshot)(void *ctx, struct raft_snapshot **ret_snapshot);
};

struct raft_storage {
    const struct raft_storage_ops *ops;
    void *ctx;
};

#endif
