#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "world.h"

// --- the storage that the node reads ---

static struct raft_storage cache_of(struct member *m)
{
    return raft_memory_storage_interface(m->cache);
}

const struct raft_conf_state *world_conf_at(const struct world *w, uint64_t index)
{
    while (index > FIRST_INDEX && w->history->conf[index] == NULL) {
        index--;
    }
    return w->history->conf[index];
}

static int get_initial_state(void *ctx, struct raft_hard_state *hard, struct raft_conf_state *conf)
{
    struct member *m = ctx;
    struct raft_storage s = cache_of(m);
    int rc = s.ops->initial_state(s.ctx, hard, conf);
    if (rc == 0 && m->applied_on_disk >= FIRST_INDEX) {
        // The application's state is ahead of the last snapshot: its membership
        // counts. And what was applied is committed, though the commit index
        // itself may not have reached the disk.
        *conf = *world_conf_at(m->w, m->applied_on_disk);
        if (hard->commit < m->applied_on_disk) {
            hard->commit = m->applied_on_disk;
        }
    }
    return rc;
}

static int get_entries(void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                       struct raft_entry **entries, size_t *count)
{
    struct raft_storage s = cache_of(ctx);
    return s.ops->entries(s.ctx, lo, hi, max_bytes, entries, count);
}

static int get_term(void *ctx, uint64_t index, uint64_t *term)
{
    struct raft_storage s = cache_of(ctx);
    return s.ops->term(s.ctx, index, term);
}

static int get_first_index(void *ctx, uint64_t *index)
{
    struct raft_storage s = cache_of(ctx);
    return s.ops->first_index(s.ctx, index);
}

static int get_last_index(void *ctx, uint64_t *index)
{
    struct raft_storage s = cache_of(ctx);
    return s.ops->last_index(s.ctx, index);
}

// A snapshot of what is applied; its content is the history up to there.
static int get_snapshot(void *ctx, struct raft_snapshot **ret_snapshot)
{
    struct member *m = ctx;
    if (m->applied < FIRST_INDEX || random_chance(&m->w->random, 100)) {
        return RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE;
    }
    struct raft_snapshot *s = raft_snapshot_alloc(0);
    s->index = m->applied;
    s->term = m->w->history->term[m->applied];
    s->conf = *world_conf_at(m->w, m->applied);
    *ret_snapshot = s;
    return 0;
}

static const struct raft_storage_ops storage_ops = {
    .initial_state = get_initial_state,
    .entries = get_entries,
    .term = get_term,
    .first_index = get_first_index,
    .last_index = get_last_index,
    .snapshot = get_snapshot,
};

// --- life and death ---

static void pick_config(struct member *m)
{
    struct random *r = &m->w->random;
    struct raft_config *c = &m->config;
    raft_config_init(c);
    c->id = m->id;
    c->storage = (struct raft_storage){.ops = &storage_ops, .ctx = m};
    c->random_seed = m->w->seed * 131 + m->id;
    // The same for the whole group, so drawn from the seed and not from `r`.
    uint64_t bits = m->w->seed;
    c->async_storage_writes = bits % 4 != 0;
    c->pre_vote = bits / 4 % 2 == 0;
    c->check_quorum = bits / 8 % 3 != 0;
    c->read_mode = c->check_quorum && bits / 24 % 2 == 0 ? RAFT_READ_LEASE : RAFT_READ_SAFE;
    c->lease_on_start = c->read_mode == RAFT_READ_LEASE;
    c->step_down_on_removal = bits / 48 % 2 == 0;
    c->election_ticks = 10 + (int)(bits / 96 % 3) * 5;
    c->max_message_bytes = random_chance(r, 300) ? 0 : 64 + random_below(r, 2048);
    c->max_applying_bytes = 64 + random_below(r, 512);
    c->max_inflight_messages = (uint32_t)(1 + random_below(r, 8));
    c->max_inflight_bytes = random_chance(r, 500) ? 0 : c->max_message_bytes + 512;
    c->max_uncommitted_bytes = 4096;
    if (m->w->weather.single) {
        c->max_message_bytes = 0;
        c->max_inflight_bytes = 0;
    }
}

void member_init(struct world *w, uint64_t id, const struct raft_conf_state *founders)
{
    struct member *m = &w->members[id];
    m->w = w;
    m->id = id;
    m->disk = raft_memory_storage_new();
    pick_config(m);
    if (founders != NULL) {
        struct raft_snapshot *s = raft_snapshot_alloc(0);
        s->index = FIRST_INDEX;
        s->term = 1;
        s->conf = *founders;
        raft_memory_storage_apply_snapshot(m->disk, s);
        raft_snapshot_unref(s);
        m->applied_on_disk = FIRST_INDEX;
    }
}

