#include <assert.h>
#include <string.h>

#include "raft/core.h"
#include "raft/random.h"

// What every change of role begins with.
static void reset(struct raft *r, uint64_t term)
{
    if (r->term != term) {
        assert(term > r->term);
        r->term = term;
        r->vote = RAFT_NONE;
    }
    r->leader = RAFT_NONE;
    r->transferee = RAFT_NONE;
    r->election_elapsed = 0;
    r->heartbeat_elapsed = 0;
    // One tick more than the lease at least: members tick at different moments,
    // and one that campaigns the moment its own lease ends is refused by another
    // whose lease has a part of a tick to go.
    r->randomized_timeout =
        r->config.election_ticks + 1 +
        (int)raft_random_below(&r->random_state, (uint64_t)r->config.election_ticks - 1);
    r->pending_conf_index = 0;
    r->uncommitted_bytes = 0;
    r->commit_limit = RAFT_NO_LIMIT;
    r->lease_given_away = false;
    raft_read_only_reset(&r->reads);

    uint64_t last = raft_log_last_index(&r->log);
    for (uint32_t i = 0; i < r->tracker.count; i++) {
        struct raft_progress *p = &r->tracker.progress[i];
        struct raft_progress fresh = {
            .id = p->id,
            .match = p->id == r->id ? last : 0,
            .next = last + 1,
            .inflights = p->inflights,
            .learner = p->learner,
        };
        raft_inflights_reset(&fresh.inflights);
        *p = fresh;
    }
}

void raft_become_follower(struct raft *r, uint64_t term, uint64_t leader)
{
    reset(r, term);
    r->role = RAFT_FOLLOWER;
    r->leader = leader;
    RAFT_TELL(&r->config.log, BECAME_FOLLOWER, .node = r->id, .term = r->term);
}

void raft_become_pre_candidate(struct raft *r)
{
    assert(r->role != RAFT_LEADER);
    // Neither term nor vote change: a pre-vote promises nothing.
    raft_tracker_reset_votes(&r->tracker);
    r->role = RAFT_PRE_CANDIDATE;
    r->leader = RAFT_NONE;
    RAFT_TELL(&r->config.log, BECAME_PRE_CANDIDATE, .node = r->id, .term = r->term);
}

void raft_become_candidate(struct raft *r)
{
    assert(r->role != RAFT_LEADER);
    reset(r, r->term + 1);
    r->role = RAFT_CANDIDATE;
    r->vote = r->id;
    RAFT_TELL(&r->config.log, BECAME_CANDIDATE, .node = r->id, .term = r->term);
}

int raft_become_leader(struct raft *r)
{
    assert(r->role == RAFT_CANDIDATE);
    // Everything that can fail comes first.
    struct raft_entry *empty = raft_entry_alloc(RAFT_ENTRY_NORMAL, 0);
    if (empty == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    int rc = raft_unstable_reserve(&r->log.unstable, 1);
    if (rc == 0) {
        rc = raft_outbox_reserve(&r->after_append, 1);
    }
    if (rc != 0) {
        raft_entry_unref(empty);
        return rc;
    }
    reset(r, r->term);
    r->role = RAFT_LEADER;
    r->leader = r->id;
    struct raft_progress *self = raft_tracker_find(&r->tracker, r->id);
    assert(self != NULL);
    raft_progress_become_replicate(self);
    self->recent_active = true;
    // There may be a change in the tail of the log. Looking for it costs more
    // than waiting until the tail is applied.
    r->pending_conf_index = raft_log_last_index(&r->log);
    // Paper 8: an entry of its own term tells the leader what is committed.
    rc = raft_append_entries(r, &empty, 1);
    raft_entry_unref(empty);
    assert(rc == 0);
    RAFT_TELL(&r->config.log, BECAME_LEADER, .node = r->id, .term = r->term);
    return 0;
}
