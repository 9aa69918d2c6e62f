// Feeds one node with arbitrary messages, ticks, proposals and answers of its
// storage: libFuzzer's entry, also run by fuzz_test.c with made-up inputs.
//
// The input is a list of acts, one byte each and then what the act reads. A node
// must refuse or survive anything that is not a lie of its own process: only
// messages of the storage workers are told as they are.

#include "raft_step.h"

#include <assert.h>
#include <string.h>

#include "raft/memory_storage.h"
#include "raft/raft.h"

#define MEMBERS  3
#define WORK_MAX 64
#define ACTS_MAX 512

struct input {
    const uint8_t *at;
    size_t left;
};

struct fuzzed {
    struct raft_node *node;
    struct raft_memory_storage *storage;
    struct raft_config config;
    struct raft_message work[WORK_MAX]; // for the workers, in order
    size_t work_count;
    uint64_t applied;
};

static uint64_t take(struct input *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && in->left > 0; i++) {
        value = value << 8 | *in->at++;
        in->left--;
    }
    return value;
}

// Mostly small, now and then anything.
static uint64_t take_number(struct input *in)
{
    uint64_t kind = take(in, 1);
    return kind < 250 ? kind % 16 : take(in, 8);
}

static struct raft_entry *take_entry(struct input *in, uint64_t index)
{
    uint64_t kind = take(in, 1);
    uint8_t data[64] = {0};
    size_t size = kind % 32;
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)take(in, 1);
    }
    struct raft_entry *entry = raft_entry_new((enum raft_entry_type)(kind / 64 % 3), data, size);
    assert(entry != NULL);
    entry->term = take_number(in);
    // Usually in order, as entries that nobody tampered with are.
    entry->index = kind % 8 == 0 ? take_number(in) : index;
    return entry;
}

static struct raft_snapshot *take_snapshot(struct input *in)
{
    struct raft_snapshot *s = raft_snapshot_alloc(0);
    assert(s != NULL);
    s->index = take_number(in);
    s->term = take_number(in);
    uint64_t members = take(in, 2);
    for (unsigned i = 0; i < 4; i++) {
        if (members >> i & 1) {
            raft_id_set_add(&s->conf.voters, i + 1);
        }
        if (members >> (4 + i) & 1) {
            raft_id_set_add(&s->conf.learners, i + 1);
        }
        if (members >> (8 + i) & 1) {
            raft_id_set_add(&s->conf.voters_outgoing, i + 1);
        }
    }
    s->conf.auto_leave = members >> 12 & 1;
    return s;
}

static void step_anything(struct fuzzed *f, struct input *in)
{
    struct raft_message m;
    raft_message_init(&m, (enum raft_message_type)(take(in, 1) % (RAFT_MESSAGE_TYPE_COUNT + 1)));
    m.from = take(in, 1) % (MEMBERS + 2);
    m.to = f->config.id;
    m.term = take_number(in);
    m.log_term = take_number(in);
    m.index = take_number(in);
    m.commit = take_number(in);
    m.reject = take(in, 1) % 2;
    m.reject_hint = take_number(in);
    m.context_size = (uint8_t)(take(in, 1) % (RAFT_CONTEXT_MAX + 2));
    for (size_t i = 0; i < m.context_size && i < RAFT_CONTEXT_MAX; i++) {
        m.context[i] = (uint8_t)take(in, 1);
    }
    struct raft_entry *entries[8];
    size_t count = take(in, 1) % 8;
    for (size_t i = 0; i < count; i++) {
        entries[i] = take_entry(in, m.index + 1 + i);
    }
    raft_message_set_entries(&m, entries, count);
    for (size_t i = 0; i < count; i++) {
        raft_entry_unref(entries[i]);
    }
    if (m.type == RAFT_MESSAGE_SNAPSHOT && take(in, 1) % 8 != 0) {
        m.snapshot = take_snapshot(in);
    }
    raft_node_step(f->node, &m);
    raft_message_release(&m);
}

static void write(struct fuzzed *f, const struct raft_hard_state *hard,
                  struct raft_entry *const *entries, size_t count, struct raft_snapshot *snapshot)
{
    if (!raft_hard_state_is_empty(hard)) {
        raft_memory_storage_set_hard_state(f->storage, hard);
    }
    if (snapshot != NULL) {
        raft_memory_storage_apply_snapshot(f->storage, snapshot);
        if (f->applied < snapshot->index) {
            f->applied = snapshot->index;
        }
    }
    int rc = raft_memory_storage_append(f->storage, entries, count);
    assert(rc == 0);
}

static void apply(struct fuzzed *f, struct raft_entry *const *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->index <= f->applied) {
            continue;
        }
        assert(entries[i]->index == f->applied + 1);
        f->applied = entries[i]->index;
        struct raft_conf_change change;
        struct raft_conf_state conf;
        if (entries[i]->type != RAFT_ENTRY_NORMAL &&
            raft_conf_change_decode(entries[i], &change) == 0) {
            raft_node_apply_conf_change(f->node, &change, &conf);
        }
    }
}

