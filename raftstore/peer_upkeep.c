#include "raftstore/event_log.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/peer_private.h"

#include <stdlib.h>

/* Heartbeats between looks at the log. At the disk each tick looks: a fast one can be
 * filled far in a second. */
#define UPKEEP_HEARTBEATS 2

/* A CompactLog of which nothing was seen is given up after so many election timeouts. */
#define COMPACT_PATIENCE_ELECTIONS 10

/* --- the log --- */

bool peer_is_live(struct peer *peer, uint64_t store_id)
{
    const struct peer_contact *contact = peer_find_contact(peer, store_id);
    return contact != NULL && peer->tick - contact->tick <= peer->config.election_ticks;
}

/* The lowest index that every live member has. One that is getting a snapshot needs
 * what comes behind it. */
static uint64_t peer_needed_index(struct peer *peer, const struct raft_status *status)
{
    uint64_t needed = UINT64_MAX;
    for (uint32_t i = 0; i < status->peer_count; i++) {
        const struct raft_peer_status *progress = &status->peers[i];
        /* While it puts a snapshot in place a member is silent. */
        bool is_live =
            progress->state == RAFT_PROGRESS_SNAPSHOT || peer_is_live(peer, progress->id);
        if (progress->id == peer->peer_id || !is_live)
            continue;
        uint64_t has = progress->match > progress->pending_snapshot ? progress->match
                                                                    : progress->pending_snapshot;
        needed = has < needed ? has : needed;
    }
    return needed;
}

/* Nobody waits for it. */
static void compact_done(struct op *op, const struct op_result *result)
{
    (void)op;
    (void)result;
}

static void compact_release(struct op *op)
{
    free(op);
}

static void peer_propose_compaction(struct peer *peer, uint64_t index)
{
    struct command *cmd = command_new();
    command_compact_log(cmd, index, peer_storage_term(peer->config.storage, index));
    struct op *op = mem_zalloc(sizeof(*op));
    op_init(op, 0, compact_done, compact_release);
    uint64_t seq;
    if (proposals_add(peer->proposals, op, &cmd, &seq)) {
        apply_expect(peer->config.apply, seq, op);
        peer->compact_tick = peer->tick;
        op_ref(op);
        peer->compact_op = op;
    }
    command_free(cmd);
    op_unref(op);
}

/* Without a majority it would stay among the proposals, and they have a window. */
static void peer_give_up_compaction(struct peer *peer)
{
    if (peer->compact_op == NULL)
        return;
    (void)op_cancel(peer->compact_op);
    op_unref(peer->compact_op);
    peer->compact_op = NULL;
}

void peer_upkeep_release(struct peer *peer)
{
    peer_give_up_compaction(peer);
}

/* The one proposed last may be on its way still. */
static bool peer_awaits_compaction(const struct peer *peer)
{
    return peer->compact_op != NULL && !op_is_claimed(peer->compact_op);
}

static void peer_compact_log(struct peer *peer)
{
    if (peer_awaits_compaction(peer))
        return;
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    uint64_t index =
        compaction_choose(&peer->config.gc, peer_storage_log_size(peer->config.storage),
                          peer_storage_truncated_index(peer->config.storage),
                          apply_index(peer->config.apply), peer_needed_index(peer, &status));
    if (index != 0)
        peer_propose_compaction(peer, index);
}

/* --- the disk --- */

/* The leader accepts what takes space while it and a majority have room. Members that
 * are not heard do not have any, but are not why. */
static bool peer_leads_without_space(struct peer *peer)
{
    size_t voters = 0, with_room = 0, low = 0;
    for (size_t i = 0; i < peer->membership.region.peer_count; i++) {
        const struct region_peer *member = &peer->membership.region.peers[i];
        if ((member->role & (MEMBER_VOTER | MEMBER_VOTER_OUTGOING)) == 0)
            continue;
        voters++;
        if (member->peer_id == peer->peer_id) {
            with_room++;
        } else if (peer_is_live(peer, member->store_id)) {
            bool is_low =
                (peer_find_contact(peer, member->store_id)->flags & WIRE_FLAG_DISK_LOW) != 0;
            low += is_low;
            with_room += !is_low;
        }
    }
    return peer->room != DISK_ROOM || (low > 0 && with_room <= voters / 2);
}

static bool peer_has_no_space(struct peer *peer)
{
    if (peer_is_leader(peer))
        return peer_leads_without_space(peer);
    const struct peer_contact *leader =
        peer->leader != RAFT_NONE ? peer_find_contact(peer, peer->leader) : NULL;
    return leader != NULL ? (leader->flags & WIRE_FLAG_NO_SPACE) != 0 : peer->no_space;
}

static void peer_watch_disk(struct peer *peer)
{
    peer->room = disk_watch_update(peer->config.disk);
    bool before = peer->no_space;
    peer->no_space = peer_has_no_space(peer);
    if (peer->no_space && !before) {
        log_warn("nothing that takes space is accepted: the disk of the leader or of a majority "
                 "is nearly full");
        event_log_add(peer->config.events, "space: nothing that takes space is accepted");
    } else if (before && !peer->no_space) {
        log_info("there is space again: everything is accepted");
        event_log_add(peer->config.events, "space: everything is accepted again");
    }
}

uint32_t peer_upkeep_flags(const struct peer *peer)
{
    return (peer->room != DISK_ROOM ? WIRE_FLAG_DISK_LOW : 0) |
           (peer_is_leader(peer) && peer->no_space ? WIRE_FLAG_NO_SPACE : 0);
}

void peer_upkeep_tick(struct peer *peer)
{
    peer_watch_disk(peer);
    if (peer->tick % (UPKEEP_HEARTBEATS * peer->config.heartbeat_ticks) != 0)
        return;
    if (peer->room != DISK_ROOM)
        peer->config.store->disk_is_low(peer->config.store_ctx);
    uint64_t patience = COMPACT_PATIENCE_ELECTIONS * peer->config.election_ticks;
    if (!peer_awaits_compaction(peer) || peer->tick - peer->compact_tick >= patience)
        peer_give_up_compaction(peer);
    if (peer_is_leader(peer))
        peer_compact_log(peer);
}
