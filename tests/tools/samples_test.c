/* The durations behind the figures of tools/bench. */
#include "tools/bench_samples.h"

#include <criterion/criterion.h>
#include <math.h>

static struct bench_samples samples, other;

Test(samples, percentiles_are_within_two_percent)
{
    for (uint64_t us = 1; us <= 10000; us++)
        bench_samples_add(&samples, us * 1000);
    for (double percent = 1; percent <= 100; percent++) {
        double seen = bench_samples_percentile_ms(&samples, percent);
        double exact = percent / 10;
        cr_assert_lt(fabs(seen - exact), exact * 0.02, "p%.0f is %f", percent, seen);
    }
}

Test(samples, every_duration_has_a_bucket)
{
    bench_samples_add(&samples, 0);
    bench_samples_add(&samples, 63);
    bench_samples_add(&samples, 64);
    for (unsigned shift = 0; shift < 64; shift++)
        bench_samples_add(&samples, 1ull << shift);
    bench_samples_add(&samples, UINT64_MAX);
    cr_assert_eq(samples.count, 68);
    cr_assert_gt(bench_samples_percentile_ms(&samples, 100), 3600e3);
}

Test(samples, nothing_measured_is_zero)
{
    cr_assert_eq(bench_samples_percentile_ms(&samples, 50), 0);
}

Test(samples, a_sum_is_what_both_have_seen)
{
    for (unsigned i = 0; i < 90; i++)
        bench_samples_add(&samples, 1000000);
    for (unsigned i = 0; i < 10; i++)
        bench_samples_add(&other, 9000000);
    other.failures = 3;
    bench_samples_merge(&samples, &other);
    cr_assert_eq(samples.count, 100);
    cr_assert_eq(samples.failures, 3);
    cr_assert_lt(bench_samples_percentile_ms(&samples, 90), 1.1);
    cr_assert_gt(bench_samples_percentile_ms(&samples, 91), 8.8);
}
