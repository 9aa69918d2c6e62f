#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "raft/node.h"

#define ULL(x) ((unsigned long long)(x))

uint64_t check_term_at(struct member *m, uint64_t index, bool *ret_known)
{
    uint64_t term = 0;
    *ret_known = raft_log_term(&m->node->raft.log, index, &term) == 0;
    return term;
}

static void check_leader_complete(struct member *m, uint64_t term)
{
    const struct history *h = m->w->history;
    for (uint64_t index = FIRST_INDEX + 1; index <= h->committed; index++) {
        bool known;
        if (index < raft_log_first_index(&m->node->raft.log) || h->committed_in[index] >= term) {
            continue; // in its snapshot, or perhaps committed later than it was elected
        }
        uint64_t own = check_term_at(m, index, &known);
        if (!known || own != h->term[index]) {
            world_fail(m->w, "leader completeness: %llu leads term %llu without %llu/%llu",
                       ULL(m->id), ULL(term), ULL(h->term[index]), ULL(index));
            return;
        }
    }
}

static void check_leader(struct member *m, const struct raft *r)
{
    struct history *h = m->w->history;
    if (r->term >= TERM_MAX) {
        return;
    }
    if (h->leader_of[r->term] != 0 && h->leader_of[r->term] != m->id) {
        world_fail(m->w, "election safety: %llu and %llu lead term %llu",
                   ULL(h->leader_of[r->term]), ULL(m->id), ULL(r->term));
        return;
    }
    h->leader_of[r->term] = m->id;
    uint64_t last = raft_log_last_index((struct raft_log *)&r->log);
    if (m->leading_term != r->term) {
        m->leading_term = r->term;
        m->leading_last = last;
        check_leader_complete(m, r->term);
    }
    // With log matching (check_written) length is all there is left to see.
    if (last < m->leading_last) {
        world_fail(m->w, "leader append-only: the log of %llu shrank from %llu to %llu", ULL(m->id),
                   ULL(m->leading_last), ULL(last));
    }
    m->leading_last = last;
}

// What the node no longer holds as unstable it must find in the storage as it was.
static void check_stable(struct member *m, const struct raft *r)
{
    uint64_t index = r->log.unstable.offset - 1;
    if (r->log.unstable.snapshot != NULL || index >= INDEX_MAX || m->handed_out[index] == 0) {
        return;
    }
    bool known;
    uint64_t term = check_term_at(m, index, &known);
    if (known && term != m->handed_out[index]) {
        world_fail(m->w, "%llu takes %llu/%llu for stable, its storage has %llu/%llu", ULL(m->id),
                   ULL(m->handed_out[index]), ULL(index), ULL(term), ULL(index));
    }
}

static void check_commit(struct member *m, const struct raft *r)
{
    struct history *h = m->w->history;
    uint64_t commit = r->log.committed;
    if (commit < m->seen_commit) {
        world_fail(m->w, "monotonic commit: %llu went from %llu to %llu", ULL(m->id),
                   ULL(m->seen_commit), ULL(commit));
        return;
    }
    uint64_t from = m->seen_commit > FIRST_INDEX ? m->seen_commit : FIRST_INDEX;
    for (uint64_t index = from + 1; index <= commit && index < INDEX_MAX; index++) {
        bool known;
        uint64_t term = check_term_at(m, index, &known);
        if (!known) {
            continue; // within a snapshot
        }
        if (index <= h->committed && h->term[index] != 0 && h->term[index] != term) {
            world_fail(m->w, "committed twice: %llu has %llu/%llu, others %llu/%llu", ULL(m->id),
                       ULL(term), ULL(index), ULL(h->term[index]), ULL(index));
            return;
        }
        if (h->term[index] == 0) {
            h->term[index] = term;
            h->committed_in[index] = r->term;
        }
    }
    m->seen_commit = commit;
    if (h->committed < commit) {
        h->committed = commit;
    }
}

void check_node(struct member *m)
{
    if (m->node == NULL || m->w->failed) {
        return;
    }
    const struct raft *r = &m->node->raft;
    check_stable(m, r);
    check_commit(m, r);
    if (r->role == RAFT_LEADER) {
        check_leader(m, r);
    }
}

static uint64_t payload_of(const struct raft_entry *entry)
{
    uint64_t id = 0;
    if (entry->type == RAFT_ENTRY_NORMAL && entry->size >= sizeof(id)) {
        memcpy(&id, entry->data, sizeof(id));
    }
    return id;
}

static void check_matching(struct member *m, const struct raft_entry *entry)
{
    struct history *h = m->w->history;
    bool known;
    uint64_t prev = check_term_at(m, entry->index - 1, &known);
    if (!known || entry->index >= INDEX_MAX) {
        return;
    }
    for (size_t i = 0; i < sizeof(h->written[0]) / sizeof(h->written[0][0]); i++) {
        if (h->written[entry->index][i].term == 0) {
            h->written[entry->index][i].term = entry->term;
            h->written[entry->index][i].prev_term = prev;
            h->written[entry->index][i].payload = payload_of(entry);
            h->written[entry->index][i].type = (uint64_t)entry->type;
            return;
        }
        if (h->written[entry->index][i].term != entry->term) {
            continue;
        }
        if (h->written[entry->index][i].prev_term != prev ||
            h->written[entry->index][i].payload != payload_of(entry) ||
            h->written[entry->index][i].type != (uint64_t)entry->type) {
            world_fail(m->w, "log matching: %llu has another entry %llu/%llu", ULL(m->id),
                       ULL(entry->term), ULL(entry->index));
        }
        return;
    }
}

