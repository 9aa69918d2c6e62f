/* The cluster's stores: where they live, start and stop. */
#include "cluster.h"

#include "raftstore/err.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REMOVE_FDS_MAX   16
#define LEADER_WAIT_MS   20000
#define BARRIER_WAIT_MS  20000
#define POLL_INTERVAL_NS 2000000
#define POLLS_FOR_LEADER (LEADER_WAIT_MS / 2)

/* Below the ports that the kernel gives to outgoing connections. */
#define PORT_FIRST 20160
#define PORTS      10000

/* --- slots --- */

/* A process id fits into the last three bytes. The loopback network is local as a
 * whole, and connections go out from 127.0.0.1: nobody takes a port here but the
 * process itself. */
static void slot_init(struct cluster_slot *slot, size_t i, uint32_t owner)
{
    static atomic_uint ports_used;
    unsigned port = PORT_FIRST + atomic_fetch_add(&ports_used, 1) % PORTS;
    snprintf(slot->name, sizeof(slot->name), "n%zu", i + 1);
    snprintf(slot->address, sizeof(slot->address), "127.%u.%u.%u:%u", 64 + (owner >> 16 & 0x7f),
             owner >> 8 & 0xff, owner & 0xff, port);
    /* Or the stop of a store under load would wait for ever. */
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    int rc = pthread_rwlock_init(&slot->lock, &attr);
    assert(rc == 0);
    pthread_rwlockattr_destroy(&attr);
    pthread_mutex_init(&slot->cache.lock, NULL);
}

size_t cluster_add_slot(struct cluster *cluster, bool as_learner)
{
    assert(cluster->count < CLUSTER_STORES_MAX);
    size_t i = cluster->count++;
    struct cluster_slot *slot = &cluster->slots[i];
    slot_init(slot, i, cluster->owner);
    slot->learner = as_learner;
    return i;
}

void cluster_init_at(struct cluster *cluster, size_t count, const char *dir, uint32_t owner)
{
    assert(count <= CLUSTER_FOUNDERS_MAX);
    memset(cluster, 0, sizeof(*cluster));
    cluster->owner = owner;
    snprintf(cluster->dir, sizeof(cluster->dir), "%s", dir);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t added = cluster_add_slot(cluster, false);
        assert(added == i);
        used +=
            (size_t)snprintf(cluster->members + used, sizeof(cluster->members) - used, "%s%s=%s",
                             i > 0 ? "," : "", cluster->slots[i].name, cluster->slots[i].address);
    }
}

