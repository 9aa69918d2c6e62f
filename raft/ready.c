#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/node.h"

static bool is_async(const struct raft_node *node)
{
    return node->raft.config.async_storage_writes;
}

// In plain mode the application writes before it applies, so that entries which
// are only about to be written may be applied in the same round.
static bool applies_unstable(const struct raft_node *node)
{
    return !is_async(node);
}

static bool soft_state_changed(const struct raft_node *node)
{
    return node->raft.leader != node->last_leader || node->raft.role != node->last_role;
}

static bool hard_state_changed(const struct raft_node *node)
{
    struct raft_hard_state now = raft_node_hard_state(node);
    return !raft_hard_state_equal(&now, &node->last_hard_state);
}

bool raft_node_has_ready(const struct raft_node *node)
{
    const struct raft *r = &node->raft;
    // Looking does not change the log.
    struct raft_log *log = (struct raft_log *)&r->log;
    return soft_state_changed(node) || hard_state_changed(node) ||
           raft_unstable_new_snapshot(&r->log.unstable) != NULL || r->messages.count > 0 ||
           r->after_append.count > 0 || raft_unstable_new_count(&r->log.unstable) > 0 ||
           raft_log_has_committed(log, applies_unstable(node)) || r->read_state_count > 0;
}

// A Ready under construction: whatever can fail happens on it, before anything
// in the node changes.
struct draft {
    struct raft_log_slice entries;
    struct raft_log_slice committed;
    struct raft_snapshot *snapshot; // borrowed
    struct raft_message append;     // asynchronous mode, empty type when not wanted
    struct raft_message apply;
    bool wants_append;
    bool wants_apply;
};

static void draft_release(struct draft *d)
{
    raft_log_slice_release(&d->entries);
    raft_log_slice_release(&d->committed);
    // The responses taken from after_append are still there, see steal_responses().
    raft_message_release(&d->append);
    raft_message_release(&d->apply);
}

static int take_new_entries(const struct raft_unstable *u, struct raft_log_slice *ret_slice)
{
    size_t count = raft_unstable_new_count(u);
    struct raft_log_slice slice = {.entries = NULL};
    if (count > 0) {
        slice.entries = raft_mem_alloc(count * sizeof(struct raft_entry *));
        if (slice.entries == NULL) {
            return RAFT_E_NO_MEMORY;
        }
        struct raft_entry **from = raft_unstable_slots(u, u->in_progress_to);
        for (size_t i = 0; i < count; i++) {
            slice.entries[i] = raft_entry_ref(from[i]);
        }
        slice.count = count;
    }
    *ret_slice = slice;
    return 0;
}

// Whether the node wants to hear that what is unstable now is written: also when
// nothing of it is new, since an answer of an earlier term was ignored and the
// entries would stay in memory for ever.
static bool wants_append_response(const struct raft *r, const struct draft *d)
{
    return r->log.unstable.count > 0 || d->snapshot != NULL;
}

static void fill_append_response(struct raft *r, const struct draft *d, struct raft_message *m)
{
    raft_message_init(m, RAFT_MESSAGE_STORAGE_APPEND_RESPONSE);
    m->to = r->id;
    m->from = RAFT_APPEND_WORKER;
    // Void in a later term (see handle_lower_term() in step.c).
    m->term = r->term;
    const struct raft_unstable *u = &r->log.unstable;
    if (u->count > 0) {
        m->index = u->offset + u->count - 1;
        m->log_term = raft_unstable_at(u, m->index)->term;
    }
    m->snapshot = d->snapshot != NULL ? raft_snapshot_ref(d->snapshot) : NULL;
}

static int fill_apply_response(struct raft *r, const struct draft *d, struct raft_message *m)
{
    raft_message_init(m, RAFT_MESSAGE_STORAGE_APPLY_RESPONSE);
    m->to = r->id;
    m->from = RAFT_APPLY_WORKER;
    return raft_message_set_entries(m, d->committed.entries, d->committed.count);
}

static void move_slice_into(struct raft_message *m, struct raft_log_slice *slice)
{
    m->entries = slice->entries;
    m->entry_count = slice->count;
    memset(slice, 0, sizeof(*slice));
}

