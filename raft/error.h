#ifndef KEEL_RAFT_ERROR_H
#define KEEL_RAFT_ERROR_H

// Every function of raft/ that can fail returns 0 or one of these. They are
// negative, so a count and an error fit in one int. A call that fails has left
// the node as it was before, or as it would be had a message been lost on the
// network: it may always be used further, and the call may be tried again.

#define RAFT_ERRORS(X)                                                                             \
    X(NO_MEMORY, -1, "out of memory")                                                              \
    X(COMPACTED, -2, "the log no longer holds this index")                                         \
    X(UNAVAILABLE, -3, "the log does not hold this index yet")                                     \
    X(SNAPSHOT_TEMPORARILY_UNAVAILABLE, -4, "the snapshot is not ready yet")                       \
    X(SNAPSHOT_OUT_OF_DATE, -5, "a newer snapshot is there already")                               \
    X(PROPOSAL_DROPPED, -6, "the proposal was dropped")                                            \
    X(NO_LEADER, -7, "no leader is known")                                                         \
    X(LOCAL_MESSAGE, -8, "a message of this type does not come from the network")                  \
    X(PEER_NOT_FOUND, -9, "the sender is not a member")                                            \
    X(INVALID, -10, "an argument or a message is malformed")                                       \
    X(CONF_CHANGE, -11, "the configuration change cannot be applied")                              \
    X(TOO_MANY, -12, "a limit was reached")                                                        \
    X(STORAGE, -13, "the storage failed")                                                          \
    X(CORRUPT, -14, "the stored state contradicts itself")                                         \
    X(LEASE, -15, "the leader's lease has not ended")

enum raft_error {
#define X(name, value, text) RAFT_E_##name = (value),
    RAFT_ERRORS(X)
#undef X
};

// A short English text, never NULL; for 0 it is "success".
const char *raft_error_text(int error);

#endif
