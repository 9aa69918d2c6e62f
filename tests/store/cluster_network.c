/* What of the traffic between the cluster's stores arrives. */
#include "cluster.h"
#include "random.h"

#include "raftstore/store_filter.h"

#include <assert.h>
#include <time.h>

static unsigned group_of(struct cluster *cluster, uint64_t store_id)
{
    size_t i = cluster_slot_of(cluster, store_id);
    return i < CLUSTER_STORES_MAX ? atomic_load(&cluster->slots[i].group) : 0;
}

static bool is_silenced(struct cluster *cluster, uint64_t from_store, uint64_t to_store)
{
    size_t from = cluster_slot_of(cluster, from_store), to = cluster_slot_of(cluster, to_store);
    return from < CLUSTER_STORES_MAX && to < CLUSTER_STORES_MAX &&
           (atomic_load(&cluster->silent[from]) >> to & 1) != 0;
}

/* Holds up everything that the receiver's network thread has to do, so that nothing is
 * overtaken. */
static void delay(struct cluster *cluster, uint64_t to_store)
{
    size_t to = cluster_slot_of(cluster, to_store);
    if (to == CLUSTER_STORES_MAX || (atomic_load(&cluster->delayed) >> to & 1) == 0)
        return;
    unsigned ms = atomic_load(&cluster->delay_ms);
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static bool arrives(void *ctx, uint64_t from_store, uint64_t to_store)
{
    struct cluster *cluster = ctx;
    delay(cluster, to_store);
    if (is_silenced(cluster, from_store, to_store))
        return false;
    if (group_of(cluster, from_store) != group_of(cluster, to_store))
        return false;
    unsigned loss = atomic_load(&cluster->loss_percent);
    return loss == 0 || random_of(atomic_fetch_add(&cluster->random, RANDOM_STEP)) % 100 >= loss;
}

void cluster_filter_store(struct cluster *cluster, struct store *store)
{
    store_set_filter(store, arrives, cluster);
}

void cluster_set_seed(struct cluster *cluster, uint64_t seed)
{
    atomic_store(&cluster->random, seed);
}

void cluster_set_loss(struct cluster *cluster, unsigned percent)
{
    assert(percent <= 100);
    atomic_store(&cluster->loss_percent, percent);
}

void cluster_partition(struct cluster *cluster, const unsigned *groups, size_t count)
{
    assert(count <= CLUSTER_STORES_MAX);
    for (size_t i = 0; i < count; i++)
        atomic_store(&cluster->slots[i].group, groups[i]);
}

void cluster_isolate(struct cluster *cluster, size_t i)
{
    /* A group that nobody else is in: 0 is everybody's, and partitions use few. */
    atomic_store(&cluster->slots[i].group, (unsigned)(CLUSTER_STORES_MAX + i));
}

void cluster_silence(struct cluster *cluster, size_t from, size_t to)
{
    atomic_fetch_or(&cluster->silent[from], (uint64_t)1 << to);
}

void cluster_delay(struct cluster *cluster, size_t i, unsigned ms)
{
    atomic_store(&cluster->delay_ms, ms);
    atomic_fetch_or(&cluster->delayed, (uint64_t)1 << i);
}

void cluster_heal(struct cluster *cluster)
{
    atomic_store(&cluster->loss_percent, 0);
    atomic_store(&cluster->delayed, 0);
    for (size_t i = 0; i < CLUSTER_STORES_MAX; i++) {
        atomic_store(&cluster->slots[i].group, 0);
        atomic_store(&cluster->silent[i], 0);
    }
}
