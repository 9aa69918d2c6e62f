#include <assert.h>
#include <string.h>

#include "raft/core.h"
#include "raft/fault.h"
#include "raft/le64.h"

bool raft_is_promotable(const struct raft *r)
{
    const struct raft_progress *self = raft_tracker_peek(&r->tracker, r->id);
    // With a snapshot pending the state is not there yet to lead from.
    return self != NULL && !self->learner && r->log.unstable.snapshot == NULL;
}

// Dissertation 4.2.3: who has just heard from a leader helps nobody to depose
// it. Leases of reads rest on this promise, so under RAFT_READ_LEASE it holds
// for the full time even when the leader is forgotten for another reason, such
// as a stray message of a higher term.
bool raft_is_in_lease(const struct raft *r)
{
    if (!r->config.check_quorum) {
        return false;
    }
    uint64_t election_ticks = (uint64_t)r->config.election_ticks;
    if (r->config.lease_on_start && r->ticks <= election_ticks) {
        return true;
    }
    if (r->config.read_mode == RAFT_READ_LEASE && r->leader_heard_tick != 0 &&
        r->ticks - r->leader_heard_tick < election_ticks) {
        return true;
    }
    return r->leader != RAFT_NONE && r->election_elapsed < r->config.election_ticks;
}

static void request_votes(struct raft *r, enum raft_campaign kind, uint64_t last_term,
                          uint64_t last_index)
{
    bool pre = kind == RAFT_CAMPAIGN_PRE;
    enum raft_message_type request = pre ? RAFT_MESSAGE_PRE_VOTE : RAFT_MESSAGE_REQUEST_VOTE;
    // A pre-vote asks about the term that the campaign would have.
    uint64_t term = pre ? r->term + 1 : r->term;
    for (uint32_t i = 0; i < r->tracker.count; i++) {
        uint64_t to = r->tracker.progress[i].id;
        if (!raft_tracker_is_voter(&r->tracker, to)) {
            continue;
        }
        struct raft_message m;
        raft_message_init(&m, request);
        m.to = to;
        m.term = term;
        if (to == r->id) {
            // The vote for itself counts like any other: once it is on disk.
            m.type = pre ? RAFT_MESSAGE_PRE_VOTE_RESPONSE : RAFT_MESSAGE_REQUEST_VOTE_RESPONSE;
            raft_send(r, &m);
            continue;
        }
        RAFT_TELL(&r->config.log, VOTE_REQUESTED, .node = r->id, .term = r->term, .peer = to,
                  .message = request, .last_term = last_term, .last_index = last_index);
        m.log_term = last_term;
        m.index = last_index;
        if (kind == RAFT_CAMPAIGN_TRANSFER) {
            m.context_size = sizeof(RAFT_TRANSFER_CONTEXT) - 1;
            memcpy(m.context, RAFT_TRANSFER_CONTEXT, m.context_size);
        }
        raft_send(r, &m);
    }
}

static void campaign(struct raft *r, enum raft_campaign kind)
{
    uint64_t last_term;
    uint64_t last_index;
    if (raft_log_last(&r->log, &last_term, &last_index) != 0) {
        return;
    }
    // A candidate whose own vote got lost could only wait for the next timeout.
    int rc = raft_outbox_reserve(&r->after_append, 1);
    if (rc != 0) {
        raft_log_note_error(&r->log, rc);
        return;
    }
    if (kind == RAFT_CAMPAIGN_PRE) {
        raft_become_pre_candidate(r);
    } else {
        raft_become_candidate(r);
    }
    request_votes(r, kind, last_term, last_index);
}

void raft_hup(struct raft *r, enum raft_campaign kind)
{
    if (r->role == RAFT_LEADER) {
        RAFT_TELL(&r->config.log, ELECTION_ALREADY_LEADER, .node = r->id);
        return;
    }
    if (!raft_is_promotable(r)) {
        RAFT_TELL(&r->config.log, ELECTION_UNPROMOTABLE, .node = r->id);
        return;
    }
    // The change may be the one that removes this node, or adds the quorum it
    // would have to ask.
    if (raft_has_unapplied_conf_change(r)) {
        RAFT_TELL(&r->config.log, ELECTION_CONF_PENDING, .node = r->id, .term = r->term);
        return;
    }
    RAFT_TELL(&r->config.log, ELECTION_STARTED, .node = r->id, .term = r->term);
    campaign(r, kind);
}

#define COMMIT_HINT_BYTES 16

void raft_give_commit_hint(struct raft *r, struct raft_message *refusal)
{
    uint64_t term = raft_log_term_or_zero(&r->log, r->log.committed);
    if (term != 0) {
        raft_put_le64(refusal->context, r->log.committed);
        raft_put_le64(refusal->context + 8, term);
        refusal->context_size = COMMIT_HINT_BYTES;
    }
}

