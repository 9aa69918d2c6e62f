#include "raftstore/peer.h"

#include "raftstore/event_log.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/peer_private.h"
#include "raftstore/snapshot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PEER_MESSAGE_BYTES_MAX     (1u << 20)
#define PEER_APPLYING_BYTES_MAX    (64u << 20)
#define PEER_UNCOMMITTED_BYTES_MAX (256u << 20)
#define PEER_INFLIGHT_MESSAGES_MAX 256
#define PEER_INFLIGHT_BYTES_MAX    (32u << 20)

#define NS_PER_MS 1000000ull

/* Election timeouts without a sign of a command before it is sent again. */
#define PEER_RESEND_ELECTIONS 2

/* Election timeouts that a removed node stays for. Those who stay may not have heard
 * that the removal is committed and may need this node, who has, to elect a leader: it
 * answers their campaigns with its commit index. It goes at once when one of them
 * refuses it, and so knows. */
#define PEER_FAREWELL_ELECTIONS 5

void peer_check(const struct peer *peer, int rc, const char *what)
{
    if (rc == RAFT_E_NO_MEMORY || rc == RAFT_E_STORAGE || rc == RAFT_E_CORRUPT)
        log_fatal("region %llu: %s: %s", (unsigned long long)peer->membership.region.id, what,
                  raft_error_text(rc));
}

const char *peer_member_name(const struct peer *peer, uint64_t store_id)
{
    const struct store_member *member = membership_find(&peer->membership, store_id);
    return member != NULL ? member->name : "a store that is no member";
}

/* Who leads in the end is told by peer_note_leader(). */
static void peer_note_election(struct peer *peer, const struct raft_event *event)
{
    if (event->kind == RAFT_EVENT_BECAME_CANDIDATE)
        event_log_add(peer->config.events, "election: this node asks for votes in term %llu",
                      (unsigned long long)event->term);
    else if (event->kind == RAFT_EVENT_QUORUM_LOST)
        event_log_add(peer->config.events,
                      "election: this node leads no longer, no majority has answered in time");
}

static void peer_log_event(void *ctx, const struct raft_event *event)
{
    peer_note_election(ctx, event);
    char text[512];
    raft_event_format(event, text, sizeof(text));
    switch (event->level) {
    case RAFT_LOG_DEBUG:
        log_debug("raft: %s", text);
        break;
    case RAFT_LOG_INFO:
        log_info("raft: %s", text);
        break;
    case RAFT_LOG_WARN:
        log_warn("raft: %s", text);
        break;
    case RAFT_LOG_ERROR:
        log_error("raft: %s", text);
        break;
    }
}

static void peer_raft_config(struct peer *peer, struct raft_config *raft)
{
    const struct peer_config *config = &peer->config;
    raft_config_init(raft);
    raft->id = peer->peer_id;
    raft->election_ticks = (int)config->election_ticks;
    raft->heartbeat_ticks = (int)config->heartbeat_ticks;
    raft->storage = peer_storage_interface(config->storage);
    raft->applied = peer_storage_apply_state(config->storage)->applied_index;
    raft->async_storage_writes = true;
    raft->max_message_bytes = PEER_MESSAGE_BYTES_MAX;
    raft->max_applying_bytes = PEER_APPLYING_BYTES_MAX;
    raft->max_uncommitted_bytes = PEER_UNCOMMITTED_BYTES_MAX;
    raft->max_inflight_messages = PEER_INFLIGHT_MESSAGES_MAX;
    raft->max_inflight_bytes = PEER_INFLIGHT_BYTES_MAX;
    raft->check_quorum = true;
    raft->lease_on_start = peer->membership.region.peer_count > 1;
    raft->pre_vote = true;
    raft->read_mode = RAFT_READ_SAFE;
    raft->random_seed = clock_ns() ^ (peer->peer_id << 48);
    raft->log = (struct raft_log_hook){.fn = peer_log_event, .ctx = peer, .level = RAFT_LOG_INFO};
}

/* Nobody else can lead: no need to wait for an election timeout. */
static bool peer_is_alone(const struct peer *peer)
{
    return peer->membership.region.peer_count == 1 &&
           membership_role(&peer->membership, peer->peer_id) == MEMBER_VOTER;
}

static void peer_build_snapshot(void *ctx)
{
    struct peer *peer = ctx;
    apply_build_snapshot(peer->config.apply);
}