// A second storage with the same content.
static struct raft_memory_storage *clone(struct raft_memory_storage *from)
{
    struct raft_memory_storage *to = raft_memory_storage_new();
    struct raft_storage s = raft_memory_storage_interface(from);
    struct raft_hard_state hard;
    struct raft_conf_state conf;
    uint64_t first;
    uint64_t last;
    s.ops->initial_state(s.ctx, &hard, &conf);
    s.ops->first_index(s.ctx, &first);
    s.ops->last_index(s.ctx, &last);
    if (first > 1) {
        struct raft_snapshot *start = raft_snapshot_alloc(0);
        start->index = first - 1;
        s.ops->term(s.ctx, first - 1, &start->term);
        start->conf = conf;
        raft_memory_storage_apply_snapshot(to, start);
        raft_snapshot_unref(start);
    }
    raft_memory_storage_set_hard_state(to, &hard);
    while (first <= last) {
        struct raft_entry *entry;
        size_t count = 0;
        s.ops->entries(s.ctx, first, first + 1, 0, &entry, &count);
        raft_memory_storage_append(to, &entry, 1);
        raft_entry_unref(entry);
        first++;
    }
    return to;
}

void member_start(struct member *m)
{
    m->cache = clone(m->disk);
    m->applied = m->applied_on_disk;
    m->config.applied = m->applied_on_disk;
    m->seen_commit = 0;
    m->leading_term = 0;
    m->paused = false;
    m->missed_ticks = 0;
    m->restart_at = 0;
    memset(m->handed_out, 0, sizeof(m->handed_out));
    int rc = raft_node_new(&m->config, &m->node);
    if (rc != 0) {
        m->node = NULL;
        world_fail(m->w, "node %llu does not start: %s", (unsigned long long)m->id,
                   raft_error_text(rc));
    }
}

static void clear_queue(struct work_queue *q)
{
    for (size_t i = 0; i < q->count; i++) {
        raft_message_release(&q->items[i].m);
    }
    q->count = 0;
}

static void write_to(struct raft_memory_storage *s, const struct raft_message *m)
{
    if (m->term != 0 || m->vote != 0 || m->commit != 0) {
        struct raft_hard_state hard = {.term = m->term, .vote = m->vote, .commit = m->commit};
        raft_memory_storage_set_hard_state(s, &hard);
    }
    if (m->snapshot != NULL) {
        raft_memory_storage_apply_snapshot(s, m->snapshot);
    }
    raft_memory_storage_append(s, m->entries, m->entry_count);
}

static void take_snapshot_on_disk(struct member *m, const struct raft_message *work)
{
    if (work->snapshot != NULL && m->applied_on_disk < work->snapshot->index) {
        m->applied_on_disk = work->snapshot->index;
    }
}

// The first `count` unsynced writes are durable now.
static void sync_writes(struct member *m, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        write_to(m->disk, &m->unsynced.items[i].m);
        take_snapshot_on_disk(m, &m->unsynced.items[i].m);
        raft_message_release(&m->unsynced.items[i].m);
    }
    m->unsynced.count -= count;
    memmove(m->unsynced.items, m->unsynced.items + count, m->unsynced.count * sizeof(struct work));
}

void member_crash(struct member *m)
{
    world_trace(m->w, "%llu crashes", (unsigned long long)m->id);
    // Some of what was not synced may have got to the disk all the same.
    sync_writes(m, random_below(&m->w->random, m->unsynced.count + 1));
    clear_queue(&m->unsynced);
    clear_queue(&m->append);
    clear_queue(&m->apply);
    clear_queue(&m->inbox);
    raft_node_free(m->node);
    m->node = NULL;
    raft_memory_storage_free(m->cache);
    m->cache = NULL;
    client_forget(m);
}

void member_release(struct member *m)
{
    clear_queue(&m->unsynced);
    clear_queue(&m->append);
    clear_queue(&m->apply);
    clear_queue(&m->inbox);
    raft_node_free(m->node);
    raft_memory_storage_free(m->cache);
    raft_memory_storage_free(m->disk);
}

bool member_runs(const struct member *m)
{
    return m->node != NULL && !m->paused && !m->w->failed;
}

