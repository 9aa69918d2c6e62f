#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/core.h"
#include "raft/fault.h"

static bool over_uncommitted_limit(const struct raft *r, uint64_t bytes)
{
    uint64_t limit = r->config.max_uncommitted_bytes;
    // An empty tail takes one proposal of any size, and entries without payload
    // always fit: a new leader's first, and the one that ends a joint configuration.
    return r->uncommitted_bytes > 0 && bytes > 0 &&
           (r->uncommitted_bytes >= limit || bytes > limit - r->uncommitted_bytes);
}

void raft_reduce_uncommitted(struct raft *r, uint64_t bytes)
{
    // Entries of an earlier leader were not counted in.
    r->uncommitted_bytes -= bytes < r->uncommitted_bytes ? bytes : r->uncommitted_bytes;
}

int raft_append_entries(struct raft *r, struct raft_entry *const *entries, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += entries[i]->size;
    }
    if (over_uncommitted_limit(r, bytes)) {
        RAFT_TELL(&r->config.log, PROPOSAL_OVER_LIMIT, .node = r->id);
        return RAFT_E_PROPOSAL_DROPPED;
    }
    struct raft_message ack;
    raft_message_init(&ack, RAFT_MESSAGE_APPEND_RESPONSE);
    int rc = raft_unstable_reserve(&r->log.unstable, count);
    if (rc == 0) {
        rc = raft_outbox_reserve(&r->after_append, 1);
    }
    if (rc != 0) {
        return rc;
    }
    uint64_t last = raft_log_last_index(&r->log);
    for (size_t i = 0; i < count; i++) {
        entries[i]->term = r->term;
        entries[i]->index = last + 1 + i;
    }
    raft_unstable_append(&r->log.unstable, entries, count);
    r->uncommitted_bytes += bytes;
    if (RAFT_FAULT(SELF_COUNTED_EARLY)) {
        raft_progress_matched(raft_tracker_find(&r->tracker, r->id), last + count);
    }
    // The leader's own log counts like a follower's: when it is on disk
    // (dissertation 10.2.1).
    ack.to = r->id;
    ack.index = last + count;
    bool sent = raft_send(r, &ack);
    assert(sent);
    return 0;
}

// Why the change may not be appended now; false when it may. `pending` is the
// index of the last change in the log, as far as known.
static bool is_refused(const struct raft *r, const struct raft_conf_change *change,
                       uint64_t pending, enum raft_change_refusal *ret_refusal)
{
    bool joint = raft_tracker_is_joint(&r->tracker);
    if (pending > r->log.applied && !RAFT_FAULT(CONF_OVERLAP)) {
        *ret_refusal = RAFT_CHANGE_PENDING;
        return true;
    }
    if (joint && change->change_count > 0) {
        *ret_refusal = RAFT_CHANGE_IN_JOINT;
        return true;
    }
    if (!joint && change->change_count == 0) {
        *ret_refusal = RAFT_CHANGE_NOT_JOINT;
        return true;
    }
    return false;
}

