#include <assert.h>

#include "raft/core.h"
#include "raft/fault.h"

static bool is_promise_about_disk(enum raft_message_type type)
{
    // Refusals too: they rest on the vote or the log that is being written.
    return type == RAFT_MESSAGE_APPEND_RESPONSE || type == RAFT_MESSAGE_REQUEST_VOTE_RESPONSE ||
           type == RAFT_MESSAGE_PRE_VOTE_RESPONSE;
}

static bool is_vote_message(enum raft_message_type type)
{
    return type == RAFT_MESSAGE_REQUEST_VOTE || type == RAFT_MESSAGE_REQUEST_VOTE_RESPONSE ||
           type == RAFT_MESSAGE_PRE_VOTE || type == RAFT_MESSAGE_PRE_VOTE_RESPONSE;
}

bool raft_send(struct raft *r, struct raft_message *m)
{
    if (m->from == RAFT_NONE) {
        m->from = r->id;
    }
    if (is_vote_message(m->type)) {
        // The refusal of a node that was never in any term says 0.
        assert(m->term != 0 || m->reject);
    } else if (m->type != RAFT_MESSAGE_PROPOSE && m->type != RAFT_MESSAGE_READ_INDEX) {
        // What is forwarded to the leader is of no term: it is for whoever leads.
        m->term = r->term;
    }
    bool promise = is_promise_about_disk(m->type);
    if (RAFT_FAULT(ACK_BEFORE_STABLE) && m->to != r->id) {
        promise = false;
    }
    assert(promise || m->to != r->id);
    int rc = raft_outbox_push(promise ? &r->after_append : &r->messages, m);
    if (rc != 0) {
        raft_message_release(m);
        raft_log_note_error(&r->log, rc);
        return false;
    }
    return true;
}

static bool comes_from_leader(enum raft_message_type type)
{
    return type == RAFT_MESSAGE_APPEND || type == RAFT_MESSAGE_HEARTBEAT ||
           type == RAFT_MESSAGE_SNAPSHOT;
}

static void tell_vote_in_lease(struct raft *r, const struct raft_message *m)
{
    uint64_t last_term = 0;
    uint64_t last_index = 0;
    int left = r->config.election_ticks - r->election_elapsed;
    raft_log_last(&r->log, &last_term, &last_index);
    RAFT_TELL(&r->config.log, VOTE_IN_LEASE, .node = r->id, .term = r->term, .peer = m->from,
              .message = m->type, .log_term = m->log_term, .index = m->index,
              .last_term = last_term, .last_index = last_index, .vote = r->vote,
              .ticks = left > 0 ? (uint64_t)left : 0);
}

// false: the message is dealt with.
static bool enter_higher_term(struct raft *r, const struct raft_message *m)
{
    if (m->type == RAFT_MESSAGE_REQUEST_VOTE || m->type == RAFT_MESSAGE_PRE_VOTE) {
        if (!raft_message_is_transfer_campaign(m) && raft_is_in_lease(r)) {
            tell_vote_in_lease(r, m);
            return false;
        }
    }
    // A pre-vote asks about a term nobody has entered, and a yes to it names that
    // term. A no names one that somebody has.
    if (m->type == RAFT_MESSAGE_PRE_VOTE ||
        (m->type == RAFT_MESSAGE_PRE_VOTE_RESPONSE && !m->reject)) {
        return true;
    }
    RAFT_TELL(&r->config.log, TERM_HIGHER, .node = r->id, .term = r->term, .message = m->type,
              .peer = m->from, .peer_term = m->term);
    raft_become_follower(r, m->term, comes_from_leader(m->type) ? m->from : RAFT_NONE);
    return true;
}

