/* What of the traffic between the cluster's stores arrives. */
#include "cluster.h"
#include "random.h"

#include "raftstore/store_filter.h"

#include <assert.h>

static unsigned group_of(struct cluster *cluster, uint64_t store_id)
{
    size_t i = cluster_slot_of(cluster, store_id);
    return i < CLUSTER_STORES_MAX ? atomic_load(&cluster->slots[i].group) : 0;
}

static bool arrives(void *ctx, uint64_t from_store, uint64_t to_store)
{
    struct cluster *cluster = ctx;
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

void cluster_heal(struct cluster *cluster)
{
    atomic_store(&cluster->loss_percent, 0);
    for (size_t i = 0; i < CLUSTER_STORES_MAX; i++)
        atomic_store(&cluster->slots[i].group, 0);
}
