/* Read leases on the raft thread: what goes out with messages and comes in with them, the
 * limit on commit, the marks of what is written, votes that a lease forbids.
 * docs/decisions/0009-read-leases.md; the bookkeeping is in lease.c and grants.c. */
#include "raftstore/peer_private.h"
#include "raftstore/raft_worker.h"
#include "raftstore/touch.h"

#include <stdlib.h>

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void peer_lease_look(const struct peer *peer, struct raft_status *ret_status)
{
    peer_check(peer, raft_node_status(peer->node, ret_status), "status");
}

void peer_lease_init(struct peer *peer)
{
    struct peer_lease *lease = &peer->lease;
    uint64_t now = clock_ns();
    struct lease_timing timing;
    struct raft_status status;
    lease_timing_init(&timing, peer->config.tick_ms, peer->config.election_ticks,
                      RAFT_WORKER_TICKS_BEHIND_MAX);
    grants_init(&lease->grants, peer->peer_id, &timing);
    lease_init(&lease->held, peer->config.incarnation, now);
    peer_lease_look(peer, &status);
    /* What was promised before this start is not known. */
    promise_extend(&lease->promise, now + timing.promise_ns);
    lease->limit = GRANTS_NO_LIMIT;
    lease->last_index = status.last_index;
    /* Whether there is one in the log is not known. */
    lease->members_index = status.last_index;
    lease_suspend(&lease->held, now);
}

void peer_lease_release(struct peer *peer)
{
    touch_list_release(&peer->lease.keys);
}

/* --- what readers see --- */

static void peer_lease_publish(struct peer *peer, uint64_t now)
{
    struct peer_lease *lease = &peer->lease;
    bool reads = lease->watches && lease_reads_are_recent(peer->config.lease_reads, now);
    uint64_t own = reads ? grants_own_end(&lease->grants, now) : 0;
    uint64_t end = later(lease_end(&lease->held), own);
    if (end == lease->published)
        return;
    peer->counters.lease_renewals += end > lease->published;
    /* What was given to caches before lasts as long as it was said to. */
    lease->cached_until = later(lease->cached_until, end);
    lease->published = end;
    lease_reads_publish(peer->config.lease_reads, end);
}

static void peer_lease_mark(struct peer *peer, const uint64_t *keys, size_t count, uint64_t index)
{
    in_flight_mark(&peer->config.lease_reads->in_flight, keys, count, index);
}

static void peer_lease_invalidate(struct peer *peer, const uint64_t *keys, size_t count)
{
    if (count > 0 && peer->config.invalidate != NULL)
        peer->config.invalidate(peer->config.invalidate_ctx, keys, count);
}

static void peer_lease_touch_everything(struct peer *peer, uint64_t index)
{
    const uint64_t everything = TOUCH_EVERYTHING;
    peer_lease_mark(peer, &everything, 1, index);
    peer_lease_invalidate(peer, &everything, 1);
}

/* Entries are marked only while somebody reads. What is in the log by then is not. */
static void peer_lease_watch(struct peer *peer, uint64_t now)
{
    struct raft_status status;
    peer_lease_look(peer, &status);
    peer->lease.watches = true;
    lease_cut(&peer->lease.held, now);
    peer_lease_touch_everything(peer, status.last_index);
    peer_lease_publish(peer, now);
}

void peer_lease_wake(struct peer *peer)
{
    if (peer->lease.watches)
        return;
    uint64_t now = clock_ns();
    if (lease_reads_are_recent(peer->config.lease_reads, now))
        peer_lease_watch(peer, now);
}

static void peer_lease_watch_no_more(struct peer *peer, uint64_t now)
{
    struct peer_lease *lease = &peer->lease;
    if (lease_reads_are_recent(peer->config.lease_reads, now) ||
        !lease_is_over(&lease->held, now) || lease->cached_until > now)
        return;
    lease->watches = false;
    lease_cut(&lease->held, now);
    peer_lease_publish(peer, now);
}

/* --- what is written to the log --- */

/* The log ends before `index` now. */
static void peer_lease_cut_log(struct peer *peer, uint64_t index)
{
    struct peer_lease *lease = &peer->lease;
    in_flight_cut(&peer->config.lease_reads->in_flight, index);
    lease->last_index = index - 1;
    /* Of those that stay each may be a change of members. */
    if (lease->members_index >= index)
        lease->members_index = index - 1;
}

