#include "tools/bench_samples.h"

#define BUCKET_COUNT  (BENCH_POWERS * BENCH_SUB_BUCKETS)
#define SUB_BITS      6
#define NS_PER_MS     1e6
#define PERCENT_WHOLE 100.0

/* Below 64 ns each has its own bucket; above, the six bits after the first name it. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < BENCH_SUB_BUCKETS)
        return (size_t)ns;
    unsigned top = 63u - (unsigned)__builtin_clzll(ns);
    unsigned power = top - SUB_BITS + 1;
    size_t sub = (size_t)(ns >> (top - SUB_BITS)) & (BENCH_SUB_BUCKETS - 1);
    size_t bucket = (size_t)power * BENCH_SUB_BUCKETS + sub;
    return bucket < BUCKET_COUNT ? bucket : BUCKET_COUNT - 1;
}

static uint64_t bucket_start(size_t bucket)
{
    size_t power = bucket / BENCH_SUB_BUCKETS;
    uint64_t sub = bucket % BENCH_SUB_BUCKETS;
    return power == 0 ? sub : (BENCH_SUB_BUCKETS + sub) << (power - 1);
}

void bench_samples_add(struct bench_samples *samples, uint64_t duration_ns)
{
    samples->counts[bucket_of(duration_ns)]++;
    samples->count++;
}

void bench_samples_merge(struct bench_samples *into, const struct bench_samples *from)
{
    for (size_t i = 0; i < BUCKET_COUNT; i++)
        into->counts[i] += from->counts[i];
    into->count += from->count;
    into->failures += from->failures;
}

double bench_samples_percentile_ms(const struct bench_samples *samples, double percent)
{
    double wanted = (double)samples->count * percent / PERCENT_WHOLE;
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKET_COUNT; i++) {
        seen += samples->counts[i];
        if (samples->counts[i] > 0 && (double)seen >= wanted)
            return (double)bucket_start(i) / NS_PER_MS;
    }
    return 0;
}
