#include "raftstore/event_log.h"
#include "raftstore/log.h"
#include "raftstore/peer_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is on record --- */

static void peer_members_take_effect(struct peer *peer)
{
    const struct store_member *self = membership_find(&peer->membership, peer->peer_id);
    /* Who was removed is who it was: its votes still count for those who have not
     * heard of it. */
    if (self != NULL)
        peer->admitted = self->data_id == peer->config.identity.data_id;
    holdback_set_members(&peer->holdback, &peer->membership.region);
    peer_lease_members_changed(peer);
    peer->config.store->members_changed(peer->config.store_ctx, &peer->membership);
}

void peer_members_init(struct peer *peer)
{
    /* Never one of an earlier life of this process. */
    peer->next_request_id = peer->config.incarnation;
    peer_members_take_effect(peer);
}

/* --- the request under way --- */

static void peer_request_end(struct peer *peer, int code, const char *words)
{
    struct member_op *op = peer->request.op;
    peer->request = (struct peer_request){0};
    if (op == NULL)
        return;
    struct op_result result = {.code = code};
    err_set(&op->error, code, "%s", words);
    op_finish(&op->op, &result);
    op_unref(&op->op);
}

void peer_members_release(struct peer *peer)
{
    peer_request_end(peer, KE_SHUTDOWN, ke_text(KE_SHUTDOWN));
}

/* Ends `op` without beginning it. */
static void peer_members_refuse(struct member_op *op, const struct err *e)
{
    struct op_result result = {.code = e->code};
    op->error = *e;
    op_finish(&op->op, &result);
}

static void peer_name_leader(const struct peer *peer, struct member_op *op)
{
    const struct store_member *leader = membership_find(&peer->membership, peer->leader);
    snprintf(op->leader_address, sizeof(op->leader_address), "%s",
             leader != NULL ? leader->address : "");
}

/* Whether a request can begin now; else it has been refused. */
static bool peer_members_may_begin(struct peer *peer, struct member_op *op)
{
    struct err e;
    if (!peer_is_leader(peer)) {
        peer_name_leader(peer, op);
        err_set(&e, KE_NOT_LEADER, "%s", ke_text(KE_NOT_LEADER));
    } else if (peer->request.op != NULL) {
        err_set(&e, KE_BUSY, "another request to change members is under way");
    } else {
        return true;
    }
    peer_members_refuse(op, &e);
    return false;
}

static void peer_request_begin(struct peer *peer, struct member_op *op,
                               enum peer_request_state state)
{
    op_ref(&op->op);
    peer->request = (struct peer_request){.op = op, .state = state, .since_tick = peer->tick};
}

/* --- changes --- */

/* The core takes one change at a time: the next one when what was in the log at the
 * last is applied, and the configuration is simple. */
static bool peer_may_change(const struct peer *peer)
{
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    return !membership_is_joint(&peer->membership) && status.applied >= peer->change_barrier;
}

static void peer_set_change_barrier(struct peer *peer)
{
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    peer->change_barrier = status.last_index;
}

/* Proposes; the context is freed. False: it would be turned down, or the core does not
 * take it now. */
static bool peer_members_propose(struct peer *peer, struct raft_conf_change *change)
{
    struct member_change what;
    int rc = RAFT_E_PROPOSAL_DROPPED;
    if (membership_admits(&peer->membership, change, &what))
        rc = raft_node_propose_conf_change(peer->node, change);
    peer_check(peer, rc, "propose a change of members");
    free((void *)change->context);
    change->context = NULL;
    if (rc == 0)
        peer_set_change_barrier(peer);
    return rc == 0;
}

/* Among those heard of: what the core knows of that it forgets at each election timeout,
 * perhaps a moment ago. */
static uint64_t peer_furthest_voter(struct peer *peer, const struct raft_status *status,
                                    uint64_t except)
{
    uint64_t best = RAFT_NONE, match = 0;
    for (uint32_t i = 0; i < status->peer_count; i++) {
        const struct raft_peer_status *progress = &status->peers[i];
        if (progress->id == peer->peer_id || progress->id == except || progress->learner ||
            !peer_is_live(peer, progress->id))
            continue;
        if (best == RAFT_NONE || progress->match > match) {
            best = progress->id;
            match = progress->match;
        }
    }
    return best;
}

/* A leader does not remove itself: those who stay might not hear that it is committed, and
 * nobody would be left to repeat it. It gives the leadership away first. */
