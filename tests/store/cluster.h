/* Stores of one cluster in one process, over real engines and loopback streams
 * that can be broken.
 *
 * Every function asserts that what must work does; results of operations are
 * returned. For tests only: operations wait for their end.
 *
 * Stores are started, stopped and joined by one thread, the test's. Operations may
 * come from any thread, also while their store is being stopped: it answers
 * KE_SHUTDOWN then. A store is named by its slot; slots are never used again.
 */
#ifndef KEELFS_TESTS_STORE_CLUSTER_H
#define KEELFS_TESTS_STORE_CLUSTER_H

#include "raftstore/store.h"
#include "raftstore/tree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The founders and all that ever join. */
#define CLUSTER_STORES_MAX   64
#define CLUSTER_FOUNDERS_MAX 5
#define CLUSTER_VALUE_MAX    4096
#define CLUSTER_DIR_MAX      64
#define CLUSTER_NAME_MAX     16

/* What a mount on the store has in its caches: cluster_lease.c. */
#define CLUSTER_CACHED_MAX 64
struct cluster_cached {
    uint64_t key;
    uint64_t until; /* 0: free */
    int code;
    struct attr attr;
};
struct cluster_cache {
    pthread_mutex_t lock;
    uint64_t epoch; /* of the last invalidation */
    struct cluster_cached cached[CLUSTER_CACHED_MAX];
};

struct cluster_slot {
    char name[CLUSTER_NAME_MAX];
    char address[32];
    char join[CLUSTER_FOUNDERS_MAX * 32]; /* whom it asked; "" of a founder */
    bool learner;
    atomic_uint_least64_t store_id; /* 0: it never started */
    atomic_int gone;                /* what it was told on its end, or 0 */
    atomic_uint snapshots;          /* that have replaced its data, over all its lives */
    atomic_uint group;              /* messages stay within a group */
    /* Who uses the store holds it shared, who starts or stops it exclusively. */
    pthread_rwlock_t lock;
    uint64_t starts;
    struct cluster_cache cache;
    atomic_uint stall_ms; /* how long its raft thread stands at each invalidation */
};

struct cluster {
    atomic_size_t count; /* slots in use */
    uint32_t owner;      /* the process whose address it has */
    char dir[CLUSTER_DIR_MAX];
    char members[CLUSTER_FOUNDERS_MAX * 48];  /* the founders */
    struct store *stores[CLUSTER_STORES_MAX]; /* NULL: stopped */
    struct cluster_slot slots[CLUSTER_STORES_MAX];
    atomic_uint loss_percent;
    /* Bit k of silent[i]: nothing that store i sends arrives at k. */
    atomic_uint_least64_t silent[CLUSTER_STORES_MAX];
    atomic_uint delay_ms; /* of each message to a store that is delayed: */
    atomic_uint_least64_t delayed;
    atomic_uint_least64_t random;

    /* As in struct store_config; set before the first start. 0: its defaults. */
    uint32_t tick_ms;
    uint64_t log_gc_count_limit;
};

/* Makes the directory; starts nothing. The stores are n1, n2, ... on ports of a loopback
 * address that this process has for itself, so that a store which restarts finds
 * its port free. */
void cluster_init(struct cluster *cluster, size_t count);
/* The same over a directory that is there, on the address of process `owner`. */
void cluster_init_at(struct cluster *cluster, size_t count, const char *dir, uint32_t owner);
/* Stops everything and removes the directory. */
void cluster_release(struct cluster *cluster);
/* Stops everything; the directory stays. */
void cluster_close(struct cluster *cluster);

void cluster_start(struct cluster *cluster, size_t i);
/* For a start that may fail: the code, and the reason on stderr. */
int cluster_try_start(struct cluster *cluster, size_t i);
/* Founders and joined ones that are stopped and have not been removed; then waits
 * until they serve. */
void cluster_start_all(struct cluster *cluster);
void cluster_stop(struct cluster *cluster, size_t i);
void cluster_stop_all(struct cluster *cluster);

/* Waits until store `i` knows a leader; its slot. */
size_t cluster_leader(struct cluster *cluster, size_t i);
/* False: it is stopped. */
bool cluster_status(struct cluster *cluster, size_t i, struct store_status *ret_status);
bool cluster_is_running(struct cluster *cluster, size_t i);
/* CLUSTER_STORES_MAX: there is none. */
size_t cluster_slot_of(struct cluster *cluster, uint64_t store_id);
/* Between two looks at something that cannot be waited for. */
void cluster_pause(void);

/* --- operations (cluster_op.c): through store `i`; the code of the result --- */

int cluster_put(struct cluster *cluster, size_t i, const char *key, const char *value,
                uint32_t timeout_ms);
int cluster_delete(struct cluster *cluster, size_t i, const char *key, uint32_t timeout_ms);
int cluster_create_exclusive(struct cluster *cluster, size_t i, const char *path,
                             uint32_t timeout_ms);
int cluster_make_dir(struct cluster *cluster, size_t i, const char *path, uint32_t timeout_ms);
int cluster_append(struct cluster *cluster, size_t i, const char *path, uint64_t id,
                   const char *text, uint32_t timeout_ms);
