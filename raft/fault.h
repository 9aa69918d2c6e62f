#ifndef KEEL_RAFT_FAULT_H
#define KEEL_RAFT_FAULT_H

// Deliberate faults, to show that the simulation finds them. They exist only in
// a build with KEEL_RAFT_FAULTS; in any other each is the constant false and
// leaves no trace.

#define RAFT_FAULTS(X)                                                                             \
    X(NONE)                                                                                        \
    X(COMMIT_OLD_TERM)      /* an entry of an earlier term is committed by counting */             \
    X(ACK_BEFORE_STABLE)    /* acknowledgements and votes leave before the write */                \
    X(VOTE_FORGOTTEN)       /* a restart forgets the vote */                                       \
    X(VOTE_TWICE)           /* a second candidate gets the vote of the same term */                \
    X(VOTE_FOR_ANY_LOG)     /* the candidate's log is not looked at */                             \
    X(SELF_COUNTED_EARLY)   /* the leader counts its own entries before they are stable */         \
    X(HEARTBEAT_COMMIT)     /* heartbeats carry the commit index past the match */                 \
    X(CONFLICT_KEPT)        /* a follower keeps its conflicting entries */                         \
    X(TRUNCATE_ALWAYS)      /* an append cuts the log without a conflict */                        \
    X(READ_UNCONFIRMED)     /* a read is answered without asking a quorum */                       \
    X(READ_TOO_EARLY)       /* a read is answered before the leader committed in its term */       \
    X(QUORUM_TOO_SMALL)     /* half of the members are taken for a majority */                     \
    X(JOINT_HALF)           /* a joint configuration asks its incoming half only */                \
    X(CONF_OVERLAP)         /* a second configuration change does not wait for the first */        \
    X(LEASE_ENDLESS)        /* the lease of reads does not end */                                  \
    X(LEASE_AFTER_TRANSFER) /* nor with a transfer of leadership */                                \
    X(APPLY_UNSTABLE)       /* entries are applied before they are stable */

enum raft_fault {
#define X(name) RAFT_FAULT_##name,
    RAFT_FAULTS(X)
#undef X
};

#ifdef KEEL_RAFT_FAULTS
extern enum raft_fault raft_fault;
#define RAFT_FAULT(name) (raft_fault == RAFT_FAULT_##name)
#else
#define RAFT_FAULT(name) false
#endif

#endif
