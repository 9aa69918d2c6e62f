/* Members come and go at random, sensibly and not, in a group of raft nodes: on every
 * node the core and the membership agree, and all nodes on each entry. */
#include "rows.h"

#include "raft/memory_storage.h"
#include "raft/raft.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS       200
#define OPS         80
#define FOUNDERS    3
#define NODES_MAX   (FOUNDERS + OPS + 1)
#define WIRE_MAX    4096
#define ENTRIES_MAX 4096
#define ROUNDS_MAX  2000
#define NAMES       20
#define START_INDEX 5 /* and term */

struct node {
    struct raft_memory_storage *storage;
    struct raft_node *raft; /* NULL: not running */
    struct membership membership;
};

static struct node nodes[NODES_MAX + 1]; /* by id */
static bool was_started[NODES_MAX + 1];
static struct raft_message wire[WIRE_MAX];
static size_t wire_count;
/* What the first node to apply each entry made of it. */
static struct membership history[ENTRIES_MAX];
static bool in_history[ENTRIES_MAX];
static uint64_t random_state;
static unsigned seed;
static size_t applied_changes, refused_changes, takeovers;

static uint64_t random_below(uint64_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % bound;
}

static void check(int rc, const char *what)
{
    cr_assert_eq(rc, 0, "seed %u: %s: %s", seed, what, raft_error_text(rc));
}

/* --- a node --- */

static void node_start(uint64_t id, bool founder)
{
    cr_assert_leq(id, NODES_MAX);
    struct node *node = &nodes[id];
    was_started[id] = true;
    node->storage = raft_memory_storage_new();
    if (founder) {
        node->membership = rows_founding(FOUNDERS);
        struct raft_snapshot *origin = raft_snapshot_alloc(0);
        origin->index = START_INDEX;
        origin->term = START_INDEX;
        membership_conf_state(&node->membership, &origin->conf);
        check(raft_memory_storage_apply_snapshot(node->storage, origin), "origin");
        raft_snapshot_unref(origin);
        struct raft_hard_state hard = {.term = START_INDEX, .commit = START_INDEX};
        raft_memory_storage_set_hard_state(node->storage, &hard);
    }
    struct raft_config config;
    raft_config_init(&config);
    config.id = id;
    config.applied = founder ? START_INDEX : 0;
    config.random_seed = seed * 1000 + id;
    config.pre_vote = true;
    config.step_down_on_removal = true;
    config.storage = raft_memory_storage_interface(node->storage);
    check(raft_node_new(&config, &node->raft), "new node");
}

static void node_stop(struct node *node)
{
    raft_node_free(node->raft);
    raft_memory_storage_free(node->storage);
    *node = (struct node){0};
}

static void node_apply_change(struct node *node, const struct raft_entry *entry)
{
    struct raft_conf_change change;
    check(raft_conf_change_decode(entry, &change), "decode");
    struct membership followed = node->membership;
    struct member_change what;
    bool follows = membership_follow(&followed, &change);
    bool admitted = membership_admits(&node->membership, &change, &what);
    cr_assert_eq(follows, admitted);
    for (uint32_t i = 0; !admitted && i < change.change_count; i++)
        change.changes[i].node = RAFT_NONE;
    struct raft_conf_state conf;
    int rc = raft_node_apply_conf_change(node->raft, &change, &conf);
    cr_assert(rc == 0 || !admitted, "seed %u: the core refuses what is admitted", seed);
    if (rc == 0)
        membership_apply(&node->membership, &what, &conf);
    struct raft_conf_state ours;
    struct raft_status status;
    membership_conf_state(&node->membership, &ours);
    check(raft_node_status(node->raft, &status), "status");
    cr_assert(raft_conf_state_equal(&ours, &status.conf), "seed %u: configurations differ", seed);
    if (admitted)
        cr_assert(rows_membership_equal(&node->membership, &followed), "seed %u", seed);
    /* A new member takes no snapshot that does not name it. */
    check(raft_memory_storage_create_snapshot(node->storage, entry->index, &ours, NULL, 0),
          "snapshot");
    for (size_t i = 0; i < node->membership.store_count; i++) {
        uint64_t id = node->membership.stores[i].id;
        if (!was_started[id])
            node_start(id, false);
    }
    applied_changes += admitted;
    refused_changes += !admitted;
}

static void node_apply(struct node *node, const struct raft_entry *entry)
{
    cr_assert_lt(entry->index, ENTRIES_MAX);
    if (entry->type != RAFT_ENTRY_NORMAL)
        node_apply_change(node, entry);
    if (!in_history[entry->index])
        history[entry->index] = node->membership;
    in_history[entry->index] = true;
    cr_assert(rows_membership_equal(&node->membership, &history[entry->index]),
              "seed %u: nodes differ at entry %llu", seed, (unsigned long long)entry->index);
}