void peer_lease_append(struct peer *peer, const struct raft_message *append)
{
    struct peer_lease *lease = &peer->lease;
    if (append->entry_count == 0)
        return;
    if (append->entries[0]->index <= lease->last_index)
        peer_lease_cut_log(peer, append->entries[0]->index);
    touch_list_clear(&lease->keys);
    bool members_change = false;
    for (size_t i = 0; i < append->entry_count; i++) {
        const struct raft_entry *entry = append->entries[i];
        lease->last_index = entry->index;
        if (entry->type != RAFT_ENTRY_NORMAL) {
            members_change = true;
            lease->members_index = entry->index;
        }
        if (lease->watches)
            touch_list_add_entry(&lease->keys, entry);
    }
    /* In flight until the last of them is applied: they go together. */
    touch_list_unite(&lease->keys);
    peer_lease_mark(peer, lease->keys.keys, lease->keys.count, lease->last_index);
    if (members_change) {
        uint64_t now = clock_ns();
        lease_suspend(&lease->held, now);
        peer_lease_publish(peer, now);
    }
    peer_lease_invalidate(peer, lease->keys.keys, lease->keys.count);
}

void peer_lease_install(struct peer *peer, uint64_t index)
{
    struct peer_lease *lease = &peer->lease;
    uint64_t now = clock_ns();
    lease_cut(&lease->held, now);
    peer_lease_publish(peer, now);
    peer_lease_cut_log(peer, index + 1);
    peer_lease_touch_everything(peer, index);
}

void peer_lease_applied(struct peer *peer)
{
    struct peer_lease *lease = &peer->lease;
    uint64_t now = clock_ns();
    uint64_t applied = apply_index(peer->config.apply);
    lease_applied(&lease->held, applied, now);
    bool is_member = membership_role(&peer->membership, peer->peer_id) != 0 && peer->gone == 0;
    if (lease->held.suspended && applied >= lease->members_index && is_member)
        lease_resume(&lease->held, now);
    peer_lease_publish(peer, now);
}

void peer_lease_drop(struct peer *peer)
{
    uint64_t now = clock_ns();
    lease_suspend(&peer->lease.held, now);
    peer_lease_publish(peer, now);
}

/* --- how far the leader may commit --- */

static void peer_lease_set_limit(struct peer *peer, const struct raft_status *status, uint64_t now)
{
    struct peer_lease *lease = &peer->lease;
    uint64_t limit = grants_limit(&lease->grants, now);
    if (status->role != RAFT_LEADER || limit == lease->limit)
        return;
    lease->limit = limit;
    peer_check(peer, raft_node_limit_commit(peer->node, limit), "limit commit");
}

static void peer_lease_take_matches(struct peer *peer, const struct raft_status *status)
{
    for (uint32_t i = 0; i < status->peer_count; i++)
        grants_acknowledged(&peer->lease.grants, status->peers[i].id, status->peers[i].match);
}

void peer_lease_refresh(struct peer *peer)
{
    struct peer_lease *lease = &peer->lease;
    if (!lease->grants.leads)
        return;
    uint64_t now = clock_ns();
    if (lease->limit == GRANTS_NO_LIMIT && !grants_hold_back(&lease->grants, now))
        return;
    struct raft_status status;
    peer_lease_look(peer, &status);
    peer_lease_take_matches(peer, &status);
    peer_lease_set_limit(peer, &status, now);
}

static void peer_lease_lead(struct peer *peer, uint64_t now)
{
    struct peer_lease *lease = &peer->lease;
    struct raft_status status;
    peer_lease_look(peer, &status);
    bool strangers = lease->members_index > apply_index(peer->config.apply);
    grants_begin(&lease->grants, status.hard_state.term, status.last_index,
                 status.hard_state.commit, strangers, now);
    grants_free(&lease->grants, promise_leaseless(&lease->promise, status.hard_state.term, now,
                                                  lease->grants.timing.duration_ns));
    lease->limit = GRANTS_NO_LIMIT;
    peer_lease_take_matches(peer, &status);
    peer_lease_set_limit(peer, &status, now);
}

void peer_lease_role(struct peer *peer, const struct raft_ready *ready)
{
    struct peer_lease *lease = &peer->lease;
    bool leads = ready->role == RAFT_LEADER;
    if (!ready->soft_state_changed || leads == lease->grants.leads)
        return;
    uint64_t now = clock_ns();
    if (leads) {
        peer_lease_lead(peer, now);
    } else {
        promise_extend(&lease->promise, grants_promised(&lease->grants, now));
        grants_end(&lease->grants);
    }
    peer_lease_publish(peer, now);
}

void peer_lease_members_changed(struct peer *peer)
{
    grants_set_members(&peer->lease.grants, &peer->membership.region);
    peer_lease_refresh(peer);
}

