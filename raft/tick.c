#include "raft/core.h"

static void tick_election(struct raft *r)
{
    r->election_elapsed++;
    if (raft_is_promotable(r) && r->election_elapsed >= r->randomized_timeout) {
        r->election_elapsed = 0;
        raft_hup(r, r->config.pre_vote ? RAFT_CAMPAIGN_PRE : RAFT_CAMPAIGN_REAL);
    }
}

static void tick_leader(struct raft *r)
{
    r->heartbeat_elapsed++;
    r->election_elapsed++;
    if (r->election_elapsed >= r->config.election_ticks) {
        r->election_elapsed = 0;
        if (r->config.check_quorum) {
            raft_check_quorum(r);
        }
        // Dissertation 3.10: a transfer that takes longer than an election is given up.
        r->transferee = RAFT_NONE;
    }
    if (r->role == RAFT_LEADER && r->heartbeat_elapsed >= r->config.heartbeat_ticks) {
        r->heartbeat_elapsed = 0;
        raft_broadcast_heartbeat(r);
    }
}

void raft_tick(struct raft *r)
{
    r->ticks++;
    if (r->role == RAFT_LEADER) {
        tick_leader(r);
    } else {
        tick_election(r);
    }
}