static bool peer_hands_over(struct peer *peer, uint64_t removed)
{
    if (removed != peer->peer_id || membership_voter_count(&peer->membership) == 1)
        return false;
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    uint64_t target = peer_furthest_voter(peer, &status, RAFT_NONE);
    if (target != RAFT_NONE && status.transferee == RAFT_NONE)
        peer_check(peer, raft_node_transfer_leader(peer->node, target), "transfer");
    return true;
}

static bool peer_request_hands_over(struct peer *peer, const struct member_op *op)
{
    const struct store_member *member = membership_find_name(&peer->membership, op->name);
    return op->kind == MEMBER_REMOVE && member != NULL && peer_hands_over(peer, member->id);
}

/* Whether a majority of the voters that the change leads to can be heard. Without one
 * nothing could be committed any more, not even the way back. */
static bool peer_keeps_majority(struct peer *peer, const struct raft_conf_change *change)
{
    struct membership next = peer->membership;
    size_t voters = 0, heard = 0;
    if (!membership_follow(&next, change))
        return true; /* it is turned down anyway */
    for (size_t i = 0; i < next.region.peer_count; i++) {
        const struct region_peer *member = &next.region.peers[i];
        if ((member->role & MEMBER_VOTER) == 0)
            continue;
        voters++;
        heard += member->peer_id == peer->peer_id || peer_is_live(peer, member->store_id);
    }
    return heard > voters / 2;
}

/* Only what takes a majority away is held back by this: joining is safe at any time. */
static bool peer_request_is_safe(struct peer *peer, const struct raft_conf_change *change)
{
    enum member_change_kind kind = peer->request.op->kind;
    return (kind != MEMBER_REMOVE && kind != MEMBER_PROMOTE) || peer_keeps_majority(peer, change);
}

static void peer_request_refuse(struct peer *peer, struct raft_conf_change *change)
{
    free((void *)change->context);
    peer_request_end(peer, KE_BUSY,
                     "of the voters that there would be no majority answers now, and without one "
                     "nothing could be changed any more: try again when more of them are up");
}

static void peer_request_try(struct peer *peer)
{
    struct peer_request *request = &peer->request;
    if (!peer_may_change(peer) || peer_request_hands_over(peer, request->op))
        return;
    struct raft_conf_change change;
    struct err e;
    request->request_id = peer->next_request_id++;
    int rc = membership_plan(&peer->membership, request->op, request->request_id, &change,
                             &request->op->store_id, &e);
    if (rc != 0)
        peer_request_end(peer, rc, e.text);
    else if (change.change_count == 0)
        peer_request_end(peer, 0, "nothing to do");
    else if (!peer_request_is_safe(peer, &change))
        peer_request_refuse(peer, &change);
    else if (peer_members_propose(peer, &change))
        request->state = REQUEST_PROPOSED;
}

void peer_change_members(struct peer *peer, struct member_op *op)
{
    if (!peer_members_may_begin(peer, op))
        return;
    peer_request_begin(peer, op, REQUEST_WAITING);
    peer_request_try(peer);
}

/* The request of the entry just committed, when it is the one under way. */
static void peer_request_committed(struct peer *peer, uint64_t request_id, bool admitted)
{
    struct peer_request *request = &peer->request;
    if (request->op == NULL)
        return;
    if (request->state == REQUEST_PROPOSED && request->request_id == request_id) {
        if (!admitted) {
            peer_request_end(peer, KE_BUSY, "another change of members came first; try again");
            return;
        }
        request->state = REQUEST_APPLIED;
    }
    if (request->state == REQUEST_APPLIED && !membership_is_joint(&peer->membership))
        peer_request_end(peer, 0, "");
}

/* "members: n1, n2, n3 (learner)" */
static void peer_members_tell(const struct peer *peer)
{
    const struct membership *membership = &peer->membership;
    char text[EVENT_TEXT_MAX] = "";
    size_t used = 0;
    for (size_t i = 0; i < membership->store_count && used < sizeof(text); i++) {
        const struct store_member *member = &membership->stores[i];
        uint32_t role = membership_role(membership, member->id);
        const char *what = "";
        if (role & MEMBER_LEARNER)
            what = " (learner)";
        else if ((role & MEMBER_VOTER) == 0)
            what = " (leaving)";
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s", i > 0 ? ", " : "",
                                 member->name, what);
    }
    event_log_add(peer->config.events, "members: %s", text);
}

static void peer_members_log(const struct peer *peer)
{
    peer_members_tell(peer);
    const struct region *region = &peer->membership.region;
    log_info("members changed: %zu, %zu of them voters%s", region->peer_count,
             membership_voter_count(&peer->membership),
             membership_is_joint(&peer->membership) ? "; the change is in its joint half" : "");
}

