#ifndef KEEL_RAFT_NODE_H
#define KEEL_RAFT_NODE_H

#include "raft/core.h"

// What stands behind struct raft_node: the algorithm, and what has been handed
// out of it. node.c has the calls into it, ready.c the way out.

struct raft_node {
    struct raft raft;

    // As of the last Ready.
    uint64_t last_leader;
    enum raft_role last_role;
    struct raft_hard_state last_hard_state;

    // What the last Ready lends out.
    struct raft_outbox sent;
    struct raft_outbox persisted;
    struct raft_read_state *read_states;
    size_t read_state_capacity;
    struct raft_log_slice entries;   // plain mode; else the message has them
    struct raft_log_slice committed; // likewise
    struct raft_snapshot *snapshot;

    // Plain mode: messages to this node itself, due at advance.
    struct raft_outbox on_advance;
    bool awaits_advance;
};

struct raft_hard_state raft_node_hard_state(const struct raft_node *node);

#endif
