/* One partition: the leader with a majority, then with a minority. */
#include "scenario.h"

#include "raftstore/err.h"

#include <string.h>

/* Too short for an operation that nobody can do. */
#define SHORT_MS 500

/* `leader` and so many others in group 1; the rest in group 0. */
static void split_off(struct run *run, size_t leader, size_t others)
{
    unsigned groups[CLUSTER_FOUNDERS_MAX] = {0};
    groups[leader] = 1;
    for (size_t i = 0; i < run->scenario->stores && others > 0; i++) {
        if (groups[i] == 0) {
            groups[i] = 1;
            others--;
        }
    }
    cluster_partition(run->cluster, groups, run->scenario->stores);
}

/* Some store in or not in the group of `leader`, but not itself. */
static size_t other_in_group(struct run *run, size_t leader, bool same)
{
    unsigned group = atomic_load(&run->cluster->slots[leader].group);
    size_t i = 0;
    while (i == leader || (atomic_load(&run->cluster->slots[i].group) == group) != same)
        i++;
    return i;
}

static bool every_store_has(struct run *run, const char *key, const char *value)
{
    for (size_t i = 0; i < run->scenario->stores; i++) {
        char read[CLUSTER_VALUE_MAX];
        int rc = cluster_get(run->cluster, i, key, read, SCENARIO_PATIENCE_MS);
        if (rc != 0 || strcmp(read, value) != 0)
            return run_fail("store %zu: %s is %s, should be %s", i, key, rc == 0 ? read : "?",
                            value);
    }
    return true;
}

static bool leader_in_the_majority(struct run *run)
{
    struct cluster *cluster = run->cluster;
    char read[CLUSTER_VALUE_MAX];
    size_t leader = cluster_leader(cluster, 0);
    split_off(run, leader, 2);
    size_t inside = other_in_group(run, leader, true);
    size_t outside = other_in_group(run, leader, false);
    if (cluster_put(cluster, leader, "k1", "v1", SCENARIO_PATIENCE_MS) != 0 ||
        cluster_put(cluster, inside, "k2", "v2", SCENARIO_PATIENCE_MS) != 0)
        return run_fail("a majority with its leader must go on");
    if (cluster_get(cluster, outside, "k1", read, SHORT_MS) != KE_TIMEOUT)
        return run_fail("a minority must not read");
    cluster_heal(cluster);
    return every_store_has(run, "k1", "v1") && every_store_has(run, "k2", "v2");
}

static bool leader_in_the_minority(struct run *run)
{
    struct cluster *cluster = run->cluster;
    char read[CLUSTER_VALUE_MAX];
    size_t leader = cluster_leader(cluster, 0);
    split_off(run, leader, 1);
    size_t inside = other_in_group(run, leader, true);
    size_t outside = other_in_group(run, leader, false);
    if (cluster_put(cluster, leader, "lost", "v1", SHORT_MS) != KE_TIMEOUT ||
        cluster_put(cluster, inside, "lost", "v2", SHORT_MS) != KE_TIMEOUT)
        return run_fail("a minority must not acknowledge");
    if (cluster_put(cluster, outside, "k1", "changed", SCENARIO_PATIENCE_MS) != 0)
        return run_fail("a majority must find a leader and go on");
    if (cluster_get(cluster, leader, "k1", read, SHORT_MS) != KE_TIMEOUT)
        return run_fail("a leader that was deposed must not read");
    cluster_heal(cluster);
    return every_store_has(run, "k1", "changed");
}

bool script_one_partition(struct run *run)
{
    return leader_in_the_majority(run) && leader_in_the_minority(run) && run_settle(run);
}
