#include "raftstore/peer.h"

#include "raftstore/holdback.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/proposals.h"
#include "raftstore/reads.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PEER_MESSAGE_BYTES_MAX     (1u << 20)
#define PEER_APPLYING_BYTES_MAX    (64u << 20)
#define PEER_UNCOMMITTED_BYTES_MAX (256u << 20)
#define PEER_INFLIGHT_MESSAGES_MAX 256
#define PEER_INFLIGHT_BYTES_MAX    (32u << 20)

/* Election timeouts without a sign of a command before it is sent again. */
#define PEER_RESEND_ELECTIONS 2

struct peer {
    struct peer_config config;
    const struct region *region;
    uint64_t peer_id;
    struct raft_node *node;
    struct proposals *proposals;
    struct reads reads;
    struct holdback holdback;
    uint64_t tick;
    uint64_t leader;                   /* peer id, RAFT_NONE when unknown */
    uint64_t heard[STORE_MEMBERS_MAX]; /* tick of the last message, as region->peers */
    /* The core refused; not again before something has changed. */
    bool proposals_held;
    bool reads_held;
};

/* The core fails only where this process cannot go on. */
static void peer_check(const struct peer *peer, int rc, const char *what)
{
    if (rc == RAFT_E_NO_MEMORY || rc == RAFT_E_STORAGE || rc == RAFT_E_CORRUPT)
        log_fatal("region %llu: %s: %s", (unsigned long long)peer->region->id, what,
                  raft_error_text(rc));
}

static void peer_log_event(void *ctx, const struct raft_event *event)
{
    (void)ctx;
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

static uint64_t peer_own_id(const struct region *region, uint64_t store_id)
{
    for (size_t i = 0; i < region->peer_count; i++) {
        if (region->peers[i].store_id == store_id)
            return region->peers[i].peer_id;
    }
    return RAFT_NONE;
}

static void peer_raft_config(const struct peer *peer, struct raft_config *raft)
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
    raft->lease_on_start = peer->region->peer_count > 1;
    raft->pre_vote = true;
    raft->read_mode = RAFT_READ_SAFE;
    raft->random_seed = clock_ns() ^ (peer->peer_id << 48);
    raft->log = (struct raft_log_hook){.fn = peer_log_event, .level = RAFT_LOG_INFO};
}

int peer_new(const struct peer_config *config, struct peer **ret_peer, struct err *e)
{
    struct peer *peer = mem_zalloc(sizeof(*peer));
    peer->config = *config;
    peer->region = peer_storage_region(config->storage);
    peer->peer_id = peer_own_id(peer->region, config->store_id);
    assert(peer->peer_id != RAFT_NONE);
    struct raft_config raft;
    peer_raft_config(peer, &raft);
    int rc = raft_node_new(&raft, &peer->node);
    if (rc != 0) {
        free(peer);
        return err_set(e, rc == RAFT_E_CORRUPT ? KE_CORRUPT : KE_IO, "the raft state: %s",
                       raft_error_text(rc));
    }
    peer->proposals = proposals_new(config->store_id, config->incarnation);
    reads_init(&peer->reads, config->store_id, config->incarnation);
    holdback_init(&peer->holdback, peer->region);
    /* Nobody else can lead: no need to wait for an election timeout. */
    if (peer->region->peer_count == 1)
        peer_check(peer, raft_node_campaign(peer->node), "campaign");
    *ret_peer = peer;
    return 0;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL)
        return;
    proposals_free(peer->proposals);
    reads_release(&peer->reads);
    holdback_release(&peer->holdback);
    raft_node_free(peer->node);
    free(peer);
}

void peer_propose(struct peer *peer, struct op *op, struct command **cmd)
{
    uint64_t seq;
    if (!proposals_add(peer->proposals, op, cmd, &seq)) {
        op_fail(op, KE_BUSY);
        return;
    }
    apply_expect(peer->config.apply, seq, op);
}

void peer_barrier(struct peer *peer, struct op *op)
{
    if (!reads_add(&peer->reads, op))
        op_fail(op, KE_BUSY);
}

