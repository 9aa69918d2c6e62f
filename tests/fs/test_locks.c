#include "fs/locks.h"
#include "seed.h"

#include <criterion/criterion.h>
#include <string.h>

static struct locks locks;
static struct locks_waiter *woken;

static void setup(void)
{
    locks_init(&locks);
    woken = NULL;
}

static void teardown(void)
{
    locks_release(&locks);
}

TestSuite(locks, .init = setup, .fini = teardown);

/* The handle has the owner's number, as with one open file a process. */
static struct locks_range range_of(enum locks_mode mode, uint64_t owner, uint64_t first,
                                   uint64_t last)
{
    return (struct locks_range){
        .kind = LOCKS_RANGE,
        .mode = mode,
        .owner = owner,
        .handle = owner,
        .pid = (uint32_t)owner,
        .first = first,
        .last = last,
    };
}

static struct locks_range flock_of(enum locks_mode mode, uint64_t owner)
{
    struct locks_range range = range_of(mode, owner, 0, UINT64_MAX);

    range.kind = LOCKS_FLOCK;
    return range;
}

/* All on inode 7, unless said otherwise. */
static enum locks_answer set(struct locks_range range)
{
    return locks_set(&locks, 7, &range, &woken);
}

/* 'x', 's' or '.' for each of the first ten bytes: what the owner has. */
static const char *show(uint64_t owner)
{
    static char text[11];

    for (uint64_t at = 0; at < 10; at++) {
        const struct locks_range other = range_of(LOCKS_EXCLUSIVE, owner + 1000, at, at);
        struct locks_range found;
        text[at] = '.';
        if (locks_find(&locks, 7, &other, &found) && found.owner == owner)
            text[at] = found.mode == LOCKS_EXCLUSIVE ? 'x' : 's';
    }
    return text;
}

static struct locks_waiter waiter_of(struct locks_range range)
{
    return (struct locks_waiter){.ino = 7, .range = range};
}

/* --- ranges --- */

Test(locks, a_range_changes_mode_in_the_middle_and_leaves_both_ends)
{
    cr_assert_eq(set(range_of(LOCKS_SHARED, 1, 0, 9)), LOCKS_DONE);
    cr_assert_eq(set(range_of(LOCKS_EXCLUSIVE, 1, 3, 5)), LOCKS_DONE);
    cr_assert_str_eq(show(1), "sssxxxssss");
    cr_assert_eq(locks.count, 3);
    cr_assert_eq(set(range_of(LOCKS_NONE, 1, 4, 6)), LOCKS_DONE);
    cr_assert_str_eq(show(1), "sssx...sss");
    cr_assert_eq(set(range_of(LOCKS_NONE, 1, 0, UINT64_MAX)), LOCKS_DONE);
    cr_assert_eq(locks.count, 0);
}

Test(locks, ranges_of_one_mode_that_touch_become_one)
{
    set(range_of(LOCKS_EXCLUSIVE, 1, 0, 2));
    set(range_of(LOCKS_EXCLUSIVE, 1, 6, 9));
    cr_assert_eq(locks.count, 2);
    set(range_of(LOCKS_EXCLUSIVE, 1, 3, 5));
    cr_assert_eq(locks.count, 1);
    cr_assert_str_eq(show(1), "xxxxxxxxxx");
    set(range_of(LOCKS_SHARED, 1, UINT64_MAX, UINT64_MAX));
    set(range_of(LOCKS_SHARED, 1, UINT64_MAX - 1, UINT64_MAX - 1));
    cr_assert_eq(locks.count, 2);
}