int peer_new(const struct peer_config *config, struct peer **ret_peer, struct err *e)
{
    struct peer *peer = mem_zalloc(sizeof(*peer));
    peer->config = *config;
    peer->peer_id = config->identity.store_id;
    peer->membership = *peer_storage_membership(config->storage);
    struct raft_config raft;
    peer_raft_config(peer, &raft);
    int rc = raft_node_new(&raft, &peer->node);
    if (rc != 0) {
        free(peer);
        return err_set(e, rc == RAFT_E_CORRUPT ? KE_CORRUPT : KE_IO, "the raft state: %s",
                       raft_error_text(rc));
    }
    peer->proposals = proposals_new(config->identity.store_id, config->incarnation);
    reads_init(&peer->reads, config->identity.store_id, config->incarnation);
    holdback_init(&peer->holdback);
    peer_lease_init(peer);
    peer_storage_set_snapshots(config->storage, config->snap_files, peer_build_snapshot, peer);
    peer_members_init(peer);
    if (peer_is_alone(peer))
        peer_check(peer, raft_node_campaign(peer->node), "campaign");
    *ret_peer = peer;
    return 0;
}

static void peer_drop_arrived(struct peer *peer)
{
    if (peer->has_arrived)
        snap_files_unref(peer->config.snap_files, &peer->arrived);
    peer->has_arrived = false;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    peer_members_release(peer);
    peer_upkeep_release(peer);
    peer_drop_arrived(peer);
    if (peer->installing)
        raft_message_release(&peer->install_append);
    proposals_free(peer->proposals);
    reads_release(&peer->reads);
    holdback_release(&peer->holdback);
    peer_lease_release(peer);
    raft_node_free(peer->node);
    free(peer);
}

void peer_propose(struct peer *peer, struct op *op, struct command **cmd)
{
    uint64_t seq;
    if (peer->gone != 0) {
        op_fail(op, peer->gone);
    } else if (peer->no_space && !command_frees_space(*cmd)) {
        op_fail(op, KE_NO_SPACE);
    } else if (!proposals_add(peer->proposals, op, cmd, &seq)) {
        op_fail(op, KE_BUSY);
    } else {
        peer->counters.proposals++;
        apply_expect(peer->config.apply, seq, op);
    }
}

void peer_barrier(struct peer *peer, struct op *op)
{
    peer->counters.reads++;
    peer_lease_wake(peer);
    if (peer->gone != 0)
        op_fail(op, peer->gone);
    else if (!reads_add(&peer->reads, op))
        op_fail(op, KE_BUSY);
}

/* --- the network --- */

struct peer_contact *peer_find_contact(struct peer *peer, uint64_t store_id)
{
    for (size_t i = 0; i < STORE_MEMBERS_MAX; i++) {
        if (peer->contacts[i].store_id == store_id)
            return &peer->contacts[i];
    }
    return NULL;
}

static struct peer_contact *peer_oldest_contact(struct peer *peer)
{
    struct peer_contact *oldest = &peer->contacts[0];
    for (size_t i = 1; i < STORE_MEMBERS_MAX; i++) {
        if (peer->contacts[i].tick < oldest->tick)
            oldest = &peer->contacts[i];
    }
    return oldest;
}

static void peer_note_contact(struct peer *peer, const struct wire_envelope *envelope)
{
    struct peer_contact *contact = peer_find_contact(peer, envelope->from_store);
    if (contact == NULL)
        contact = peer_oldest_contact(peer);
    *contact = (struct peer_contact){
        .store_id = envelope->from_store, .tick = peer->tick, .flags = envelope->flags};
}

bool peer_leader_is_admitted(struct peer *peer)
{
    if (peer_is_leader(peer))
        return peer->admitted;
    const struct peer_contact *contact = peer_find_contact(peer, peer->leader);
    return contact != NULL && (contact->flags & WIRE_FLAG_ADMITTED) != 0;
}

static void peer_send(struct peer *peer, const struct raft_message *message)
{
    const struct region *region = &peer->membership.region;
    struct wire_envelope envelope = {
        .region_id = region->id,
        .from_peer = peer->peer_id,
        .from_store = peer->peer_id,
        .to_peer = message->to,
        .to_store = message->to,
        .conf_ver = region->conf_ver,
        .version = region->version,
        .flags = peer_upkeep_flags(peer) | (peer->admitted ? WIRE_FLAG_ADMITTED : 0),
    };
    if (message->type == RAFT_MESSAGE_SNAPSHOT) {
        peer_send_snapshot(peer, &envelope, message);
        return;
    }
    peer_lease_fill(peer, message, &envelope.lease);
    transport_send(peer->config.transport, message->to, &envelope, message);
}

