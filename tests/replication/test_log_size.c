#include "raftstore/log_size.h"

#include <criterion/criterion.h>

#define ENTRY_BYTES 1000
#define ENTRIES     1000000

static struct log_size size;

static void fill(uint64_t behind, uint64_t count)
{
    log_size_init(&size, behind);
    for (uint64_t i = 1; i <= count; i++)
        log_size_append(&size, behind + i, ENTRY_BYTES);
}

Test(log_size, an_empty_log_has_nothing_behind_its_start)
{
    log_size_init(&size, 5);
    cr_assert_eq(log_size_behind(&size, 5), 0);
    cr_assert_eq(log_size_find(&size, 0), 5);
}

Test(log_size, bytes_behind_an_index_are_right_to_within_one_distance)
{
    fill(5, ENTRIES);
    for (uint64_t index = 5; index <= 5 + ENTRIES; index += 7777) {
        uint64_t exact = (5 + ENTRIES - index) * ENTRY_BYTES;
        uint64_t found = log_size_behind(&size, index);
        cr_assert_geq(found, exact);
        cr_assert_leq(found - exact, size.distance + ENTRY_BYTES);
    }
}

Test(log_size, a_long_log_takes_no_more_marks_than_there_are)
{
    fill(0, 10 * ENTRIES);
    cr_assert_leq(size.count, LOG_SIZE_MARKS_MAX);
    cr_assert_eq(log_size_behind(&size, 0), 10ull * ENTRIES * ENTRY_BYTES);
}

Test(log_size, find_gives_an_index_with_no_more_behind_it)
{
    fill(0, ENTRIES);
    uint64_t bytes = 100ull * 1000 * ENTRY_BYTES;
    uint64_t index = log_size_find(&size, bytes);
    cr_assert_leq((ENTRIES - index) * ENTRY_BYTES, bytes);
    cr_assert_geq((ENTRIES - index) * ENTRY_BYTES, bytes - size.distance - ENTRY_BYTES);
}

Test(log_size, entries_that_replace_others_count_instead_of_them)
{
    fill(0, 1000);
    for (uint64_t i = 501; i <= 600; i++)
        log_size_append(&size, i, ENTRY_BYTES);
    cr_assert_leq(log_size_behind(&size, 0), 600ull * ENTRY_BYTES + size.distance);
}

Test(log_size, what_is_cut_is_not_counted)
{
    fill(0, ENTRIES);
    log_size_cut(&size, ENTRIES / 2);
    uint64_t left = log_size_behind(&size, ENTRIES / 2);
    uint64_t exact = ENTRIES / 2 * ENTRY_BYTES;
    cr_assert_geq(left + size.distance + ENTRY_BYTES, exact);
    cr_assert_leq(left, exact + size.distance + ENTRY_BYTES);
    log_size_cut(&size, ENTRIES);
    cr_assert_leq(log_size_behind(&size, ENTRIES), size.distance);
}