// Replaces list[at] when it is a change that may not be appended.
static int check_change(struct raft *r, struct raft_entry **list, size_t at, uint64_t *pending)
{
    struct raft_conf_change change;
    int rc = raft_conf_change_decode(list[at], &change);
    if (rc != 0) {
        return rc;
    }
    enum raft_change_refusal refusal;
    if (!is_refused(r, &change, *pending, &refusal) || r->config.disable_conf_change_validation) {
        *pending = raft_log_last_index(&r->log) + at + 1;
        return 0;
    }
    struct raft_entry *empty = raft_entry_alloc(RAFT_ENTRY_NORMAL, 0);
    if (empty == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    RAFT_TELL(&r->config.log, CHANGE_REFUSED, .node = r->id, .change = &change,
              .conf = &r->tracker.conf, .refusal = refusal, .index = *pending,
              .applied = r->log.applied);
    raft_entry_unref(list[at]);
    list[at] = empty;
    return 0;
}

static bool is_ordinary(const struct raft_entry *entry)
{
    return entry->type == RAFT_ENTRY_NORMAL && entry->index == 0;
}

// An entry that has been stamped before is in some log already (a duplicated
// message within one process): the log there must not change under its owner.
static int unstamped(struct raft_entry *entry, struct raft_entry **ret_entry)
{
    if (entry->index == 0) {
        *ret_entry = raft_entry_ref(entry);
        return 0;
    }
    *ret_entry = raft_entry_new(entry->type, entry->data, entry->size);
    return *ret_entry == NULL ? RAFT_E_NO_MEMORY : 0;
}

// The rare way, with entries that need a look or a replacement.
static int append_checked(struct raft *r, struct raft_entry *const *entries, size_t count)
{
    struct raft_entry **list = raft_mem_alloc(count * sizeof(struct raft_entry *));
    if (list == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    uint64_t pending = r->pending_conf_index;
    size_t listed = 0;
    int rc = 0;
    while (rc == 0 && listed < count) {
        rc = unstamped(entries[listed], &list[listed]);
        if (rc == 0) {
            listed++;
        }
        if (rc == 0 && list[listed - 1]->type != RAFT_ENTRY_NORMAL) {
            rc = check_change(r, list, listed - 1, &pending);
        }
    }
    if (rc == 0) {
        rc = raft_append_entries(r, list, count);
    }
    if (rc == 0) {
        r->pending_conf_index = pending;
    }
    for (size_t i = 0; i < listed; i++) {
        raft_entry_unref(list[i]);
    }
    raft_mem_free(list);
    return rc;
}

static int propose_as_leader(struct raft *r, struct raft_entry *const *entries, size_t count)
{
    if (raft_tracker_peek(&r->tracker, r->id) == NULL) {
        return RAFT_E_PROPOSAL_DROPPED;
    }
    if (r->transferee != RAFT_NONE) {
        RAFT_TELL(&r->config.log, PROPOSAL_IN_TRANSFER, .node = r->id, .term = r->term,
                  .peer = r->transferee);
        return RAFT_E_PROPOSAL_DROPPED;
    }
    bool ordinary = true;
    for (size_t i = 0; i < count; i++) {
        ordinary = ordinary && is_ordinary(entries[i]);
    }
    int rc = ordinary ? raft_append_entries(r, entries, count) : append_checked(r, entries, count);
    if (rc == 0) {
        raft_broadcast_append(r);
    }
    return rc;
}

static int forward(struct raft *r, struct raft_entry *const *entries, size_t count)
{
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_PROPOSE);
    m.to = r->leader;
    int rc = raft_message_set_entries(&m, entries, count);
    if (rc == 0) {
        rc = raft_outbox_reserve(&r->messages, 1);
    }
    if (rc != 0) {
        raft_message_release(&m);
        return rc;
    }
    raft_send(r, &m);
    return 0;
}

int raft_propose(struct raft *r, struct raft_entry *const *entries, size_t count)
{
    if (count == 0) {
        return RAFT_E_INVALID;
    }
    if (count > RAFT_MESSAGE_ENTRIES_MAX) {
        return RAFT_E_TOO_MANY;
    }
    if (r->role == RAFT_LEADER) {
        return propose_as_leader(r, entries, count);
    }
    if (r->role != RAFT_FOLLOWER || r->leader == RAFT_NONE) {
        RAFT_TELL(&r->config.log, PROPOSAL_NO_LEADER, .node = r->id, .term = r->term);
        return RAFT_E_PROPOSAL_DROPPED;
    }
    if (r->config.disable_proposal_forwarding) {
        RAFT_TELL(&r->config.log, PROPOSAL_NOT_FORWARDED, .node = r->id, .term = r->term,
                  .peer = r->leader);
        return RAFT_E_PROPOSAL_DROPPED;
    }
    return forward(r, entries, count);
}
