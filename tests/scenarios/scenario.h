/* Scenarios: a cluster in one process, clients that write and check all the time
 * (../store/client.h), and trouble. Afterwards every store must show exactly what
 * was acknowledged, all must have the same data, and no log may be too long.
 *
 * One thread runs a scenario and owns its `struct run`; the clients have theirs.
 */
#ifndef KEELFS_TESTS_SCENARIOS_SCENARIO_H
#define KEELFS_TESTS_SCENARIOS_SCENARIO_H

#include "client.h"
#include "cluster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENARIO_CLIENTS_MAX 20
/* How long the cluster may take to come to rest once the trouble is over. */
#define SCENARIO_PATIENCE_MS 30000
/* Of the clients' operations. */
#define SCENARIO_OP_TIMEOUT_MS 1000
#define SCENARIO_TICK_MS       20
/* Ten ticks, and ten more at random. */
#define SCENARIO_ELECTION_MS (20 * SCENARIO_TICK_MS)

struct run;

struct scenario {
    const char *name;
    size_t stores;
    size_t clients;
    uint64_t log_limit;    /* 0: the default */
    unsigned loss_percent; /* of the messages */
    bool partitions;       /* two groups, others every now and then */
    bool restarts;         /* of one store, and of all */
    /* Instead of all that; false: it has failed, and the reason is on stderr. */
    bool (*script)(struct run *run);
};

struct run {
    const struct scenario *scenario;
    struct cluster *cluster;
    struct client *clients; /* scenario->clients of them */
    uint64_t random;
    unsigned seconds;
    /* For scripts: the store that was removed last, CLUSTER_STORES_MAX for none. */
    size_t removed;
};

const struct scenario *scenario_find(const char *name);
/* NULL after the last one. */
const struct scenario *scenario_at(size_t i);

/* False: it has failed, and the reason is on stderr. The seed decides about the
 * trouble and the operations, not about the threads. Prints a line. */
bool scenario_run(const struct scenario *scenario, unsigned seconds, uint64_t seed);

/* --- for scripts (run.c) --- */

uint64_t run_random(struct run *run, uint64_t below);
void run_sleep_ms(unsigned ms);
/* Says where, and is false. */
bool run_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Gives every client a log, and starts them. */
bool run_start_clients(struct run *run);
void run_stop_clients(struct run *run);
bool run_has_failed(const struct run *run);
uint64_t run_acknowledged(const struct run *run);
/* Ends all trouble, waits until all stores are equal, and has every client check every
 * store. The clients have been stopped. */
bool run_settle(struct run *run);

/* --- scripts --- */

bool script_one_partition(struct run *run); /* partition.c */
bool script_one_snapshot(struct run *run);  /* snapshot.c */
bool script_leases(struct run *run);        /* leases.c */
bool script_members(struct run *run);       /* members.c */
bool script_members_in_trouble(struct run *run);

#endif
