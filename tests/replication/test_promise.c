/* What a member promises whom it hears: docs/decisions/0009-read-leases.md. */
#include "raftstore/promise.h"

#include <criterion/criterion.h>

#define LEADER   2
#define TERM     4
#define NOW      1000000000000ull
#define DURATION 250000000ull

static struct promise promise;

static void hear(uint64_t from, uint64_t term, uint64_t stamp, uint64_t now)
{
    promise_heard(&promise, from, term, stamp, now, DURATION);
}

Test(promise, nothing_is_promised_at_first)
{
    cr_assert(!promise_forbids(&promise, NOW));
    cr_assert_eq(promise_echo(&promise, LEADER, TERM), 0);
}

Test(promise, who_has_heard_the_leader_votes_for_nobody_for_a_while)
{
    hear(LEADER, TERM, 77, NOW);
    cr_assert(promise_forbids(&promise, NOW));
    cr_assert(promise_forbids(&promise, NOW + DURATION - 1));
    cr_assert(!promise_forbids(&promise, NOW + DURATION));
}

Test(promise, it_counts_from_the_last_time)
{
    hear(LEADER, TERM, 77, NOW);
    hear(LEADER, TERM, 78, NOW + 5);
    cr_assert(promise_forbids(&promise, NOW + DURATION + 4));
    cr_assert_eq(promise_echo(&promise, LEADER, TERM), 78);
}

Test(promise, a_message_without_a_stamp_promises_nothing)
{
    hear(LEADER, TERM, 0, NOW);
    cr_assert(!promise_forbids(&promise, NOW));
}

Test(promise, an_older_stamp_that_comes_late_is_not_echoed)
{
    hear(LEADER, TERM, 78, NOW);
    hear(LEADER, TERM, 77, NOW);
    cr_assert_eq(promise_echo(&promise, LEADER, TERM), 78);
}

Test(promise, only_the_one_who_named_it_hears_a_stamp_again)
{
    hear(LEADER, TERM, 77, NOW);
    cr_assert_eq(promise_echo(&promise, LEADER, TERM), 77);
    cr_assert_eq(promise_echo(&promise, 3, TERM), 0);
}

Test(promise, a_message_of_another_term_echoes_nothing)
{
    hear(LEADER, TERM, 77, NOW);
    cr_assert_eq(promise_echo(&promise, LEADER, TERM + 1), 0);
    cr_assert_eq(promise_echo(&promise, LEADER, 0), 0);
}

Test(promise, a_new_leader_has_a_clock_of_its_own)
{
    hear(LEADER, TERM, 77, NOW);
    hear(3, TERM + 1, 5, NOW);
    cr_assert_eq(promise_echo(&promise, 3, TERM + 1), 5);
    cr_assert_eq(promise_echo(&promise, LEADER, TERM), 0);
}

Test(promise, who_led_in_an_earlier_term_is_not_heard_any_more)
{
    hear(3, TERM + 1, 5, NOW);
    hear(LEADER, TERM, 77, NOW + 5);
    cr_assert_eq(promise_echo(&promise, 3, TERM + 1), 5);
    cr_assert(!promise_forbids(&promise, NOW + DURATION));
}

/* --- what the next leader knows of the one before --- */

#define LEASE (2 * DURATION)

static uint64_t leaseless(uint64_t term, uint64_t now)
{
    return promise_leaseless(&promise, term, now, LEASE);
}

Test(promise, who_led_in_the_term_before_has_no_lease)
{
    hear(LEADER, TERM, 77, NOW);
    hear(LEADER, TERM, 78, NOW + LEASE - 1);
    cr_assert_eq(leaseless(TERM + 1, NOW + LEASE), LEADER);
}

Test(promise, who_led_for_less_than_a_lease_may_have_one_of_before)
{
    hear(3, TERM - 1, 76, NOW - LEASE);
    hear(LEADER, TERM, 77, NOW);
    cr_assert_eq(leaseless(TERM + 1, NOW + LEASE - 1), 0);
}

Test(promise, when_another_may_have_led_in_between_nothing_is_known)
{
    hear(LEADER, TERM, 77, NOW);
    cr_assert_eq(leaseless(TERM + 2, NOW + LEASE), 0);
    cr_assert_eq(leaseless(TERM, NOW + LEASE), 0);
}

Test(promise, who_gave_the_leadership_away_may_have_a_lease)
{
    hear(LEADER, TERM, 77, NOW);
    promise_handed_over(&promise, TERM);
    cr_assert_eq(leaseless(TERM + 1, NOW + LEASE), 0);
    hear(3, TERM + 1, 5, NOW);
    cr_assert_eq(leaseless(TERM + 2, NOW + LEASE), 3);
}

Test(promise, nothing_is_known_after_a_start)
{
    cr_assert_eq(leaseless(1, NOW), 0);
}

Test(promise, a_new_leader_does_not_end_what_was_promised_the_old_one)
{
    promise_extend(&promise, NOW + 2 * DURATION);
    hear(3, TERM + 1, 5, NOW);
    cr_assert(promise_forbids(&promise, NOW + 2 * DURATION - 1));
    promise_extend(&promise, NOW);
    cr_assert(promise_forbids(&promise, NOW + 2 * DURATION - 1));
}
