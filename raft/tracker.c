#include "raft/tracker.h"

#include <assert.h>
#include <string.h>

void raft_tracker_init(struct raft_tracker *t, const struct raft_inflight_limits *limits)
{
    memset(t, 0, sizeof(*t));
    t->limits = *limits;
}

void raft_tracker_release(struct raft_tracker *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        raft_inflights_release(&t->progress[i].inflights);
    }
    t->count = 0;
}

const struct raft_progress *raft_tracker_peek(const struct raft_tracker *t, uint64_t id)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->progress[i].id == id) {
            return &t->progress[i];
        }
    }
    return NULL;
}

struct raft_progress *raft_tracker_find(struct raft_tracker *t, uint64_t id)
{
    return (struct raft_progress *)raft_tracker_peek(t, id);
}

struct raft_progress *raft_tracker_insert(struct raft_tracker *t, uint64_t id)
{
    assert(raft_tracker_peek(t, id) == NULL);
    if (t->count == RAFT_MEMBERS_MAX) {
        return NULL;
    }
    uint32_t at = t->count;
    while (at > 0 && t->progress[at - 1].id > id) {
        t->progress[at] = t->progress[at - 1];
        at--;
    }
    t->count++;
    memset(&t->progress[at], 0, sizeof(t->progress[at]));
    t->progress[at].id = id;
    return &t->progress[at];
}

void raft_tracker_remove(struct raft_tracker *t, uint64_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->progress[i].id != id) {
            if (kept != i) {
                t->progress[kept] = t->progress[i];
            }
            kept++;
        }
    }
    t->count = kept;
}

bool raft_tracker_is_joint(const struct raft_tracker *t)
{
    return t->conf.voters_outgoing.count > 0;
}

bool raft_tracker_is_voter(const struct raft_tracker *t, uint64_t id)
{
    return raft_id_set_has(&t->conf.voters, id) || raft_id_set_has(&t->conf.voters_outgoing, id);
}

bool raft_tracker_is_only_voter(const struct raft_tracker *t, uint64_t id)
{
    return t->conf.voters.count == 1 && t->conf.voters.ids[0] == id &&
           t->conf.voters_outgoing.count == 0;
}

static bool match_of(const void *ctx, uint64_t id, uint64_t *ret_index)
{
    const struct raft_progress *p = raft_tracker_peek(ctx, id);
    if (p == NULL) {
        return false;
    }
    *ret_index = p->match;
    return true;
}

static bool read_acked_of(const void *ctx, uint64_t id, uint64_t *ret_index)
{
    const struct raft_progress *p = raft_tracker_peek(ctx, id);
    if (p == NULL) {
        return false;
    }
    *ret_index = p->read_acked;
    return true;
}

static bool lease_tick_of(const void *ctx, uint64_t id, uint64_t *ret_index)
{
    const struct raft_progress *p = raft_tracker_peek(ctx, id);
    if (p == NULL) {
        return false;
    }
    *ret_index = p->lease_tick;
    return true;
}

uint64_t raft_tracker_committed(const struct raft_tracker *t)
{
    return raft_joint_committed(&t->conf.voters, &t->conf.voters_outgoing, match_of, t);
}

uint64_t raft_tracker_read_acked(const struct raft_tracker *t)
{
    return raft_joint_committed(&t->conf.voters, &t->conf.voters_outgoing, read_acked_of, t);
}

uint64_t raft_tracker_lease_tick(const struct raft_tracker *t)
{
    return raft_joint_committed(&t->conf.voters, &t->conf.voters_outgoing, lease_tick_of, t);
}

static enum raft_vote activity_of(const void *ctx, uint64_t id)
{
    const struct raft_progress *p = raft_tracker_peek(ctx, id);
    if (p == NULL || p->learner) {
        return RAFT_VOTE_MISSING;
    }
    return p->recent_active ? RAFT_VOTE_YES : RAFT_VOTE_NO;
}

bool raft_tracker_quorum_active(const struct raft_tracker *t)
{
    return raft_joint_vote(&t->conf.voters, &t->conf.voters_outgoing, activity_of, t) ==
           RAFT_VOTE_WON;
}

void raft_tracker_reset_votes(struct raft_tracker *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        t->progress[i].vote = RAFT_VOTE_MISSING;
    }
}

void raft_tracker_record_vote(struct raft_tracker *t, uint64_t id, bool yes)
{
    struct raft_progress *p = raft_tracker_find(t, id);
    if (p != NULL && p->vote == RAFT_VOTE_MISSING) {
        p->vote = yes ? RAFT_VOTE_YES : RAFT_VOTE_NO;
    }
}

static enum raft_vote vote_of(const void *ctx, uint64_t id)
{
    const struct raft_progress *p = raft_tracker_peek(ctx, id);
    return p == NULL ? RAFT_VOTE_MISSING : p->vote;
}

enum raft_vote_result raft_tracker_tally(const struct raft_tracker *t, uint32_t *ret_granted,
                                         uint32_t *ret_rejected)
{
    *ret_granted = 0;
    *ret_rejected = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct raft_progress *p = &t->progress[i];
        if (!p->learner) {
            *ret_granted += p->vote == RAFT_VOTE_YES;
            *ret_rejected += p->vote == RAFT_VOTE_NO;
        }
    }
    return raft_joint_vote(&t->conf.voters, &t->conf.voters_outgoing, vote_of, t);
}