bool peer_members_entry(struct peer *peer, const struct raft_entry *entry)
{
    struct raft_conf_change change;
    if (raft_conf_change_decode(entry, &change) != 0) {
        log_error("entry %llu of the log is no change of members and changes nothing",
                  (unsigned long long)entry->index);
        return false;
    }
    struct member_change what = {0};
    bool admitted = membership_admits(&peer->membership, &change, &what);
    if (!admitted) {
        /* The core hears of it all the same: it waits for the entry. */
        change.transition = RAFT_CONF_AUTO;
        change.change_count = 1;
        change.changes[0] = (struct raft_conf_change_single){.node = RAFT_NONE};
        what.store_count = 0;
    }
    struct raft_conf_state conf;
    int rc = raft_node_apply_conf_change(peer->node, &change, &conf);
    peer_check(peer, rc, "apply a change of members");
    if (rc != 0) {
        peer_request_committed(peer, what.request_id, false);
        return false;
    }
    bool was_member = membership_role(&peer->membership, peer->peer_id) != 0;
    membership_apply(&peer->membership, &what, &conf);
    if (was_member && membership_role(&peer->membership, peer->peer_id) == 0)
        peer->removed_at = entry->index;
    peer_storage_outdate_snapshots(peer->config.storage, entry->index);
    peer_members_log(peer);
    peer_members_take_effect(peer);
    peer_request_committed(peer, what.request_id, admitted);
    return true;
}

void peer_members_replace(struct peer *peer, const struct membership *membership, uint64_t index)
{
    peer->membership = *membership;
    peer_storage_outdate_snapshots(peer->config.storage, index);
    peer_members_log(peer);
    peer_members_take_effect(peer);
}

/* --- the leader's own --- */

/* The row that `member` should have by what it says of itself; false when it has. */
static bool peer_members_corrects(struct peer *peer, struct store_member *member)
{
    const struct transport_identity *identity = &peer->config.identity;
    uint64_t data_id = identity->data_id;
    char address[STORE_ADDRESS_MAX + 1];
    if (member->id == peer->peer_id)
        snprintf(address, sizeof(address), "%s", identity->advertised ? identity->address : "");
    else if (!peer->config.store->introduced(peer->config.store_ctx, member->id, &data_id, address))
        return false;
    bool differs = member->data_id == 0;
    if (differs)
        member->data_id = data_id;
    if (member->data_id == data_id && address[0] != '\0' && strcmp(address, member->address) != 0) {
        snprintf(member->address, sizeof(member->address), "%s", address);
        differs = true;
    }
    return differs;
}

static bool peer_members_propose_rows(struct peer *peer, const struct store_member *rows,
                                      size_t count)
{
    struct raft_conf_change change;
    membership_plan_update(rows, count, peer->next_request_id++, &change);
    return peer_members_propose(peer, &change);
}

/* Puts on record what members say of themselves. */
static bool peer_members_update(struct peer *peer)
{
    struct store_member corrected[STORE_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < peer->membership.store_count; i++) {
        corrected[count] = peer->membership.stores[i];
        if (peer_members_corrects(peer, &corrected[count]))
            count++;
    }
    if (count == 0)
        return false;
    if (peer_members_propose_rows(peer, corrected, count))
        return true;
    /* One that cannot be, an address that is another's, must not hold up the others. */
    for (size_t i = 0; i < count; i++) {
        if (peer_members_propose_rows(peer, &corrected[i], 1))
            return true;
    }
    return false;
}

static const struct raft_peer_status *peer_find_progress(const struct raft_status *status,
                                                         uint64_t peer_id)
{
    for (uint32_t i = 0; i < status->peer_count; i++) {
        if (status->peers[i].id == peer_id)
            return &status->peers[i];
    }
    return NULL;
}

/* Makes voters of learners that are meant to be and have what was committed one
 * election timeout ago. */
static void peer_members_promote(struct peer *peer)
{
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    for (size_t i = 0; i < peer->membership.store_count; i++) {
        const struct store_member *member = &peer->membership.stores[i];
        const struct raft_peer_status *progress = peer_find_progress(&status, member->id);
        if (membership_role(&peer->membership, member->id) != MEMBER_LEARNER ||
            !(member->promote || member->replaces != 0) || member->data_id == 0 ||
            progress == NULL || progress->state != RAFT_PROGRESS_REPLICATE ||
            peer->caught_up_commit == 0 || progress->match < peer->caught_up_commit)
            continue;
        if (peer_hands_over(peer, member->replaces))
            break;
        struct raft_conf_change change;
        log_info("member %s has caught up and becomes a voter", member->name);
        membership_plan_promotion(&peer->membership, member->id, peer->next_request_id++, &change);
        (void)peer_members_propose(peer, &change);
        break; /* one change at a time */
    }
    peer->caught_up_commit = status.hard_state.commit;
}

