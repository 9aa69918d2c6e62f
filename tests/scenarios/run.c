/* How a scenario runs: its rounds, its trouble, and what is checked at the end. */
#include "random.h"
#include "scenario.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
/* Trouble comes in rounds, with rest in between. */
#define ROUND_S 5
/* A store is away for up to so long. */
#define AWAY_MAX_MS 400
/* Of so many restarts one is of all stores at once. */
#define RESTARTS_PER_OUTAGE 3

uint64_t run_random(struct run *run, uint64_t below)
{
    return random_next(&run->random) % below;
}

void run_sleep_ms(unsigned ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

bool run_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

/* --- clients --- */

bool run_start_clients(struct run *run)
{
    for (size_t i = 0; i < run->scenario->clients; i++) {
        if (!client_begin_log(&run->clients[i], SCENARIO_PATIENCE_MS))
            return false;
    }
    for (size_t i = 0; i < run->scenario->clients; i++)
        client_start(&run->clients[i]);
    return true;
}

void run_stop_clients(struct run *run)
{
    for (size_t i = 0; i < run->scenario->clients; i++)
        client_stop(&run->clients[i]);
}

bool run_has_failed(const struct run *run)
{
    for (size_t i = 0; i < run->scenario->clients; i++) {
        if (atomic_load(&run->clients[i].failed))
            return true;
    }
    return false;
}

uint64_t run_acknowledged(const struct run *run)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < run->scenario->clients; i++)
        sum += atomic_load(&run->clients[i].acknowledged);
    return sum;
}

bool run_settle(struct run *run)
{
    struct cluster *cluster = run->cluster;
    cluster_heal(cluster);
    cluster_start_all(cluster);
    if (run_has_failed(run) || !cluster_wait_equal(cluster, SCENARIO_PATIENCE_MS))
        return false;
    for (size_t i = 0; i < run->scenario->clients; i++) {
        struct client *client = &run->clients[i];
        for (size_t store = 0; store < cluster->count; store++) {
            if (cluster_is_running(cluster, store) &&
                !client_check(client, store, SCENARIO_PATIENCE_MS))
                return false;
        }
        ledger_settle(&client->ledger);
    }
    return cluster_check_equal(cluster, SCENARIO_PATIENCE_MS);
}

/* --- trouble --- */

static void split(struct run *run)
{
    unsigned groups[CLUSTER_FOUNDERS_MAX];
    for (size_t i = 0; i < run->scenario->stores; i++)
        groups[i] = (unsigned)run_random(run, 2);
    cluster_partition(run->cluster, groups, run->scenario->stores);
}

static void restart_some(struct run *run)
{
    struct cluster *cluster = run->cluster;
    unsigned away_ms = (unsigned)run_random(run, AWAY_MAX_MS);
    if (run_random(run, RESTARTS_PER_OUTAGE) == 0) {
        cluster_stop_all(cluster);
        for (size_t i = 0; i < run->scenario->stores; i++)
            cluster_start(cluster, i);
        return;
    }
    size_t i = (size_t)run_random(run, run->scenario->stores);
    cluster_stop(cluster, i);
    run_sleep_ms(away_ms);
    cluster_start(cluster, i);
}

static void make_trouble(struct run *run, uint64_t end_ns)
{
    const struct scenario *scenario = run->scenario;
    cluster_set_loss(run->cluster, scenario->loss_percent);
    while (clock_ns() < end_ns && !run_has_failed(run)) {
        if (scenario->partitions)
            split(run);
        run_sleep_ms((unsigned)(SCENARIO_ELECTION_MS / 2 + run_random(run, SCENARIO_ELECTION_MS)));
        if (scenario->restarts)
            restart_some(run);
    }
}

/* Once the trouble is over, every client gets something acknowledged. */
static bool wait_for_progress(struct run *run)
{
    uint64_t deadline = clock_ns() + SCENARIO_PATIENCE_MS * NS_PER_MS;
    cluster_heal(run->cluster);
    for (size_t i = 0; i < run->scenario->clients; i++) {
        const struct client *client = &run->clients[i];
        uint64_t before = atomic_load(&client->acknowledged);
        while (atomic_load(&client->acknowledged) == before && !run_has_failed(run)) {
            if (clock_ns() >= deadline)
                return run_fail("client %zu gets nothing acknowledged", i);
            cluster_pause();
        }
    }
    return true;
}

static bool run_rounds(struct run *run)
{
    uint64_t end_ns = clock_ns() + run->seconds * NS_PER_S;
    while (clock_ns() < end_ns) {
        uint64_t round_end_ns = clock_ns() + ROUND_S * NS_PER_S;
        if (!run_start_clients(run))
            return false;
        make_trouble(run, round_end_ns < end_ns ? round_end_ns : end_ns);
        bool good = wait_for_progress(run);
        run_stop_clients(run);
        if (!good || !run_settle(run))
            return false;
    }
    return true;
}

/* --- the frame --- */

static void print_summary(const struct run *run)
{
    uint64_t unknown = 0, scans = 0;
    unsigned snapshots = 0;
    for (size_t i = 0; i < run->scenario->clients; i++) {
        unknown += atomic_load(&run->clients[i].unknown);
        scans += atomic_load(&run->clients[i].scans);
    }
    for (size_t i = 0; i < run->cluster->count; i++)
        snapshots += atomic_load(&run->cluster->slots[i].snapshots);
    printf("%s: %" PRIu64 " acknowledged, %" PRIu64 " unknown, %" PRIu64 " scans, %u snapshots\n",
           run->scenario->name, run_acknowledged(run), unknown, scans, snapshots);
}

bool scenario_run(const struct scenario *scenario, unsigned seconds, uint64_t seed)
{
    printf("%s: %u s, seed %" PRIu64 "\n", scenario->name, seconds, seed);
    fflush(stdout);
    struct run run = {
        .scenario = scenario, .random = seed, .seconds = seconds, .removed = CLUSTER_STORES_MAX};
    run.cluster = malloc(sizeof(*run.cluster));
    run.clients = calloc(SCENARIO_CLIENTS_MAX, sizeof(*run.clients));
    if (run.cluster == NULL || run.clients == NULL)
        abort();
    cluster_init(run.cluster, scenario->stores);
    cluster_set_seed(run.cluster, seed);
    run.cluster->tick_ms = SCENARIO_TICK_MS;
    run.cluster->log_gc_count_limit = scenario->log_limit;
    cluster_start_all(run.cluster);
    for (unsigned i = 0; i < scenario->clients; i++)
        client_init(&run.clients[i], run.cluster, i, seed, SCENARIO_OP_TIMEOUT_MS);
    bool good = scenario->script != NULL ? scenario->script(&run) : run_rounds(&run);
    good = good && cluster_check_log_limit(run.cluster, SCENARIO_PATIENCE_MS);
    print_summary(&run);
    if (!good)
        run_fail("%s: failed with seed %" PRIu64, scenario->name, seed);
    cluster_release(run.cluster);
    free(run.clients);
    free(run.cluster);
    return good;
}
