#ifndef KEEL_RAFT_CHANGER_H
#define KEEL_RAFT_CHANGER_H

#include "raft/conf.h"
#include "raft/tracker.h"

// The step from one configuration to the next (dissertation 4.1, 4.3). Each
// operation works on `next`, a copy of the tracker in force, and either leaves a
// valid configuration there or says why not; on failure `next` is to be thrown
// away. Nothing is allocated, so throwing away is just forgetting.
//
// A voter that is demoted inside a joint configuration stays a voter of the
// outgoing half; it waits in learners_next and becomes a learner at the end.

#define RAFT_CHANGER_RESULTS(X)                                                                    \
    X(OK, "ok")                                                                                    \
    X(ALREADY_JOINT, "a joint configuration is in force already")                                  \
    X(NO_VOTERS_YET, "a configuration without voters cannot become joint")                         \
    X(NOT_JOINT, "no joint configuration is in force")                                             \
    X(SIMPLE_IN_JOINT, "a joint configuration takes no simple change")                             \
    X(NO_VOTERS_LEFT, "no voter would be left")                                                    \
    X(TOO_FAR, "a simple change may add or remove one voter only")                                 \
    X(TOO_MANY_MEMBERS, "too many members")

enum raft_change_result {
#define X(name, text) RAFT_CHANGER_##name,
    RAFT_CHANGER_RESULTS(X)
#undef X
};

// The index of the last entry of the log: new members are first probed there.
enum raft_change_result raft_changer_simple(struct raft_tracker *next, uint64_t last_index,
                                            const struct raft_conf_change_single *changes,
                                            uint32_t count);
enum raft_change_result raft_changer_enter_joint(struct raft_tracker *next, uint64_t last_index,
                                                 bool auto_leave,
                                                 const struct raft_conf_change_single *changes,
                                                 uint32_t count);
enum raft_change_result raft_changer_leave_joint(struct raft_tracker *next);

// Whichever of the three the change stands for.
enum raft_change_result raft_changer_apply(struct raft_tracker *next, uint64_t last_index,
                                           const struct raft_conf_change *change);

// Brings an empty tracker to the given configuration.
enum raft_change_result raft_changer_restore(struct raft_tracker *next, uint64_t last_index,
                                             const struct raft_conf_state *conf);

#endif