/* --- the network --- */

static void peer_send(struct peer *peer, const struct raft_message *message)
{
    const struct region *region = peer->region;
    const struct region_peer *to = region_find_peer(region, message->to);
    if (to == NULL)
        return;
    struct wire_envelope envelope = {
        .region_id = region->id,
        .from_peer = peer->peer_id,
        .from_store = peer->config.store_id,
        .to_peer = to->peer_id,
        .to_store = to->store_id,
        .conf_ver = region->conf_ver,
        .version = region->version,
    };
    transport_send(peer->config.transport, to->store_id, &envelope, message);
}

/* An entry that this version could have proposed. */
static bool peer_takes_entry(const struct raft_entry *entry)
{
    return entry->type == RAFT_ENTRY_NORMAL && entry->size <= PROPOSALS_PACKED_MAX;
}

/* The core takes a message whose entries contradict each other for damage of its
 * own state. From the network it is just a bad message. */
static bool peer_is_well_formed(const struct raft_message *message)
{
    if (message->type != RAFT_MESSAGE_APPEND && message->type != RAFT_MESSAGE_PROPOSE)
        return message->entry_count == 0;
    uint64_t term = message->log_term;
    for (size_t i = 0; i < message->entry_count; i++) {
        const struct raft_entry *entry = message->entries[i];
        if (!peer_takes_entry(entry))
            return false;
        if (message->type == RAFT_MESSAGE_PROPOSE)
            continue;
        if (entry->index != message->index + 1 + i || entry->term < term ||
            entry->term > message->term)
            return false;
        term = entry->term;
    }
    return true;
}

void peer_step(struct peer *peer, const struct wire_envelope *envelope,
               const struct raft_message *message)
{
    const struct region *region = peer->region;
    const struct region_peer *from = region_find_peer(region, envelope->from_peer);
    if (envelope->region_id != region->id || envelope->to_peer != peer->peer_id || from == NULL ||
        from->store_id != envelope->from_store || message->from != envelope->from_peer ||
        envelope->conf_ver != region->conf_ver || envelope->version != region->version) {
        log_warn("dropped a %s message from store %llu that is not for this peer",
                 raft_message_type_name(message->type), (unsigned long long)envelope->from_store);
        return;
    }
    if (!peer_is_well_formed(message)) {
        log_warn("dropped a malformed %s message from store %llu",
                 raft_message_type_name(message->type), (unsigned long long)envelope->from_store);
        return;
    }
    /* The log is never cut, so nobody has a reason to send one. */
    if (message->type == RAFT_MESSAGE_SNAPSHOT)
        return;
    peer->heard[from - region->peers] = peer->tick;
    if (message->type == RAFT_MESSAGE_PROPOSE)
        holdback_proposal(&peer->holdback, message->from);
    peer_check(peer, raft_node_step(peer->node, message), raft_message_type_name(message->type));
}

void peer_unreachable(struct peer *peer, uint64_t store_id)
{
    for (size_t i = 0; i < peer->region->peer_count; i++) {
        if (peer->region->peers[i].store_id == store_id)
            raft_node_report_unreachable(peer->node, peer->region->peers[i].peer_id);
    }
}

/* --- input --- */

void peer_applied(struct peer *peer, const struct raft_message *message, const uint64_t *seqs,
                  size_t seq_count)
{
    for (size_t i = 0; i < seq_count; i++)
        proposals_complete(peer->proposals, seqs[i]);
    if (message != NULL) {
        for (size_t i = 0; i < message->response_count; i++)
            peer_check(peer, raft_node_step(peer->node, &message->responses[i]), "apply response");
    }
    peer->proposals_held = false;
}

void peer_tick(struct peer *peer)
{
    uint64_t election = peer->config.election_ticks;
    peer->tick++;
    peer_check(peer, raft_node_tick(peer->node), "tick");
    proposals_tick(peer->proposals);
    /* What this node has in its own log as the leader cannot have been lost. */
    if (peer->leader != peer->peer_id)
        proposals_resend_silent(peer->proposals, peer->tick, PEER_RESEND_ELECTIONS * election);
    reads_tick(&peer->reads, peer->tick, election);
    peer->proposals_held = false;
    peer->reads_held = false;
}