/* The same; `*ret_attr` is what the file is then. */
int cluster_append_attr(struct cluster *cluster, size_t i, const char *path, uint64_t id,
                        const char *text, uint32_t timeout_ms, struct attr *ret_attr);
/* Linearizable: a barrier, then a local read. `value` has CLUSTER_VALUE_MAX bytes. */
int cluster_get(struct cluster *cluster, size_t i, const char *key, char *value,
                uint32_t timeout_ms);
int cluster_stat(struct cluster *cluster, size_t i, const char *path, struct attr *ret_attr,
                 uint32_t timeout_ms);
/* Linearizable: every key that begins with `prefix`, and its value, in order of the
 * keys, until `each` returns 0. */
int cluster_scan(struct cluster *cluster, size_t i, const char *prefix, tree_scan_fn *each,
                 void *ctx, uint32_t timeout_ms);
/* The barrier alone. */
int cluster_barrier(struct cluster *cluster, size_t i, uint32_t timeout_ms);

/* Has all stores hash their data behind entry `*ret_index`. */
int cluster_start_check(struct cluster *cluster, size_t i, uint32_t timeout_ms,
                        uint64_t *ret_index);
bool cluster_check_result(struct cluster *cluster, size_t i, uint64_t index, uint64_t *ret_hash);

/* --- reads as a mount does them (cluster_lease.c) --- */

/* Where an answer came from. */
enum cluster_source { CLUSTER_FROM_CACHE, CLUSTER_FROM_LEASE, CLUSTER_FROM_BARRIER };
/* Linearizable: from a cache that works as docs/decisions/0009-read-leases.md says of the
 * kernel's, from the store's own data, or behind a barrier. */
int cluster_stat_leased(struct cluster *cluster, size_t i, const char *path, struct attr *ret_attr,
                        uint32_t timeout_ms, enum cluster_source *ret_source);
/* Reads until the store has a lease. False: not in time. */
bool cluster_wait_lease(struct cluster *cluster, size_t i, uint32_t timeout_ms);
/* For the start of store `i`. */
void cluster_watch_store(struct cluster *cluster, size_t i, struct store *store);

/* Operations that some store still holds. */
int cluster_live_ops(void);

/* --- members (cluster_op.c) --- */

/* Asks whoever leads, and whoever leads next, until it is done or refused. Of `what`
 * only kind, name, address, old_name and promote are read. The reason of a
 * refusal goes to `e` (NULL is fine). */
int cluster_change_members(struct cluster *cluster, const struct member_op *what,
                           uint32_t timeout_ms, struct err *e);
int cluster_transfer_leader(struct cluster *cluster, const char *name, uint32_t timeout_ms);
/* The next free slot: a name and an address for a store that is to come. */
size_t cluster_add_slot(struct cluster *cluster, bool as_learner);
/* Starts the store of a new slot: it asks the stores that run now for admission. */
int cluster_join(struct cluster *cluster, size_t i);
/* Waits until all stores that run have the member in this role; MEMBER_* or 0 for
 * none. False: not in time. */
bool cluster_wait_role(struct cluster *cluster, size_t member, uint32_t role, uint32_t timeout_ms);

/* Waits until store `i` has been told that it is no member any more, or does not run. */
bool cluster_wait_gone(struct cluster *cluster, size_t i, uint32_t timeout_ms);

/* A store that cluster_put_back() lets go; NULL: it is stopped. */
struct store *cluster_take(struct cluster *cluster, size_t i);
void cluster_put_back(struct cluster *cluster, size_t i);

/* --- the network between them (cluster_network.c) --- */

/* What the losses are drawn from. */
void cluster_set_seed(struct cluster *cluster, uint64_t seed);
/* Of each hundred messages so many are lost. */
void cluster_set_loss(struct cluster *cluster, unsigned percent);
/* Store `i` talks to those of group groups[i] only; `count` slots. */
void cluster_partition(struct cluster *cluster, const unsigned *groups, size_t count);
void cluster_isolate(struct cluster *cluster, size_t i);
/* What store `from` sends does not arrive at `to`; the other way it does. */
void cluster_silence(struct cluster *cluster, size_t from, size_t to);
/* Everything that is sent to store `i` arrives so much later. */
void cluster_delay(struct cluster *cluster, size_t i, unsigned ms);
/* One group, no loss, no delay. */
void cluster_heal(struct cluster *cluster);
/* Has this network decide for the messages to `store`. Before its start. */
void cluster_filter_store(struct cluster *cluster, struct store *store);

/* --- checks (cluster_check.c): on failure, false and the reason on stderr --- */

/* Waits until all stores that run have applied the same and all there is. */
bool cluster_wait_equal(struct cluster *cluster, uint32_t timeout_ms);
/* Behind one entry of the log the data of all stores that run has the same hash. */
bool cluster_check_equal(struct cluster *cluster, uint32_t timeout_ms);
/* Waits until the log of every store that runs is within twice the limit, stops all
 * and looks at what they have on disk. */
bool cluster_check_log_limit(struct cluster *cluster, uint32_t timeout_ms);

#endif