Test(locks, exclusive_keeps_out_all_others_and_shared_only_exclusive)
{
    cr_assert_eq(set(range_of(LOCKS_SHARED, 1, 0, 4)), LOCKS_DONE);
    cr_assert_eq(set(range_of(LOCKS_SHARED, 2, 3, 9)), LOCKS_DONE);
    cr_assert_eq(set(range_of(LOCKS_EXCLUSIVE, 2, 4, 9)), LOCKS_BUSY);
    cr_assert_str_eq(show(2), ".....sssss"); /* 3 and 4 are shown as the first owner's */
    cr_assert_eq(set(range_of(LOCKS_EXCLUSIVE, 2, 5, 9)), LOCKS_DONE);
    cr_assert_eq(set(range_of(LOCKS_SHARED, 1, 5, 5)), LOCKS_BUSY);
}

Test(locks, the_two_kinds_do_not_see_each_other)
{
    struct locks_range found;
    const struct locks_range asked = range_of(LOCKS_EXCLUSIVE, 2, 0, 9);

    cr_assert_eq(set(flock_of(LOCKS_EXCLUSIVE, 1)), LOCKS_DONE);
    cr_assert_not(locks_find(&locks, 7, &asked, &found));
    cr_assert_eq(set(range_of(LOCKS_EXCLUSIVE, 2, 0, 9)), LOCKS_DONE);
    cr_assert_eq(set(flock_of(LOCKS_SHARED, 3)), LOCKS_BUSY);
}

Test(locks, files_do_not_see_each_other)
{
    struct locks_range range = range_of(LOCKS_EXCLUSIVE, 2, 0, 9);

    cr_assert_eq(set(range_of(LOCKS_EXCLUSIVE, 1, 0, 9)), LOCKS_DONE);
    cr_assert_eq(locks_set(&locks, 7 + LOCKS_BUCKETS, &range, &woken), LOCKS_DONE);
    cr_assert_eq(set(range), LOCKS_BUSY);
}

Test(locks, a_question_is_answered_with_the_first_range_in_the_way)
{
    const struct locks_range asked = range_of(LOCKS_SHARED, 3, 0, 9);
    struct locks_range found;

    set(range_of(LOCKS_EXCLUSIVE, 2, 6, 9));
    set(range_of(LOCKS_EXCLUSIVE, 1, 2, 3));
    set(range_of(LOCKS_SHARED, 1, 0, 0));
    cr_assert(locks_find(&locks, 7, &asked, &found));
    cr_assert_eq(found.first, 2);
    cr_assert_eq(found.last, 3);
    cr_assert_eq(found.pid, 1);
}

Test(locks, an_flock_that_cannot_change_its_mode_is_lost)
{
    set(flock_of(LOCKS_SHARED, 1));
    set(flock_of(LOCKS_SHARED, 2));
    cr_assert_eq(set(flock_of(LOCKS_EXCLUSIVE, 1)), LOCKS_BUSY);
    cr_assert_eq(locks.count, 1);
    cr_assert_eq(set(flock_of(LOCKS_EXCLUSIVE, 2)), LOCKS_DONE);
}

/* Two ranges are on inode 7, all others on many: a file's ranges are looked through. */
static void fill_the_table(void)
{
    set(range_of(LOCKS_SHARED, 1, 0, 0));
    set(range_of(LOCKS_SHARED, 1, 2, 2));
    for (uint64_t i = 2; i < LOCKS_MAX; i++) {
        const struct locks_range range = range_of(LOCKS_SHARED, 1, 2 * i, 2 * i);
        cr_assert_eq(locks_set(&locks, 100 + i / 128, &range, &woken), LOCKS_DONE);
    }
}

Test(locks, past_the_maximum_nothing_changes_and_giving_back_still_works)
{
    fill_the_table();
    cr_assert_eq(locks.count, LOCKS_MAX);
    cr_assert_eq(set(range_of(LOCKS_SHARED, 2, 0, 0)), LOCKS_FULL);
    cr_assert_eq(set(range_of(LOCKS_SHARED, 1, 1, 1)), LOCKS_DONE);
    cr_assert_eq(locks.count, LOCKS_MAX - 1);
    cr_assert_eq(set(range_of(LOCKS_SHARED, 2, 0, 2)), LOCKS_DONE);
    cr_assert_eq(set(range_of(LOCKS_NONE, 2, 1, 1)), LOCKS_FULL);
    cr_assert_eq(set(range_of(LOCKS_NONE, 2, 2, 2)), LOCKS_DONE);
}

