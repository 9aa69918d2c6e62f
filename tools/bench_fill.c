#include "tools/bench.h"

#include "tools/bench_load.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number)
{
    (void)number;
    asked_to_stop = 1;
}

/* One line of NAME=VALUE, for a script. */
static void print_result(const struct bench_load_result *result)
{
    const struct bench_samples *samples = &result->samples;
    printf("calls=%" PRIu64 " failures=%" PRIu64 " seconds=%.2f rate=%.0f p50_ms=%.3f p99_ms=%.3f "
           "max_ms=%.3f\n",
           samples->count, samples->failures, (double)result->elapsed_ns / (double)NS_PER_S,
           bench_load_rate(result), bench_samples_percentile_ms(samples, 50),
           bench_samples_percentile_ms(samples, 99), bench_samples_percentile_ms(samples, 100));
}

static int run(const struct bench_config *config, enum bench_op op)
{
    static struct bench_load_result result; /* too large for a stack */
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct bench_target target;
    struct bench_values values;
    /* Before anything starts: asked at once, it still says what it did. */
    (void)sigaction(SIGTERM, &action, NULL);
    bench_values_init(&values, config->value_size);
    int status = bench_target_connect(&target, "keelfs", &bench_keelfs, &config->keelfs);
    if (status == 0) {
        const struct bench_load load = {
            .target = &target,
            .values = &values,
            .op = op,
            .prefix = config->prefix,
            .keys = config->keys,
            .in_flight = config->in_flight,
            .length_ns = config->seconds * NS_PER_S,
            .calls = config->count > 0 ? config->count : UINT64_MAX,
            .stop = &asked_to_stop,
        };
        bench_load_run(&load, &result);
        print_result(&result);
    }
    bench_target_disconnect(&target);
    bench_values_release(&values);
    return status;
}

int bench_fill(const struct bench_config *config)
{
    return run(config, BENCH_PUT);
}

int bench_gets(const struct bench_config *config)
{
    return run(config, BENCH_GET);
}
