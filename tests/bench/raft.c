// How fast raft/ replicates: three nodes in memory, one thread, no disk, no
// network. Prints entries per second for batches of 64 and of 1, and the
// allocations per entry in steady state.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "raft/alloc.h"
#include "raft/memory_storage.h"
#include "raft/raft.h"

#define NODES       3
#define ENTRY_BYTES 128
#define WIRE_MAX    4096
#define BATCH_MAX   64
#define COMPACT_AT  4096 // entries kept in the storages

static uint64_t allocations;

// The linker puts these before the allocator of raft/ (--wrap).
void *__real_raft_mem_alloc(size_t size);
void *__wrap_raft_mem_alloc(size_t size);
void *__real_raft_mem_resize(void *block, size_t size);
void *__wrap_raft_mem_resize(void *block, size_t size);

void *__wrap_raft_mem_alloc(size_t size)
{
    allocations++;
    return __real_raft_mem_alloc(size);
}

void *__wrap_raft_mem_resize(void *block, size_t size)
{
    allocations++;
    return __real_raft_mem_resize(block, size);
}

struct peer {
    struct raft_node *node;
    struct raft_memory_storage *storage;
    uint64_t applied;
    uint64_t compacted;
};

static struct peer peers[NODES + 1];
static struct raft_message wire[2][WIRE_MAX];
static size_t wire_count;
static int wire_side;

static void must(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "bench: %s\n", raft_error_text(rc));
        exit(1);
    }
}

static void start(uint64_t id)
{
    struct peer *p = &peers[id];
    memset(p, 0, sizeof(*p));
    p->storage = raft_memory_storage_new();
    struct raft_snapshot *origin = raft_snapshot_alloc(0);
    for (uint64_t member = 1; member <= NODES; member++) {
        raft_id_set_add(&origin->conf.voters, member);
    }
    must(raft_memory_storage_apply_snapshot(p->storage, origin));
    raft_snapshot_unref(origin);
    struct raft_config config;
    raft_config_init(&config);
    config.id = id;
    config.random_seed = id;
    config.storage = raft_memory_storage_interface(p->storage);
    must(raft_node_new(&config, &p->node));
}

static void send(struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (wire_count == WIRE_MAX) {
            fprintf(stderr, "bench: the wire is full\n");
            exit(1);
        }
        raft_message_move(&wire[wire_side][wire_count++], &messages[i]);
    }
}

static void handle_ready(struct peer *p)
{
    while (raft_node_has_ready(p->node)) {
        struct raft_ready rd;
        must(raft_node_ready(p->node, &rd));
        send(rd.messages, rd.message_count);
        if (rd.hard_state_changed) {
            raft_memory_storage_set_hard_state(p->storage, &rd.hard_state);
        }
        must(raft_memory_storage_append(p->storage, rd.entries, rd.entry_count));
        send(rd.persisted_messages, rd.persisted_count);
        if (rd.committed_count > 0) {
            p->applied = rd.committed_entries[rd.committed_count - 1]->index;
        }
        must(raft_node_advance(p->node));
        if (p->applied > p->compacted + COMPACT_AT) {
            p->compacted = p->applied - COMPACT_AT / 2;
            must(raft_memory_storage_compact(p->storage, p->compacted));
        }
    }
}

static void settle(void)
{
    do {
        for (uint64_t id = 1; id <= NODES; id++) {
            handle_ready(&peers[id]);
        }
        size_t count = wire_count;
        struct raft_message *batch = wire[wire_side];
        wire_side ^= 1;
        wire_count = 0;
        for (size_t i = 0; i < count; i++) {
            must(raft_node_step(peers[batch[i].to].node, &batch[i]));
            raft_message_release(&batch[i]);
        }
    } while (wire_count > 0 || raft_node_has_ready(peers[1].node) ||
             raft_node_has_ready(peers[2].node) || raft_node_has_ready(peers[3].node));
}

static double now_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void propose(size_t batch)
{
    static const uint8_t payload[ENTRY_BYTES];
    struct raft_entry *entries[BATCH_MAX];
    for (size_t i = 0; i < batch; i++) {
        entries[i] = raft_entry_new(RAFT_ENTRY_NORMAL, payload, sizeof(payload));
    }
    must(raft_node_propose(peers[1].node, entries, batch));
}

static void measure(size_t batch, uint64_t entries)
{
    for (uint64_t i = 0; i < 2 * COMPACT_AT; i += batch) { // steady state first
        propose(batch);
        settle();
    }
    uint64_t allocations_before = allocations;
    uint64_t applied_before = peers[1].applied;
    double start_s = now_s(CLOCK_MONOTONIC);
    double start_cpu_s = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < entries; i += batch) {
        propose(batch);
        settle();
    }
    double took_s = now_s(CLOCK_MONOTONIC) - start_s;
    double took_cpu_s = now_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu_s;
    uint64_t done = peers[1].applied - applied_before;
    if (peers[2].applied != peers[1].applied || peers[3].applied != peers[1].applied) {
        fprintf(stderr, "bench: not everything was committed everywhere\n");
        exit(1);
    }
    printf("batch %2zu: %9.0f entries/s, %9.0f per second of CPU, %.3f allocations an entry\n",
           batch, (double)done / took_s, (double)done / took_cpu_s,
           (double)(allocations - allocations_before) / (double)done);
}

int main(void)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        start(id);
    }
    must(raft_node_campaign(peers[1].node));
    settle();
    printf("%d nodes, one thread, entries of %d bytes replicated, committed and applied\n", NODES,
           ENTRY_BYTES);
    measure(64, 4000000);
    measure(1, 400000);
    for (uint64_t id = 1; id <= NODES; id++) {
        raft_node_free(peers[id].node);
        raft_memory_storage_free(peers[id].storage);
    }
    return 0;
}
