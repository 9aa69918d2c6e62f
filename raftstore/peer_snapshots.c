#include "raftstore/event_log.h"
#include "raftstore/peer_private.h"

/* Election timeouts from one failure to the next try: doubles from the first to the
 * second. */
#define RETRY_ELECTIONS_MIN 1
#define RETRY_ELECTIONS_MAX 16

static struct peer_send_failure *peer_find_failure(struct peer *peer, uint64_t store_id)
{
    for (size_t i = 0; i < STORE_MEMBERS_MAX; i++) {
        if (peer->send_failures[i].store_id == store_id)
            return &peer->send_failures[i];
    }
    return NULL;
}

static uint64_t peer_retry_ticks(const struct peer *peer, unsigned failures)
{
    uint64_t elections = RETRY_ELECTIONS_MIN;
    for (unsigned i = 1; i < failures && elections < RETRY_ELECTIONS_MAX; i++)
        elections *= 2;
    return elections * peer->config.election_ticks;
}

void peer_send_snapshot(struct peer *peer, const struct wire_envelope *envelope,
                        const struct raft_message *message)
{
    event_log_add(peer->config.events, "snapshot: %s gets the data as of index %llu",
                  peer_member_name(peer, envelope->to_store),
                  (unsigned long long)message->snapshot->index);
    peer->config.store->send_snapshot(peer->config.store_ctx, envelope, message);
}

void peer_snapshot_sent(struct peer *peer, uint64_t store_id, bool succeeded)
{
    event_log_add(peer->config.events,
                  succeeded ? "snapshot: %s has it" : "snapshot: sending it to %s failed",
                  peer_member_name(peer, store_id));
    struct peer_send_failure *failure = peer_find_failure(peer, store_id);
    if (succeeded) {
        peer->counters.snapshots_sent++;
        if (failure != NULL)
            *failure = (struct peer_send_failure){0};
        raft_node_report_snapshot(peer->node, store_id, true);
        return;
    }
    peer->counters.snapshots_failed++;
    if (failure == NULL)
        failure = peer_find_failure(peer, 0);
    if (failure == NULL) {
        /* More stores than there can be members: one of them is none any more. */
        raft_node_report_snapshot(peer->node, store_id, false);
        return;
    }
    failure->store_id = store_id;
    failure->count++;
    failure->due = true;
    failure->due_tick = peer->tick + peer_retry_ticks(peer, failure->count);
}

void peer_snapshots_tick(struct peer *peer)
{
    for (size_t i = 0; i < STORE_MEMBERS_MAX; i++) {
        struct peer_send_failure *failure = &peer->send_failures[i];
        if (failure->store_id == 0)
            continue;
        if (failure->due && peer->tick >= failure->due_tick) {
            failure->due = false;
            raft_node_report_snapshot(peer->node, failure->store_id, false);
        }
        if (membership_role(&peer->membership, failure->store_id) == 0)
            *failure = (struct peer_send_failure){0};
    }
}