static void handle_lower_term(struct raft *r, const struct raft_message *m)
{
    if ((r->config.check_quorum || r->config.pre_vote) &&
        (m->type == RAFT_MESSAGE_HEARTBEAT || m->type == RAFT_MESSAGE_APPEND)) {
        // With votes ignored, a node with a term too high could neither be
        // elected nor rejoin. Our term in an answer makes the leader move on.
        struct raft_message answer;
        raft_message_init(&answer, RAFT_MESSAGE_APPEND_RESPONSE);
        answer.to = m->from;
        raft_send(r, &answer);
        return;
    }
    if (m->type == RAFT_MESSAGE_PRE_VOTE) {
        // Silence could leave the asker, behind in term but not in log, asking for ever.
        uint64_t last_term = 0;
        uint64_t last_index = 0;
        raft_log_last(&r->log, &last_term, &last_index);
        RAFT_TELL(&r->config.log, VOTE_REFUSED, .node = r->id, .term = r->term, .peer = m->from,
                  .message = m->type, .log_term = m->log_term, .index = m->index,
                  .last_term = last_term, .last_index = last_index, .vote = r->vote);
        struct raft_message answer;
        raft_message_init(&answer, RAFT_MESSAGE_PRE_VOTE_RESPONSE);
        answer.to = m->from;
        answer.term = r->term;
        answer.reject = true;
        raft_give_commit_hint(r, &answer);
        raft_send(r, &answer);
        return;
    }
    if (m->type == RAFT_MESSAGE_STORAGE_APPEND_RESPONSE) {
        // In between, another leader may have replaced the entries with others
        // and even with the same ones again; the storage may have them in any
        // of these states. A later response of this term will settle it. A
        // snapshot is committed state of whatever term.
        if (m->index != 0) {
            RAFT_TELL(&r->config.log, APPEND_DONE_STALE, .node = r->id, .term = r->term,
                      .message = m->type, .peer_term = m->term);
        }
        if (m->snapshot != NULL) {
            raft_applied_snapshot(r, m->snapshot);
        }
        return;
    }
    RAFT_TELL(&r->config.log, TERM_LOWER, .node = r->id, .term = r->term, .message = m->type,
              .peer = m->from, .peer_term = m->term);
}

static void handle_storage_append_response(struct raft *r, const struct raft_message *m)
{
    if (m->index != 0) {
        raft_unstable_stable_to(&r->log.unstable, m->log_term, m->index);
    }
    if (m->snapshot != NULL) {
        raft_applied_snapshot(r, m->snapshot);
    }
}

// What a worker cannot say truthfully is not believed.
static bool is_false_report(const struct raft *r, const struct raft_message *m)
{
    if (m->snapshot != NULL && m->snapshot->index > r->log.committed) {
        return true;
    }
    return m->type == RAFT_MESSAGE_STORAGE_APPLY_RESPONSE && m->entry_count > 0 &&
           m->entries[m->entry_count - 1]->index > r->log.committed;
}

static void handle_storage_apply_response(struct raft *r, const struct raft_message *m)
{
    uint64_t encoded = 0;
    uint64_t payload = 0;
    for (size_t i = 0; i < m->entry_count; i++) {
        encoded += raft_entry_encoded_size(m->entries[i]);
        payload += m->entries[i]->size;
    }
    if (m->entry_count > 0) {
        raft_applied_to(r, m->entries[m->entry_count - 1]->index, encoded);
        raft_reduce_uncommitted(r, payload);
    }
}

static void step_leader(struct raft *r, const struct raft_message *m)
{
    struct raft_progress *p = raft_tracker_find(&r->tracker, m->from);
    if (m->type == RAFT_MESSAGE_FORGET_LEADER) {
        return;
    }
    if (p == NULL) {
        RAFT_TELL(&r->config.log, PEER_UNKNOWN, .node = r->id, .peer = m->from);
        return;
    }
    switch (m->type) {
    case RAFT_MESSAGE_APPEND_RESPONSE:
        raft_handle_append_response(r, p, m);
        break;
    case RAFT_MESSAGE_HEARTBEAT_RESPONSE:
        raft_handle_heartbeat_response(r, p, m);
        break;
    case RAFT_MESSAGE_SNAP_STATUS:
        raft_handle_snap_status(r, p, m->reject);
        break;
    case RAFT_MESSAGE_UNREACHABLE:
        raft_handle_unreachable(r, p);
        break;
    case RAFT_MESSAGE_TRANSFER_LEADER:
        raft_handle_transfer(r, p);
        break;
    default:
        break;
    }
}

static void handle_from_leader(struct raft *r, const struct raft_message *m)
{
    r->leader_heard_tick = r->ticks;
    if (m->type == RAFT_MESSAGE_APPEND) {
        raft_handle_append(r, m);
    } else if (m->type == RAFT_MESSAGE_HEARTBEAT) {
        raft_handle_heartbeat(r, m);
    } else {
        raft_handle_snapshot(r, m);
    }
}

static void step_candidate(struct raft *r, const struct raft_message *m)
{
    // Late answers to the pre-vote may arrive after the real campaign began.
    enum raft_message_type awaited = r->role == RAFT_PRE_CANDIDATE
                                         ? RAFT_MESSAGE_PRE_VOTE_RESPONSE
                                         : RAFT_MESSAGE_REQUEST_VOTE_RESPONSE;
    if (m->type == awaited) {
        raft_handle_vote_response(r, m);
    } else if (comes_from_leader(m->type)) {
        // Somebody else has won this term (paper 5.2).
        raft_become_follower(r, m->term, m->from);
        handle_from_leader(r, m);
    } else if (m->type == RAFT_MESSAGE_TIMEOUT_NOW) {
        RAFT_TELL(&r->config.log, TIMEOUT_NOW_IGNORED, .node = r->id, .term = r->term,
                  .peer = m->from, .pre_candidate = r->role == RAFT_PRE_CANDIDATE);
    }
}

