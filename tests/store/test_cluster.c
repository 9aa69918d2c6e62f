/* Behaviour of whole clusters: what any node acknowledges, every node has. */
#include "cluster.h"

#include "raftstore/err.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 10000

static struct cluster cluster;

static void three_stores(void)
{
    cluster_init(&cluster, 3);
    cluster_start_all(&cluster);
}

static void release(void)
{
    cluster_release(&cluster);
}

TestSuite(cluster, .init = three_stores, .fini = release, .timeout = 120);

Test(cluster, what_one_store_puts_every_store_reads_at_once)
{
    char key[32], value[CLUSTER_VALUE_MAX];
    for (size_t i = 0; i < 30; i++) {
        snprintf(key, sizeof(key), "dir/key%zu", i);
        cr_assert_eq(cluster_put(&cluster, i % 3, key, key, TIMEOUT_MS), 0);
        for (size_t reader = 0; reader < 3; reader++) {
            cr_assert_eq(cluster_get(&cluster, reader, key, value, TIMEOUT_MS), 0);
            cr_assert_str_eq(value, key);
        }
    }
}

Test(cluster, an_empty_value_is_not_an_absent_key)
{
    char value[CLUSTER_VALUE_MAX] = "x";
    cr_assert_eq(cluster_put(&cluster, 0, "empty", "", TIMEOUT_MS), 0);
    cr_assert_eq(cluster_get(&cluster, 1, "empty", value, TIMEOUT_MS), 0);
    cr_assert_str_eq(value, "");
    cr_assert_eq(cluster_get(&cluster, 1, "absent", value, TIMEOUT_MS), KE_NOT_FOUND);
}

struct racer {
    pthread_t thread;
    size_t store;
    int code;
};

static void *race_create(void *arg)
{
    struct racer *racer = arg;
    racer->code = cluster_create_exclusive(&cluster, racer->store, "prize", TIMEOUT_MS);
    return NULL;
}

Test(cluster, one_of_many_exclusive_creates_wins)
{
    struct racer racers[9];
    for (size_t i = 0; i < 9; i++) {
        racers[i].store = i % 3;
        pthread_create(&racers[i].thread, NULL, race_create, &racers[i]);
    }
    int wins = 0;
    for (size_t i = 0; i < 9; i++) {
        pthread_join(racers[i].thread, NULL);
        wins += racers[i].code == 0;
        cr_assert(racers[i].code == 0 || racers[i].code == KE_EXISTS);
    }
    cr_assert_eq(wins, 1);
}

Test(cluster, writes_go_on_when_the_leader_stops_and_it_catches_up_when_it_returns)
{
    char key[32], value[CLUSTER_VALUE_MAX];
    cr_assert_eq(cluster_put(&cluster, 0, "before", "1", TIMEOUT_MS), 0);
    size_t leader = cluster_leader(&cluster, 0);
    size_t other = (leader + 1) % 3;
    cluster_stop(&cluster, leader);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "during%d", i);
        cr_assert_eq(cluster_put(&cluster, other, key, key, TIMEOUT_MS), 0);
    }
    cluster_start(&cluster, leader);
    cr_assert_eq(cluster_get(&cluster, leader, "during19", value, TIMEOUT_MS), 0);
    cr_assert_str_eq(value, "during19");
    cr_assert_eq(cluster_get(&cluster, leader, "before", value, TIMEOUT_MS), 0);
}

Test(cluster, without_a_majority_calls_time_out_and_work_again_after)
{
    char value[CLUSTER_VALUE_MAX];
    cr_assert_eq(cluster_put(&cluster, 0, "k", "1", TIMEOUT_MS), 0);
    cluster_stop(&cluster, 1);
    cluster_stop(&cluster, 2);
    cr_assert_eq(cluster_put(&cluster, 0, "lost", "2", 500), KE_TIMEOUT);
    cr_assert_eq(cluster_get(&cluster, 0, "k", value, 500), KE_TIMEOUT);
    cluster_start(&cluster, 1);
    cr_assert_eq(cluster_put(&cluster, 0, "k", "3", TIMEOUT_MS), 0);
    cr_assert_eq(cluster_get(&cluster, 1, "k", value, TIMEOUT_MS), 0);
    cr_assert_str_eq(value, "3");
}

Test(cluster, an_operation_that_timed_out_is_let_go_without_a_majority_too)
{
    cluster_stop(&cluster, 1);
    cluster_stop(&cluster, 2);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(cluster_put(&cluster, 0, "lost", "x", 20), KE_TIMEOUT);
    cr_assert_eq(cluster_barrier(&cluster, 0, 20), KE_TIMEOUT);
    const struct timespec interval = {.tv_nsec = 10000000};
    for (int polls = 0; polls < 1000 && cluster_live_ops() > 0; polls++)
        nanosleep(&interval, NULL);
    cr_assert_eq(cluster_live_ops(), 0);
}

