#include "tools/bench.h"

#include "tools/bench_load.h"

#include "raftstore/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Each line is measured in rounds of this length, the systems in turn: what the
 * machine does beside hits both. */
#define ROUND_NS    1000000000ull
#define WARM_UP_NS  300000000ull
#define KEYS        1000
#define SYSTEMS_MAX 2

/* The systems that are compared. */
struct contest {
    const struct bench_config *config;
    struct bench_target targets[SYSTEMS_MAX];
    struct bench_values values;
    size_t count;
};

static void print_head(const struct contest *contest)
{
    printf("RPC: values of %u bytes, %d keys, calls spread over all members; each line %u s a "
           "system%s\n\n",
           contest->config->value_size, KEYS, contest->config->seconds,
           contest->count > 1 ? ", in rounds of 1 s, in turn" : "");
    printf("%14s", "");
    for (size_t i = 0; i < contest->count; i++)
        printf("   %-27s", contest->targets[i].name);
    printf("\n%-4s %9s", "op", "in flight");
    for (size_t i = 0; i < contest->count; i++)
        printf("   %9s %8s %8s", "ops/s", "p50 ms", "p99 ms");
    printf("%s\n", contest->count > 1 ? "    ratio" : "");
    (void)fflush(stdout);
}

static void print_line(enum bench_op op, unsigned in_flight,
                       const struct bench_load_result *results, size_t count)
{
    printf("%-4s %9u", op == BENCH_PUT ? "put" : "get", in_flight);
    for (size_t i = 0; i < count; i++)
        printf("   %9.0f %8.2f %8.2f", bench_load_rate(&results[i]),
               bench_samples_percentile_ms(&results[i].samples, 50),
               bench_samples_percentile_ms(&results[i].samples, 99));
    if (count == SYSTEMS_MAX)
        printf("   %6.2f", bench_load_rate(&results[0]) / bench_load_rate(&results[1]));
    for (size_t i = 0; i < count; i++) {
        if (results[i].samples.failures > 0)
            printf("   (%" PRIu64 " failed, status %d)", results[i].samples.failures,
                   results[i].failure);
    }
    printf("\n");
    (void)fflush(stdout);
}

static void run_round(struct contest *contest, size_t which, enum bench_op op, unsigned in_flight,
                      uint64_t length_ns, struct bench_load_result *result)
{
    const struct bench_load load = {
        .target = &contest->targets[which],
        .values = &contest->values,
        .op = op,
        .prefix = "bench",
        .keys = KEYS,
        .in_flight = in_flight,
        .length_ns = length_ns,
        .calls = UINT64_MAX,
    };
    bench_load_run(&load, result);
}

static void measure_line(struct contest *contest, enum bench_op op, unsigned in_flight)
{
    struct bench_load_result *results = mem_zalloc(SYSTEMS_MAX * sizeof(*results));
    struct bench_load_result *ignored = mem_zalloc(sizeof(*ignored));
    for (size_t i = 0; i < contest->count; i++)
        run_round(contest, i, op, in_flight, WARM_UP_NS, ignored);
    for (uint32_t round = 0; round < contest->config->seconds; round++) {
        for (size_t i = 0; i < contest->count; i++)
            run_round(contest, i, op, in_flight, ROUND_NS, &results[i]);
    }
    print_line(op, in_flight, results, contest->count);
    free(ignored);
    free(results);
}

static void measure(struct contest *contest)
{
    static const unsigned in_flight[] = {1, 64, 256};
    print_head(contest);
    for (enum bench_op op = BENCH_PUT; op <= BENCH_GET; op++) {
        for (size_t i = 0; i < sizeof(in_flight) / sizeof(in_flight[0]); i++)
            measure_line(contest, op, in_flight[i]);
    }
}

int bench_rpc(const struct bench_config *config)
{
    struct contest contest = {.config = config, .count = config->etcd.count > 0 ? 2 : 1};
    bench_values_init(&contest.values, config->value_size);
    int status =
        bench_target_connect(&contest.targets[0], "keelfs", &bench_keelfs, &config->keelfs);
    if (status == 0 && contest.count > 1)
        status = bench_target_connect(&contest.targets[1], "etcd", &bench_etcd, &config->etcd);
    if (status == 0)
        measure(&contest);
    for (size_t i = 0; i < contest.count; i++)
        bench_target_disconnect(&contest.targets[i]);
    bench_values_release(&contest.values);
    return status;
}