/* --- waiting --- */

Test(locks, who_waits_is_handed_over_when_nothing_is_in_the_way_any_more)
{
    struct locks_waiter low = waiter_of(range_of(LOCKS_EXCLUSIVE, 2, 0, 3));
    struct locks_waiter high = waiter_of(range_of(LOCKS_EXCLUSIVE, 3, 5, 9));

    set(range_of(LOCKS_EXCLUSIVE, 1, 0, 9));
    cr_assert_eq(locks_wait(&locks, &low), LOCKS_BUSY);
    cr_assert_eq(locks_wait(&locks, &high), LOCKS_BUSY);
    set(range_of(LOCKS_NONE, 1, 0, 2));
    cr_assert_null(woken);
    set(range_of(LOCKS_NONE, 1, 3, 4));
    cr_assert_eq(woken, &low);
    cr_assert_null(low.next);
    set(range_of(LOCKS_SHARED, 1, 5, 9));
    cr_assert_null(low.next);
    locks_close(&locks, 7, 1, 1, &woken);
    cr_assert_eq(low.next, &high);
    cr_assert_eq(locks.waiter_count, 0);
}

Test(locks, a_waiter_that_finds_the_way_free_is_to_try_again)
{
    struct locks_waiter waiter = waiter_of(range_of(LOCKS_EXCLUSIVE, 2, 0, 3));

    cr_assert_eq(locks_wait(&locks, &waiter), LOCKS_DONE);
    cr_assert_eq(locks.waiter_count, 0);
}

Test(locks, a_waiter_that_gives_up_leaves_nothing)
{
    struct locks_waiter waiter = waiter_of(range_of(LOCKS_EXCLUSIVE, 2, 0, 3));

    set(range_of(LOCKS_EXCLUSIVE, 1, 0, 9));
    locks_wait(&locks, &waiter);
    locks_forget(&locks, &waiter);
    set(range_of(LOCKS_NONE, 1, 0, 9));
    cr_assert_null(woken);
    cr_assert_eq(locks.count, 0);
    locks_forget(&locks, &waiter);
}

Test(locks, the_change_of_an_flock_lets_others_go_on)
{
    struct locks_waiter waiter = waiter_of(flock_of(LOCKS_SHARED, 2));

    set(flock_of(LOCKS_EXCLUSIVE, 1));
    locks_wait(&locks, &waiter);
    set(flock_of(LOCKS_SHARED, 1));
    cr_assert_eq(woken, &waiter);
}

Test(locks, a_circle_of_three_owners_on_two_files_is_found)
{
    struct locks_waiter first = waiter_of(range_of(LOCKS_EXCLUSIVE, 1, 2, 2));
    struct locks_waiter second = waiter_of(range_of(LOCKS_SHARED, 2, 0, 9));
    struct locks_waiter third = waiter_of(range_of(LOCKS_SHARED, 3, 1, 1));
    const struct locks_range elsewhere = range_of(LOCKS_EXCLUSIVE, 3, 5, 5);

    second.ino = 8;
    set(range_of(LOCKS_EXCLUSIVE, 1, 1, 1));
    set(range_of(LOCKS_EXCLUSIVE, 2, 2, 2));
    locks_set(&locks, 8, &elsewhere, &woken);
    cr_assert_eq(locks_wait(&locks, &first), LOCKS_BUSY);
    cr_assert_eq(locks_wait(&locks, &second), LOCKS_BUSY);
    cr_assert_eq(locks_wait(&locks, &third), LOCKS_DEADLOCK);
    locks_forget(&locks, &first);
    cr_assert_eq(locks_wait(&locks, &third), LOCKS_BUSY);
    cr_assert_eq(locks_wait(&locks, &first), LOCKS_DEADLOCK);
    locks_drop_waiters(&locks, &woken);
    cr_assert_eq(woken, &second);
    cr_assert_eq(locks.waiter_count, 0);
}