Test(cluster, everything_acknowledged_is_there_after_all_stores_restart)
{
    char key[32], value[CLUSTER_VALUE_MAX];
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        cr_assert_eq(cluster_put(&cluster, (size_t)i % 3, key, key, TIMEOUT_MS), 0);
    }
    for (size_t i = 0; i < 3; i++)
        cluster_stop(&cluster, i);
    cluster_start_all(&cluster);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        cr_assert_eq(cluster_get(&cluster, (size_t)i % 3, key, value, TIMEOUT_MS), 0);
        cr_assert_str_eq(value, key);
    }
}

/* --- exactly once --- */

struct appender {
    pthread_t thread;
    size_t store;
    uint64_t id;
    int failures;
};

#define APPENDS 100

static void *append_lines(void *arg)
{
    struct appender *appender = arg;
    char line[16];
    for (int i = 0; i < APPENDS; i++) {
        snprintf(line, sizeof(line), "%zu.%d\n", appender->store, i);
        appender->failures +=
            cluster_append(&cluster, appender->store, "log", appender->id, line, 30000) != 0;
    }
    return NULL;
}

Test(cluster, an_append_is_applied_once_though_the_leader_changes_under_it)
{
    struct attr attr;
    cr_assert_eq(cluster_put(&cluster, 0, "log", "", TIMEOUT_MS), 0);
    cr_assert_eq(cluster_stat(&cluster, 0, "log", &attr, TIMEOUT_MS), 0);
    size_t leader = cluster_leader(&cluster, 0);
    struct appender appenders[2];
    for (size_t i = 0; i < 2; i++) {
        appenders[i] = (struct appender){.store = (leader + 1 + i) % 3, .id = attr.id};
        pthread_create(&appenders[i].thread, NULL, append_lines, &appenders[i]);
    }
    for (int round = 0; round < 3; round++) {
        cluster_stop(&cluster, leader);
        cluster_start(&cluster, leader);
        cr_assert_eq(cluster_barrier(&cluster, leader, TIMEOUT_MS), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(appenders[i].thread, NULL);
        cr_assert_eq(appenders[i].failures, 0);
    }
    char value[CLUSTER_VALUE_MAX], line[16];
    cr_assert_eq(cluster_get(&cluster, leader, "log", value, TIMEOUT_MS), 0);
    size_t bytes = 0;
    for (size_t i = 0; i < 2; i++) {
        for (int k = 0; k < APPENDS; k++) {
            snprintf(line, sizeof(line), "%zu.%d\n", appenders[i].store, k);
            cr_assert_not_null(strstr(value, line), "%s is missing", line);
            bytes += strlen(line);
        }
    }
    cr_assert_eq(strlen(value), bytes, "a line is there twice");
}

/* --- identity --- */

Test(store_identity, a_data_directory_of_another_member_is_refused)
{
    cluster_init(&cluster, 3);
    cluster_start(&cluster, 0);
    cluster_stop(&cluster, 0);
    char dir[96];
    snprintf(dir, sizeof(dir), "%s/n1", cluster.dir);
    struct store *store = NULL;
    struct err e = {0};
    struct store_config config = {
        .data_dir = dir, .name = "n2", .initial_members = cluster.members};
    cr_assert_eq(store_open(&config, &store, &e), KE_MISMATCH);
    cr_assert_not_null(strstr(e.text, "belongs to member n1"), "%s", e.text);
    config.name = "n1";
    config.initial_members = "n1=127.0.0.1:1,n2=127.0.0.1:2";
    cr_assert_eq(store_open(&config, &store, &e), KE_MISMATCH);
    cr_assert_not_null(strstr(e.text, "cluster"), "%s", e.text);
    cr_assert_null(store);
    cluster_release(&cluster);
}

Test(store_identity, a_directory_in_use_is_refused)
{
    cluster_init(&cluster, 1);
    cluster_start(&cluster, 0);
    char dir[96];
    snprintf(dir, sizeof(dir), "%s/n1", cluster.dir);
    struct store *store = NULL;
    struct err e = {0};
    struct store_config config = {
        .data_dir = dir, .name = "n1", .initial_members = cluster.members};
    cr_assert_neq(store_open(&config, &store, &e), 0);
    cr_assert_not_null(strstr(e.text, "in use"), "%s", e.text);
    cluster_release(&cluster);
}
