#include "raft/core.h"

void raft_send_timeout_now(struct raft *r, uint64_t to)
{
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_TIMEOUT_NOW);
    m.to = to;
    r->lease_given_away = true;
    raft_send(r, &m);
}

// Dissertation 3.10: bring its log up to date, then let it campaign at once.
void raft_handle_transfer(struct raft *r, struct raft_progress *p)
{
    if (p->learner) {
        RAFT_TELL(&r->config.log, TRANSFER_TO_LEARNER, .node = r->id, .peer = p->id);
        return;
    }
    if (r->transferee == p->id) {
        RAFT_TELL(&r->config.log, TRANSFER_RUNNING, .node = r->id, .term = r->term, .peer = p->id);
        return;
    }
    if (r->transferee != RAFT_NONE) {
        uint64_t before = r->transferee;
        r->transferee = RAFT_NONE;
        RAFT_TELL(&r->config.log, TRANSFER_REPLACED, .node = r->id, .term = r->term,
                  .peer = before);
    }
    if (p->id == r->id) {
        RAFT_TELL(&r->config.log, TRANSFER_TO_SELF, .node = r->id);
        return;
    }
    RAFT_TELL(&r->config.log, TRANSFER_STARTED, .node = r->id, .term = r->term, .peer = p->id);
    // It has one election timeout from now.
    r->election_elapsed = 0;
    r->transferee = p->id;
    if (p->match == raft_log_last_index(&r->log)) {
        raft_send_timeout_now(r, p->id);
        RAFT_TELL(&r->config.log, TRANSFER_READY, .node = r->id, .peer = p->id);
    } else {
        raft_maybe_send_append(r, p, true);
    }
}
