#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/core.h"
#include "raft/fault.h"
#include "raft/le64.h"

#define FIRST_CAPACITY 16

// A heartbeat's context: the number of the newest waiting read, and under
// RAFT_READ_LEASE the tick it was sent at. Both little-endian.
#define POSITION_BYTES 8
#define LEASE_BYTES    16

// Ticks by which the lease ends before the followers' promise: two because a
// tick count says little about where inside a tick its owner is, one for
// clocks that run apart.
#define LEASE_MARGIN_TICKS 3

int raft_push_read_state(struct raft *r, uint64_t index, const uint8_t *context, uint8_t size)
{
    if (r->read_state_count == RAFT_READS_MAX) {
        return RAFT_E_TOO_MANY;
    }
    if (r->read_state_count == r->read_state_capacity) {
        size_t capacity = r->read_state_capacity == 0 ? FIRST_CAPACITY : r->read_state_capacity * 2;
        struct raft_read_state *states =
            raft_mem_resize(r->read_states, capacity * sizeof(*states));
        if (states == NULL) {
            return RAFT_E_NO_MEMORY;
        }
        r->read_states = states;
        r->read_state_capacity = capacity;
    }
    struct raft_read_state *state = &r->read_states[r->read_state_count++];
    state->index = index;
    state->context_size = size;
    memcpy(state->context, context, RAFT_CONTEXT_MAX);
    return 0;
}

static int answer(struct raft *r, uint64_t to, uint64_t index, const uint8_t *context, uint8_t size)
{
    if (to == RAFT_NONE || to == r->id) {
        return raft_push_read_state(r, index, context, size);
    }
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_READ_INDEX_RESPONSE);
    m.to = to;
    m.index = index;
    m.context_size = size;
    memcpy(m.context, context, RAFT_CONTEXT_MAX);
    raft_send(r, &m);
    return 0;
}

static void acknowledge_self(struct raft *r)
{
    struct raft_progress *self = raft_tracker_find(&r->tracker, r->id);
    if (self != NULL) {
        self->read_acked = raft_read_only_newest(&r->reads);
        self->lease_tick = r->ticks;
    }
}

void raft_answer_confirmed_reads(struct raft *r)
{
    size_t ready = raft_read_only_ready(&r->reads, raft_tracker_read_acked(&r->tracker));
    for (size_t i = 0; i < ready; i++) {
        const struct raft_read_request *request = &r->reads.waiting[i];
        int rc = answer(r, request->from, request->index, request->context, request->context_size);
        if (rc != 0) {
            raft_log_note_error(&r->log, rc);
        }
    }
    raft_read_only_drop(&r->reads, ready);
}

// Has a quorum answered heartbeats so recently that none of it will vote for
// another before this tick is over?
static bool lease_holds(struct raft *r)
{
    if (r->config.read_mode != RAFT_READ_LEASE ||
        (r->lease_given_away && !RAFT_FAULT(LEASE_AFTER_TRANSFER))) {
        return false;
    }
    if (RAFT_FAULT(LEASE_ENDLESS)) {
        return true;
    }
    acknowledge_self(r);
    uint64_t tick = raft_tracker_lease_tick(&r->tracker);
    return tick != 0 && r->ticks - tick + LEASE_MARGIN_TICKS <= (uint64_t)r->config.election_ticks;
}

static bool has_committed_in_term(struct raft *r)
{
    return raft_log_term_or_zero(&r->log, r->log.committed) == r->term;
}

static void start_round(struct raft *r)
{
    acknowledge_self(r);
    raft_broadcast_heartbeat(r);
    raft_answer_confirmed_reads(r);
}

static int read_as_leader(struct raft *r, const struct raft_message *m)
{
    uint64_t commit = r->log.committed;
    // Also when it is alone: a commit index need not have been on disk when it
    // restarted, so it may have forgotten what others have seen committed.
    if (!has_committed_in_term(r) && !RAFT_FAULT(READ_TOO_EARLY)) {
        return raft_read_only_add(&r->reads, m, 0, true);
    }
    if (raft_tracker_is_only_voter(&r->tracker, r->id)) {
        return answer(r, m->from, commit, m->context, m->context_size);
    }
    if (lease_holds(r) || RAFT_FAULT(READ_UNCONFIRMED)) {
        return answer(r, m->from, commit, m->context, m->context_size);
    }
    int rc = raft_read_only_add(&r->reads, m, commit, false);
    if (rc == 0) {
        start_round(r);
    }
    return rc;
}

int raft_handle_read_index(struct raft *r, const struct raft_message *m)
{
    if (m->context_size == 0) {
        return RAFT_E_INVALID;
    }
    if (r->role == RAFT_LEADER) {
        return read_as_leader(r, m);
    }
    if (r->role != RAFT_FOLLOWER || r->leader == RAFT_NONE) {
        RAFT_TELL(&r->config.log, READ_NO_LEADER, .node = r->id, .term = r->term);
        return RAFT_E_NO_LEADER;
    }
    struct raft_message forwarded = *m;
    forwarded.to = r->leader;
    forwarded.term = 0;
    forwarded.entries = NULL;
    forwarded.entry_count = 0;
    forwarded.snapshot = NULL;
    forwarded.responses = NULL;
    forwarded.response_count = 0;
    raft_send(r, &forwarded);
    return 0;
}

void raft_release_held_reads(struct raft *r)
{
    if (r->reads.held == 0 || !has_committed_in_term(r)) {
        return;
    }
    raft_read_only_unhold(&r->reads, r->log.committed);
    start_round(r);
}

void raft_read_fill_context(const struct raft *r, struct raft_message *heartbeat)
{
    bool lease = r->config.read_mode == RAFT_READ_LEASE;
    if (!lease && r->reads.count == r->reads.held) {
        return;
    }
    raft_put_le64(heartbeat->context, raft_read_only_newest(&r->reads));
    heartbeat->context_size = POSITION_BYTES;
    if (lease) {
        raft_put_le64(heartbeat->context + POSITION_BYTES, r->ticks);
        heartbeat->context_size = LEASE_BYTES;
    }
}

void raft_read_take_context(struct raft *r, struct raft_progress *p, const struct raft_message *m)
{
    if (m->context_size < POSITION_BYTES) {
        return;
    }
    uint64_t position = raft_get_le64(m->context);
    // A number never given out is nonsense, and believed it would confirm reads to come.
    if (position > p->read_acked && position <= raft_read_only_newest(&r->reads)) {
        p->read_acked = position;
    }
    if (m->context_size >= LEASE_BYTES) {
        uint64_t tick = raft_get_le64(m->context + POSITION_BYTES);
        if (tick > p->lease_tick && tick <= r->ticks) {
            p->lease_tick = tick;
        }
    }
    raft_answer_confirmed_reads(r);
}
