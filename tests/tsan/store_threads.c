/* All threads of three stores at work at once, for ThreadSanitizer: clients on
 * every store, status readers, timeouts, cancellations, and a store that stops
 * and returns under them. Ends with "store_threads: ok". */
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
        /* A deadline that has passed already: timeout and answer race. */
        cluster_put(&cluster, client->store, "raced", value, 1);
        struct store_status status;
        store_status(cluster.stores[client->store], &status);
        assert(status.member_count == cluster.count);
    }
    return NULL;
}

int main(void)
{
    struct client clients[2 * CLIENTS_PER_STORE];
    cluster_init(&cluster, 3);
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
    for (int i = 0; i < 2 * CLIENTS_PER_STORE; i++)
        pthread_join(clients[i].thread, NULL);
    cluster_release(&cluster);
    printf("store_threads: ok, %d puts\n", atomic_load(&acknowledged));
    return EXIT_SUCCESS;
}
