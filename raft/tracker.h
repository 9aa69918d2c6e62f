#ifndef KEEL_RAFT_TRACKER_H
#define KEEL_RAFT_TRACKER_H

#include "raft/conf.h"
#include "raft/progress.h"
#include "raft/quorum.h"

// The configuration in force and one progress for each of its members, by
// ascending id. A tracker is copied by assignment while a change is worked out
// (changer.h): the copy shares the memory of the in-flight windows, and exactly
// one of the two is kept.

struct raft_tracker {
    struct raft_conf_state conf;
    uint32_t count;
    struct raft_progress progress[RAFT_MEMBERS_MAX];
    struct raft_inflight_limits limits;
};

void raft_tracker_init(struct raft_tracker *t, const struct raft_inflight_limits *limits);
void raft_tracker_release(struct raft_tracker *t);

// NULL: not a member.
struct raft_progress *raft_tracker_find(struct raft_tracker *t, uint64_t id);
const struct raft_progress *raft_tracker_peek(const struct raft_tracker *t, uint64_t id);

// Inserts an empty progress; NULL when all RAFT_MEMBERS_MAX are taken.
struct raft_progress *raft_tracker_insert(struct raft_tracker *t, uint64_t id);
void raft_tracker_remove(struct raft_tracker *t, uint64_t id);

bool raft_tracker_is_joint(const struct raft_tracker *t);
bool raft_tracker_is_voter(const struct raft_tracker *t, uint64_t id);
// Is `id` the only voter? (A demoted leader goes on leading for a while: the only
// voter then is another.)
bool raft_tracker_is_only_voter(const struct raft_tracker *t, uint64_t id);

// Highest index matched by a quorum.
uint64_t raft_tracker_committed(const struct raft_tracker *t);
// Newest read confirmed by a quorum, newest heartbeat tick answered by a quorum.
uint64_t raft_tracker_read_acked(const struct raft_tracker *t);
uint64_t raft_tracker_lease_tick(const struct raft_tracker *t);
// Has a quorum been heard since recent_active was last cleared?
bool raft_tracker_quorum_active(const struct raft_tracker *t);

void raft_tracker_reset_votes(struct raft_tracker *t);
// The first vote of a member counts, later ones are ignored.
void raft_tracker_record_vote(struct raft_tracker *t, uint64_t id, bool yes);
enum raft_vote_result raft_tracker_tally(const struct raft_tracker *t, uint32_t *ret_granted,
                                         uint32_t *ret_rejected);

#endif