/* An entry that this version could have proposed. Changes of members are proposed by
 * the leader itself, never forwarded. */
static bool peer_takes_entry(const struct raft_entry *entry, bool forwarded)
{
    return (entry->type == RAFT_ENTRY_NORMAL ||
            (entry->type == RAFT_ENTRY_CONF_CHANGE_V2 && !forwarded)) &&
           entry->size <= PROPOSALS_PACKED_MAX;
}

/* The core takes a message whose entries contradict each other for damage of its
 * own state. From the network it is just a bad message. */
static bool peer_is_well_formed(const struct raft_message *message)
{
    if (message->type != RAFT_MESSAGE_APPEND && message->type != RAFT_MESSAGE_PROPOSE)
        return message->entry_count == 0;
    bool forwarded = message->type == RAFT_MESSAGE_PROPOSE;
    uint64_t term = message->log_term;
    for (size_t i = 0; i < message->entry_count; i++) {
        const struct raft_entry *entry = message->entries[i];
        if (!peer_takes_entry(entry, forwarded))
            return false;
        if (forwarded)
            continue;
        if (entry->index != message->index + 1 + i || entry->term < term ||
            entry->term > message->term)
            return false;
        term = entry->term;
    }
    return true;
}

/* One that is no member here yet may be one already: this peer can be behind. */
static bool peer_is_for_me(const struct peer *peer, const struct wire_envelope *envelope,
                           const struct raft_message *message)
{
    return envelope->region_id == peer->membership.region.id &&
           envelope->to_peer == peer->peer_id && envelope->from_peer == envelope->from_store &&
           message->from == envelope->from_peer &&
           !membership_has_removed(&peer->membership, envelope->from_store);
}

/* A leader tells nobody to commit what he has not acknowledged. One with an emptied
 * data directory does not know that it has: the others refuse it, and say so. */
static bool peer_has_forgotten(const struct peer *peer, const struct raft_message *message)
{
    struct raft_status status;
    if (peer->admitted)
        return false;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    return message->commit > status.last_index;
}

/* What this peer's state of admission or of its disk forbids. */
static bool peer_declines(const struct peer *peer, const struct wire_envelope *envelope,
                          const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_MESSAGE_REQUEST_VOTE:
    case RAFT_MESSAGE_PRE_VOTE:
        /* A new data directory may be one whose predecessor has voted already. It
         * votes only where all are new, until the cluster has it on record. */
        return (!peer->admitted && (envelope->flags & WIRE_FLAG_ADMITTED) != 0) ||
               peer_lease_declines(peer, message);
    case RAFT_MESSAGE_HEARTBEAT:
        return peer_has_forgotten(peer, message);
    case RAFT_MESSAGE_TIMEOUT_NOW:
        return !peer->admitted;
    case RAFT_MESSAGE_APPEND:
        return peer->room == DISK_FULL && message->entry_count > 0;
    case RAFT_MESSAGE_PROPOSE:
        return !peer->admitted;
    default:
        return false;
    }
}

static bool peer_accepts(struct peer *peer, const struct wire_envelope *envelope,
                         const struct raft_message *message)
{
    if (!peer_is_for_me(peer, envelope, message)) {
        log_debug("dropped a %s message from store %llu that is not for this peer",
                  raft_message_type_name(message->type), (unsigned long long)envelope->from_store);
        return false;
    }
    if (!peer_is_well_formed(message)) {
        log_warn("dropped a malformed %s message from store %llu",
                 raft_message_type_name(message->type), (unsigned long long)envelope->from_store);
        return false;
    }
    peer_note_contact(peer, envelope);
    return !peer_declines(peer, envelope, message);
}

void peer_step(struct peer *peer, const struct wire_envelope *envelope,
               const struct raft_message *message)
{
    /* Snapshots come with their files, by peer_snapshot_arrived(). */
    if (message->type == RAFT_MESSAGE_SNAPSHOT || !peer_accepts(peer, envelope, message))
        return;
    if (message->type == RAFT_MESSAGE_PROPOSE)
        holdback_proposal(&peer->holdback, message->from);
    peer_check(peer, raft_node_step(peer->node, message), raft_message_type_name(message->type));
    peer_lease_stepped(peer, envelope, message);
}

