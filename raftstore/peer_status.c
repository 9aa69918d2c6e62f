#include "raftstore/log_size.h"
#include "raftstore/peer_private.h"

static const char *peer_role_name(const struct raft_status *raft)
{
    if (raft->learner)
        return "learner";
    return raft_role_name(raft->role);
}

static void peer_member_status(struct peer *peer, const struct raft_status *raft,
                               const struct store_member *member,
                               struct store_member_status *ret_status)
{
    const struct peer_contact *contact = peer_find_contact(peer, member->id);
    *ret_status = (struct store_member_status){
        .member = *member,
        .role = membership_role(&peer->membership, member->id),
        .is_leader = member->id == peer->leader,
        .active = member->id == peer->peer_id ||
                  (contact != NULL && peer->tick - contact->tick <= peer->config.election_ticks),
        .progress = "",
    };
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].id != member->id)
            continue;
        ret_status->match_index = raft->peers[i].match;
        ret_status->progress = raft_progress_state_name(raft->peers[i].state);
    }
}

void peer_status(struct peer *peer, struct store_status *status)
{
    struct raft_status raft;
    peer_check(peer, raft_node_status(peer->node, &raft), "status");
    status->region_id = peer->membership.region.id;
    status->role = peer_role_name(&raft);
    status->leader_id = raft.leader;
    status->term = raft.hard_state.term;
    status->commit_index = raft.hard_state.commit;
    status->first_index = raft.first_index;
    status->last_index = raft.last_index;
    status->log_bytes =
        log_size_behind(peer_storage_log_size(peer->config.storage), raft.first_index - 1);
    status->no_space = peer->no_space;
    status->counters = peer->counters;
    peer_lease_status(peer, status);
    status->member_count = peer->membership.store_count;
    for (size_t i = 0; i < peer->membership.store_count; i++)
        peer_member_status(peer, &raft, &peer->membership.stores[i], &status->members[i]);
}