// A change of members may be committed without those that stay knowing it,
// while those that leave, with more in their logs than anybody else, refuse
// their votes for ever. So a refusal names the last entry its sender knows as
// committed: an entry that this log has, too, is committed here as well.
static void take_commit_hint(struct raft *r, const struct raft_message *refusal)
{
    if (refusal->context_size != COMMIT_HINT_BYTES) {
        return;
    }
    uint64_t index = raft_get_le64(refusal->context);
    uint64_t term = raft_get_le64(refusal->context + 8);
    if (index <= r->log.committed || index > raft_log_last_index(&r->log) ||
        !raft_log_matches(&r->log, term, index)) {
        return;
    }
    raft_log_commit_to(&r->log, index);
    // As in raft_hup(): what is in force may be outdated now.
    if (raft_has_unapplied_conf_change(r)) {
        raft_become_follower(r, r->term, RAFT_NONE);
    }
}

static enum raft_message_type response_to(enum raft_message_type request)
{
    return request == RAFT_MESSAGE_PRE_VOTE ? RAFT_MESSAGE_PRE_VOTE_RESPONSE
                                            : RAFT_MESSAGE_REQUEST_VOTE_RESPONSE;
}

// Paper 5.2 and 5.4.1. Learners vote too: a node may have become a voter without
// having learnt of it yet, and the candidate that asks knows better.
void raft_handle_vote_request(struct raft *r, const struct raft_message *m)
{
    uint64_t last_term;
    uint64_t last_index;
    if (raft_log_last(&r->log, &last_term, &last_index) != 0) {
        return;
    }
    bool free_to_vote = r->vote == m->from || (r->vote == RAFT_NONE && r->leader == RAFT_NONE) ||
                        (m->type == RAFT_MESSAGE_PRE_VOTE && m->term > r->term) ||
                        RAFT_FAULT(VOTE_TWICE);
    bool good_log = raft_log_is_up_to_date(m->log_term, m->index, last_term, last_index) ||
                    RAFT_FAULT(VOTE_FOR_ANY_LOG);
    bool grant = free_to_vote && good_log;

    struct raft_message answer;
    raft_message_init(&answer, response_to(m->type));
    answer.to = m->from;
    answer.reject = !grant;
    // A yes to a pre-vote carries the term asked about, which the asker has not
    // reached; a no carries the own term, so that an outdated asker learns it.
    answer.term = grant ? m->term : r->term;
    if (!grant) {
        RAFT_TELL(&r->config.log, VOTE_REFUSED, .node = r->id, .term = r->term, .peer = m->from,
                  .message = m->type, .log_term = m->log_term, .index = m->index,
                  .last_term = last_term, .last_index = last_index, .vote = r->vote);
        raft_give_commit_hint(r, &answer);
        raft_send(r, &answer);
        return;
    }
    RAFT_TELL(&r->config.log, VOTE_CAST, .node = r->id, .term = r->term, .peer = m->from,
              .message = m->type, .log_term = m->log_term, .index = m->index,
              .last_term = last_term, .last_index = last_index, .vote = r->vote);
    raft_send(r, &answer);
    if (m->type == RAFT_MESSAGE_REQUEST_VOTE) {
        r->election_elapsed = 0;
        r->vote = m->from;
    }
}

// The others alone may be a majority. But a leader whose term is not on its disk
// could crash, forget it, win the same term again with the same votes, and fill
// it with other entries.
static bool own_vote_is_stable(const struct raft *r)
{
    const struct raft_progress *self = raft_tracker_peek(&r->tracker, r->id);
    return self != NULL && self->vote == RAFT_VOTE_YES;
}

void raft_handle_vote_response(struct raft *r, const struct raft_message *m)
{
    if (m->reject) {
        RAFT_TELL(&r->config.log, VOTE_DENIED, .node = r->id, .term = r->term, .peer = m->from,
                  .message = m->type);
    } else {
        RAFT_TELL(&r->config.log, VOTE_GAINED, .node = r->id, .term = r->term, .peer = m->from,
                  .message = m->type);
    }
    if (m->reject) {
        take_commit_hint(r, m);
    }
    if (r->role == RAFT_FOLLOWER) {
        return;
    }
    raft_tracker_record_vote(&r->tracker, m->from, !m->reject);
    uint32_t granted;
    uint32_t rejected;
    enum raft_vote_result result = raft_tracker_tally(&r->tracker, &granted, &rejected);
    RAFT_TELL(&r->config.log, VOTE_COUNTED, .node = r->id, .message = m->type, .granted = granted,
              .rejected = rejected);
    if (result == RAFT_VOTE_LOST) {
        raft_become_follower(r, r->term, RAFT_NONE);
    } else if (result == RAFT_VOTE_WON && r->role == RAFT_PRE_CANDIDATE) {
        campaign(r, RAFT_CAMPAIGN_REAL);
    } else if (result == RAFT_VOTE_WON && own_vote_is_stable(r)) {
        int rc = raft_become_leader(r);
        if (rc != 0) {
            raft_log_note_error(&r->log, rc);
            return;
        }
        raft_broadcast_append(r);
    }
}
