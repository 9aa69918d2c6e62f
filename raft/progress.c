#include "raft/progress.h"

#include <assert.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void enter(struct raft_progress *p, enum raft_progress_state state)
{
    p->state = state;
    p->flow_paused = false;
    p->pending_snapshot = 0;
    raft_inflights_reset(&p->inflights);
}

void raft_progress_become_probe(struct raft_progress *p)
{
    // Coming from SNAPSHOT, the member is taken to have it; a failed one was
    // cleared by the caller.
    uint64_t from = p->state == RAFT_PROGRESS_SNAPSHOT ? p->pending_snapshot : 0;
    enter(p, RAFT_PROGRESS_PROBE);
    p->next = max_u64(p->match, from) + 1;
    p->sent_commit = min_u64(p->sent_commit, p->next - 1);
}

void raft_progress_become_replicate(struct raft_progress *p)
{
    enter(p, RAFT_PROGRESS_REPLICATE);
    p->next = p->match + 1;
}

void raft_progress_become_snapshot(struct raft_progress *p, uint64_t snapshot_index)
{
    enter(p, RAFT_PROGRESS_SNAPSHOT);
    p->pending_snapshot = snapshot_index;
    p->next = snapshot_index + 1;
    p->sent_commit = snapshot_index;
}

void raft_progress_sent(struct raft_progress *p, uint64_t count, uint64_t bytes,
                        const struct raft_inflight_limits *limits)
{
    assert(p->state != RAFT_PROGRESS_SNAPSHOT);
    if (p->state == RAFT_PROGRESS_PROBE) {
        p->flow_paused = p->flow_paused || count > 0;
        return;
    }
    if (count > 0) {
        p->next += count;
        raft_inflights_add(&p->inflights, p->next - 1, bytes);
    }
    // An append into a full window is a probe: it keeps the member reachable
    // when all that filled the window was lost.
    p->flow_paused = raft_inflights_full(&p->inflights, limits);
}

bool raft_progress_wants_commit(const struct raft_progress *p, uint64_t commit)
{
    return commit > p->sent_commit && p->sent_commit < p->next - 1;
}

bool raft_progress_matched(struct raft_progress *p, uint64_t index)
{
    if (index <= p->match) {
        return false;
    }
    p->match = index;
    p->next = max_u64(p->next, index + 1);
    p->flow_paused = false;
    return true;
}

bool raft_progress_rejected(struct raft_progress *p, uint64_t rejected, uint64_t hint)
{
    if (p->state == RAFT_PROGRESS_REPLICATE) {
        if (rejected <= p->match) {
            return false;
        }
        p->next = p->match + 1;
    } else {
        // Only one probe is out at a time: a rejection of another index is stale.
        if (rejected != p->next - 1) {
            return false;
        }
        uint64_t hinted = hint == UINT64_MAX ? hint : hint + 1;
        p->next = max_u64(min_u64(rejected, hinted), p->match + 1);
        p->flow_paused = false;
    }
    p->sent_commit = min_u64(p->sent_commit, p->next - 1);
    return true;
}

bool raft_progress_is_paused(const struct raft_progress *p)
{
    return p->state == RAFT_PROGRESS_SNAPSHOT || p->flow_paused;
}

void raft_progress_describe(const struct raft_progress *p,
                            const struct raft_inflight_limits *limits,
                            struct raft_peer_status *ret_status)
{
    *ret_status = (struct raft_peer_status){
        .id = p->id,
        .match = p->match,
        .next = p->next,
        .pending_snapshot = p->pending_snapshot,
        .state = p->state,
        .inflight_count = p->inflights.count,
        .inflight_full = raft_inflights_full(&p->inflights, limits),
        .paused = raft_progress_is_paused(p),
        .recent_active = p->recent_active,
        .learner = p->learner,
    };
}
