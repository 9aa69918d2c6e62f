#include <assert.h>

#include "raft/core.h"

// A member rejected the append after m->index. reject_hint and log_term name the
// last entry of its log that could be common to both: at most one probe per term
// is needed from there (paper 5.3, the end).
static void handle_rejection(struct raft *r, struct raft_progress *p, const struct raft_message *m)
{
    RAFT_TELL(&r->config.log, PEER_REJECTED, .node = r->id, .peer = m->from, .index = m->index,
              .hint = m->reject_hint, .log_term = m->log_term);
    uint64_t hint = m->reject_hint;
    if (m->log_term > 0) {
        // An entry of ours with a higher term than the member has at the hint
        // cannot be in its log: terms only grow along a log.
        uint64_t term;
        hint = raft_log_find_conflict_by_term(&r->log, m->reject_hint, m->log_term, &term);
    }
    if (!raft_progress_rejected(p, m->index, hint)) {
        return;
    }
    struct raft_peer_status status;
    raft_progress_event_fields(r, p, &status);
    RAFT_TELL(&r->config.log, PEER_DECREASED, .node = r->id, .peer = m->from, .progress = &status);
    if (p->state == RAFT_PROGRESS_REPLICATE) {
        raft_progress_become_probe(p);
    }
    raft_maybe_send_append(r, p, true);
}

// The member's log is known to match up to `index`: which state follows?
static void advance_state(struct raft *r, struct raft_progress *p, uint64_t index)
{
    switch (p->state) {
    case RAFT_PROGRESS_PROBE:
        raft_progress_become_replicate(p);
        break;
    case RAFT_PROGRESS_SNAPSHOT:
        // Whatever snapshot it was, the log reaches on from there.
        if (p->match + 1 >= raft_log_first_index(&r->log)) {
            struct raft_peer_status status;
            raft_progress_event_fields(r, p, &status);
            RAFT_TELL(&r->config.log, PEER_RECOVERED, .node = r->id, .peer = p->id,
                      .progress = &status);
            raft_progress_become_probe(p);
            raft_progress_become_replicate(p);
        }
        break;
    case RAFT_PROGRESS_REPLICATE:
        raft_inflights_free_to(&p->inflights, index);
        break;
    }
}

void raft_handle_append_response(struct raft *r, struct raft_progress *p,
                                 const struct raft_message *m)
{
    p->recent_active = true;
    if (m->reject) {
        handle_rejection(r, p, m);
        return;
    }
    // A member that acknowledges entries we never had is not one of this term.
    if (m->index > raft_log_last_index(&r->log)) {
        raft_log_note_error(&r->log, RAFT_E_INVALID);
        return;
    }
    // An answer that moves nothing still ends a probe: the member is there and agrees.
    bool moved = raft_progress_matched(p, m->index);
    if (!moved && !(p->match == m->index && p->state == RAFT_PROGRESS_PROBE)) {
        return;
    }
    advance_state(r, p, m->index);
    if (raft_maybe_commit(r)) {
        raft_release_held_reads(r);
        raft_broadcast_append(r);
    } else if (p->id != r->id && raft_progress_wants_commit(p, r->log.committed)) {
        raft_maybe_send_append(r, p, true);
    }
    if (p->id == r->id) {
        return;
    }
    // The window may have opened for several messages. Each sent one shrinks it
    // or pauses the flow, so this ends.
    while (raft_maybe_send_append(r, p, false)) {
    }
    if (p->id == r->transferee && p->match == raft_log_last_index(&r->log)) {
        RAFT_TELL(&r->config.log, TRANSFER_CAUGHT_UP, .node = r->id, .peer = p->id);
        raft_send_timeout_now(r, p->id);
    }
}

void raft_handle_heartbeat_response(struct raft *r, struct raft_progress *p,
                                    const struct raft_message *m)
{
    p->recent_active = true;
    p->flow_paused = false;
    // Also to a probed member that has everything: only an append's answer ends the probe.
    if (p->match < raft_log_last_index(&r->log) || p->state == RAFT_PROGRESS_PROBE) {
        raft_maybe_send_append(r, p, true);
    }
    raft_read_take_context(r, p, m);
}

void raft_handle_snap_status(struct raft *r, struct raft_progress *p, bool failed)
{
    if (p->state != RAFT_PROGRESS_SNAPSHOT) {
        return;
    }
    struct raft_peer_status status;
    if (failed) {
        // Else the probe would start behind a snapshot that never arrived.
        p->pending_snapshot = 0;
        raft_progress_become_probe(p);
        raft_progress_event_fields(r, p, &status);
        RAFT_TELL(&r->config.log, SNAPSHOT_FAILED, .node = r->id, .peer = p->id,
                  .progress = &status);
    } else {
        raft_progress_become_probe(p);
        raft_progress_event_fields(r, p, &status);
        RAFT_TELL(&r->config.log, SNAPSHOT_SUCCEEDED, .node = r->id, .peer = p->id,
                  .progress = &status);
    }
    // Done: its own answer will open the flow. Failed: not before the next heartbeat.
    p->flow_paused = true;
}

void raft_handle_unreachable(struct raft *r, struct raft_progress *p)
{
    // What was sent ahead is probably lost.
    if (p->state == RAFT_PROGRESS_REPLICATE) {
        raft_progress_become_probe(p);
    }
    struct raft_peer_status status;
    raft_progress_event_fields(r, p, &status);
    RAFT_TELL(&r->config.log, PEER_UNREACHABLE, .node = r->id, .peer = p->id, .progress = &status);
}

// Dissertation 6.2: a leader cut off from the quorum must stop, for its clients'
// sake and for the leases it would go on to claim.
void raft_check_quorum(struct raft *r)
{
    assert(r->role == RAFT_LEADER);
    if (!raft_tracker_quorum_active(&r->tracker)) {
        RAFT_TELL(&r->config.log, QUORUM_LOST, .node = r->id);
        raft_become_follower(r, r->term, RAFT_NONE);
    }
    for (uint32_t i = 0; i < r->tracker.count; i++) {
        if (r->tracker.progress[i].id != r->id) {
            r->tracker.progress[i].recent_active = false;
        }
    }
}