static void wire_put(struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_lt(wire_count, WIRE_MAX);
        raft_message_move(&wire[wire_count++], &messages[i]);
    }
}

static void node_handle_ready(struct node *node)
{
    while (raft_node_has_ready(node->raft)) {
        struct raft_ready rd;
        check(raft_node_ready(node->raft, &rd), "ready");
        wire_put(rd.messages, rd.message_count);
        if (rd.hard_state_changed)
            raft_memory_storage_set_hard_state(node->storage, &rd.hard_state);
        if (rd.snapshot != NULL) {
            check(raft_memory_storage_apply_snapshot(node->storage, rd.snapshot), "snapshot");
            node->membership = history[rd.snapshot->index];
        }
        check(raft_memory_storage_append(node->storage, rd.entries, rd.entry_count), "append");
        wire_put(rd.persisted_messages, rd.persisted_count);
        for (size_t i = 0; i < rd.committed_count; i++)
            node_apply(node, rd.committed_entries[i]);
        check(raft_node_advance(node->raft), "advance");
    }
}

/* --- the group --- */

static void deliver_first(void)
{
    struct raft_message message;
    raft_message_move(&message, &wire[0]);
    memmove(&wire[0], &wire[1], --wire_count * sizeof(wire[0]));
    struct node *to = message.to <= NODES_MAX ? &nodes[message.to] : NULL;
    struct node *from = &nodes[message.from];
    bool delivered = to != NULL && to->raft != NULL;
    if (delivered)
        (void)raft_node_step(to->raft, &message);
    if (message.type == RAFT_MESSAGE_SNAPSHOT && from->raft != NULL)
        raft_node_report_snapshot(from->raft, message.to, delivered);
    raft_message_release(&message);
}

static void settle(void)
{
    bool busy = true;
    for (int round = 0; busy; round++) {
        cr_assert_lt(round, ROUNDS_MAX, "seed %u: the group does not come to rest", seed);
        busy = false;
        for (uint64_t id = 1; id <= NODES_MAX; id++) {
            if (nodes[id].raft != NULL) {
                busy = busy || raft_node_has_ready(nodes[id].raft);
                node_handle_ready(&nodes[id]);
            }
        }
        for (; wire_count > 0; busy = true)
            deliver_first();
    }
}

static struct node *find_leader(void)
{
    struct node *leader = NULL;
    uint64_t term = 0;
    for (uint64_t id = 1; id <= NODES_MAX; id++) {
        struct raft_status status;
        if (nodes[id].raft == NULL)
            continue;
        check(raft_node_status(nodes[id].raft, &status), "status");
        if (status.role == RAFT_LEADER && status.hard_state.term > term) {
            leader = &nodes[id];
            term = status.hard_state.term;
        }
    }
    return leader;
}

static void tick_all(void)
{
    for (uint64_t id = 1; id <= NODES_MAX; id++) {
        if (nodes[id].raft != NULL)
            check(raft_node_tick(nodes[id].raft), "tick");
    }
    settle();
}

/* Stops who was removed; a leader is there afterwards, with no change under way, or
 * NULL when it has just gone. */
static struct node *group_run(void)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        tick_all();
        struct node *leader = find_leader();
        if (leader == NULL)
            continue;
        for (uint64_t id = 1; id <= NODES_MAX; id++) {
            if (nodes[id].raft != NULL && membership_role(&leader->membership, id) == 0)
                node_stop(&nodes[id]);
        }
        if (!membership_is_joint(&leader->membership))
            return find_leader() == leader ? leader : NULL;
        if (!leader->membership.region.auto_leave) {
            struct raft_conf_change leave = {0};
            check(raft_node_propose_conf_change(leader->raft, &leave), "leave");
        }
    }
    cr_assert_fail("seed %u: no leader", seed);
    return NULL;
}

static struct node *group_ready(void)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        struct node *leader = group_run();
        if (leader != NULL)
            return leader;
    }
    cr_assert_fail("seed %u: no lasting leader", seed);
    return NULL;
}

/* --- what is asked for --- */

static void propose(struct node *leader, struct raft_conf_change *change)
{
    check(raft_node_propose_conf_change(leader->raft, change), "propose");
    free((void *)change->context);
}