// --- what happens to it ---

void member_tick(struct member *m)
{
    if (m->node == NULL) {
        return;
    }
    if (m->paused) {
        // Its clock goes on: it ticks before anything else when it wakes.
        m->missed_ticks++;
        return;
    }
    raft_node_tick(m->node);
    check_node(m);
}

void member_step(struct member *m, const struct raft_message *message)
{
    int rc = raft_node_step(m->node, message);
    if (rc != 0 && rc != RAFT_E_PROPOSAL_DROPPED && rc != RAFT_E_PEER_NOT_FOUND &&
        rc != RAFT_E_NO_LEADER && rc != RAFT_E_TOO_MANY) {
        world_fail(m->w, "node %llu refuses %s of %llu: %s", (unsigned long long)m->id,
                   raft_message_type_name(message->type), (unsigned long long)message->from,
                   raft_error_text(rc));
    }
    check_node(m);
}

static void push(struct member *m, struct work_queue *q, struct raft_message *message,
                 unsigned most)
{
    if (q->count == WORK_MAX) {
        world_fail(m->w, "too much work at %llu", (unsigned long long)m->id);
        return;
    }
    struct work *item = &q->items[q->count++];
    raft_message_move(&item->m, message);
    item->due = m->w->step + random_below(&m->w->random, most + 1);
    // One worker does one thing after the other.
    if (q->count > 1 && item->due < q->items[q->count - 2].due) {
        item->due = q->items[q->count - 2].due;
    }
}

static bool pop_due(struct member *m, struct work_queue *q, struct raft_message *ret)
{
    if (q->count == 0 || q->items[0].due > m->w->step) {
        return false;
    }
    raft_message_move(ret, &q->items[0].m);
    q->count--;
    memmove(q->items, q->items + 1, q->count * sizeof(struct work));
    return true;
}

static void respond(struct member *m, struct raft_message *work)
{
    for (size_t i = 0; i < work->response_count; i++) {
        if (work->responses[i].to == m->id) {
            push(m, &m->inbox, &work->responses[i], 1);
        } else {
            network_send(m->w, &work->responses[i]);
        }
    }
}

static void restore_snapshot(struct member *m, const struct raft_snapshot *snapshot)
{
    if (snapshot != NULL && snapshot->index > m->applied) {
        m->applied = snapshot->index;
        check_conf(m, snapshot->index, &snapshot->conf);
        client_check_reads(m);
    }
}

static void do_append(struct member *m, struct raft_message *work)
{
    write_to(m->cache, work);
    restore_snapshot(m, work->snapshot);
    struct raft_message unsynced;
    raft_message_copy(&unsynced, work);
    push(m, &m->unsynced, &unsynced, 0);
    if (work->response_count > 0) {
        sync_writes(m, m->unsynced.count);
        respond(m, work);
    }
}

static void apply_entries(struct member *m, struct raft_entry *const *entries, size_t count)
{
    for (size_t i = 0; i < count && !m->w->failed; i++) {
        const struct raft_entry *entry = entries[i];
        if (entry->index <= m->applied) {
            continue; // a snapshot has overtaken it
        }
        check_applied(m, entry);
        if (entry->type != RAFT_ENTRY_NORMAL) {
            struct raft_conf_change change;
            struct raft_conf_state conf;
            int rc = raft_conf_change_decode(entry, &change);
            rc = rc != 0 ? rc : raft_node_apply_conf_change(m->node, &change, &conf);
            if (rc == RAFT_E_CONF_CHANGE) {
                // Impossible for everybody alike: the application leaves it out.
                conf = *world_conf_at(m->w, entry->index - 1);
            } else if (rc != 0) {
                world_fail(m->w, "node %llu cannot apply the change at %llu: %s",
                           (unsigned long long)m->id, (unsigned long long)entry->index,
                           raft_error_text(rc));
                return;
            }
            check_node(m);
            m->applied = entry->index;
            check_conf(m, entry->index, &conf);
        }
        m->applied = entry->index;
        client_applied(m, entry);
    }
    client_check_reads(m);
    if (random_chance(&m->w->random, 300)) {
        m->applied_on_disk = m->applied;
    }
}

void member_work(struct member *m)
{
    struct raft_message work;
    while (member_runs(m) && pop_due(m, &m->append, &work)) {
        do_append(m, &work);
        raft_message_release(&work);
    }
    while (member_runs(m) && pop_due(m, &m->apply, &work)) {
        apply_entries(m, work.entries, work.entry_count);
        respond(m, &work);
        raft_message_release(&work);
    }
    while (member_runs(m) && pop_due(m, &m->inbox, &work)) {
        member_step(m, &work);
        raft_message_release(&work);
    }
}