Test(locks, circles_of_flock_are_nobodys_business)
{
    struct locks_waiter first = waiter_of(flock_of(LOCKS_EXCLUSIVE, 1));
    struct locks_waiter second = waiter_of(flock_of(LOCKS_EXCLUSIVE, 2));
    const struct locks_range elsewhere = flock_of(LOCKS_EXCLUSIVE, 1);

    set(flock_of(LOCKS_EXCLUSIVE, 2));
    locks_set(&locks, 8, &elsewhere, &woken);
    second.ino = 8;
    cr_assert_eq(locks_wait(&locks, &first), LOCKS_BUSY);
    cr_assert_eq(locks_wait(&locks, &second), LOCKS_BUSY);
    locks_drop_waiters(&locks, &woken);
}

Test(locks, more_than_the_maximum_do_not_wait)
{
    static struct locks_waiter waiters[LOCKS_WAITERS_MAX + 1];

    set(flock_of(LOCKS_EXCLUSIVE, 1));
    for (size_t i = 0; i < LOCKS_WAITERS_MAX; i++) {
        waiters[i] = waiter_of(flock_of(LOCKS_EXCLUSIVE, i + 2));
        cr_assert_eq(locks_wait(&locks, &waiters[i]), LOCKS_BUSY);
    }
    waiters[LOCKS_WAITERS_MAX] = waiter_of(flock_of(LOCKS_SHARED, 0));
    cr_assert_eq(locks_wait(&locks, &waiters[LOCKS_WAITERS_MAX]), LOCKS_FULL);
    locks_drop_waiters(&locks, &woken);
}

/* --- closing --- */

Test(locks, a_close_drops_all_ranges_of_the_process_through_whichever_handle)
{
    struct locks_range other_handle = range_of(LOCKS_SHARED, 1, 0, 2);

    other_handle.handle = 50;
    set(other_handle);
    set(range_of(LOCKS_EXCLUSIVE, 1, 5, 9));
    set(range_of(LOCKS_SHARED, 2, 0, 2));
    locks_close(&locks, 7, 1, 1, &woken);
    cr_assert_eq(locks.count, 1);
    cr_assert_eq(set(range_of(LOCKS_EXCLUSIVE, 2, 0, 9)), LOCKS_DONE);
}

Test(locks, the_end_of_an_open_file_drops_what_was_taken_through_it)
{
    struct locks_range other_handle = range_of(LOCKS_SHARED, 1, 0, 2);

    other_handle.handle = 50;
    set(other_handle);
    set(flock_of(LOCKS_SHARED, 1));
    set(range_of(LOCKS_EXCLUSIVE, 1, 5, 9));
    locks_drop(&locks, 7, 1, &woken);
    cr_assert_eq(locks.count, 1);
    cr_assert_str_eq(show(1), "sss.......");
}

Test(locks, what_a_close_leaves_is_closing_until_somebody_waited_for_it)
{
    const struct locks_range asked = flock_of(LOCKS_EXCLUSIVE, 3);

    set(flock_of(LOCKS_SHARED, 1));
    cr_assert_not(locks_is_closing(&locks, 7, &asked));
    locks_close(&locks, 7, 100, 1, &woken);
    cr_assert(locks_is_closing(&locks, 7, &asked));
    set(flock_of(LOCKS_SHARED, 2));
    cr_assert_not(locks_is_closing(&locks, 7, &asked));
    set(flock_of(LOCKS_NONE, 2));
    cr_assert(locks_is_closing(&locks, 7, &asked));
    locks_settle(&locks, 7, &asked);
    cr_assert_not(locks_is_closing(&locks, 7, &asked));
    cr_assert_eq(locks.count, 1);
}

