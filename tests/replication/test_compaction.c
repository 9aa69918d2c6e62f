#include "raftstore/compaction.h"

#include <criterion/criterion.h>

#define ENTRY_BYTES 1000

static struct log_size size;

/* A log behind `truncated` whose last entry is applied. */
static void fill(uint64_t truncated, uint64_t last)
{
    log_size_init(&size, truncated);
    for (uint64_t i = truncated + 1; i <= last; i++)
        log_size_append(&size, i, ENTRY_BYTES);
}

static const struct compaction_limits by_count = {.count = 1000, .bytes = UINT64_MAX / 2};

Test(compaction, a_log_within_its_limits_is_left_alone)
{
    fill(5, 1005);
    cr_assert_eq(compaction_choose(&by_count, &size, 5, 1005, UINT64_MAX), 0);
}

Test(compaction, a_log_over_the_count_is_cut_to_half_of_it)
{
    fill(5, 1006);
    cr_assert_eq(compaction_choose(&by_count, &size, 5, 1006, UINT64_MAX), 506);
}

Test(compaction, a_log_over_its_bytes_is_cut_to_about_half_of_them)
{
    const struct compaction_limits by_bytes = {.count = 1u << 30, .bytes = 10u << 20};
    fill(5, 20000);
    uint64_t index = compaction_choose(&by_bytes, &size, 5, 20000, UINT64_MAX);
    uint64_t kept = (20000 - index) * ENTRY_BYTES;
    cr_assert_leq(kept, 5u << 20);
    cr_assert_geq(kept, 4u << 20);
}

Test(compaction, what_a_live_member_lacks_is_kept_up_to_twice_the_count)
{
    fill(5, 1505);
    cr_assert_eq(compaction_choose(&by_count, &size, 5, 1505, 300), 300);
    fill(5, 3005);
    cr_assert_eq(compaction_choose(&by_count, &size, 5, 3005, 300), 1005);
}

Test(compaction, what_a_live_member_lacks_is_kept_up_to_the_bytes)
{
    const struct compaction_limits by_bytes = {.count = 1u << 30, .bytes = 10u << 20};
    fill(5, 40000);
    uint64_t index = compaction_choose(&by_bytes, &size, 5, 40000, 100);
    uint64_t kept = (40000 - index) * ENTRY_BYTES;
    cr_assert_leq(kept, 10u << 20);
    cr_assert_geq(kept, 9u << 20);
}

Test(compaction, nothing_is_cut_that_is_not_applied)
{
    const struct compaction_limits tiny = {.count = 1, .bytes = 1};
    fill(5, 100);
    cr_assert_leq(compaction_choose(&tiny, &size, 5, 50, UINT64_MAX), 50);
    cr_assert_gt(compaction_choose(&tiny, &size, 5, 50, UINT64_MAX), 5);
}