static void send_all(struct member *m, struct raft_message *messages, size_t count)
{
    const struct weather *weather = &m->w->weather;
    for (size_t i = 0; i < count; i++) {
        if (messages[i].to == RAFT_APPEND_WORKER) {
            unsigned most = m->id == weather->slow ? SLOW_DISK_STEPS : weather->disk_max;
            push(m, &m->append, &messages[i], m->w->calm ? 0 : most);
        } else if (messages[i].to == RAFT_APPLY_WORKER) {
            push(m, &m->apply, &messages[i], m->w->calm ? 0 : weather->apply_max);
        } else {
            network_send(m->w, &messages[i]);
        }
    }
}

static void write_plainly(struct member *m, const struct raft_ready *rd)
{
    struct raft_message work;
    raft_message_init(&work, RAFT_MESSAGE_STORAGE_APPEND);
    if (rd->hard_state_changed) {
        work.term = rd->hard_state.term;
        work.vote = rd->hard_state.vote;
        work.commit = rd->hard_state.commit;
    }
    raft_message_set_entries(&work, rd->entries, rd->entry_count);
    work.snapshot = rd->snapshot != NULL ? raft_snapshot_ref(rd->snapshot) : NULL;
    write_to(m->cache, &work);
    restore_snapshot(m, rd->snapshot);
    bool sync = rd->must_sync || rd->snapshot != NULL;
    push(m, &m->unsynced, &work, 0);
    if (sync || m->unsynced.count > WORK_MAX / 2) {
        sync_writes(m, m->unsynced.count);
    }
}

// A crash may fall between any two acts of a round.
static bool crashes_now(struct member *m)
{
    if (m->w->calm || !random_chance(&m->w->random, m->w->weather.crash)) {
        return false;
    }
    m->restart_at = m->w->step + 1 + random_below(&m->w->random, 200);
    member_crash(m);
    return true;
}

static void finish_plainly(struct member *m, struct raft_ready *rd)
{
    if (crashes_now(m)) {
        return;
    }
    write_plainly(m, rd);
    if (crashes_now(m)) {
        return;
    }
    send_all(m, rd->persisted_messages, rd->persisted_count);
    apply_entries(m, rd->committed_entries, rd->committed_count);
    if (m->w->failed || crashes_now(m)) {
        return;
    }
    raft_node_advance(m->node);
    check_node(m);
}

void member_ready(struct member *m)
{
    if (!raft_node_has_ready(m->node)) {
        return;
    }
    struct raft_ready rd;
    int rc = raft_node_ready(m->node, &rd);
    if (rc != 0) {
        world_fail(m->w, "no Ready of %llu: %s", (unsigned long long)m->id, raft_error_text(rc));
        return;
    }
    if (rd.soft_state_changed) {
        world_trace(m->w, "%llu is %s in term %llu, leader %llu", (unsigned long long)m->id,
                    raft_role_name(rd.role), (unsigned long long)rd.hard_state.term,
                    (unsigned long long)rd.leader);
    }
    if (rd.snapshot != NULL) {
        memset(m->handed_out, 0, sizeof(m->handed_out));
    }
    check_written(m, rd.entries, rd.entry_count);
    for (size_t i = 0; i < rd.read_state_count; i++) {
        client_read_state(m, &rd.read_states[i]);
    }
    send_all(m, rd.messages, rd.message_count);
    if (!m->config.async_storage_writes) {
        finish_plainly(m, &rd);
    } else {
        crashes_now(m);
    }
}

void member_compact(struct member *m)
{
    struct raft_storage s = raft_memory_storage_interface(m->disk);
    uint64_t first;
    uint64_t last;
    s.ops->first_index(s.ctx, &first);
    s.ops->last_index(s.ctx, &last);
    uint64_t most = m->applied_on_disk < last ? m->applied_on_disk : last;
    if (most <= first) {
        return;
    }
    uint64_t to = first + random_below(&m->w->random, most - first);
    // Both copies lose the same prefix: it is covered by the state on disk.
    if (raft_memory_storage_compact(m->cache, to) == 0) {
        raft_memory_storage_compact(m->disk, to);
        world_trace(m->w, "%llu compacts to %llu", (unsigned long long)m->id,
                    (unsigned long long)to);
    }
}
