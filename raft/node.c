#include "raft/node.h"
#include "raft/fault.h"

#include <assert.h>
#include <string.h>

#include "raft/alloc.h"

// Terms and indexes beyond are nonsense; below, sums of two cannot overflow.
#define NUMBER_MAX (UINT64_C(1) << 62)

void raft_config_init(struct raft_config *config)
{
    *config = (struct raft_config){
        .election_ticks = 10,
        .heartbeat_ticks = 1,
        .max_message_bytes = 1u << 20,
        .max_applying_bytes = 4u << 20,
        .max_uncommitted_bytes = 64u << 20,
        .max_inflight_messages = 256,
        .max_inflight_bytes = 16u << 20,
        .check_quorum = true,
        .pre_vote = true,
        .read_mode = RAFT_READ_SAFE,
        .step_down_on_removal = true,
    };
}

static bool is_valid(const struct raft_config *c)
{
    if (c->id == RAFT_NONE || raft_is_worker(c->id) || c->storage.ops == NULL) {
        return false;
    }
    if (c->heartbeat_ticks <= 0 || c->election_ticks <= c->heartbeat_ticks ||
        c->election_ticks > RAFT_TICKS_MAX) {
        return false;
    }
    if (c->max_inflight_messages == 0 || c->max_inflight_messages > RAFT_INFLIGHT_MAX) {
        return false;
    }
    if (c->max_inflight_bytes != 0 && c->max_inflight_bytes < c->max_message_bytes) {
        return false;
    }
    return c->read_mode != RAFT_READ_LEASE || c->check_quorum;
}

static void fill_defaults(struct raft_config *c)
{
    if (c->max_uncommitted_bytes == 0) {
        c->max_uncommitted_bytes = RAFT_NO_LIMIT;
    }
    if (c->max_applying_bytes == 0) {
        c->max_applying_bytes = c->max_message_bytes;
    }
    if (c->max_inflight_bytes == 0) {
        c->max_inflight_bytes = RAFT_NO_LIMIT;
    }
}

// Takes up what the storage says this node was before.
static int load(struct raft *r)
{
    const struct raft_config *c = &r->config;
    struct raft_hard_state hard;
    struct raft_conf_state conf;
    memset(&hard, 0, sizeof(hard));
    memset(&conf, 0, sizeof(conf));
    int rc = c->storage.ops->initial_state(c->storage.ctx, &hard, &conf);
    if (rc != 0) {
        return rc;
    }
    uint64_t last = raft_log_last_index(&r->log);
    if (r->log.error != 0) {
        return r->log.error;
    }
    struct raft_tracker next;
    rc = raft_prepare_conf(r, &conf, last, &next);
    if (rc != 0) {
        return rc;
    }
    raft_switch_conf(r, &next);
    if (!raft_hard_state_is_empty(&hard)) {
        if (hard.commit < r->log.committed || hard.commit > last || hard.term > NUMBER_MAX) {
            return RAFT_E_CORRUPT;
        }
        r->log.committed = hard.commit;
        r->term = hard.term;
        r->vote = RAFT_FAULT(VOTE_FORGOTTEN) ? RAFT_NONE : hard.vote;
    }
    if (c->applied > r->log.committed || (c->applied != 0 && c->applied < r->log.applied)) {
        return RAFT_E_CORRUPT;
    }
    if (c->applied != 0) {
        raft_log_applied_to(&r->log, c->applied, 0);
    }
    return 0;
}

static int start(struct raft *r, const struct raft_config *config)
{
    r->id = config->id;
    r->config = *config;
    fill_defaults(&r->config);
    r->random_state = config->random_seed;
    r->ticks = 1;
    r->commit_limit = RAFT_NO_LIMIT;
    struct raft_inflight_limits limits = {
        .messages = r->config.max_inflight_messages,
        .bytes = r->config.max_inflight_bytes,
    };
    raft_tracker_init(&r->tracker, &limits);
    int rc =
        raft_log_init(&r->log, &r->config.storage, r->config.max_applying_bytes, &r->config.log);
    if (rc == 0) {
        rc = load(r);
    }
    if (rc != 0) {
        return rc;
    }
    raft_become_follower(r, r->term, RAFT_NONE);
    uint64_t last_term;
    uint64_t last_index;
    rc = raft_log_last(&r->log, &last_term, &last_index);
    if (rc != 0) {
        return rc;
    }
    RAFT_TELL(&r->config.log, NODE_STARTED, .node = r->id, .term = r->term,
              .commit = r->log.committed, .applied = r->log.applied, .last_index = last_index,
              .last_term = last_term, .conf = &r->tracker.conf);
    return r->log.error;
}

