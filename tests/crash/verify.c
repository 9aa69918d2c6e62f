/* The process that comes after: all stores on the same directories again. */
#include "crash.h"

#include "raftstore/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Acknowledged after the restart, by each client. */
#define WRITES_AFTER 30
#define NS_PER_MS    1000000ull

static struct cluster cluster;
static struct client clients[CRASH_CLIENTS];
static struct history history;

static bool complain(size_t slot, const char *what)
{
    fprintf(stderr, "%s: %s\n", cluster.slots[slot].name, what);
    return false;
}

/* A store that was joining goes on with it; one that was being removed may be out. */
static bool return_guest(size_t slot, enum guest_step step)
{
    bool may_be_out = step != GUEST_JOINS;
    int rc = cluster_join(&cluster, slot);
    if (rc == KE_REMOVED && may_be_out)
        return true;
    if (rc != 0)
        return complain(slot, ke_text(rc));
    if (step == GUEST_JOINS)
        return cluster_wait_role(&cluster, slot, MEMBER_VOTER, CRASH_PATIENCE_MS) ||
               complain(slot, "has joined and does not become a voter");
    /* Back as a voter if the removal was not in the log, or out. */
    uint64_t deadline = clock_ns() + CRASH_PATIENCE_MS * NS_PER_MS;
    while (clock_ns() < deadline) {
        if (atomic_load(&cluster.slots[slot].gone) == KE_REMOVED) {
            cluster_stop(&cluster, slot);
            return true;
        }
        if (step == GUEST_IS_REMOVED && cluster_barrier(&cluster, slot, CRASH_OP_TIMEOUT_MS) == 0)
            return true;
        cluster_pause();
    }
    return complain(slot, "is neither in nor out");
}

static bool start(const struct crash_site *site)
{
    crash_cluster(site, &cluster);
    for (size_t i = 0; i < history.guest_count; i++)
        cluster_add_slot(&cluster, false);
    for (size_t i = 0; i < CRASH_FOUNDERS; i++)
        cluster_start(&cluster, i);
    for (size_t i = 0; i < CRASH_FOUNDERS; i++) {
        if (cluster_barrier(&cluster, i, CRASH_PATIENCE_MS) != 0)
            return complain(i, "does not serve");
    }
    for (size_t i = 0; i < history.guest_count; i++) {
        if (!return_guest(CRASH_FOUNDERS + i, history.guests[i]))
            return false;
    }
    return true;
}

/* The large values were there before the first client was. */
static bool check_bulk(uint64_t seed)
{
    for (size_t i = 0; i < cluster.count; i++) {
        if (cluster_is_running(&cluster, i) && !crash_check_bulk(&cluster, i, seed))
            return false;
    }
    return true;
}

static bool check_all(void)
{
    if (!cluster_wait_equal(&cluster, CRASH_PATIENCE_MS))
        return false;
    for (size_t i = 0; i < CRASH_CLIENTS; i++) {
        for (size_t store = 0; store < cluster.count; store++) {
            if (cluster_is_running(&cluster, store) &&
                !client_check(&clients[i], store, CRASH_PATIENCE_MS))
                return false;
        }
        ledger_settle(&clients[i].ledger);
    }
    return cluster_check_equal(&cluster, CRASH_PATIENCE_MS);
}

static bool write_more(void)
{
    uint64_t deadline = clock_ns() + CRASH_PATIENCE_MS * NS_PER_MS;
    for (size_t i = 0; i < CRASH_CLIENTS; i++) {
        if (!client_begin_log(&clients[i], CRASH_PATIENCE_MS))
            return false;
        client_start(&clients[i]);
    }
    bool good = true;
    for (size_t i = 0; i < CRASH_CLIENTS; i++) {
        while (good && atomic_load(&clients[i].acknowledged) < WRITES_AFTER) {
            good = clock_ns() < deadline && !atomic_load(&clients[i].failed);
            cluster_pause();
        }
    }
    for (size_t i = 0; i < CRASH_CLIENTS; i++)
        client_stop(&clients[i]);
    if (!good)
        fprintf(stderr, "the cluster takes no writes\n");
    return good;
}

int crash_verify(const struct crash_site *site)
{
    history_read(site->dir, &history);
    bool good = start(site);
    for (unsigned i = 0; i < CRASH_CLIENTS; i++) {
        client_init(&clients[i], &cluster, i, site->seed, CRASH_OP_TIMEOUT_MS);
        clients[i].ledger = history.ledgers[i];
    }
    good = good && check_all() && write_more() && check_all() &&
           (history.ledgers[0].log == 0 || check_bulk(site->seed)) &&
           cluster_check_log_limit(&cluster, CRASH_PATIENCE_MS);
    if (!good)
        return EXIT_FAILURE;
    cluster_close(&cluster);
    return EXIT_SUCCESS;
}
