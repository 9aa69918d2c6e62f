#include <assert.h>

#include "raft/core.h"
#include "raft/fault.h"

void raft_progress_event_fields(const struct raft *r, const struct raft_progress *p,
                                struct raft_peer_status *ret_status)
{
    raft_progress_describe(p, &r->tracker.limits, ret_status);
}

static void tell_snapshot_sent(struct raft *r, const struct raft_progress *p,
                               const struct raft_snapshot *snapshot)
{
    struct raft_peer_status status;
    raft_progress_event_fields(r, p, &status);
    RAFT_TELL(&r->config.log, SNAPSHOT_SENT, .node = r->id, .peer = p->id, .index = snapshot->index,
              .log_term = snapshot->term, .first_index = raft_log_first_index(&r->log),
              .commit = r->log.committed, .progress = &status);
}

// Takes over when the log no longer has what the member needs (paper 7).
static bool maybe_send_snapshot(struct raft *r, struct raft_progress *p)
{
    if (!p->recent_active) {
        RAFT_TELL(&r->config.log, SNAPSHOT_PEER_INACTIVE, .node = r->id, .peer = p->id);
        return false;
    }
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_SNAPSHOT);
    m.to = p->id;
    int rc = raft_log_snapshot(&r->log, &m.snapshot);
    if (rc == RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE) {
        RAFT_TELL(&r->config.log, SNAPSHOT_NOT_READY, .node = r->id, .peer = p->id);
        return false;
    }
    if (rc == 0 && m.snapshot->index == 0) {
        rc = RAFT_E_CORRUPT;
    }
    if (rc == 0) {
        rc = raft_outbox_reserve(&r->messages, 1);
    }
    if (rc != 0) {
        raft_log_note_error(&r->log, rc);
        raft_message_release(&m);
        return false;
    }
    tell_snapshot_sent(r, p, m.snapshot);
    raft_progress_become_snapshot(p, m.snapshot->index);
    struct raft_peer_status status;
    raft_progress_event_fields(r, p, &status);
    RAFT_TELL(&r->config.log, PEER_PAUSED, .node = r->id, .peer = p->id, .progress = &status);
    return raft_send(r, &m);
}

// The entries to go with an append to `p`. 0, or the log's error.
static int entries_for(struct raft *r, const struct raft_progress *p, struct raft_log_slice *slice)
{
    // Into a full window goes an empty append only: its answer, whatever it is,
    // moves the window on even when everything in it was lost.
    if (p->state == RAFT_PROGRESS_REPLICATE &&
        raft_inflights_full(&p->inflights, &r->tracker.limits)) {
        return 0;
    }
    return raft_log_slice(&r->log, p->next, raft_log_last_index(&r->log) + 1,
                          r->config.max_message_bytes, slice);
}

// Sends the slice, and only then counts it as sent.
static bool send_append(struct raft *r, struct raft_progress *p, uint64_t prev_term,
                        struct raft_log_slice *slice)
{
    int rc = 0;
    if (p->state == RAFT_PROGRESS_REPLICATE && slice->count > 0) {
        rc = raft_inflights_reserve(&p->inflights, &r->tracker.limits);
    }
    if (rc != 0) {
        raft_log_note_error(&r->log, rc);
        raft_log_slice_release(slice);
        return false;
    }
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_APPEND);
    m.to = p->id;
    m.index = p->next - 1;
    m.log_term = prev_term;
    m.commit = r->log.committed;
    m.entries = slice->entries;
    m.entry_count = slice->count;
    if (!raft_send(r, &m)) {
        return false;
    }
    raft_progress_sent(p, slice->count, slice->payload_bytes, &r->tracker.limits);
    p->sent_commit = r->log.committed;
    return true;
}

bool raft_maybe_send_append(struct raft *r, struct raft_progress *p, bool send_if_empty)
{
    if (raft_progress_is_paused(p)) {
        return false;
    }
    uint64_t prev_term;
    int rc = raft_log_term(&r->log, p->next - 1, &prev_term);
    if (rc == RAFT_E_COMPACTED || rc == RAFT_E_UNAVAILABLE) {
        return maybe_send_snapshot(r, p);
    }
    if (rc != 0) {
        return false;
    }
    struct raft_log_slice slice = {.entries = NULL};
    rc = entries_for(r, p, &slice);
    if (rc != 0 && rc != RAFT_E_COMPACTED) {
        raft_log_note_error(&r->log, rc);
        return false;
    }
    if (slice.count == 0 && !send_if_empty) {
        return false;
    }
    if (rc == RAFT_E_COMPACTED) {
        return maybe_send_snapshot(r, p);
    }
    return send_append(r, p, prev_term, &slice);
}

void raft_broadcast_append(struct raft *r)
{
    for (uint32_t i = 0; i < r->tracker.count; i++) {
        if (r->tracker.progress[i].id != r->id) {
            raft_maybe_send_append(r, &r->tracker.progress[i], true);
        }
    }
}

void raft_broadcast_heartbeat(struct raft *r)
{
    for (uint32_t i = 0; i < r->tracker.count; i++) {
        struct raft_progress *p = &r->tracker.progress[i];
        if (p->id == r->id) {
            continue;
        }
        struct raft_message m;
        raft_message_init(&m, RAFT_MESSAGE_HEARTBEAT);
        m.to = p->id;
        // Never past what the member is known to share: its log may differ beyond.
        uint64_t commit = p->match < r->log.committed ? p->match : r->log.committed;
        if (RAFT_FAULT(HEARTBEAT_COMMIT)) {
            commit = r->log.committed;
        }
        m.commit = commit;
        raft_read_fill_context(r, &m);
        if (raft_send(r, &m)) {
            p->sent_commit = commit;
        }
    }
}

// Paper 5.4.2: only an entry of the own term is committed by counting; those
// before it follow.
bool raft_maybe_commit(struct raft *r)
{
    assert(r->role == RAFT_LEADER);
    uint64_t index = raft_tracker_committed(&r->tracker);
    if (index > r->commit_limit) {
        index = r->commit_limit;
    }
    if (index <= r->log.committed ||
        (!raft_log_matches(&r->log, r->term, index) && !RAFT_FAULT(COMMIT_OLD_TERM))) {
        return false;
    }
    raft_log_commit_to(&r->log, index);
    return true;
}