int raft_node_new(const struct raft_config *config, struct raft_node **ret_node)
{
    if (!is_valid(config)) {
        return RAFT_E_INVALID;
    }
    struct raft_node *node = raft_mem_alloc(sizeof(*node));
    if (node == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    memset(node, 0, sizeof(*node));
    int rc = start(&node->raft, config);
    if (rc != 0) {
        raft_node_free(node);
        return rc;
    }
    node->last_leader = node->raft.leader;
    node->last_role = node->raft.role;
    node->last_hard_state = raft_node_hard_state(node);
    *ret_node = node;
    return 0;
}

void raft_node_free(struct raft_node *node)
{
    if (node == NULL) {
        return;
    }
    struct raft *r = &node->raft;
    raft_log_release(&r->log);
    raft_tracker_release(&r->tracker);
    raft_read_only_release(&r->reads);
    raft_outbox_release(&r->messages);
    raft_outbox_release(&r->after_append);
    raft_mem_free(r->read_states);
    raft_outbox_release(&node->sent);
    raft_outbox_release(&node->persisted);
    raft_outbox_release(&node->on_advance);
    raft_log_slice_release(&node->entries);
    raft_log_slice_release(&node->committed);
    raft_snapshot_unref(node->snapshot);
    raft_mem_free(node->read_states);
    raft_mem_free(node);
}

struct raft_hard_state raft_node_hard_state(const struct raft_node *node)
{
    const struct raft *r = &node->raft;
    return (struct raft_hard_state){.term = r->term, .vote = r->vote, .commit = r->log.committed};
}

// Each public call starts with a clean slate of noted errors and returns the
// first one noted, unless it has an error of its own to tell.
static struct raft *enter(struct raft_node *node)
{
    node->raft.log.error = 0;
    return &node->raft;
}

static int leave(const struct raft *r, int rc)
{
    return rc != 0 ? rc : r->log.error;
}

int raft_node_tick(struct raft_node *node)
{
    struct raft *r = enter(node);
    raft_tick(r);
    return leave(r, 0);
}

int raft_node_campaign(struct raft_node *node)
{
    struct raft *r = enter(node);
    if (r->config.read_mode == RAFT_READ_LEASE && r->role != RAFT_LEADER && raft_is_in_lease(r)) {
        return RAFT_E_LEASE;
    }
    raft_hup(r, r->config.pre_vote ? RAFT_CAMPAIGN_PRE : RAFT_CAMPAIGN_REAL);
    return leave(r, 0);
}

int raft_node_propose(struct raft_node *node, struct raft_entry **entries, size_t count)
{
    struct raft *r = enter(node);
    int rc = raft_propose(r, entries, count);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        raft_entry_unref(entries[i]);
        entries[i] = NULL;
    }
    // The entries are in the log; a follower that could not be told hears of
    // them with the next message. There is nothing to report.
    return 0;
}

int raft_node_propose_conf_change(struct raft_node *node, const struct raft_conf_change *change)
{
    struct raft_entry *entry;
    int rc = raft_conf_change_encode(change, &entry);
    if (rc != 0) {
        return rc;
    }
    rc = raft_node_propose(node, &entry, 1);
    raft_entry_unref(entry);
    return rc;
}

int raft_node_apply_conf_change(struct raft_node *node, const struct raft_conf_change *change,
                                struct raft_conf_state *ret_conf)
{
    struct raft *r = enter(node);
    // Once in force it is in force, whatever else failed: that was messages only.
    return raft_apply_conf_change(r, change, ret_conf);
}

// May such a message carry term 0?
static bool is_termless(const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_MESSAGE_PROPOSE:
    case RAFT_MESSAGE_READ_INDEX:
    case RAFT_MESSAGE_TRANSFER_LEADER:
    case RAFT_MESSAGE_FORGET_LEADER:
        return true;
    case RAFT_MESSAGE_PRE_VOTE_RESPONSE:
    case RAFT_MESSAGE_REQUEST_VOTE_RESPONSE:
        return m->reject;
    default:
        return raft_message_is_local(m->type);
    }
}