/* --- messages --- */

static bool is_heartbeat(const struct raft_message *message)
{
    return message->type == RAFT_MESSAGE_APPEND || message->type == RAFT_MESSAGE_HEARTBEAT;
}

/* The limit follows at once: before anything is stepped that could commit more. */
static void peer_lease_answer(struct peer *peer, uint64_t to, struct lease_grant *grant,
                              uint64_t now)
{
    struct raft_status status;
    peer_lease_look(peer, &status);
    peer_lease_take_matches(peer, &status);
    if (status.role == RAFT_LEADER && grants_give(&peer->lease.grants, to, status.hard_state.commit,
                                                  status.last_index, now, grant))
        peer_lease_set_limit(peer, &status, now);
    else
        peer->counters.lease_refusals++;
}

static void peer_lease_fill_as_leader(struct peer *peer, const struct raft_message *message,
                                      struct wire_lease *note, uint64_t now)
{
    struct grants *grants = &peer->lease.grants;
    if (message->term != grants->term)
        return;
    if (message->type == RAFT_MESSAGE_TIMEOUT_NOW) {
        grants_give_away(grants, message->to);
        peer_lease_publish(peer, now);
        return;
    }
    if (is_heartbeat(message))
        note->stamp = now;
    if (grants_wants(grants, message->to))
        peer_lease_answer(peer, message->to, &note->grant, now);
}

static void peer_lease_fill_as_member(struct peer *peer, const struct raft_message *message,
                                      struct wire_lease *note, uint64_t now)
{
    struct peer_lease *lease = &peer->lease;
    note->echo = promise_echo(&lease->promise, message->to, message->term);
    if (lease->watches && message->to == peer->leader &&
        lease_reads_are_recent(peer->config.lease_reads, now))
        (void)lease_ask(&lease->held, now, lease->grants.timing.tick_ns, &note->want);
}

void peer_lease_fill(struct peer *peer, const struct raft_message *message, struct wire_lease *note)
{
    uint64_t now = clock_ns();
    if (peer->lease.grants.leads)
        peer_lease_fill_as_leader(peer, message, note, now);
    else
        peer_lease_fill_as_member(peer, message, note, now);
}

void peer_lease_stepped(struct peer *peer, const struct wire_envelope *envelope,
                        const struct raft_message *message)
{
    struct peer_lease *lease = &peer->lease;
    const struct wire_lease *note = &envelope->lease;
    uint64_t now = clock_ns();
    if (lease->grants.leads) {
        if (note->echo != 0 && message->term == lease->grants.term)
            grants_heard(&lease->grants, message->from, note->echo, now);
        grants_asked(&lease->grants, message->from, &note->want);
        peer_lease_refresh(peer);
    } else {
        if (is_heartbeat(message))
            promise_heard(&lease->promise, message->from, message->term, note->stamp, now,
                          lease->grants.timing.promise_ns);
        if (message->type == RAFT_MESSAGE_TIMEOUT_NOW)
            promise_handed_over(&lease->promise, message->term);
        if (note->grant.want.time != 0)
            lease_take(&lease->held, &note->grant, apply_index(peer->config.apply), now);
    }
    peer_lease_publish(peer, now);
}

/* A leader that the core has deposed just now is one for grants.c until the next Ready. */
bool peer_lease_declines(const struct peer *peer, const struct raft_message *message)
{
    const struct peer_lease *lease = &peer->lease;
    uint64_t now = clock_ns();
    return !raft_message_is_transfer_campaign(message) &&
           (promise_forbids(&lease->promise, now) || now < grants_promised(&lease->grants, now));
}

/* --- now and then --- */

void peer_lease_tick(struct peer *peer)
{
    struct peer_lease *lease = &peer->lease;
    uint64_t now = clock_ns();
    if (lease->watches)
        peer_lease_watch_no_more(peer, now);
    else
        peer_lease_wake(peer);
    peer_lease_applied(peer);
    if (!lease->grants.leads)
        return;
    peer_lease_refresh(peer);
    grants_tick(&lease->grants, now);
}

void peer_lease_status(const struct peer *peer, struct store_status *status)
{
    const struct peer_lease *lease = &peer->lease;
    uint64_t now = clock_ns();
    status->lease_until_ns = lease->published > now ? lease->published : 0;
    status->lease_holders = lease->grants.leads ? grants_holders(&lease->grants, now) : 0;
    uint64_t majority = lease->grants.leads ? grants_majority_index(&lease->grants) : 0;
    status->lease_held_back = majority > lease->limit ? majority - lease->limit : 0;
}
