#include "raft/core.h"

static void acknowledge(struct raft *r, uint64_t to, uint64_t index)
{
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_APPEND_RESPONSE);
    m.to = to;
    m.index = index;
    raft_send(r, &m);
}

static void reject(struct raft *r, const struct raft_message *m)
{
    RAFT_TELL(&r->config.log, APPEND_REJECTED, .node = r->id, .peer = m->from, .index = m->index,
              .log_term = m->log_term, .last_term = raft_log_term_or_zero(&r->log, m->index));
    // Everything the leader has up to m->index is of m->log_term or older. So
    // the last entry of ours with such a term is the last that can be common.
    uint64_t last = raft_log_last_index(&r->log);
    struct raft_message answer;
    raft_message_init(&answer, RAFT_MESSAGE_APPEND_RESPONSE);
    answer.to = m->from;
    answer.index = m->index;
    answer.reject = true;
    answer.reject_hint = raft_log_find_conflict_by_term(&r->log, m->index < last ? m->index : last,
                                                        m->log_term, &answer.log_term);
    raft_send(r, &answer);
}

// Paper 5.3.
void raft_handle_append(struct raft *r, const struct raft_message *m)
{
    if (m->index < r->log.committed) {
        // Old news; what is committed is common to both.
        acknowledge(r, m->from, r->log.committed);
        return;
    }
    uint64_t last;
    int rc = raft_log_try_append(&r->log, m->log_term, m->index, m->entries, m->entry_count,
                                 m->commit, &last);
    if (rc == 0) {
        acknowledge(r, m->from, last);
    } else if (rc == RAFT_E_UNAVAILABLE) {
        reject(r, m);
    } else {
        raft_log_note_error(&r->log, rc);
    }
}

void raft_handle_heartbeat(struct raft *r, const struct raft_message *m)
{
    raft_log_commit_to(&r->log, m->commit);
    struct raft_message answer;
    raft_message_init(&answer, RAFT_MESSAGE_HEARTBEAT_RESPONSE);
    answer.to = m->from;
    answer.context_size = m->context_size;
    for (uint8_t i = 0; i < m->context_size; i++) {
        answer.context[i] = m->context[i];
    }
    raft_send(r, &answer);
}

// Paper 7. True when the snapshot replaces the log.
static bool restore(struct raft *r, struct raft_snapshot *snapshot)
{
    if (snapshot->index <= r->log.committed) {
        return false;
    }
    if (r->role != RAFT_FOLLOWER) {
        RAFT_TELL(&r->config.log, SNAPSHOT_NOT_FOLLOWER, .node = r->id);
        raft_become_follower(r, r->term + 1, RAFT_NONE);
        return false;
    }
    if (!raft_conf_state_has(&snapshot->conf, r->id)) {
        RAFT_TELL(&r->config.log, SNAPSHOT_NOT_MEMBER, .node = r->id, .conf = &snapshot->conf);
        return false;
    }
    if (raft_log_matches(&r->log, snapshot->term, snapshot->index)) {
        // Nothing in it that the log does not have; it only says what is committed.
        uint64_t last_term = 0;
        uint64_t last_index = 0;
        raft_log_last(&r->log, &last_term, &last_index);
        RAFT_TELL(&r->config.log, SNAPSHOT_FAST_FORWARD, .node = r->id, .commit = r->log.committed,
                  .last_index = last_index, .last_term = last_term, .index = snapshot->index,
                  .log_term = snapshot->term);
        raft_log_commit_to(&r->log, snapshot->index);
        return false;
    }
    if (r->log.error != 0) {
        return false;
    }
    struct raft_tracker next;
    int rc = raft_prepare_conf(r, &snapshot->conf, snapshot->index, &next);
    if (rc != 0) {
        raft_log_note_error(&r->log, rc);
        return false;
    }
    if (r->log.unstable.snapshot == NULL) {
        r->overtaken_conf = r->tracker.conf;
    }
    raft_log_restore(&r->log, snapshot);
    raft_switch_conf(r, &next);
    RAFT_TELL(&r->config.log, SNAPSHOT_RESTORED, .node = r->id, .commit = r->log.committed,
              .last_index = snapshot->index, .last_term = snapshot->term, .index = snapshot->index,
              .log_term = snapshot->term);
    return true;
}

void raft_handle_snapshot(struct raft *r, const struct raft_message *m)
{
    struct raft_snapshot *snapshot = m->snapshot;
    if (snapshot == NULL) {
        raft_log_note_error(&r->log, RAFT_E_INVALID);
        return;
    }
    if (restore(r, snapshot)) {
        RAFT_TELL(&r->config.log, SNAPSHOT_ACCEPTED, .node = r->id, .commit = r->log.committed,
                  .index = snapshot->index, .log_term = snapshot->term);
        acknowledge(r, m->from, raft_log_last_index(&r->log));
        return;
    }
    if (r->log.error != 0) {
        return; // as though the message had been lost
    }
    RAFT_TELL(&r->config.log, SNAPSHOT_IGNORED, .node = r->id, .commit = r->log.committed,
              .index = snapshot->index, .log_term = snapshot->term);
    acknowledge(r, m->from, r->log.committed);
}
