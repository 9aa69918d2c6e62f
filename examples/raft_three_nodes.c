// Three raft nodes in one process and one thread: an election, ten writes, one
// linearizable read. What a real application does in its place is said where
// this one takes a short cut.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/memory_storage.h"
#include "raft/raft.h"

#define NODES      3
#define WRITES     10
#define WIRE_MAX   1024
#define ROUNDS_MAX 10000

struct app {
    struct raft_node *node;
    struct raft_memory_storage *storage; // a real one is on disk
    uint64_t applied;
    int sum;          // the state machine: every command adds its number
    uint64_t read_at; // index a pending read waits for; 0: none
    bool read_done;
};

static struct app apps[NODES + 1]; // by id
static struct raft_message wire[WIRE_MAX];
static size_t wire_count;

static void check(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", what, raft_error_text(rc));
        exit(1);
    }
}

static void start(uint64_t id)
{
    struct app *app = &apps[id];
    app->storage = raft_memory_storage_new();
    // A new group: each member begins with the same membership before index 1.
    struct raft_snapshot *origin = raft_snapshot_alloc(0);
    if (app->storage == NULL || origin == NULL) {
        check(RAFT_E_NO_MEMORY, "start");
        return;
    }
    for (uint64_t member = 1; member <= NODES; member++) {
        raft_id_set_add(&origin->conf.voters, member);
    }
    check(raft_memory_storage_apply_snapshot(app->storage, origin), "membership");
    raft_snapshot_unref(origin);

    struct raft_config config;
    raft_config_init(&config);
    config.id = id;
    config.random_seed = id;
    config.storage = raft_memory_storage_interface(app->storage);
    check(raft_node_new(&config, &app->node), "new node");
}

static void send(struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count && wire_count < WIRE_MAX; i++) {
        raft_message_move(&wire[wire_count++], &messages[i]);
    }
}

static void apply(struct app *app, const struct raft_ready *rd)
{
    for (size_t i = 0; i < rd->committed_count; i++) {
        const struct raft_entry *entry = rd->committed_entries[i];
        int number;
        if (entry->type == RAFT_ENTRY_NORMAL && entry->size == sizeof(number)) {
            memcpy(&number, entry->data, sizeof(number));
            app->sum += number;
        }
        app->applied = entry->index;
    }
    if (rd->read_state_count > 0) {
        app->read_at = rd->read_states[0].index;
    }
    if (app->read_at != 0 && app->applied >= app->read_at && !app->read_done) {
        printf("a linearizable read: %d\n", app->sum);
        app->read_done = true;
    }
}

// The loop that raft.h describes.
static void handle_ready(struct app *app)
{
    while (raft_node_has_ready(app->node)) {
        struct raft_ready rd;
        check(raft_node_ready(app->node, &rd), "ready");
        send(rd.messages, rd.message_count);
        if (rd.hard_state_changed) {
            raft_memory_storage_set_hard_state(app->storage, &rd.hard_state);
        }
        check(raft_memory_storage_append(app->storage, rd.entries, rd.entry_count), "append");
        // A real storage has fsynced by now; only then may these leave.
        send(rd.persisted_messages, rd.persisted_count);
        apply(app, &rd);
        check(raft_node_advance(app->node), "advance");
    }
}

static void deliver(void)
{
    static struct raft_message batch[WIRE_MAX];
    size_t count = wire_count;
    memcpy(batch, wire, count * sizeof(batch[0]));
    wire_count = 0;
    for (size_t i = 0; i < count; i++) {
        check(raft_node_step(apps[batch[i].to].node, &batch[i]), "step");
        raft_message_release(&batch[i]);
    }
}

static void run_one_tick(void)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        check(raft_node_tick(apps[id].node), "tick");
    }
    do {
        for (uint64_t id = 1; id <= NODES; id++) {
            handle_ready(&apps[id]);
        }
        deliver();
    } while (wire_count > 0);
}

static uint64_t find_leader(void)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        struct raft_status status;
        check(raft_node_status(apps[id].node, &status), "status");
        if (status.role == RAFT_LEADER) {
            return id;
        }
    }
    return RAFT_NONE;
}

static void write_number(uint64_t at, int number)
{
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, &number, sizeof(number));
    if (entry == NULL) {
        check(RAFT_E_NO_MEMORY, "entry");
        return;
    }
    check(raft_node_propose(apps[at].node, &entry, 1), "propose");
}

int main(void)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        start(id);
    }
    uint64_t leader = RAFT_NONE;
    for (int round = 0; leader == RAFT_NONE && round < ROUNDS_MAX; round++) {
        run_one_tick();
        leader = find_leader();
    }
    run_one_tick(); // its first heartbeat tells the others
    printf("node %" PRIu64 " leads\n", leader);

    uint64_t follower = leader % NODES + 1;
    for (int number = 1; number <= WRITES; number++) {
        write_number(number % 2 == 0 ? leader : follower, number); // a follower forwards
    }
    uint64_t read_id = 1;
    for (int round = 0; apps[follower].sum < WRITES * (WRITES + 1) / 2 && round < ROUNDS_MAX;
         round++) {
        run_one_tick();
    }
    check(raft_node_read_index(apps[follower].node, &read_id, sizeof(read_id)), "read");
    for (int round = 0; !apps[follower].read_done && round < ROUNDS_MAX; round++) {
        run_one_tick();
    }
    bool good = apps[follower].read_done;
    for (uint64_t id = 1; id <= NODES; id++) {
        printf("node %" PRIu64 ": applied %" PRIu64 ", sum %d\n", id, apps[id].applied,
               apps[id].sum);
        good = good && apps[id].sum == WRITES * (WRITES + 1) / 2;
        raft_node_free(apps[id].node);
        raft_memory_storage_free(apps[id].storage);
    }
    return good ? 0 : 1;
}