static void ask_sensibly(struct node *leader)
{
    struct member_op op = {.kind = (enum member_change_kind)random_below(MEMBER_JOIN + 1)};
    snprintf(op.name, sizeof(op.name), "n%u", (unsigned)random_below(NAMES) + 1);
    /* An existing one: a random name would hardly ever be a voter's. */
    const struct membership *m = &leader->membership;
    snprintf(op.old_name, sizeof(op.old_name), "%s", m->stores[random_below(m->store_count)].name);
    snprintf(op.address, sizeof(op.address), "h:%u", (unsigned)random_below(NAMES) + 1);
    op.data_id = 101 + random_below(NAMES);
    op.promote = random_below(2) == 0;
    struct raft_conf_change change;
    struct err e = {0};
    uint64_t store_id = 0;
    int rc = membership_plan(&leader->membership, &op, 7, &change, &store_id, &e);
    if (rc != 0) {
        cr_assert_neq(e.text[0], '\0');
        return;
    }
    cr_assert_neq(store_id, 0);
    if (change.change_count == 0)
        return;
    struct member_change what;
    cr_assert(membership_admits(&leader->membership, &change, &what),
              "seed %u: a plan of kind %d is not admitted", seed, (int)op.kind);
    cr_assert_eq(what.request_id, 7);
    propose(leader, &change);
}

/* What the leader does by itself. */
static void promote(struct node *leader)
{
    const struct membership *m = &leader->membership;
    const struct store_member *row = NULL;
    for (size_t i = 0; i < m->store_count; i++) {
        bool learns = membership_role(m, m->stores[i].id) == MEMBER_LEARNER;
        if (learns && (m->stores[i].promote || m->stores[i].replaces != 0) &&
            (row == NULL || random_below(2) == 0))
            row = &m->stores[i];
    }
    if (row == NULL)
        return;
    struct raft_conf_change change;
    struct member_change what;
    membership_plan_promotion(m, row->id, 8, &change);
    cr_assert(membership_admits(m, &change, &what), "seed %u: no promotion", seed);
    takeovers += row->replaces != 0;
    propose(leader, &change);
}

static void update(struct node *leader)
{
    struct store_member rows[STORE_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < leader->membership.store_count; i++) {
        rows[count] = leader->membership.stores[i];
        if (random_below(3) == 0 || rows[count].data_id == 0) {
            snprintf(rows[count].address, sizeof(rows[count].address), "h:%u",
                     (unsigned)random_below(3 * NAMES) + 1);
            if (rows[count].data_id == 0)
                rows[count].data_id = 101 + random_below(NAMES);
            count++;
        }
    }
    if (count == 0)
        return;
    struct raft_conf_change change;
    membership_plan_update(rows, count, 9, &change);
    propose(leader, &change);
}

static void ask_senselessly(struct node *leader)
{
    uint8_t noise[8];
    struct raft_conf_change change = {
        .transition = (enum raft_conf_transition)random_below(3),
        .change_count = (uint32_t)random_below(5),
    };
    for (uint32_t i = 0; i < change.change_count; i++)
        change.changes[i] = (struct raft_conf_change_single){
            .type = (enum raft_conf_change_type)random_below(4),
            .node = random_below(leader->membership.region.next_store_id + 2),
        };
    if (random_below(3) == 0) {
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)random_below(256);
        change.context = noise;
        change.context_size = sizeof(noise);
    }
    check(raft_node_propose_conf_change(leader->raft, &change), "propose");
}

static void campaign(void)
{
    uint64_t id = 1 + random_below(NODES_MAX);
    if (nodes[id].raft != NULL)
        (void)raft_node_campaign(nodes[id].raft);
}

static void run_seed(void)
{
    random_state = seed;
    memset(in_history, 0, sizeof(in_history));
    memset(was_started, 0, sizeof(was_started));
    for (uint64_t id = 1; id <= FOUNDERS; id++)
        node_start(id, true);
    for (int i = 0; i < OPS; i++) {
        struct node *leader = group_ready();
        switch (random_below(8)) {
        case 0:
            ask_senselessly(leader);
            break;
        case 1:
            promote(leader);
            break;
        case 2:
            update(leader);
            break;
        case 3:
            campaign();
            break;
        default:
            ask_sensibly(leader);
        }
    }
    group_ready();
    for (uint64_t id = 1; id <= NODES_MAX; id++) {
        if (nodes[id].raft != NULL)
            node_stop(&nodes[id]);
    }
}

Test(membership_with_raft, agrees_with_the_core_over_random_changes, .timeout = 120)
{
    for (seed = 1; seed <= SEEDS; seed++)
        run_seed();
    cr_assert_gt(applied_changes, 10000);
    cr_assert_gt(refused_changes, 1000);
    cr_assert_gt(takeovers, 100);
}