static void forward_transfer(struct raft *r, const struct raft_message *m)
{
    if (r->leader == RAFT_NONE) {
        RAFT_TELL(&r->config.log, TRANSFER_NO_LEADER, .node = r->id, .term = r->term);
        return;
    }
    struct raft_message forwarded;
    raft_message_init(&forwarded, RAFT_MESSAGE_TRANSFER_LEADER);
    forwarded.to = r->leader;
    forwarded.from = m->from;
    raft_send(r, &forwarded);
}

static void forget_leader(struct raft *r)
{
    if (r->config.read_mode == RAFT_READ_LEASE) {
        RAFT_TELL(&r->config.log, FORGET_REFUSED, .node = r->id);
        return;
    }
    if (r->leader != RAFT_NONE) {
        RAFT_TELL(&r->config.log, LEADER_FORGOTTEN, .node = r->id, .term = r->term,
                  .peer = r->leader);
        r->leader = RAFT_NONE;
    }
}

static void step_follower(struct raft *r, const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_MESSAGE_APPEND:
    case RAFT_MESSAGE_HEARTBEAT:
    case RAFT_MESSAGE_SNAPSHOT:
        r->election_elapsed = 0;
        r->leader = m->from;
        handle_from_leader(r, m);
        break;
    case RAFT_MESSAGE_TRANSFER_LEADER:
        forward_transfer(r, m);
        break;
    case RAFT_MESSAGE_FORGET_LEADER:
        forget_leader(r);
        break;
    case RAFT_MESSAGE_TIMEOUT_NOW:
        RAFT_TELL(&r->config.log, TIMEOUT_NOW_OBEYED, .node = r->id, .term = r->term,
                  .peer = m->from);
        // No pre-vote: the leader itself asked, so nobody is being disturbed.
        raft_hup(r, RAFT_CAMPAIGN_TRANSFER);
        break;
    case RAFT_MESSAGE_READ_INDEX_RESPONSE: {
        int rc = raft_push_read_state(r, m->index, m->context, m->context_size);
        if (rc != 0) {
            raft_log_note_error(&r->log, rc);
        }
        break;
    }
    default:
        break;
    }
}

static void step_by_role(struct raft *r, const struct raft_message *m)
{
    switch (r->role) {
    case RAFT_LEADER:
        step_leader(r, m);
        break;
    case RAFT_CANDIDATE:
    case RAFT_PRE_CANDIDATE:
        step_candidate(r, m);
        break;
    case RAFT_FOLLOWER:
        step_follower(r, m);
        break;
    }
}

int raft_step(struct raft *r, const struct raft_message *m)
{
    if (raft_is_worker(m->from) && is_false_report(r, m)) {
        return RAFT_E_INVALID;
    }
    // What is local or forwarded is of no term.
    bool has_term = m->term != 0 && m->type != RAFT_MESSAGE_HUP &&
                    m->type != RAFT_MESSAGE_PROPOSE && m->type != RAFT_MESSAGE_READ_INDEX;
    if (has_term && m->term > r->term) {
        if (!enter_higher_term(r, m)) {
            return 0;
        }
    } else if (has_term && m->term < r->term) {
        handle_lower_term(r, m);
        return 0;
    }
    switch (m->type) {
    case RAFT_MESSAGE_HUP:
        raft_hup(r, r->config.pre_vote ? RAFT_CAMPAIGN_PRE : RAFT_CAMPAIGN_REAL);
        return 0;
    case RAFT_MESSAGE_PROPOSE:
        return raft_propose(r, m->entries, m->entry_count);
    case RAFT_MESSAGE_READ_INDEX:
        return raft_handle_read_index(r, m);
    case RAFT_MESSAGE_STORAGE_APPEND_RESPONSE:
        handle_storage_append_response(r, m);
        return 0;
    case RAFT_MESSAGE_STORAGE_APPLY_RESPONSE:
        handle_storage_apply_response(r, m);
        return 0;
    case RAFT_MESSAGE_REQUEST_VOTE:
    case RAFT_MESSAGE_PRE_VOTE:
        raft_handle_vote_request(r, m);
        return 0;
    default:
        step_by_role(r, m);
        return 0;
    }
}