void peer_snapshot_arrived(struct peer *peer, const struct wire_envelope *envelope,
                           const struct raft_message *message)
{
    struct snap_id id = {.kind = SNAP_RECEIVED,
                         .region_id = envelope->region_id,
                         .term = message->snapshot->term,
                         .index = message->snapshot->index};
    if (peer->installing || peer->has_arrived || !peer_accepts(peer, envelope, message)) {
        snap_files_unref(peer->config.snap_files, &id);
        return;
    }
    peer->arrived = id;
    peer->has_arrived = true;
    event_log_add(peer->config.events, "snapshot: %s has sent the data as of index %llu",
                  peer_member_name(peer, envelope->from_store),
                  (unsigned long long)message->snapshot->index);
    peer_check(peer, raft_node_step(peer->node, message), "SNAPSHOT");
    /* What follows it can be here already, and is to come out of the core behind it. */
    peer_drive(peer);
}

void peer_unreachable(struct peer *peer, uint64_t store_id)
{
    raft_node_report_unreachable(peer->node, store_id);
}

void peer_snapshot_built(struct peer *peer, struct raft_snapshot *snapshot, const struct err *why)
{
    peer_storage_snapshot_built(peer->config.storage, snapshot, why);
}

/* --- input --- */

/* The snapshot is in place: its sender hears so, and the core goes on. */
static void peer_installed(struct peer *peer)
{
    assert(peer->installing);
    peer->installing = false;
    peer->counters.snapshots_installed++;
    event_log_add(peer->config.events, "snapshot: the data as of index %llu is in place",
                  (unsigned long long)apply_index(peer->config.apply));
    peer_drop_arrived(peer);
    struct raft_message *append = &peer->install_append;
    for (size_t i = 0; i < append->response_count; i++) {
        struct raft_message *response = &append->responses[i];
        if (response->to == peer->peer_id)
            peer_check(peer, raft_node_step(peer->node, response), "append response");
        else
            peer_send(peer, response);
    }
    raft_message_release(append);
}

static void peer_step_responses(struct peer *peer, const struct raft_message *message)
{
    for (size_t i = 0; i < message->response_count; i++)
        peer_check(peer, raft_node_step(peer->node, &message->responses[i]), "apply response");
}

static void peer_leave_when_removed(struct peer *peer)
{
    if (peer->removed_at == 0 || peer->leave_tick != 0 ||
        apply_index(peer->config.apply) < peer->removed_at)
        return;
    if (peer->gone == 0)
        peer->gone = KE_REMOVED;
    peer->leave_tick = peer->tick + PEER_FAREWELL_ELECTIONS * peer->config.election_ticks;
}

void peer_applied(struct peer *peer, const struct apply_report *report)
{
    for (size_t i = 0; i < report->seq_count; i++)
        proposals_complete(peer->proposals, report->seqs[i]);
    struct peer_storage *storage = peer->config.storage;
    if (report->truncated_index > peer_storage_truncated_index(storage)) {
        peer_storage_compact(storage, report->truncated_index, report->truncated_term);
        peer->config.store->log_cut(peer->config.store_ctx, report->truncated_index);
    }
    if (report->message != NULL)
        peer_step_responses(peer, report->message);
    if (report->installed)
        peer_installed(peer);
    peer_leave_when_removed(peer);
    peer_lease_applied(peer);
    peer->proposals_held = false;
}

void peer_refused(struct peer *peer, int code)
{
    if (peer->gone_told)
        return;
    peer->gone = code;
    peer->gone_told = true;
    peer_lease_drop(peer);
    peer->config.store->gone(peer->config.store_ctx, code);
}

void peer_tick(struct peer *peer)
{
    uint64_t election = peer->config.election_ticks;
    peer->tick++;
    peer_check(peer, raft_node_tick(peer->node), "tick");
    peer_lease_tick(peer);
    proposals_tick(peer->proposals);
    /* What this node has in its own log as the leader cannot have been lost. */
    if (!peer_is_leader(peer))
        proposals_resend_silent(peer->proposals, peer->tick, PEER_RESEND_ELECTIONS * election);
    reads_tick(&peer->reads, peer->tick, election);
    peer->proposals_held = false;
    peer->reads_held = false;
    if (peer->leave_tick != 0 && peer->tick >= peer->leave_tick)
        peer_refused(peer, KE_REMOVED);
    peer_members_tick(peer);
    peer_snapshots_tick(peer);
    peer_upkeep_tick(peer);
}

