/* A lease as its holder sees it: the rules of docs/decisions/0009-read-leases.md. */
#include "raftstore/lease.h"

#include <criterion/criterion.h>

#define LIFE     7
#define TICK     50000000ull
#define DURATION 500000000ull
#define START    1000000000000ull

static struct lease lease;
static uint64_t now;

static void begin(void)
{
    now = START;
    lease_init(&lease, LIFE, now);
    now++;
}

TestSuite(lease, .init = begin);

static struct lease_want ask(void)
{
    struct lease_want want;
    cr_assert(lease_ask(&lease, now, TICK, &want));
    return want;
}

static void take(const struct lease_want *want, uint64_t commit, uint64_t applied)
{
    struct lease_grant grant = {.want = *want, .duration_ns = DURATION, .commit = commit};
    lease_take(&lease, &grant, applied, now);
}

Test(lease, ends_a_duration_after_it_was_asked_for_less_the_margin)
{
    struct lease_want want = ask();
    now += TICK;
    take(&want, 5, 5);
    cr_assert_eq(lease_end(&lease), want.time + DURATION - DURATION / LEASE_RATE_MARGIN);
    cr_assert(!lease_is_over(&lease, lease_end(&lease) - 1));
    cr_assert(lease_is_over(&lease, lease_end(&lease)));
}

Test(lease, asks_no_more_often_than_told)
{
    struct lease_want want = ask();
    cr_assert_eq(want.time, now);
    cr_assert_eq(want.life, LIFE);
    now += TICK - 1;
    cr_assert(!lease_ask(&lease, now, TICK, &want));
    now++;
    cr_assert(lease_ask(&lease, now, TICK, &want));
}

Test(lease, counts_once_its_commit_index_is_applied)
{
    struct lease_want want = ask();
    take(&want, 5, 4);
    cr_assert_eq(lease_end(&lease), 0);
    cr_assert(!lease_is_over(&lease, now));
    lease_applied(&lease, 4, now);
    cr_assert_eq(lease_end(&lease), 0);
    lease_applied(&lease, 5, now);
    cr_assert_neq(lease_end(&lease), 0);
}

Test(lease, one_that_waits_is_not_replaced_by_a_newer_one)
{
    struct lease_want first = ask();
    take(&first, 5, 4);
    now += TICK;
    struct lease_want second = ask();
    take(&second, 9, 4);
    lease_applied(&lease, 5, now);
    cr_assert_eq(lease_end(&lease), first.time + lease_less_margin(DURATION));
}

Test(lease, one_that_waited_too_long_makes_room_for_the_next)
{
    struct lease_want first = ask();
    take(&first, 5, 4);
    now += DURATION;
    struct lease_want second = ask();
    take(&second, 9, 4);
    lease_applied(&lease, 8, now);
    cr_assert_eq(lease_end(&lease), 0);
    lease_applied(&lease, 9, now);
    cr_assert_eq(lease_end(&lease), second.time + lease_less_margin(DURATION));
}

Test(lease, one_that_is_over_when_it_would_begin_to_count_does_not)
{
    struct lease_want want = ask();
    take(&want, 5, 4);
    now += DURATION;
    lease_applied(&lease, 5, now);
    cr_assert_eq(lease_end(&lease), 0);
}

Test(lease, the_one_before_counts_while_the_next_waits)
{
    struct lease_want first = ask();
    take(&first, 5, 5);
    uint64_t end = lease_end(&lease);
    now += TICK;
    struct lease_want second = ask();
    take(&second, 9, 5);
    cr_assert_eq(lease_end(&lease), end);
    lease_applied(&lease, 9, now);
    cr_assert_gt(lease_end(&lease), end);
}

Test(lease, an_older_grant_does_not_shorten_it)
{
    struct lease_want first = ask();
    now += TICK;
    struct lease_want second = ask();
    take(&second, 5, 5);
    uint64_t end = lease_end(&lease);
    take(&first, 5, 5);
    cr_assert_eq(lease_end(&lease), end);
}

Test(lease, a_grant_to_an_earlier_process_does_not_count)
{
    struct lease_want want = ask();
    want.life--;
    take(&want, 5, 5);
    cr_assert_eq(lease_end(&lease), 0);
}

Test(lease, a_grant_for_a_time_to_come_does_not_count)
{
    struct lease_want want = ask();
    want.time = now + 1;
    take(&want, 5, 5);
    cr_assert_eq(lease_end(&lease), 0);
}

Test(lease, a_cut_ends_it_and_what_was_asked_for)
{
    struct lease_want counts = ask();
    take(&counts, 5, 5);
    now += TICK;
    struct lease_want waits = ask();
    take(&waits, 9, 5);
    now += TICK;
    struct lease_want asked = ask();
    lease_cut(&lease, now);
    cr_assert_eq(lease_end(&lease), 0);
    cr_assert(lease_is_over(&lease, now));
    lease_applied(&lease, 9, now);
    now++;
    take(&asked, 9, 9);
    cr_assert_eq(lease_end(&lease), 0);
    struct lease_want anew = ask();
    take(&anew, 9, 9);
    cr_assert_neq(lease_end(&lease), 0);
}

Test(lease, while_suspended_nothing_is_asked_for_or_taken)
{
    struct lease_want before = ask(), none;
    take(&before, 5, 5);
    now += TICK;
    lease_suspend(&lease, now);
    cr_assert_eq(lease_end(&lease), 0);
    now++;
    cr_assert(!lease_ask(&lease, now, TICK, &none));
    take(&(struct lease_want){.time = now, .life = LIFE}, 5, 5);
    cr_assert_eq(lease_end(&lease), 0);
}

Test(lease, what_was_asked_for_before_a_suspension_does_not_count_after_it)
{
    struct lease_want before = ask();
    lease_suspend(&lease, now);
    now += TICK;
    lease_resume(&lease, now);
    now++;
    take(&before, 5, 5);
    cr_assert_eq(lease_end(&lease), 0);
    struct lease_want after = ask();
    take(&after, 5, 5);
    cr_assert_neq(lease_end(&lease), 0);
}

Test(lease, the_promise_is_shorter_than_an_election_by_late_and_partial_ticks)
{
    struct lease_timing timing;
    lease_timing_init(&timing, 50, 10, 3);
    cr_assert_eq(timing.tick_ns, TICK);
    cr_assert_eq(timing.duration_ns, 10 * TICK);
    cr_assert_eq(timing.promise_ns, 5 * TICK);
}

Test(lease, elections_that_are_too_quick_leave_no_promise)
{
    struct lease_timing timing;
    lease_timing_init(&timing, 50, 5, 3);
    cr_assert_eq(timing.promise_ns, 0);
}
