/* The process that dies: everything that reaches a crash point, over and over. */
#include "crash.h"
#include "random.h"

#include "raftstore/err.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

/* So often a store is away before it must have needed a snapshot. */
#define SNAPSHOT_TRIES 10

static struct cluster cluster;
static struct client clients[CRASH_CLIENTS];
static int history;

static void must(bool good, const char *what)
{
    if (!good)
        crash_give_up(what);
}

static void change(enum member_change_kind kind, size_t slot)
{
    struct member_op what = {.kind = kind};
    struct err e = {0};
    snprintf(what.name, sizeof(what.name), "%s", cluster.slots[slot].name);
    if (cluster_change_members(&cluster, &what, CRASH_PATIENCE_MS, &e) != 0)
        crash_give_up(e.text);
}

static struct store_status status_of(size_t slot)
{
    struct store_status status = {0};
    must(cluster_status(&cluster, slot, &status), "a store has stopped");
    return status;
}

/* A store is away until the log begins behind its end, and comes back. The status is up
 * to a tick old: the store may have had more, and needs no snapshot then. */
static void be_away(size_t away)
{
    size_t other = away == 0 ? 1 : 0;
    uint64_t deadline = clock_ns() + CRASH_PATIENCE_MS * NS_PER_MS;
    cluster_isolate(&cluster, away);
    while (status_of(other).first_index <= status_of(away).last_index + 1) {
        must(clock_ns() < deadline, "the log is kept for a store that is away");
        cluster_pause();
    }
    uint64_t target = status_of(other).applied_index;
    cluster_heal(&cluster);
    while (status_of(away).applied_index < target) {
        must(clock_ns() < deadline, "a store that was away does not catch up");
        cluster_pause();
    }
}

static void make_snapshot(size_t away)
{
    unsigned before = atomic_load(&cluster.slots[away].snapshots);
    for (int tries = 0; tries < SNAPSHOT_TRIES; tries++) {
        be_away(away);
        if (atomic_load(&cluster.slots[away].snapshots) != before)
            return;
    }
    crash_give_up("a store that was away gets no snapshot");
}

/* A further store comes as a learner, becomes a voter and goes again. */
static void have_a_guest(void)
{
    size_t slot = cluster_add_slot(&cluster, false);
    history_note_guest(history, slot, GUEST_JOINS);
    must(cluster_join(&cluster, slot) == 0, "a store cannot join");
    must(cluster_wait_role(&cluster, slot, MEMBER_VOTER, CRASH_PATIENCE_MS),
         "a store that has joined does not become a voter");
    history_note_guest(history, slot, GUEST_IS_REMOVED);
    change(MEMBER_REMOVE, slot);
    history_note_guest(history, slot, GUEST_WAS_REMOVED);
    must(cluster_wait_gone(&cluster, slot, CRASH_PATIENCE_MS), "a removed store does not go");
    cluster_stop(&cluster, slot);
}

static void start(const struct crash_site *site)
{
    history = history_open(site->dir);
    crash_cluster(site, &cluster);
    cluster_start_all(&cluster);
    must(crash_put_bulk(&cluster, site->seed), "the large values cannot be put");
    for (unsigned i = 0; i < CRASH_CLIENTS; i++) {
        client_init(&clients[i], &cluster, i, site->seed, CRASH_OP_TIMEOUT_MS);
        client_set_note(&clients[i], history_note, &history);
        must(client_begin_log(&clients[i], CRASH_PATIENCE_MS), "a client cannot begin");
    }
    for (unsigned i = 0; i < CRASH_CLIENTS; i++)
        client_start(&clients[i]);
}

int crash_load(const struct crash_site *site)
{
    uint64_t random = site->seed;
    uint64_t end_ns = clock_ns() + site->seconds * NS_PER_S;
    start(site);
    while (clock_ns() < end_ns && cluster.count < CLUSTER_STORES_MAX) {
        make_snapshot((size_t)(random_next(&random) % CRASH_FOUNDERS));
        have_a_guest();
        for (unsigned i = 0; i < CRASH_CLIENTS; i++)
            must(!atomic_load(&clients[i].failed), "a client has failed");
    }
    /* Whoever comes here has not died. */
    return EXIT_SUCCESS;
}
