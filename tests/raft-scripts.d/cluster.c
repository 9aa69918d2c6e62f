#include "cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

void queue_push(struct queue *q, struct raft_message *m)
{
    if (q->count == q->capacity) {
        q->capacity = q->capacity == 0 ? 16 : q->capacity * 2;
        q->items = must(realloc(q->items, q->capacity * sizeof(*q->items)));
    }
    raft_message_move(&q->items[q->count++], m);
}

bool queue_pop(struct queue *q, struct raft_message *m)
{
    if (q->count == 0) {
        return false;
    }
    raft_message_move(m, &q->items[0]);
    q->count--;
    memmove(q->items, q->items + 1, q->count * sizeof(*q->items));
    return true;
}

void queue_release(struct queue *q)
{
    for (size_t i = 0; i < q->count; i++) {
        raft_message_release(&q->items[i]);
    }
    free(q->items);
    memset(q, 0, sizeof(*q));
}

void cluster_say(struct cluster *c, const char *format, ...)
{
    if (c->level >= LOG_NONE) {
        return;
    }
    char buf[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(buf, sizeof(buf), format, args);
    va_end(args);
    text_add(c->out, "%s", buf);
}

static void say_text(struct cluster *c, struct text *t)
{
    if (c->level < LOG_NONE) {
        text_add(c->out, "%s", text_get(t));
    }
    text_free(t);
}

static void say_message(struct cluster *c, const char *before, const struct raft_message *m)
{
    struct text t = {.at = NULL};
    text_add(&t, "%s", before);
    format_message(&t, "", m);
    text_add(&t, "\n");
    say_text(c, &t);
}

void cluster_indent(struct cluster *c, int (*work)(struct cluster *c, size_t at), size_t at)
{
    struct text inner = {.at = NULL};
    struct text *outer = c->out;
    c->out = &inner;
    int rc = work(c, at);
    c->out = outer;
    text_add_indented(outer, &inner);
    text_free(&inner);
    if (rc != 0) {
        text_add(outer, "%s", cluster_error_text(rc));
    }
}

const char *cluster_error_text(int error)
{
    switch (error) {
    case RAFT_E_PROPOSAL_DROPPED:
        return "raft proposal dropped";
    case RAFT_E_LOCAL_MESSAGE:
        return "raft: cannot step raft local message";
    case RAFT_E_PEER_NOT_FOUND:
        return "raft: cannot step as peer not found";
    case RAFT_E_COMPACTED:
        return "requested index is unavailable due to compaction";
    case RAFT_E_UNAVAILABLE:
        return "requested entry at index is unavailable";
    case RAFT_E_SNAPSHOT_OUT_OF_DATE:
        return "requested index is older than the existing snapshot";
    default:
        return raft_error_text(error);
    }
}

static void on_event(void *ctx, const struct raft_event *event)
{
    static const char *const levels[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    struct cluster *c = ctx;
    if ((int)event->level < c->level) {
        return;
    }
    text_add(c->out, "%s ", levels[event->level]);
    format_event(c->out, event);
    text_add(c->out, "\n");
}

// The storage is the memory storage, but a snapshot asked of it is always of
// what has been applied last.
static int storage_initial_state(void *ctx, struct raft_hard_state *hard,
                                 struct raft_conf_state *conf)
{
    struct raft_storage s = raft_memory_storage_interface(((struct member *)ctx)->storage);
    return s.ops->initial_state(s.ctx, hard, conf);
}

static int storage_entries(void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                           struct raft_entry **entries, size_t *count)
{
    struct raft_storage s = raft_memory_storage_interface(((struct member *)ctx)->storage);
    return s.ops->entries(s.ctx, lo, hi, max_bytes, entries, count);
}

static int storage_term(void *ctx, uint64_t index, uint64_t *term)
{
    struct raft_storage s = raft_memory_storage_interface(((struct member *)ctx)->storage);
    return s.ops->term(s.ctx, index, term);
}

static int storage_first_index(void *ctx, uint64_t *index)
{
    struct raft_storage s = raft_memory_storage_interface(((struct member *)ctx)->storage);
    return s.ops->first_index(s.ctx, index);
}

static int storage_last_index(void *ctx, uint64_t *index)
{
    struct raft_storage s = raft_memory_storage_interface(((struct member *)ctx)->storage);
    return s.ops->last_index(s.ctx, index);
}

static int storage_snapshot(void *ctx, struct raft_snapshot **snapshot)
{
    *snapshot = raft_snapshot_ref(((struct member *)ctx)->applied);
    return 0;
}

static const struct raft_storage_ops storage_ops = {
    .initial_state = storage_initial_state,
    .entries = storage_entries,
    .term = storage_term,
    .first_index = storage_first_index,
    .last_index = storage_last_index,
    .snapshot = storage_snapshot,
};

static void member_release(struct member *m)
{
    raft_node_free(m->node);
    raft_memory_storage_free(m->storage);
    raft_snapshot_unref(m->applied);
    queue_release(&m->append_work);
    queue_release(&m->apply_work);
    memset(m, 0, sizeof(*m));
}

int cluster_add(struct cluster *c, const struct raft_config *config, struct raft_snapshot *snapshot)
{
    if (c->count == CLUSTER_NODES_MAX) {
        return RAFT_E_TOO_MANY;
    }
    struct member *m = &c->members[c->count];
    m->config = *config;
    m->config.id = c->count + 1;
    m->config.storage = (struct raft_storage){.ops = &storage_ops, .ctx = m};
    m->config.random_seed = m->config.id;
    m->config.log = (struct raft_log_hook){.fn = on_event, .ctx = c, .level = RAFT_LOG_DEBUG};
    m->applied = raft_snapshot_ref(snapshot);
    m->storage = raft_memory_storage_new();
    int rc = m->storage == NULL ? RAFT_E_NO_MEMORY : 0;
    if (rc == 0 && snapshot->index > 0) {
        rc = raft_memory_storage_apply_snapshot(m->storage, snapshot);
    }
    if (rc == 0) {
        rc = raft_node_new(&m->config, &m->node);
    }
    if (rc != 0) {
        member_release(m);
        return rc;
    }
    c->count++;
    return 0;
}

// A storage that fails ends a real process. Here memory may be short once, in
// the test that lets each allocation fail: the second try is the restart.
static int write_storage(struct member *m, const struct raft_hard_state *hard,
                         struct raft_entry *const *entries, size_t count,
                         struct raft_snapshot *snapshot);

static int write_for_sure(struct member *m, const struct raft_hard_state *hard,
                          struct raft_entry *const *entries, size_t count,
                          struct raft_snapshot *snapshot)
{
    int rc = write_storage(m, hard, entries, count, snapshot);
    return rc == RAFT_E_NO_MEMORY ? write_storage(m, hard, entries, count, snapshot) : rc;
}

static int write_storage(struct member *m, const struct raft_hard_state *hard,
                         struct raft_entry *const *entries, size_t count,
                         struct raft_snapshot *snapshot)
{
    if (!raft_hard_state_is_empty(hard)) {
        raft_memory_storage_set_hard_state(m->storage, hard);
    }
    if (snapshot != NULL) {
        return raft_memory_storage_apply_snapshot(m->storage, snapshot);
    }
    return raft_memory_storage_append(m->storage, entries, count);
}

// The state after `entry`, its membership `conf`.
static int record_applied(struct member *m, const struct raft_entry *entry,
                          const struct raft_conf_state *conf, const uint8_t *update, size_t size)
{
    struct raft_snapshot *next = raft_snapshot_alloc(m->applied->size + size);
    if (next == NULL) {
        next = raft_snapshot_alloc(m->applied->size + size); // as write_for_sure()
    }
    if (next == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    memcpy(next->data, m->applied->data, m->applied->size);
    if (size > 0) {
        memcpy(next->data + m->applied->size, update, size);
    }
    next->index = entry->index;
    next->term = entry->term;
    next->conf = *conf;
    raft_snapshot_unref(m->applied);
    m->applied = next;
    return 0;
}

static int apply_entries(struct member *m, struct raft_entry *const *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct raft_conf_state conf = m->applied->conf;
        const uint8_t *update = entries[i]->data;
        size_t size = entries[i]->size;
        struct raft_conf_change change;
        if (entries[i]->type != RAFT_ENTRY_NORMAL) {
            int rc = raft_conf_change_decode(entries[i], &change);
            if (rc == 0) {
                rc = raft_node_apply_conf_change(m->node, &change, &conf);
            }
            if (rc != 0) {
                return rc;
            }
            update = change.context;
            size = change.context_size;
        }
        int rc = record_applied(m, entries[i], &conf, update, size);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void route(struct cluster *c, struct member *m, struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (messages[i].to == RAFT_APPEND_WORKER) {
            queue_push(&m->append_work, &messages[i]);
        } else if (messages[i].to == RAFT_APPLY_WORKER) {
            queue_push(&m->apply_work, &messages[i]);
        } else {
            queue_push(&c->wire, &messages[i]);
        }
    }
}

int cluster_ready(struct cluster *c, size_t at)
{
    struct member *m = &c->members[at];
    struct raft_ready rd;
    int rc = raft_node_ready(m->node, &rd);
    if (rc != 0) {
        return rc;
    }
    struct text t = {.at = NULL};
    format_ready(&t, &rd);
    say_text(c, &t);
    if (!m->config.async_storage_writes) {
        static const struct raft_hard_state nothing;
        rc = write_for_sure(m, rd.hard_state_changed ? &rd.hard_state : &nothing, rd.entries,
                            rd.entry_count, rd.snapshot);
        if (rc == 0) {
            rc = apply_entries(m, rd.committed_entries, rd.committed_count);
        }
    }
    route(c, m, rd.messages, rd.message_count);
    route(c, m, rd.persisted_messages, rd.persisted_count);
    if (!m->config.async_storage_writes) {
        int advanced = raft_node_advance(m->node);
        rc = rc != 0 ? rc : advanced;
    }
    return rc;
}

// Shows and sends the responses of a finished piece of work.
static void respond(struct cluster *c, struct raft_message *work)
{
    cluster_say(c, "Responses:\n");
    for (size_t i = 0; i < work->response_count; i++) {
        say_message(c, "", &work->responses[i]);
        queue_push(&c->wire, &work->responses[i]);
    }
}

static void say_work(struct cluster *c, const struct raft_message *work)
{
    struct text t = {.at = NULL};
    text_add(&t, "Processing:\n");
    format_work(&t, work);
    text_add(&t, "\n");
    say_text(c, &t);
}

int cluster_append_work(struct cluster *c, size_t at)
{
    struct member *m = &c->members[at];
    struct raft_message work;
    if (!queue_pop(&m->append_work, &work)) {
        cluster_say(c, "no append work to perform");
        return 0;
    }
    say_work(c, &work);
    struct raft_hard_state hard = {.term = work.term, .vote = work.vote, .commit = work.commit};
    int rc = write_for_sure(m, &hard, work.entries, work.entry_count, work.snapshot);
    if (rc == 0) {
        respond(c, &work);
    }
    raft_message_release(&work);
    return rc;
}

int cluster_apply_work(struct cluster *c, size_t at)
{
    struct member *m = &c->members[at];
    struct raft_message work;
    if (!queue_pop(&m->apply_work, &work)) {
        cluster_say(c, "no apply work to perform");
        return 0;
    }
    say_work(c, &work);
    int rc = apply_entries(m, work.entries, work.entry_count);
    if (rc == 0) {
        respond(c, &work);
    }
    raft_message_release(&work);
    return rc;
}

static bool is_local(const struct raft_message *m)
{
    return m->from == m->to || raft_is_worker(m->from) || raft_is_worker(m->to);
}

static bool is_chosen(const struct raft_message *m, uint64_t to, int type, bool drop)
{
    return m->to == to && !(drop && is_local(m)) && (type < 0 || (int)m->type == type);
}

size_t cluster_deliver(struct cluster *c, uint64_t to, int type, bool drop)
{
    // First taken out, then delivered: what the delivery causes is for later.
    struct queue chosen = {.items = NULL};
    struct queue rest = {.items = NULL};
    for (size_t i = 0; i < c->wire.count; i++) {
        struct raft_message *m = &c->wire.items[i];
        queue_push(is_chosen(m, to, type, drop) ? &chosen : &rest, m);
    }
    c->wire.count = 0;
    queue_release(&c->wire);
    c->wire = rest;
    size_t delivered = chosen.count;
    for (size_t i = 0; i < chosen.count; i++) {
        say_message(c, drop ? "dropped: " : "", &chosen.items[i]);
        if (drop || to == 0 || to > c->count) {
            continue;
        }
        int rc = raft_node_step(c->members[to - 1].node, &chosen.items[i]);
        if (rc != 0 && rc != RAFT_E_NO_LEADER) {
            cluster_say(c, "%s\n", cluster_error_text(rc));
        }
    }
    queue_release(&chosen);
    return delivered;
}

static int deliver_any(struct cluster *c, size_t at)
{
    cluster_deliver(c, at + 1, -1, false);
    return 0;
}

static bool has_mail(const struct cluster *c, size_t at)
{
    for (size_t i = 0; i < c->wire.count; i++) {
        if (c->wire.items[i].to == at + 1) {
            return true;
        }
    }
    return false;
}

static bool has_ready(const struct cluster *c, size_t at)
{
    return raft_node_has_ready(c->members[at].node);
}

static bool has_append_work(const struct cluster *c, size_t at)
{
    return c->members[at].append_work.count > 0;
}

static bool has_apply_work(const struct cluster *c, size_t at)
{
    return c->members[at].apply_work.count > 0;
}

// Rounds of a stabilize before it is given up as endless.
#define ROUNDS_MAX 1000

int cluster_stabilize(struct cluster *c, const size_t *nodes, size_t count)
{
    static const struct {
        const char *title;
        bool (*wanted)(const struct cluster *c, size_t at);
        int (*work)(struct cluster *c, size_t at);
        bool repeat; // under one title until there is no more
    } phases[] = {
        {"handling Ready", has_ready, cluster_ready, false},
        {"receiving messages", has_mail, deliver_any, false},
        {"processing append thread", has_append_work, cluster_append_work, true},
        {"processing apply thread", has_apply_work, cluster_apply_work, true},
    };
    bool busy = true;
    for (int round = 0; busy && round < ROUNDS_MAX; round++) {
        busy = false;
        for (size_t p = 0; p < sizeof(phases) / sizeof(phases[0]); p++) {
            for (size_t i = 0; i < count; i++) {
                if (!phases[p].wanted(c, nodes[i])) {
                    continue;
                }
                busy = true;
                cluster_say(c, "> %zu %s\n", nodes[i] + 1, phases[p].title);
                do {
                    cluster_indent(c, phases[p].work, nodes[i]);
                } while (phases[p].repeat && phases[p].wanted(c, nodes[i]));
            }
        }
    }
    return busy ? RAFT_E_TOO_MANY : 0;
}

int cluster_raft_log(struct cluster *c, size_t at)
{
    struct raft_storage s = raft_memory_storage_interface(c->members[at].storage);
    uint64_t first;
    uint64_t last;
    s.ops->first_index(s.ctx, &first);
    s.ops->last_index(s.ctx, &last);
    if (last < first) {
        cluster_say(c, "log is empty: first index=%" PRIu64 ", last index=%" PRIu64, first, last);
        return 0;
    }
    size_t count = 0;
    struct raft_entry **entries = must(calloc(last - first + 1, sizeof(struct raft_entry *)));
    int rc = s.ops->entries(s.ctx, first, last + 1, UINT64_MAX, entries, &count);
    struct text t = {.at = NULL};
    format_entries(&t, entries, count);
    say_text(c, &t);
    for (size_t i = 0; i < count; i++) {
        raft_entry_unref(entries[i]);
    }
    free(entries);
    return rc;
}

struct cluster *cluster_new(void)
{
    return must(calloc(1, sizeof(struct cluster)));
}

void cluster_free(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        member_release(&c->members[i]);
    }
    queue_release(&c->wire);
    free(c);
}