/* --- at random --- */

#define OWNERS 4
#define BYTES  12
#define STEPS  20000

/* For each owner and byte its mode; nothing cleverer. */
static uint8_t naive[OWNERS][BYTES];

static bool naive_set(const struct locks_range *range)
{
    for (size_t owner = 0; owner < OWNERS; owner++) {
        for (size_t at = range->first; at <= range->last; at++) {
            uint8_t held = naive[owner][at];
            if (owner != range->owner && range->mode != LOCKS_NONE && held != LOCKS_NONE &&
                (held == LOCKS_EXCLUSIVE || range->mode == LOCKS_EXCLUSIVE))
                return false;
        }
    }
    for (size_t at = range->first; at <= range->last; at++)
        naive[range->owner][at] = (uint8_t)range->mode;
    return true;
}

static size_t naive_count(void)
{
    size_t count = 0;

    for (size_t owner = 0; owner < OWNERS; owner++) {
        for (size_t at = 0; at < BYTES; at++) {
            uint8_t before = at == 0 ? (uint8_t)LOCKS_NONE : naive[owner][at - 1];
            if (naive[owner][at] != LOCKS_NONE && naive[owner][at] != before)
                count++;
        }
    }
    return count;
}

static bool naive_is_free_for(const struct locks_range *range)
{
    uint8_t saved[OWNERS][BYTES];

    memcpy(saved, naive, sizeof(naive));
    bool is_free = naive_set(range);
    memcpy(naive, saved, sizeof(naive));
    return is_free;
}

static void random_range(uint64_t *state, struct locks_range *ret_range)
{
    uint32_t one = seed_below(state, BYTES), other = seed_below(state, BYTES);

    *ret_range = range_of((enum locks_mode)seed_below(state, 3), seed_below(state, OWNERS),
                          one < other ? one : other, one < other ? other : one);
}

static void assert_same_as_naive(uint64_t *state)
{
    struct locks_range range, found;

    random_range(state, &range);
    bool is_free = naive_is_free_for(&range);
    cr_assert_eq(locks_find(&locks, 7, &range, &found), !is_free);
    if (!is_free)
        cr_assert(found.owner != range.owner && found.first <= range.last &&
                  found.last >= range.first);
    cr_assert_eq(locks.count, naive_count());
}

/* One waiter an owner; whoever is woken must be free to go, and who is not must not. */
Test(locks, any_sequence_of_calls_gives_what_a_table_of_bytes_gives)
{
    uint64_t state = seed_take("locks");
    struct locks_waiter waiters[OWNERS] = {0};
    size_t deadlocks = 0;

    for (int step = 0; step < STEPS; step++) {
        struct locks_range range;
        random_range(&state, &range);
        struct locks_waiter *waiter = &waiters[range.owner];
        if (seed_below(&state, 20) == 0) {
            memset(naive[range.owner], LOCKS_NONE, BYTES);
            locks_close(&locks, 7, range.owner, 99, &woken);
        } else if (naive_set(&range)) {
            cr_assert_eq(locks_set(&locks, 7, &range, &woken), LOCKS_DONE);
        } else {
            cr_assert_eq(locks_set(&locks, 7, &range, &woken), LOCKS_BUSY);
            locks_forget(&locks, waiter);
            *waiter = waiter_of(range);
            deadlocks += locks_wait(&locks, waiter) == LOCKS_DEADLOCK;
        }
        for (; woken != NULL; woken = woken->next)
            cr_assert(naive_is_free_for(&woken->range));
        for (size_t i = 0; i < OWNERS; i++)
            cr_assert(!waiters[i].is_queued || !naive_is_free_for(&waiters[i].range));
        assert_same_as_naive(&state);
    }
    cr_assert_gt(deadlocks, 0);
    locks_drop_waiters(&locks, &woken);
}