// Could such a message come from `from`? Of its own the node gets back only its
// promises, once they are kept, and what it may forward.
static bool is_plausible_sender(const struct raft *r, const struct raft_message *m)
{
    bool forwarded = m->type == RAFT_MESSAGE_PROPOSE || m->type == RAFT_MESSAGE_READ_INDEX ||
                     m->type == RAFT_MESSAGE_TRANSFER_LEADER ||
                     m->type == RAFT_MESSAGE_FORGET_LEADER;
    if (m->from == r->id) {
        bool promise = m->type == RAFT_MESSAGE_APPEND_RESPONSE ||
                       m->type == RAFT_MESSAGE_REQUEST_VOTE_RESPONSE ||
                       m->type == RAFT_MESSAGE_PRE_VOTE_RESPONSE;
        return forwarded || (promise && !m->reject);
    }
    if (raft_is_worker(m->from)) {
        return m->type == RAFT_MESSAGE_STORAGE_APPEND_RESPONSE ||
               m->type == RAFT_MESSAGE_STORAGE_APPLY_RESPONSE;
    }
    return m->from != RAFT_NONE || forwarded;
}

static bool is_well_formed(const struct raft_message *m)
{
    if ((unsigned)m->type >= RAFT_MESSAGE_TYPE_COUNT || m->context_size > RAFT_CONTEXT_MAX ||
        m->entry_count > RAFT_MESSAGE_ENTRIES_MAX) {
        return false;
    }
    if (m->term == 0 && !is_termless(m)) {
        return false;
    }
    if (m->type == RAFT_MESSAGE_SNAPSHOT &&
        (m->snapshot == NULL || m->snapshot->index > NUMBER_MAX)) {
        return false;
    }
    return m->term <= NUMBER_MAX && m->index <= NUMBER_MAX && m->log_term <= NUMBER_MAX &&
           m->commit <= NUMBER_MAX && m->reject_hint <= NUMBER_MAX;
}

int raft_node_step(struct raft_node *node, const struct raft_message *m)
{
    struct raft *r = enter(node);
    bool from_worker = raft_is_worker(m->from);
    if (raft_message_is_local(m->type) && !from_worker) {
        return RAFT_E_LOCAL_MESSAGE;
    }
    if (!is_well_formed(m) || !is_plausible_sender(r, m)) {
        return RAFT_E_INVALID;
    }
    if (raft_message_is_response(m->type) && !from_worker &&
        raft_tracker_peek(&r->tracker, m->from) == NULL) {
        return RAFT_E_PEER_NOT_FOUND;
    }
    return leave(r, raft_step(r, m));
}

int raft_node_read_index(struct raft_node *node, const void *context, size_t size)
{
    struct raft *r = enter(node);
    if (size == 0 || size > RAFT_CONTEXT_MAX) {
        return RAFT_E_INVALID;
    }
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_READ_INDEX);
    m.context_size = (uint8_t)size;
    memcpy(m.context, context, size);
    return leave(r, raft_handle_read_index(r, &m));
}

// Steps a local message about `peer`.
static int step_about(struct raft_node *node, enum raft_message_type type, uint64_t peer,
                      bool reject)
{
    struct raft *r = enter(node);
    struct raft_message m;
    raft_message_init(&m, type);
    m.from = peer;
    m.reject = reject;
    return leave(r, raft_step(r, &m));
}

int raft_node_transfer_leader(struct raft_node *node, uint64_t peer)
{
    return step_about(node, RAFT_MESSAGE_TRANSFER_LEADER, peer, false);
}

int raft_node_forget_leader(struct raft_node *node)
{
    return step_about(node, RAFT_MESSAGE_FORGET_LEADER, RAFT_NONE, false);
}

int raft_node_report_unreachable(struct raft_node *node, uint64_t peer)
{
    return step_about(node, RAFT_MESSAGE_UNREACHABLE, peer, false);
}

int raft_node_report_snapshot(struct raft_node *node, uint64_t peer, bool succeeded)
{
    return step_about(node, RAFT_MESSAGE_SNAP_STATUS, peer, !succeeded);
}

int raft_node_limit_commit(struct raft_node *node, uint64_t index)
{
    struct raft *r = enter(node);
    if (r->role != RAFT_LEADER) {
        return 0;
    }
    r->commit_limit = index;
    if (raft_maybe_commit(r)) {
        raft_release_held_reads(r);
        raft_broadcast_append(r);
    }
    return leave(r, 0);
}