// Dissertation 4.1: no second change is appended before the first is committed.
static void check_one_change(struct member *m)
{
    const struct raft *r = &m->node->raft;
    const struct raft_unstable *u = &r->log.unstable;
    uint64_t last = raft_log_last_index((struct raft_log *)&r->log);
    int changes = 0;
    for (uint64_t index = r->log.committed + 1; index <= last; index++) {
        struct raft_entry *entry = NULL;
        size_t count = 0;
        if (index >= u->offset) {
            entry = raft_entry_ref(raft_unstable_at(u, index));
        } else if (r->log.storage.ops->entries(r->log.storage.ctx, index, index + 1, 0, &entry,
                                               &count) != 0) {
            return;
        }
        changes += entry->type != RAFT_ENTRY_NORMAL;
        raft_entry_unref(entry);
    }
    if (changes > 1) {
        world_fail(m->w, "%d configuration changes at once in the log of %llu", changes,
                   ULL(m->id));
    }
}

void check_written(struct member *m, struct raft_entry *const *entries, size_t count)
{
    bool change = false;
    for (size_t i = 0; i < count && !m->w->failed; i++) {
        check_matching(m, entries[i]);
        if (entries[i]->index < INDEX_MAX) {
            m->handed_out[entries[i]->index] = entries[i]->term;
        }
        change = change || entries[i]->type != RAFT_ENTRY_NORMAL;
    }
    if (change && !m->w->failed) {
        check_one_change(m);
    }
}

void check_applied(struct member *m, const struct raft_entry *entry)
{
    struct history *h = m->w->history;
    uint64_t index = entry->index;
    if (index != m->applied + 1) {
        world_fail(m->w, "%llu applies %llu after %llu", ULL(m->id), ULL(index), ULL(m->applied));
        return;
    }
    if (index >= INDEX_MAX) {
        world_fail(m->w, "the log of one run has an end");
        return;
    }
    if (h->term[index] != entry->term) {
        world_fail(m->w, "state machine safety: %llu applies %llu/%llu, others %llu/%llu",
                   ULL(m->id), ULL(entry->term), ULL(index), ULL(h->term[index]), ULL(index));
        return;
    }
    struct raft_storage disk = raft_memory_storage_interface(m->disk);
    uint64_t term = 0;
    int rc = disk.ops->term(disk.ctx, index, &term);
    if (rc != RAFT_E_COMPACTED && (rc != 0 || term != entry->term)) {
        world_fail(m->w, "%llu applies %llu/%llu, which it has not on disk", ULL(m->id),
                   ULL(entry->term), ULL(index));
        return;
    }
    if (h->applied < index) {
        h->applied = index;
        h->payload[index] = payload_of(entry);
    } else if (h->payload[index] != payload_of(entry)) {
        world_fail(m->w, "state machine safety: other content at %llu", ULL(index));
    }
}

static size_t difference(const struct raft_id_set *a, const struct raft_id_set *b)
{
    size_t n = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        n += !raft_id_set_has(b, a->ids[i]);
    }
    return n;
}

// Does every majority of the one meet every majority of the other?
static bool is_one_step(const struct raft_conf_state *before, const struct raft_conf_state *after)
{
    bool was_joint = before->voters_outgoing.count > 0;
    bool is_joint = after->voters_outgoing.count > 0;
    if (!was_joint && is_joint) {
        return difference(&after->voters_outgoing, &before->voters) == 0 &&
               difference(&before->voters, &after->voters_outgoing) == 0;
    }
    size_t changed =
        difference(&before->voters, &after->voters) + difference(&after->voters, &before->voters);
    return changed <= (was_joint ? 0 : 1);
}

void check_conf(struct member *m, uint64_t index, const struct raft_conf_state *conf)
{
    struct history *h = m->w->history;
    if (index >= INDEX_MAX) {
        return;
    }
    if (h->conf[index] == NULL && index == h->applied) {
        if (!is_one_step(world_conf_at(m->w, index - 1), conf)) {
            world_fail(m->w, "the configuration at %llu is more than a step", ULL(index));
            return;
        }
        h->conf[index] = malloc(sizeof(*conf));
        *h->conf[index] = *conf;
        world_trace(m->w, "configuration at %llu: %u voters, %u outgoing, %u learners", ULL(index),
                    conf->voters.count, conf->voters_outgoing.count, conf->learners.count);
    } else if (!raft_conf_state_equal(world_conf_at(m->w, index), conf)) {
        world_fail(m->w, "%llu has another configuration at %llu", ULL(m->id), ULL(index));
    }
}

void check_operation(struct world *w, const struct op *op, uint64_t position)
{
    // A read must see all that was over before it began; a write comes after it.
    if (op->read ? position < op->floor : position <= op->floor) {
        world_fail(w,
                   "linearizability: %s %llu at %llu sees the log up to %llu, but %llu was seen "
                   "before it began",
                   op->read ? "read" : "write", ULL(op->id), ULL(op->at), ULL(position),
                   ULL(op->floor));
    }
}
