/* Durations, counted into buckets of about 1.6 % width: any number of them in a
 * fixed space, and sums of several lists are exact. A struct of plain numbers,
 * so that it may lie in memory that processes share. */
#ifndef KEELFS_TOOLS_BENCH_SAMPLES_H
#define KEELFS_TOOLS_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/* Buckets of one power of two, and powers of two: up to 2^42 ns, over an hour. */
#define BENCH_SUB_BUCKETS 64
#define BENCH_POWERS      37

struct bench_samples {
    uint64_t counts[BENCH_POWERS * BENCH_SUB_BUCKETS];
    uint64_t count;
    uint64_t failures;
};

/* All zero is an empty one. */
void bench_samples_add(struct bench_samples *samples, uint64_t duration_ns);
void bench_samples_merge(struct bench_samples *into, const struct bench_samples *from);
/* The duration that `percent` of all do not exceed; 0 when there are none. */
double bench_samples_percentile_ms(const struct bench_samples *samples, double percent);

#endif
