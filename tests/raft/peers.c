#include "peers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void peer_prepare(struct peer *p, uint64_t id, size_t members)
{
    memset(p, 0, sizeof(*p));
    p->storage = raft_memory_storage_new();
    raft_config_init(&p->config);
    p->config.id = id;
    p->config.pre_vote = false;
    p->config.check_quorum = false;
    p->config.random_seed = id;
    struct raft_snapshot *start = raft_snapshot_alloc(0);
    for (uint64_t i = 1; i <= members; i++) {
        raft_id_set_add(&start->conf.voters, i);
    }
    p->conf = start->conf;
    cr_assert_eq(raft_memory_storage_apply_snapshot(p->storage, start), 0);
    raft_snapshot_unref(start);
}

static struct raft_entry *make_entry(uint64_t term, uint64_t index)
{
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, "x", 1);
    entry->term = term;
    entry->index = index;
    return entry;
}

void peer_load_log(struct peer *p, const uint64_t *terms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct raft_entry *entry = make_entry(terms[i], i + 1);
        cr_assert_eq(raft_memory_storage_append(p->storage, &entry, 1), 0);
        raft_entry_unref(entry);
    }
    peer_load_hard_state(p, count > 0 ? terms[count - 1] : 0, 0, 0);
}

void peer_load_hard_state(struct peer *p, uint64_t term, uint64_t vote, uint64_t commit)
{
    struct raft_hard_state hard = {.term = term, .vote = vote, .commit = commit};
    raft_memory_storage_set_hard_state(p->storage, &hard);
}

void peer_start(struct peer *p)
{
    p->config.storage = raft_memory_storage_interface(p->storage);
    cr_assert_eq(raft_node_new(&p->config, &p->node), 0);
}

void peer_stop(struct peer *p)
{
    peer_drop_out(p);
    raft_node_free(p->node);
    p->node = NULL;
}

void peer_release(struct peer *p)
{
    peer_stop(p);
    raft_memory_storage_free(p->storage);
    p->storage = NULL;
}

static void collect(struct peer *p, struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_lt(p->out_count, OUT_MAX);
        raft_message_move(&p->out[p->out_count++], &messages[i]);
    }
}

static void apply(struct peer *p, const struct raft_ready *rd)
{
    if (rd->snapshot != NULL) {
        p->conf = rd->snapshot->conf;
    }
    for (size_t i = 0; i < rd->committed_count; i++) {
        struct raft_conf_change change;
        cr_assert_lt(p->applied_count, APPLIED_MAX);
        p->applied[p->applied_count++] = rd->committed_entries[i]->index;
        if (rd->committed_entries[i]->type != RAFT_ENTRY_NORMAL) {
            cr_assert_eq(raft_conf_change_decode(rd->committed_entries[i], &change), 0);
            cr_assert_eq(raft_node_apply_conf_change(p->node, &change, &p->conf), 0);
        }
    }
    for (size_t i = 0; i < rd->read_state_count; i++) {
        p->reads[p->read_count++ % 64] = rd->read_states[i];
    }
}

static void write(struct peer *p, const struct raft_ready *rd)
{
    if (rd->hard_state_changed) {
        raft_memory_storage_set_hard_state(p->storage, &rd->hard_state);
    }
    if (rd->snapshot != NULL) {
        cr_assert_eq(raft_memory_storage_apply_snapshot(p->storage, rd->snapshot), 0);
    }
    cr_assert_eq(raft_memory_storage_append(p->storage, rd->entries, rd->entry_count), 0);
}

void peer_drain(struct peer *p)
{
    while (raft_node_has_ready(p->node)) {
        struct raft_ready rd;
        cr_assert_eq(raft_node_ready(p->node, &rd), 0);
        collect(p, rd.messages, rd.message_count);
        if (p->hold_advance) {
            return;
        }
        write(p, &rd);
        collect(p, rd.persisted_messages, rd.persisted_count);
        apply(p, &rd);
        cr_assert_eq(raft_node_advance(p->node), 0);
    }
}

void peer_drop_out(struct peer *p)
{
    for (size_t i = 0; i < p->out_count; i++) {
        raft_message_release(&p->out[i]);
    }
    p->out_count = 0;
}

const struct raft_message *peer_find_out(const struct peer *p, enum raft_message_type type)
{
    for (size_t i = 0; i < p->out_count; i++) {
        if (p->out[i].type == type) {
            return &p->out[i];
        }
    }
    return NULL;
}

size_t peer_count_out(const struct peer *p, enum raft_message_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < p->out_count; i++) {
        count += p->out[i].type == type;
    }
    return count;
}

struct raft_status peer_status(const struct peer *p)
{
    struct raft_status s;
    cr_assert_eq(raft_node_status(p->node, &s), 0);
    return s;
}

int peer_step(struct peer *p, struct raft_message *m)
{
    int rc = raft_node_step(p->node, m);
    raft_message_release(m);
    peer_drain(p);
    return rc;
}

int peer_propose(struct peer *p, const char *text)
{
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, text, strlen(text));
    int rc = raft_node_propose(p->node, &entry, 1);
    cr_assert_eq(rc == 0, entry == NULL);
    raft_entry_unref(entry);
    return rc;
}

