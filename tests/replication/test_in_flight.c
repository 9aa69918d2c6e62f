#include "raftstore/in_flight.h"
#include "raftstore/touch.h"

#include <criterion/criterion.h>
#include <string.h>

static struct in_flight flight;

static uint64_t key_of(const char *path)
{
    return touch_key(path, strlen(path));
}

static void mark(uint64_t key, uint64_t index)
{
    in_flight_mark(&flight, &key, 1, index);
}

static bool has(const char *path, uint64_t applied)
{
    uint64_t key = key_of(path);
    return in_flight_has(&flight, &key, 1, applied);
}

Test(in_flight, nothing_is_at_first)
{
    cr_assert(!has("a", 0));
}

Test(in_flight, a_key_is_until_its_last_entry_is_applied)
{
    mark(key_of("a"), 5);
    mark(key_of("a"), 7);
    mark(key_of("a"), 6);
    cr_assert(has("a", 6));
    cr_assert(!has("a", 7));
    cr_assert(!has("b", 0));
}

Test(in_flight, the_mark_for_names_is_no_part_of_a_key)
{
    mark(key_of("a") | TOUCH_NAMES, 5);
    cr_assert(has("a", 4));
}

Test(in_flight, any_of_several_keys_counts)
{
    uint64_t keys[] = {key_of("a"), key_of("b"), key_of("c")};
    mark(keys[2], 5);
    cr_assert(in_flight_has(&flight, keys, 3, 4));
    cr_assert(!in_flight_has(&flight, keys, 2, 4));
}

Test(in_flight, everything_is_every_key)
{
    mark(TOUCH_EVERYTHING, 5);
    cr_assert(has("a", 4));
    cr_assert(in_flight_has(&flight, NULL, 0, 4));
    cr_assert(!has("a", 5));
}

Test(in_flight, what_the_log_has_no_more_is_not)
{
    mark(key_of("a"), 5);
    mark(key_of("b"), 9);
    mark(TOUCH_EVERYTHING, 10);
    in_flight_cut(&flight, 6);
    cr_assert(has("a", 4));
    cr_assert(!has("a", 5));
    cr_assert(!has("b", 5));
}

Test(in_flight, what_shares_a_slot_with_it_stays_up_to_there)
{
    mark(key_of("a"), 5);
    mark(key_of("a"), 9);
    in_flight_cut(&flight, 8);
    cr_assert(has("a", 6));
    cr_assert(!has("a", 7));
}
