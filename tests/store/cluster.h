/* Stores of one cluster in one process, over real engines and loopback streams.
 *
 * Every function asserts that what must work does; results of operations are
 * returned. For tests only: operations wait for their end.
 */
#ifndef KEELFS_TESTS_STORE_CLUSTER_H
#define KEELFS_TESTS_STORE_CLUSTER_H

#include "raftstore/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLUSTER_STORES_MAX 5
#define CLUSTER_VALUE_MAX  4096

struct cluster {
    size_t count;
    char dir[64];
    char members[512];
    struct store *stores[CLUSTER_STORES_MAX]; /* NULL: stopped */
};

/* Makes the directory and picks free ports; starts nothing. */
void cluster_init(struct cluster *cluster, size_t count);
/* Stops everything and removes the directory. */
void cluster_release(struct cluster *cluster);

void cluster_start(struct cluster *cluster, size_t i);
void cluster_start_all(struct cluster *cluster);
void cluster_stop(struct cluster *cluster, size_t i);

/* Waits until store `i` knows a leader; its index. */
size_t cluster_leader(struct cluster *cluster, size_t i);

/* Through store `i`; the code of the result. */
int cluster_put(struct cluster *cluster, size_t i, const char *key, const char *value,
                uint32_t timeout_ms);
int cluster_create_exclusive(struct cluster *cluster, size_t i, const char *path,
                             uint32_t timeout_ms);
int cluster_append(struct cluster *cluster, size_t i, const char *path, uint64_t id,
                   const char *text, uint32_t timeout_ms);
/* Linearizable: a barrier, then a local read. `value` has CLUSTER_VALUE_MAX bytes. */
int cluster_get(struct cluster *cluster, size_t i, const char *key, char *value,
                uint32_t timeout_ms);
int cluster_stat(struct cluster *cluster, size_t i, const char *path, struct attr *ret_attr,
                 uint32_t timeout_ms);
/* The barrier alone. */
int cluster_barrier(struct cluster *cluster, size_t i, uint32_t timeout_ms);

/* Operations that some store still holds. */
int cluster_live_ops(void);

#endif