void cluster_init(struct cluster *cluster, size_t count)
{
    char dir[CLUSTER_DIR_MAX] = "/tmp/keelfs-store-XXXXXX";
    char *made = mkdtemp(dir);
    assert(made != NULL);
    cluster_init_at(cluster, count, dir, (uint32_t)getpid());
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void cluster_close(struct cluster *cluster)
{
    cluster_stop_all(cluster);
    for (size_t i = 0; i < cluster->count; i++) {
        pthread_rwlock_destroy(&cluster->slots[i].lock);
        pthread_mutex_destroy(&cluster->slots[i].cache.lock);
    }
}

void cluster_release(struct cluster *cluster)
{
    cluster_close(cluster);
    nftw(cluster->dir, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS);
}

/* --- start and stop --- */

static void slot_gone(void *ctx, const struct err *why)
{
    struct cluster_slot *slot = ctx;
    atomic_store(&slot->gone, why->code);
}

static void slot_changed(void *ctx, const struct change *changes, size_t count)
{
    struct cluster_slot *slot = ctx;
    if (count == 1 && changes[0].kind == CHANGE_EVERYTHING)
        atomic_fetch_add(&slot->snapshots, 1);
}

static int open_and_start(struct cluster *cluster, size_t i, struct store **ret_store,
                          struct err *e)
{
    struct cluster_slot *slot = &cluster->slots[i];
    bool founder = slot->join[0] == '\0';
    char dir[CLUSTER_DIR_MAX + CLUSTER_NAME_MAX + 1];
    snprintf(dir, sizeof(dir), "%s/%s", cluster->dir, slot->name);
    struct store_config config = {
        .data_dir = dir,
        .name = slot->name,
        .listen = slot->address,
        .initial_members = founder ? cluster->members : NULL,
        .join = founder ? NULL : slot->join,
        .join_as_learner = slot->learner,
        .tick_ms = cluster->tick_ms,
        .log_gc_count_limit = cluster->log_gc_count_limit,
    };
    struct store *store = NULL;
    int rc = store_open(&config, &store, e);
    if (rc != 0)
        return rc;
    struct store_status status;
    store_status(store, &status);
    atomic_store(&slot->store_id, status.store_id);
    cluster_filter_store(cluster, store);
    store_set_gone(store, slot_gone, slot);
    store_set_observer(store, slot_changed, slot);
    cluster_watch_store(cluster, i, store);
    rc = store_start(store, e);
    if (rc != 0) {
        store_close(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

int cluster_try_start(struct cluster *cluster, size_t i)
{
    struct cluster_slot *slot = &cluster->slots[i];
    assert(cluster->stores[i] == NULL);
    struct err e = {0};
    struct store *store = NULL;
    int rc = open_and_start(cluster, i, &store, &e);
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", slot->name, e.text);
        return rc;
    }
    pthread_rwlock_wrlock(&slot->lock);
    cluster->stores[i] = store;
    slot->starts++;
    pthread_rwlock_unlock(&slot->lock);
    return 0;
}

void cluster_start(struct cluster *cluster, size_t i)
{
    int rc = cluster_try_start(cluster, i);
    assert(rc == 0);
}

/* Has a data directory, and nobody has told it to go. */
static bool slot_may_start(const struct cluster *cluster, size_t i)
{
    const struct cluster_slot *slot = &cluster->slots[i];
    bool has_data = slot->join[0] == '\0' || atomic_load(&slot->store_id) != 0;
    return cluster->stores[i] == NULL && has_data && atomic_load(&slot->gone) == 0;
}

void cluster_start_all(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (slot_may_start(cluster, i))
            cluster_start(cluster, i);
    }
    for (size_t i = 0; i < cluster->count; i++) {
        if (cluster->stores[i] == NULL)
            continue;
        int rc = cluster_barrier(cluster, i, BARRIER_WAIT_MS);
        assert(rc == 0);
    }
}

void cluster_stop(struct cluster *cluster, size_t i)
{
    struct cluster_slot *slot = &cluster->slots[i];
    pthread_rwlock_wrlock(&slot->lock);
    struct store *store = cluster->stores[i];
    cluster->stores[i] = NULL;
    pthread_rwlock_unlock(&slot->lock);
    store_close(store);
}

void cluster_stop_all(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++)
        cluster_stop(cluster, i);
}

int cluster_join(struct cluster *cluster, size_t i)
{
    char asked[sizeof(cluster->slots[i].join)] = "";
    size_t used = 0, count = 0;
    for (size_t k = 0; k < cluster->count && count < CLUSTER_FOUNDERS_MAX; k++) {
        if (cluster->stores[k] == NULL)
            continue;
        used += (size_t)snprintf(asked + used, sizeof(asked) - used, "%s%s", count > 0 ? "," : "",
                                 cluster->slots[k].address);
        count++;
    }
    assert(count > 0);
    memcpy(cluster->slots[i].join, asked, sizeof(asked));
    return cluster_try_start(cluster, i);
}

/* --- what they say of themselves --- */

bool cluster_status(struct cluster *cluster, size_t i, struct store_status *ret_status)
{
    struct cluster_slot *slot = &cluster->slots[i];
    pthread_rwlock_rdlock(&slot->lock);
    bool running = cluster->stores[i] != NULL;
    if (running)
        store_status(cluster->stores[i], ret_status);
    pthread_rwlock_unlock(&slot->lock);
    return running;
}

bool cluster_is_running(struct cluster *cluster, size_t i)
{
    struct cluster_slot *slot = &cluster->slots[i];
    pthread_rwlock_rdlock(&slot->lock);
    bool running = cluster->stores[i] != NULL;
    pthread_rwlock_unlock(&slot->lock);
    return running;
}

size_t cluster_slot_of(struct cluster *cluster, uint64_t store_id)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (atomic_load(&cluster->slots[i].store_id) == store_id)
            return i;
    }
    return CLUSTER_STORES_MAX;
}

void cluster_pause(void)
{
    const struct timespec interval = {.tv_nsec = POLL_INTERVAL_NS};
    nanosleep(&interval, NULL);
}

size_t cluster_leader(struct cluster *cluster, size_t i)
{
    for (int polls = 0; polls < POLLS_FOR_LEADER; polls++) {
        struct store_status status;
        bool running = cluster_status(cluster, i, &status);
        assert(running);
        if (status.leader_id != 0)
            return cluster_slot_of(cluster, status.leader_id);
        cluster_pause();
    }
    assert(!"no leader in time");
    return 0;
}