/* --- the ready loop --- */

/* An entry costs the same whatever its size: a write to the disk of each node, and two
 * messages with each. So, as the leader, this node lets commands gather while others are
 * under way: until those are committed, or as many wait. It does not wait long: on a slow
 * network several entries under way are worth more than a few large ones. */
static bool peer_gathers_company(struct peer *peer)
{
    if (!peer_is_leader(peer) || !proposals_has_unsent(peer->proposals) ||
        !proposals_most_are_sent(peer->proposals) || peer_is_settled(peer)) {
        peer->company_ns = 0;
        return false;
    }
    uint64_t now = clock_ns();
    if (peer->company_ns == 0)
        peer->company_ns = now;
    if (now - peer->company_ns < PEER_COMPANY_MS * NS_PER_MS)
        return true;
    peer->company_ns = 0;
    return false;
}

bool peer_awaits_company(const struct peer *peer)
{
    return peer->company_ns != 0;
}

static void peer_propose_pending(struct peer *peer)
{
    if (peer_gathers_company(peer))
        return;
    while (peer->leader != RAFT_NONE && !peer->proposals_held && peer_leader_is_admitted(peer) &&
           proposals_has_unsent(peer->proposals)) {
        struct raft_entry *entry = proposals_pack(peer->proposals);
        assert(entry != NULL);
        int rc = raft_node_propose(peer->node, &entry, 1);
        peer_check(peer, rc, "propose");
        if (rc == 0) {
            proposals_mark_sent(peer->proposals, peer->tick);
        } else {
            raft_entry_unref(entry);
            peer->proposals_held = true;
        }
    }
}

static void peer_ask_reads(struct peer *peer)
{
    uint8_t context[READS_CONTEXT_SIZE];
    if (peer->leader == RAFT_NONE || peer->reads_held || !reads_next_round(&peer->reads, context))
        return;
    int rc = raft_node_read_index(peer->node, context, sizeof(context));
    peer_check(peer, rc, "read index");
    if (rc == 0) {
        peer->counters.read_rounds++;
        reads_asked(&peer->reads, peer->tick);
    } else {
        peer->reads_held = true;
    }
}

static void peer_tell_leader(struct peer *peer)
{
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    if (peer->leader == RAFT_NONE)
        event_log_add(peer->config.events, "leader: none is known in term %llu",
                      (unsigned long long)status.hard_state.term);
    else
        event_log_add(peer->config.events, "leader: %s leads in term %llu",
                      peer_member_name(peer, peer->leader),
                      (unsigned long long)status.hard_state.term);
}

static void peer_note_leader(struct peer *peer, const struct raft_ready *ready)
{
    if (!ready->soft_state_changed || ready->leader == peer->leader)
        return;
    peer->leader = ready->leader;
    peer_tell_leader(peer);
    peer->proposals_held = false;
    peer->reads_held = false;
    peer_members_leader_changed(peer);
    if (peer->leader == RAFT_NONE)
        return;
    peer->counters.leader_changes++;
    /* What the old leader had may be lost; the session table drops what is not. */
    proposals_resend_all(peer->proposals);
    reads_ask_again(&peer->reads);
}

static void peer_answer_reads(struct peer *peer, const struct raft_ready *ready)
{
    for (size_t i = 0; i < ready->read_state_count; i++) {
        const struct raft_read_state *state = &ready->read_states[i];
        struct op_list ops = {0};
        if (reads_answered(&peer->reads, state->context, state->context_size, &ops))
            apply_reads(peer->config.apply, state->index, &ops);
    }
}

/* A snapshot takes the place of log and data. Nothing else comes out of the core
 * until that is done. */