static void ready(struct fuzzed *f)
{
    struct raft_ready rd;
    if (!raft_node_has_ready(f->node) || raft_node_ready(f->node, &rd) != 0) {
        return;
    }
    if (!f->config.async_storage_writes) {
        struct raft_hard_state none = {.term = 0};
        write(f, rd.hard_state_changed ? &rd.hard_state : &none, rd.entries, rd.entry_count,
              rd.snapshot);
        apply(f, rd.committed_entries, rd.committed_count);
        raft_node_advance(f->node);
        return;
    }
    for (size_t i = 0; i < rd.message_count; i++) {
        if (raft_is_worker(rd.messages[i].to)) {
            assert(f->work_count < WORK_MAX);
            raft_message_move(&f->work[f->work_count++], &rd.messages[i]);
        }
    }
}

// Does the oldest work of the worker.
static void work(struct fuzzed *f, uint64_t worker)
{
    size_t at = 0;
    while (at < f->work_count && f->work[at].to != worker) {
        at++;
    }
    if (at == f->work_count) {
        return;
    }
    struct raft_message m = f->work[at];
    f->work_count--;
    memmove(&f->work[at], &f->work[at + 1], (f->work_count - at) * sizeof(m));
    if (worker == RAFT_APPEND_WORKER) {
        struct raft_hard_state hard = {.term = m.term, .vote = m.vote, .commit = m.commit};
        write(f, &hard, m.entries, m.entry_count, m.snapshot);
    } else {
        apply(f, m.entries, m.entry_count);
    }
    for (size_t i = 0; i < m.response_count; i++) {
        if (m.responses[i].to == f->config.id) {
            raft_node_step(f->node, &m.responses[i]);
        }
    }
    raft_message_release(&m);
}

static void propose(struct fuzzed *f, struct input *in)
{
    struct raft_entry *entry = take_entry(in, 0);
    entry->term = 0;
    entry->index = 0;
    raft_node_propose(f->node, &entry, 1);
    raft_entry_unref(entry);
}

static void act(struct fuzzed *f, struct input *in)
{
    uint64_t kind = take(in, 1) % 16;
    if (f->work_count > WORK_MAX - 4) {
        kind = 12 + kind % 2;
    }
    if (kind < 7) {
        step_anything(f, in);
    } else if (kind < 9) {
        ready(f);
    } else if (kind == 9) {
        raft_node_tick(f->node);
    } else if (kind == 10) {
        propose(f, in);
    } else if (kind == 11) {
        raft_node_campaign(f->node);
    } else if (kind == 12) {
        work(f, RAFT_APPEND_WORKER);
    } else if (kind == 13) {
        work(f, RAFT_APPLY_WORKER);
    } else if (kind == 14) {
        uint64_t id = take(in, 1);
        raft_node_read_index(f->node, &id, 1 + id % 8);
        raft_node_transfer_leader(f->node, id % 5);
        raft_node_report_snapshot(f->node, id % 5, id % 2);
        raft_node_report_unreachable(f->node, id % 5);
    } else {
        raft_memory_storage_compact(f->storage, f->applied);
    }
}

static void start(struct fuzzed *f, uint64_t bits)
{
    f->storage = raft_memory_storage_new();
    struct raft_snapshot *origin = raft_snapshot_alloc(0);
    assert(f->storage != NULL && origin != NULL);
    for (uint64_t id = 1; id <= MEMBERS; id++) {
        raft_id_set_add(&origin->conf.voters, id);
    }
    int rc = raft_memory_storage_apply_snapshot(f->storage, origin);
    assert(rc == 0);
    raft_snapshot_unref(origin);
    raft_config_init(&f->config);
    f->config.id = 1;
    f->config.storage = raft_memory_storage_interface(f->storage);
    f->config.async_storage_writes = bits & 1;
    f->config.pre_vote = bits >> 1 & 1;
    f->config.check_quorum = bits >> 2 & 1;
    f->config.read_mode =
        f->config.check_quorum && bits >> 3 & 1 ? RAFT_READ_LEASE : RAFT_READ_SAFE;
    f->config.step_down_on_removal = bits >> 4 & 1;
    f->config.max_inflight_messages = bits >> 5 & 1 ? 2 : 64;
    f->config.max_applying_bytes = bits >> 6 & 1 ? 64 : 1 << 20;
    rc = raft_node_new(&f->config, &f->node);
    assert(rc == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.at = data, .left = size};
    struct fuzzed f;
    memset(&f, 0, sizeof(f));
    start(&f, take(&in, 1));
    for (int i = 0; in.left > 0 && i < ACTS_MAX; i++) {
        act(&f, &in);
    }
    for (size_t i = 0; i < f.work_count; i++) {
        raft_message_release(&f.work[i]);
    }
    raft_node_free(f.node);
    raft_memory_storage_free(f.storage);
    return 0;
}
