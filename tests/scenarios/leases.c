/* Read leases: no read is stale, whatever happens to the network and the stores. */
#include "registers.h"
#include "scenario.h"

#include "raftstore/err.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull

/* One sort of trouble, for about an election timeout or two. */
static void make_trouble_for_leases(struct run *run)
{
    struct cluster *cluster = run->cluster;
    size_t stores = run->scenario->stores;
    size_t i = (size_t)run_random(run, stores);
    size_t other = (i + 1 + (size_t)run_random(run, stores - 1)) % stores;
    unsigned ms = (unsigned)run_random(run, 2 * SCENARIO_ELECTION_MS);
    switch (run_random(run, 7)) {
    case 0:
        cluster_isolate(cluster, i);
        break;
    case 1:
        cluster_silence(cluster, i, other);
        break;
    case 2:
        cluster_delay(cluster, i, ms / 4);
        break;
    case 3:
        atomic_store(&cluster->slots[i].stall_ms, ms);
        break;
    case 4:
        (void)cluster_transfer_leader(cluster, cluster->slots[i].name, ms + 1);
        break;
    case 5:
        cluster_stop(cluster, i);
        run_sleep_ms(ms);
        cluster_start(cluster, i);
        break;
    default:
        cluster_set_loss(cluster, 20);
        break;
    }
    run_sleep_ms(ms);
    for (size_t k = 0; k < stores; k++)
        atomic_store(&cluster->slots[k].stall_ms, 0);
    /* Sometimes the next trouble comes on top. */
    if (run_random(run, 3) != 0)
        cluster_heal(cluster);
}

static bool has_read_by_leases(const struct registers *registers)
{
    return registers->reads[CLUSTER_FROM_CACHE] > 0 && registers->reads[CLUSTER_FROM_LEASE] > 0;
}

bool script_leases(struct run *run)
{
    struct registers *registers = calloc(1, sizeof(*registers));
    if (registers == NULL)
        abort();
    bool good = registers_start(registers, run->cluster, run->random);
    if (good) {
        uint64_t end_ns = clock_ns() + run->seconds * NS_PER_S;
        while (clock_ns() < end_ns && !atomic_load(&registers->is_stale))
            make_trouble_for_leases(run);
        cluster_heal(run->cluster);
        run_sleep_ms(2 * SCENARIO_ELECTION_MS);
        good = registers_stop(registers) && has_read_by_leases(registers);
    }
    free(registers);
    return good ? run_settle(run) : run_fail("a read was stale, or none was by a lease");
}
