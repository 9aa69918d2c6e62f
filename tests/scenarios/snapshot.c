/* One snapshot: a store that was away for longer than the log remembers. */
#include "scenario.h"

#include "raftstore/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define PUTS      15
#define DUMP_MAX  4096

/* Waits until the leader's log begins behind what `away` has: then nothing but a snapshot
 * helps. Of a status only the applied index is of now. */
static bool wait_until_log_is_cut(struct run *run, size_t leader, size_t away)
{
    uint64_t deadline = clock_ns() + SCENARIO_PATIENCE_MS * NS_PER_MS;
    struct store_status of_leader = {0}, of_away = {0};
    while (clock_ns() < deadline) {
        bool running = cluster_status(run->cluster, leader, &of_leader) &&
                       cluster_status(run->cluster, away, &of_away);
        if (running && of_leader.first_index > of_away.last_index + 1 &&
            of_leader.first_index > of_away.applied_index + 1)
            return true;
        cluster_pause();
    }
    return run_fail("the leader keeps its log from %llu on, for a store that is gone",
                    (unsigned long long)of_leader.first_index);
}

static bool wait_for_snapshot(struct run *run, size_t away)
{
    uint64_t deadline = clock_ns() + SCENARIO_PATIENCE_MS * NS_PER_MS;
    while (atomic_load(&run->cluster->slots[away].snapshots) == 0) {
        if (clock_ns() >= deadline)
            return run_fail("there was no snapshot");
        cluster_pause();
    }
    return true;
}

static int dump_row(void *ctx, const void *key, size_t key_size, const void *value,
                    size_t value_size)
{
    char *dump = ctx;
    size_t used = strlen(dump);
    snprintf(dump + used, DUMP_MAX - used, "%.*s=%.*s ", (int)key_size, (const char *)key,
             (int)value_size, (const char *)value);
    return 1;
}

static bool has_the_same(struct run *run, size_t leader, size_t away)
{
    char expected[DUMP_MAX] = "", read[DUMP_MAX] = "";
    int rc = cluster_scan(run->cluster, leader, "k", dump_row, expected, SCENARIO_PATIENCE_MS);
    if (rc == 0)
        rc = cluster_scan(run->cluster, away, "k", dump_row, read, SCENARIO_PATIENCE_MS);
    if (rc != 0)
        return run_fail("a scan failed: %s", ke_text(rc));
    if (strcmp(read, expected) != 0)
        return run_fail("the store that was away has %s, should have %s", read, expected);
    if (strstr(read, "k002=") != NULL || strstr(read, "k014=") == NULL)
        return run_fail("k002 was deleted and k014 put, but there is %s", read);
    return true;
}

static bool write_while_away(struct run *run, size_t leader)
{
    for (int i = 0; i < PUTS; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%03d", i);
        if (cluster_put(run->cluster, leader, key, key, SCENARIO_PATIENCE_MS) != 0)
            return run_fail("a put of two stores of three failed");
    }
    if (cluster_delete(run->cluster, leader, "k002", SCENARIO_PATIENCE_MS) != 0)
        return run_fail("a delete of two stores of three failed");
    return true;
}

bool script_one_snapshot(struct run *run)
{
    struct cluster *cluster = run->cluster;
    if (cluster_put(cluster, 0, "k002", "old", SCENARIO_PATIENCE_MS) != 0 ||
        !cluster_wait_equal(cluster, SCENARIO_PATIENCE_MS))
        return run_fail("a put failed");
    size_t leader = cluster_leader(cluster, 0);
    size_t away = (leader + 1) % 3;
    cluster_isolate(cluster, away);
    if (!write_while_away(run, leader) || !wait_until_log_is_cut(run, leader, away))
        return false;
    cluster_heal(cluster);
    if (!cluster_wait_equal(cluster, SCENARIO_PATIENCE_MS) || !has_the_same(run, leader, away))
        return false;
    if (!wait_for_snapshot(run, away))
        return false;
    cluster_stop(cluster, away);
    cluster_start(cluster, away);
    return has_the_same(run, leader, away) && run_settle(run);
}
