/* All threads of three stores at work at once, for ThreadSanitizer: clients on
 * every store, status readers, timeouts, cancellations, a store that stops and
 * returns under them, one that is cut off until it needs a snapshot, and one that
 * joins, is checked and is removed. Ends with "store_threads: ok". */
#include "cluster.h"

#include "raftstore/err.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_PER_STORE 2
#define ROUNDS            60
#define RESTARTS          2
#define TIMEOUT_MS        60000
/* Entries after which the log is cut: a store that is away misses more. */
#define GC_COUNT_LIMIT 20

static struct cluster cluster;
static atomic_int acknowledged;

struct client {
    pthread_t thread;
    size_t store;
    int number;
};

static void check_own_key(const struct client *client, const char *key, const char *value)
{
    char read[CLUSTER_VALUE_MAX];
    int rc = cluster_get(&cluster, client->store, key, read, TIMEOUT_MS);
    if (rc != 0 || strcmp(read, value) != 0) {
        fprintf(stderr, "store %zu: %s is %s (%s), should be %s\n", client->store, key,
                rc == 0 ? read : "?", ke_text(rc), value);
        exit(EXIT_FAILURE);
    }
}

/* The raft thread marks what is written while this looks. */
static void read_by_lease(const struct client *client, const char *key)
{
    struct attr attr;
    enum cluster_source source;
    int rc = cluster_stat_leased(&cluster, client->store, key, &attr, TIMEOUT_MS, &source);
    assert(rc == 0);
}

static void *client_run(void *arg)
{
    struct client *client = arg;
    char key[32], value[32];
    snprintf(key, sizeof(key), "client/%d", client->number);
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(value, sizeof(value), "%d", round);
        if (cluster_put(&cluster, client->store, key, value, TIMEOUT_MS) != 0) {
            fprintf(stderr, "a put on store %zu failed\n", client->store);
            exit(EXIT_FAILURE);
        }
        atomic_fetch_add(&acknowledged, 1);
        check_own_key(client, key, value);
        read_by_lease(client, key);
        /* A deadline that has passed already: timeout and answer race. */
        cluster_put(&cluster, client->store, "raced", value, 1);
        struct store_status status;
        bool runs = cluster_status(&cluster, client->store, &status);
        assert(runs && status.member_count >= 3);
    }
    return NULL;
}

/* While the clients write, so that the log is cut past what it has. */
static void let_a_store_need_a_snapshot(size_t store)
{
    unsigned before = atomic_load(&cluster.slots[store].snapshots);
    struct store_status away, other;
    cluster_isolate(&cluster, store);
    bool runs = cluster_status(&cluster, store, &away);
    assert(runs);
    do {
        cluster_put(&cluster, 0, "filler", "x", TIMEOUT_MS);
        runs = cluster_status(&cluster, 0, &other);
        assert(runs);
    } while (other.first_index <= away.last_index + 1);
    cluster_heal(&cluster);
    int rc = cluster_barrier(&cluster, store, TIMEOUT_MS);
    assert(rc == 0);
    if (atomic_load(&cluster.slots[store].snapshots) == before) {
        fprintf(stderr, "there was no snapshot\n");
        exit(EXIT_FAILURE);
    }
}

static void let_a_store_come_and_go(void)
{
    size_t joiner = cluster_add_slot(&cluster, false);
    int rc = cluster_join(&cluster, joiner);
    assert(rc == 0);
    bool voter = cluster_wait_role(&cluster, joiner, MEMBER_VOTER, TIMEOUT_MS);
    assert(voter);
    struct member_op what = {.kind = MEMBER_REMOVE};
    snprintf(what.name, sizeof(what.name), "%s", cluster.slots[joiner].name);
    struct err e = {0};
    rc = cluster_change_members(&cluster, &what, TIMEOUT_MS, &e);
    if (rc != 0)
        fprintf(stderr, "it cannot be removed: %s\n", e.text);
    assert(rc == 0);
    bool gone = cluster_wait_gone(&cluster, joiner, TIMEOUT_MS);
    assert(gone);
    cluster_stop(&cluster, joiner);
}

int main(void)
{
    struct client clients[2 * CLIENTS_PER_STORE];
    cluster_init(&cluster, 3);
    cluster.log_gc_count_limit = GC_COUNT_LIMIT;
    cluster_start_all(&cluster);
    for (int i = 0; i < 2 * CLIENTS_PER_STORE; i++) {
        clients[i] = (struct client){.store = (size_t)i % 2, .number = i};
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    }
    for (int i = 0; i < RESTARTS; i++) {
        cluster_stop(&cluster, 2);
        cluster_start(&cluster, 2);
        int rc = cluster_barrier(&cluster, 2, TIMEOUT_MS);
        assert(rc == 0);
    }
    let_a_store_need_a_snapshot(2);
    let_a_store_come_and_go();
    for (int i = 0; i < 2 * CLIENTS_PER_STORE; i++)
        pthread_join(clients[i].thread, NULL);
    bool equal = cluster_wait_equal(&cluster, TIMEOUT_MS);
    assert(equal);
    cluster_release(&cluster);
    printf("store_threads: ok, %d puts\n", atomic_load(&acknowledged));
    return EXIT_SUCCESS;
}