// The work order for the append worker. Its promises stay in after_append until
// the draft is accepted; only room for them is made here.
static int draft_append(struct raft_node *node, struct draft *d)
{
    struct raft *r = &node->raft;
    bool hard = hard_state_changed(node);
    d->wants_append =
        d->entries.count > 0 || hard || d->snapshot != NULL || r->after_append.count > 0;
    if (!d->wants_append) {
        return 0;
    }
    struct raft_message *m = &d->append;
    m->type = RAFT_MESSAGE_STORAGE_APPEND;
    m->to = RAFT_APPEND_WORKER;
    m->from = r->id;
    if (hard) {
        m->term = r->term;
        m->vote = r->vote;
        m->commit = r->log.committed;
    }
    size_t most = r->after_append.count + 1;
    m->responses = raft_mem_alloc(most * sizeof(struct raft_message));
    if (m->responses == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    m->snapshot = d->snapshot != NULL ? raft_snapshot_ref(d->snapshot) : NULL;
    return 0;
}

static int draft_apply(struct raft_node *node, struct draft *d)
{
    struct raft *r = &node->raft;
    d->wants_apply = d->committed.count > 0;
    if (!d->wants_apply) {
        return 0;
    }
    struct raft_message *m = &d->apply;
    m->type = RAFT_MESSAGE_STORAGE_APPLY;
    m->to = RAFT_APPLY_WORKER;
    m->from = r->id;
    m->responses = raft_mem_alloc(sizeof(struct raft_message));
    if (m->responses == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    int rc = fill_apply_response(r, d, &m->responses[0]);
    m->response_count = rc == 0;
    return rc;
}

static int reserve_read_states(struct raft_node *node)
{
    size_t wanted = node->raft.read_state_capacity;
    if (node->read_state_capacity >= wanted) {
        return 0;
    }
    struct raft_read_state *states =
        raft_mem_resize(node->read_states, wanted * sizeof(struct raft_read_state));
    if (states == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    node->read_states = states;
    node->read_state_capacity = wanted;
    return 0;
}

// Plain mode: room for the promises, those to others and those to itself.
static int reserve_plain(struct raft_node *node, const struct draft *d)
{
    size_t promises = node->raft.after_append.count;
    int rc = raft_outbox_reserve(&node->persisted, promises);
    if (rc == 0) {
        rc = raft_outbox_reserve(&node->on_advance, promises + 2);
    }
    if (rc == 0 && d->committed.count > 0) {
        // Built now, so that accepting cannot fail; pushed then.
        rc = fill_apply_response(&node->raft, d, &((struct draft *)d)->apply);
    }
    return rc;
}

static int draft_fill(struct raft_node *node, struct draft *d)
{
    struct raft *r = &node->raft;
    memset(d, 0, sizeof(*d));
    int rc = take_new_entries(&r->log.unstable, &d->entries);
    if (rc == 0) {
        rc = raft_log_next_committed(&r->log, applies_unstable(node), &d->committed);
    }
    d->snapshot = raft_unstable_new_snapshot(&r->log.unstable);
    if (rc == 0) {
        rc = reserve_read_states(node);
    }
    if (rc == 0 && is_async(node)) {
        rc = raft_outbox_reserve(&r->messages, 2);
        if (rc == 0) {
            rc = draft_append(node, d);
        }
        if (rc == 0) {
            rc = draft_apply(node, d);
        }
    } else if (rc == 0) {
        rc = reserve_plain(node, d);
    }
    return rc;
}

// Takes back what the last Ready lent out.
static void end_loan(struct raft_node *node)
{
    raft_outbox_clear(&node->sent);
    raft_outbox_clear(&node->persisted);
    raft_log_slice_release(&node->entries);
    raft_log_slice_release(&node->committed);
    raft_snapshot_unref(node->snapshot);
    node->snapshot = NULL;
}

static void push_reserved(struct raft_outbox *box, struct raft_message *m)
{
    int rc = raft_outbox_push(box, m);
    assert(rc == 0);
}

static void accept_async(struct raft_node *node, struct draft *d, struct raft_ready *rd)
{
    struct raft *r = &node->raft;
    rd->entries = d->entries.entries;
    rd->committed_entries = d->committed.entries;
    if (d->wants_append) {
        struct raft_message *m = &d->append;
        move_slice_into(m, &d->entries);
        for (size_t i = 0; i < r->after_append.count; i++) {
            raft_message_move(&m->responses[m->response_count++], &r->after_append.items[i]);
        }
        r->after_append.count = 0;
        // Behind the leader's acknowledgement of its own entries: handling that
        // one is cheaper while they still count as unstable.
        if (wants_append_response(r, d)) {
            fill_append_response(r, d, &m->responses[m->response_count++]);
        }
        push_reserved(&r->messages, m);
    }
    if (d->wants_apply) {
        move_slice_into(&d->apply, &d->committed);
        push_reserved(&r->messages, &d->apply);
    }
}

static void accept_plain(struct raft_node *node, struct draft *d, struct raft_ready *rd)
{
    struct raft *r = &node->raft;
    for (size_t i = 0; i < r->after_append.count; i++) {
        struct raft_message *m = &r->after_append.items[i];
        push_reserved(m->to == r->id ? &node->on_advance : &node->persisted, m);
    }
    r->after_append.count = 0;
    if (wants_append_response(r, d)) {
        struct raft_message m;
        fill_append_response(r, d, &m);
        push_reserved(&node->on_advance, &m);
    }
    if (d->committed.count > 0) {
        push_reserved(&node->on_advance, &d->apply);
    }
    node->entries = d->entries;
    node->committed = d->committed;
    node->snapshot = d->snapshot != NULL ? raft_snapshot_ref(d->snapshot) : NULL;
    rd->entries = node->entries.entries;
    rd->committed_entries = node->committed.entries;
    rd->persisted_messages = node->persisted.items;
    rd->persisted_count = node->persisted.count;
    node->awaits_advance = true;
}

static void lend_messages(struct raft_node *node, struct raft_ready *rd)
{
    // Swap: the emptied list collects the next round.
    struct raft_outbox empty = node->sent;
    node->sent = node->raft.messages;
    node->raft.messages = empty;
    rd->messages = node->sent.items;
    rd->message_count = node->sent.count;
}

static void lend_read_states(struct raft_node *node, struct raft_ready *rd)
{
    struct raft *r = &node->raft;
    if (r->read_state_count > 0) {
        memcpy(node->read_states, r->read_states,
               r->read_state_count * sizeof(struct raft_read_state));
    }
    rd->read_states = node->read_states;
    rd->read_state_count = r->read_state_count;
    r->read_state_count = 0;
}

static void lend_states(struct raft_node *node, struct raft_ready *rd)
{
    const struct raft *r = &node->raft;
    rd->soft_state_changed = soft_state_changed(node);
    rd->leader = r->leader;
    rd->role = r->role;
    rd->hard_state_changed = hard_state_changed(node);
    rd->hard_state = raft_node_hard_state(node);
    rd->must_sync = rd->entry_count > 0 || rd->hard_state.term != node->last_hard_state.term ||
                    rd->hard_state.vote != node->last_hard_state.vote;
    node->last_leader = r->leader;
    node->last_role = r->role;
    node->last_hard_state = rd->hard_state;
}

int raft_node_ready(struct raft_node *node, struct raft_ready *ret_ready)
{
    struct raft *r = &node->raft;
    assert(!node->awaits_advance);
    r->log.error = 0;
    struct draft d;
    int rc = draft_fill(node, &d);
    if (rc == 0) {
        rc = r->log.error;
    }
    if (rc != 0) {
        draft_release(&d);
        return rc;
    }
    end_loan(node);
    struct raft_ready rd;
    memset(&rd, 0, sizeof(rd));
    rd.entry_count = d.entries.count;
    rd.committed_count = d.committed.count;
    rd.snapshot = d.snapshot;
    lend_states(node, &rd);
    uint64_t applying_bytes = d.committed.encoded_bytes;
    uint64_t applying_to =
        d.committed.count > 0 ? d.committed.entries[d.committed.count - 1]->index : 0;
    if (is_async(node)) {
        accept_async(node, &d, &rd);
    } else {
        accept_plain(node, &d, &rd);
    }
    raft_unstable_accept(&r->log.unstable);
    if (applying_to != 0) {
        raft_log_accept_applying(&r->log, applying_to, applying_bytes, applies_unstable(node));
    }
    lend_messages(node, &rd);
    lend_read_states(node, &rd);
    *ret_ready = rd;
    return 0;
}

int raft_node_advance(struct raft_node *node)
{
    struct raft *r = &node->raft;
    assert(node->awaits_advance);
    node->awaits_advance = false;
    r->log.error = 0;
    int first = 0;
    for (size_t i = 0; i < node->on_advance.count; i++) {
        int rc = raft_step(r, &node->on_advance.items[i]);
        first = first != 0 ? first : rc;
    }
    raft_outbox_clear(&node->on_advance);
    end_loan(node);
    return first != 0 ? first : r->log.error;
}