/* Who was told to campaign and does not lead may yet be elected, whatever the others promise:
 * so this leader can grant no lease for the rest of its term. Somebody else begins another. */
static void peer_members_pass_on(struct peer *peer)
{
    uint64_t tried = peer->lease.grants.given_to;
    struct raft_status status;
    if (tried == RAFT_NONE || !peer->lease.grants.leads)
        return;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    if (status.transferee != RAFT_NONE)
        return;
    uint64_t target = peer_furthest_voter(peer, &status, tried);
    if (target == RAFT_NONE)
        target = tried;
    log_info("%s has not taken over: %s is to lead", peer_member_name(peer, tried),
             peer_member_name(peer, target));
    peer_check(peer, raft_node_transfer_leader(peer->node, target), "transfer");
}

void peer_members_tick(struct peer *peer)
{
    struct peer_request *request = &peer->request;
    if (request->op != NULL && op_is_claimed(&request->op->op)) {
        op_unref(&request->op->op);
        *request = (struct peer_request){0};
    }
    if (request->op != NULL && request->state == REQUEST_TRANSFER &&
        peer->tick - request->since_tick > 2 * peer->config.election_ticks)
        peer_request_end(peer, KE_TIMEOUT, "the member that was to lead has not taken over");
    if (!peer_is_leader(peer) || !peer_may_change(peer))
        return;
    /* Often, until the members are known: nobody can write before this one is. */
    bool due = peer->tick % peer->config.election_ticks == 0;
    if (due && request->op == NULL)
        peer_members_pass_on(peer);
    if ((!peer->admitted || due) && peer_members_update(peer))
        return;
    if (request->op != NULL && request->state == REQUEST_WAITING)
        peer_request_try(peer);
    else if (due && request->op == NULL)
        peer_members_promote(peer);
}

/* --- the leadership --- */

static uint64_t peer_transfer_target(struct peer *peer, const struct member_op *op, struct err *e)
{
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    if (op->name[0] == '\0') {
        uint64_t target = peer_furthest_voter(peer, &status, RAFT_NONE);
        if (target == RAFT_NONE)
            err_set(e, KE_INVALID, "no other voter can be reached");
        return target;
    }
    const struct store_member *member = membership_find_name(&peer->membership, op->name);
    if (member == NULL) {
        err_set(e, KE_NOT_FOUND, "there is no member %s", op->name);
        return RAFT_NONE;
    }
    if ((membership_role(&peer->membership, member->id) & MEMBER_VOTER) == 0) {
        err_set(e, KE_INVALID, "member %s is a learner and cannot lead", op->name);
        return RAFT_NONE;
    }
    return member->id;
}

void peer_transfer_leader(struct peer *peer, struct member_op *op)
{
    if (!peer_members_may_begin(peer, op))
        return;
    struct err e;
    uint64_t target = peer_transfer_target(peer, op, &e);
    if (target == RAFT_NONE) {
        peer_members_refuse(op, &e);
        return;
    }
    snprintf(op->name, sizeof(op->name), "%s", membership_find(&peer->membership, target)->name);
    if (target == peer->peer_id) {
        err_set(&e, KE_OK, "it leads already");
        peer_members_refuse(op, &e);
        return;
    }
    peer_request_begin(peer, op, REQUEST_TRANSFER);
    peer->request.target = target;
    peer_check(peer, raft_node_transfer_leader(peer->node, target), "transfer");
}

void peer_members_leader_changed(struct peer *peer)
{
    struct peer_request *request = &peer->request;
    peer->caught_up_commit = 0;
    /* What is in the log may be a change that the last leader began. */
    if (peer_is_leader(peer))
        peer_set_change_barrier(peer);
    if (request->op == NULL || peer->leader == RAFT_NONE)
        return;
    if (request->state == REQUEST_WAITING) {
        peer_name_leader(peer, request->op);
        peer_request_end(peer, KE_NOT_LEADER, ke_text(KE_NOT_LEADER));
        return;
    }
    if (request->state != REQUEST_TRANSFER) {
        peer_request_end(peer, KE_TIMEOUT,
                         "the leader has changed; see `keelctl member list` for what was done");
        return;
    }
    const struct store_member *leader = membership_find(&peer->membership, peer->leader);
    bool as_wanted = request->target == peer->leader;
    if (leader != NULL)
        snprintf(request->op->name, sizeof(request->op->name), "%s", leader->name);
    peer_request_end(peer, as_wanted ? 0 : KE_BUSY, as_wanted ? "" : "another member leads now");
}