int peer_tick_until_campaign(struct peer *p, int most)
{
    enum raft_role before = peer_status(p).role;
    uint64_t term = peer_status(p).hard_state.term;
    for (int i = 1; i <= most; i++) {
        cr_assert_eq(raft_node_tick(p->node), 0);
        struct raft_status now = peer_status(p);
        if (now.role != before || now.hard_state.term != term) {
            return i;
        }
    }
    return most;
}

void peer_win(struct peer *p, size_t members)
{
    cr_assert_eq(raft_node_campaign(p->node), 0);
    peer_drain(p);
    for (uint64_t id = 2; id <= members; id++) {
        struct raft_message yes = msg(RAFT_MESSAGE_REQUEST_VOTE_RESPONSE, id, p->config.id,
                                      peer_status(p).hard_state.term);
        peer_step(p, &yes);
    }
    cr_assert_eq(peer_status(p).role, RAFT_LEADER);
}

uint64_t peer_term_at(struct peer *p, uint64_t index)
{
    uint64_t term = 0;
    struct raft_storage s = raft_memory_storage_interface(p->storage);
    return s.ops->term(s.ctx, index, &term) == 0 ? term : 0;
}

struct raft_message msg(enum raft_message_type type, uint64_t from, uint64_t to, uint64_t term)
{
    struct raft_message m;
    raft_message_init(&m, type);
    m.from = from;
    m.to = to;
    m.term = term;
    return m;
}

struct raft_message msg_append(uint64_t from, uint64_t to, uint64_t term, uint64_t log_term,
                               uint64_t index, uint64_t commit, const uint64_t *terms, size_t count)
{
    struct raft_message m = msg(RAFT_MESSAGE_APPEND, from, to, term);
    struct raft_entry *entries[64];
    m.log_term = log_term;
    m.index = index;
    m.commit = commit;
    for (size_t i = 0; i < count; i++) {
        entries[i] = make_entry(terms[i], index + 1 + i);
    }
    cr_assert_eq(raft_message_set_entries(&m, entries, count), 0);
    for (size_t i = 0; i < count; i++) {
        raft_entry_unref(entries[i]);
    }
    return m;
}

void group_init(struct group *g, size_t count, group_tweak *tweak)
{
    memset(g, 0, sizeof(*g));
    g->count = count;
    for (uint64_t id = 1; id <= count; id++) {
        g->peers[id] = calloc(1, sizeof(struct peer));
        peer_prepare(g->peers[id], id, count);
        if (tweak != NULL) {
            tweak(g->peers[id]);
        }
        peer_start(g->peers[id]);
    }
}

void group_release(struct group *g)
{
    for (uint64_t id = 1; id <= g->count; id++) {
        peer_release(g->peers[id]);
        free(g->peers[id]);
    }
}

void group_isolate(struct group *g, uint64_t id)
{
    for (uint64_t other = 1; other <= g->count; other++) {
        g->cut[id][other] = true;
        g->cut[other][id] = true;
    }
}

void group_heal(struct group *g)
{
    memset(g->cut, 0, sizeof(g->cut));
}

static bool deliver(struct group *g, struct peer *from)
{
    static struct raft_message batch[OUT_MAX];
    size_t count = from->out_count;
    memcpy(batch, from->out, count * sizeof(batch[0]));
    from->out_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct raft_message *m = &batch[i];
        bool known = m->to >= 1 && m->to <= g->count && g->peers[m->to]->node != NULL;
        if (known && !g->cut[m->from][m->to] && (g->drop == NULL || !g->drop(m))) {
            raft_node_step(g->peers[m->to]->node, m);
        }
        raft_message_release(m);
    }
    return count > 0;
}

void group_settle(struct group *g)
{
    bool busy = true;
    for (int round = 0; busy; round++) {
        cr_assert_lt(round, 10000, "the group does not come to rest");
        busy = false;
        for (uint64_t id = 1; id <= g->count; id++) {
            if (g->peers[id]->node != NULL) {
                peer_drain(g->peers[id]);
            }
        }
        for (uint64_t id = 1; id <= g->count; id++) {
            busy = deliver(g, g->peers[id]) || busy;
        }
    }
}

void group_elect(struct group *g, uint64_t id)
{
    cr_assert_eq(raft_node_campaign(g->peers[id]->node), 0);
    group_settle(g);
    cr_assert_eq(peer_status(g->peers[id]).role, RAFT_LEADER);
}

void group_tick(struct group *g, int ticks)
{
    for (int i = 0; i < ticks; i++) {
        for (uint64_t id = 1; id <= g->count; id++) {
            if (g->peers[id]->node != NULL) {
                cr_assert_eq(raft_node_tick(g->peers[id]->node), 0);
            }
        }
        group_settle(g);
    }
}

uint64_t group_leader(const struct group *g)
{
    uint64_t leader = 0;
    uint64_t term = 0;
    for (uint64_t id = 1; id <= g->count; id++) {
        if (g->peers[id]->node != NULL) {
            struct raft_status s = peer_status(g->peers[id]);
            if (s.role == RAFT_LEADER && s.hard_state.term >= term) {
                leader = id;
                term = s.hard_state.term;
            }
        }
    }
    return leader;
}