/* --- the ready loop --- */

static void peer_propose_pending(struct peer *peer)
{
    while (peer->leader != RAFT_NONE && !peer->proposals_held &&
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
    if (rc == 0)
        reads_asked(&peer->reads, peer->tick);
    else
        peer->reads_held = true;
}

static void peer_note_leader(struct peer *peer, const struct raft_ready *ready)
{
    if (!ready->soft_state_changed || ready->leader == peer->leader)
        return;
    peer->leader = ready->leader;
    peer->proposals_held = false;
    peer->reads_held = false;
    if (peer->leader == RAFT_NONE)
        return;
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

/* Writes, then tells those who may rely on it: the order is the safety of Raft.
 * Without entries, term or vote there is nothing new to be durable, and all that
 * came before is: an answer to a message that only moved the commit index needs
 * no fsync. */
static void peer_append(struct peer *peer, struct raft_message *append, bool must_sync)
{
    if (append->entry_count > 0)
        holdback_append(&peer->holdback, append->entries[append->entry_count - 1]->index);
    peer_storage_append(peer->config.storage, append, must_sync);
    for (size_t i = 0; i < append->response_count; i++) {
        struct raft_message *response = &append->responses[i];
        if (response->to == peer->peer_id)
            peer_check(peer, raft_node_step(peer->node, response), "append response");
        else
            peer_send(peer, response);
    }
}

/* Gives the apply thread its part before anything else: somebody waits for that.
 * Returns the part of the log write, or NULL. */
static struct raft_message *peer_hand_out(struct peer *peer, const struct raft_ready *ready)
{
    struct raft_message *append = NULL;
    for (size_t i = 0; i < ready->message_count; i++) {
        struct raft_message *message = &ready->messages[i];
        if (message->to == RAFT_APPLY_WORKER) {
            apply_entries(peer->config.apply, message);
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
    if (!raft_node_has_ready(peer->node))
        return false;
    struct raft_ready ready;
    int rc = raft_node_ready(peer->node, &ready);
    peer_check(peer, rc, "ready");
    if (rc != 0)
        return false;
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
        peer_propose_pending(peer);
        peer_ask_reads(peer);
    } while (peer_handle_ready(peer));
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

/* --- status --- */

static const char *peer_role_name(const struct raft_status *raft)
{
    if (raft->learner)
        return "learner";
    return raft_role_name(raft->role);
}

static void peer_member_status(const struct peer *peer, const struct raft_status *raft,
                               struct store_member_status *member)
{
    for (size_t i = 0; i < peer->region->peer_count; i++) {
        if (peer->region->peers[i].store_id != member->member.id)
            continue;
        uint64_t silent_ticks = peer->tick - peer->heard[i];
        member->active = peer->region->peers[i].peer_id == peer->peer_id ||
                         (peer->heard[i] != 0 && silent_ticks <= peer->config.election_ticks);
        for (uint32_t k = 0; k < raft->peer_count; k++) {
            if (raft->peers[k].id == peer->region->peers[i].peer_id)
                member->match_index = raft->peers[k].match;
        }
    }
}

void peer_status(struct peer *peer, struct store_status *status)
{
    struct raft_status raft;
    peer_check(peer, raft_node_status(peer->node, &raft), "status");
    const struct region_peer *leader = region_find_peer(peer->region, raft.leader);
    status->region_id = peer->region->id;
    status->role = peer_role_name(&raft);
    status->leader_id = leader != NULL ? leader->store_id : 0;
    status->term = raft.hard_state.term;
    status->commit_index = raft.hard_state.commit;
    status->first_index = raft.first_index;
    status->last_index = raft.last_index;
    for (size_t i = 0; i < status->member_count; i++) {
        struct store_member_status *member = &status->members[i];
        member->is_leader = member->member.id == status->leader_id;
        member->active = false;
        member->match_index = 0;
        peer_member_status(peer, &raft, member);
    }
}