static void peer_install(struct peer *peer, struct raft_message *append)
{
    const struct raft_snapshot *snapshot = append->snapshot;
    struct snapshot_meta meta;
    struct err e;
    assert(!peer->installing);
    assert(peer->has_arrived && peer->arrived.index == snapshot->index &&
           peer->arrived.term == snapshot->term);
    /* The receiver has checked it. */
    if (snapshot_unpack(snapshot, &meta, &e) != 0)
        log_fatal("the snapshot that was accepted makes no sense: %s", e.text);
    struct raft_local_state local;
    peer_lease_install(peer, meta.index);
    peer_storage_install(peer->config.storage, append, &local);
    peer_members_replace(peer, &meta.membership, meta.index);
    apply_install(peer->config.apply, &meta, &local);
    raft_message_move(&peer->install_append, append);
    peer->installing = true;
}

/* Writes, then tells those who may rely on it: the order is the safety of Raft.
 * Without entries, term or vote there is nothing new to be durable, and all that
 * came before is: an answer to a message that only moved the commit index needs
 * no fsync. */
static void peer_append(struct peer *peer, struct raft_message *append, bool must_sync)
{
    if (append->snapshot != NULL) {
        peer_install(peer, append);
        return;
    }
    if (append->entry_count > 0)
        holdback_append(&peer->holdback, append->entries[append->entry_count - 1]->index);
    peer_lease_append(peer, append);
    peer_storage_append(peer->config.storage, append, must_sync);
    for (size_t i = 0; i < append->response_count; i++) {
        struct raft_message *response = &append->responses[i];
        if (response->to == peer->peer_id)
            peer_check(peer, raft_node_step(peer->node, response), "append response");
        else
            peer_send(peer, response);
    }
}

/* Committed entries, with what those among them that change members make of them. */
static void peer_hand_to_apply(struct peer *peer, struct raft_message *message)
{
    struct apply_members *members = NULL;
    size_t count = 0;
    for (size_t i = 0; i < message->entry_count; i++) {
        const struct raft_entry *entry = message->entries[i];
        if (entry->type == RAFT_ENTRY_NORMAL || !peer_members_entry(peer, entry))
            continue;
        members = mem_realloc(members, (count + 1) * sizeof(*members));
        members[count++] =
            (struct apply_members){.index = entry->index, .membership = peer->membership};
    }
    apply_entries(peer->config.apply, message, &members, count);
}

/* Gives the apply thread its part before anything else: somebody waits for that.
 * Returns the part of the log write, or NULL. */
static struct raft_message *peer_hand_out(struct peer *peer, const struct raft_ready *ready)
{
    struct raft_message *append = NULL;
    for (size_t i = 0; i < ready->message_count; i++) {
        struct raft_message *message = &ready->messages[i];
        if (message->to == RAFT_APPLY_WORKER) {
            peer_hand_to_apply(peer, message);
        } else if (message->to == RAFT_APPEND_WORKER) {
            assert(append == NULL);
            append = message;
        }
    }
    return append;
}

/* One Ready. False when there was nothing to do. */
static bool peer_handle_ready(struct peer *peer)
{
    if (peer->installing || !raft_node_has_ready(peer->node))
        return false;
    struct raft_ready ready;
    int rc = raft_node_ready(peer->node, &ready);
    peer_check(peer, rc, "ready");
    if (rc != 0)
        return false;
    peer_lease_role(peer, &ready);
    peer_note_leader(peer, &ready);
    peer_answer_reads(peer, &ready);
    struct raft_message *append = peer_hand_out(peer, &ready);
    for (size_t i = 0; i < ready.message_count; i++) {
        struct raft_message *message = &ready.messages[i];
        if (!raft_is_worker(message->to) && !holdback_keep(&peer->holdback, message))
            peer_send(peer, message);
    }
    if (append != NULL)
        peer_append(peer, append, ready.must_sync);
    return true;
}

void peer_drive(struct peer *peer)
{
    do {
        if (peer->installing)
            return;
        peer_propose_pending(peer);
        peer_ask_reads(peer);
    } while (peer_handle_ready(peer));
    /* The core had no use for it: it is further already. */
    if (!peer->installing)
        peer_drop_arrived(peer);
}

bool peer_has_held(const struct peer *peer)
{
    return holdback_is_pending(&peer->holdback);
}

void peer_send_held(struct peer *peer)
{
    struct raft_message note;
    while (holdback_next(&peer->holdback, &note)) {
        peer_send(peer, &note);
        raft_message_release(&note);
    }
}

bool peer_is_settled(const struct peer *peer)
{
    struct raft_status status;
    peer_check(peer, raft_node_status(peer->node, &status), "status");
    return status.last_index == status.hard_state.commit;
}
