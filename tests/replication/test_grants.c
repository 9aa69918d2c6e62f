/* Leases as the leader gives them: the rules of docs/decisions/0009-read-leases.md. */
#include "raftstore/grants.h"

#include "raftstore/store.h"

#include <criterion/criterion.h>

#define TICK  50000000ull
#define START 1000000000000ull
#define TERM  4
#define FIRST 10 /* the first index of the term */

static struct grants grants;
static struct lease_timing timing;
static uint64_t now;

static void set_members(size_t voters, size_t learners)
{
    struct region region = {.peer_count = voters + learners};
    for (size_t i = 0; i < voters + learners; i++)
        region.peers[i] = (struct region_peer){.peer_id = i + 1,
                                               .store_id = i + 1,
                                               .role = i < voters ? MEMBER_VOTER : MEMBER_LEARNER};
    grants_set_members(&grants, &region);
}

static void lead(bool strangers)
{
    grants_begin(&grants, TERM, FIRST, FIRST - 1, strangers, now);
}

/* Three voters; the first leads, and nobody has a grant of an earlier leader any more. */
static void begin(void)
{
    now = START;
    lease_timing_init(&timing, 50, 10, 3);
    grants_init(&grants, 1, &timing);
    set_members(3, 0);
    lead(false);
    now += timing.duration_ns;
    for (uint64_t id = 1; id <= 3; id++)
        grants_acknowledged(&grants, id, FIRST);
}

TestSuite(grants, .init = begin);

static struct lease_want want_of(uint64_t id)
{
    return (struct lease_want){.time = 100 * id, .life = id};
}

static bool give(uint64_t id, uint64_t commit, uint64_t last_index)
{
    struct lease_grant grant;
    struct lease_want want = want_of(id);
    grants_asked(&grants, id, &want);
    return grants_give(&grants, id, commit, last_index, now, &grant);
}

static void everybody_hears(void)
{
    grants_heard(&grants, 2, now, now);
    grants_heard(&grants, 3, now, now);
}

/* --- the right to promise --- */

Test(grants, nothing_is_confirmed_before_a_majority_has_answered)
{
    cr_assert_eq(grants_confirmed(&grants, now), 0);
    cr_assert_eq(grants_own_end(&grants, now), 0);
    cr_assert(!give(2, FIRST, FIRST));
}

Test(grants, the_leader_and_one_more_of_three_are_a_majority)
{
    grants_heard(&grants, 3, now - 7, now);
    cr_assert_eq(grants_confirmed(&grants, now), now - 7);
}

Test(grants, of_five_two_must_answer)
{
    set_members(5, 0);
    grants_heard(&grants, 5, now - 7, now);
    cr_assert_eq(grants_confirmed(&grants, now), 0);
    grants_heard(&grants, 2, now - 9, now);
    cr_assert_eq(grants_confirmed(&grants, now), now - 9);
}

Test(grants, a_learner_confirms_nothing)
{
    set_members(3, 1);
    grants_heard(&grants, 4, now, now);
    cr_assert_eq(grants_confirmed(&grants, now), 0);
}

Test(grants, a_joint_configuration_needs_both_majorities)
{
    struct region region = {.peer_count = 5};
    for (size_t i = 0; i < 5; i++)
        region.peers[i] = (struct region_peer){
            .peer_id = i + 1, .role = i < 3 ? MEMBER_VOTER_OUTGOING : MEMBER_VOTER};
    region.peers[0].role = MEMBER_VOTER | MEMBER_VOTER_OUTGOING;
    grants_set_members(&grants, &region);
    grants_heard(&grants, 2, now - 5, now);
    cr_assert_eq(grants_confirmed(&grants, now), 0);
    grants_heard(&grants, 4, now - 9, now);
    cr_assert_eq(grants_confirmed(&grants, now), now - 9);
}

Test(grants, a_leader_alone_is_its_own_majority)
{
    set_members(1, 0);
    cr_assert_eq(grants_confirmed(&grants, now), now);
    cr_assert_eq(grants_own_end(&grants, now), now + lease_less_margin(timing.promise_ns));
}

Test(grants, a_configuration_without_voters_confirms_nothing)
{
    set_members(0, 2);
    cr_assert_eq(grants_confirmed(&grants, now), 0);
}

Test(grants, an_older_stamp_or_one_of_no_clock_here_changes_nothing)
{
    grants_heard(&grants, 2, now - 5, now);
    grants_heard(&grants, 2, now - 9, now);
    grants_heard(&grants, 2, now + 1, now);
    grants_heard(&grants, 9, now, now);
    cr_assert_eq(grants_confirmed(&grants, now), now - 5);
}

Test(grants, its_own_lease_is_the_promise_of_the_majority_less_the_margin)
{
    grants_heard(&grants, 2, now - 5, now);
    cr_assert_eq(grants_own_end(&grants, now), now - 5 + lease_less_margin(timing.promise_ns));
}

Test(grants, nothing_is_given_once_the_promise_is_over)
{
    everybody_hears();
    now += lease_less_margin(timing.promise_ns) - 1;
    cr_assert(give(2, FIRST, FIRST));
    now++;
    cr_assert(!give(3, FIRST, FIRST));
}

Test(grants, nothing_is_given_before_something_of_the_term_is_committed)
{
    everybody_hears();
    cr_assert(!give(2, FIRST - 1, FIRST));
    cr_assert(give(2, FIRST, FIRST));
}

Test(grants, nothing_is_given_once_the_leadership_is_being_given_away)
{
    everybody_hears();
    grants_give_away(&grants, 2);
    cr_assert(!give(2, FIRST, FIRST));
    cr_assert_eq(grants_own_end(&grants, now), 0);
    cr_assert_eq(grants_promised(&grants, now), 0);
}

Test(grants, a_term_later_it_is_not_given_away_any_more)
{
    grants_give_away(&grants, 2);
    grants_end(&grants);
    lead(false);
    everybody_hears();
    cr_assert_neq(grants_own_end(&grants, now), 0);
}

Test(grants, what_was_echoed_in_another_term_does_not_count)
{
    everybody_hears();
    grants_end(&grants);
    lead(false);
    cr_assert_eq(grants_confirmed(&grants, now), 0);
}

Test(grants, who_led_votes_for_nobody_while_its_grants_rest_on_it)
{
    grants_heard(&grants, 2, now - 5, now);
    cr_assert_eq(grants_promised(&grants, now), now - 5 + timing.promise_ns);
    grants_end(&grants);
    cr_assert_eq(grants_promised(&grants, now), 0);
    cr_assert_eq(grants_own_end(&grants, now), 0);
}

Test(grants, who_was_never_confirmed_may_vote)
{
    cr_assert_eq(grants_promised(&grants, now), 0);
}

Test(grants, without_a_promise_there_are_no_leases)
{
    timing.promise_ns = 0;
    grants_init(&grants, 1, &timing);
    set_members(1, 0);
    lead(false);
    cr_assert_eq(grants_own_end(&grants, now), 0);
}

/* --- grants --- */

Test(grants, a_grant_answers_the_question_with_the_commit_index)
{
    struct lease_grant grant;
    struct lease_want want = want_of(2);
    everybody_hears();
    cr_assert(!grants_wants(&grants, 2));
    grants_asked(&grants, 2, &want);
    cr_assert(grants_wants(&grants, 2));
    cr_assert(grants_give(&grants, 2, FIRST + 1, FIRST + 2, now, &grant));
    cr_assert_eq(grant.want.time, want.time);
    cr_assert_eq(grant.want.life, want.life);
    cr_assert_eq(grant.duration_ns, timing.duration_ns);
    cr_assert_eq(grant.commit, FIRST + 1);
}

Test(grants, a_question_is_answered_once)
{
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    cr_assert(!grants_wants(&grants, 2));
    cr_assert(!grants_wants(&grants, 3));
    cr_assert(!grants_wants(&grants, 9));
}

Test(grants, a_message_that_asks_for_nothing_is_no_question)
{
    struct lease_want none = {0}, want = want_of(9);
    grants_asked(&grants, 2, &none);
    grants_asked(&grants, 9, &want);
    cr_assert(!grants_wants(&grants, 2));
    cr_assert(!grants_wants(&grants, 9));
}

Test(grants, a_member_that_is_far_behind_gets_none)
{
    everybody_hears();
    cr_assert(!give(2, FIRST, FIRST + GRANTS_BEHIND_MAX + 1));
    cr_assert(give(2, FIRST, FIRST + GRANTS_BEHIND_MAX));
}

Test(grants, a_member_that_has_acknowledged_nothing_gets_none)
{
    everybody_hears();
    grants_acknowledged(&grants, 2, 0);
    cr_assert(!give(2, FIRST, FIRST));
}

/* --- the limit --- */

Test(grants, without_a_holder_there_is_no_limit)
{
    cr_assert(!grants_hold_back(&grants, now));
    cr_assert_eq(grants_limit(&grants, now), GRANTS_NO_LIMIT);
    cr_assert_eq(grants_holders(&grants, now), 0);
}

Test(grants, nothing_passes_what_a_holder_has_acknowledged)
{
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    grants_acknowledged(&grants, 1, FIRST + 5);
    grants_acknowledged(&grants, 3, FIRST + 5);
    grants_acknowledged(&grants, 9, 0);
    cr_assert(grants_hold_back(&grants, now));
    cr_assert_eq(grants_holders(&grants, now), 1);
    cr_assert_eq(grants_limit(&grants, now), FIRST);
    grants_acknowledged(&grants, 2, FIRST + 3);
    cr_assert_eq(grants_limit(&grants, now), FIRST + 3);
    cr_assert_eq(grants_majority_index(&grants), FIRST + 5);
}

Test(grants, the_slowest_holder_counts)
{
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    cr_assert(give(3, FIRST, FIRST));
    grants_acknowledged(&grants, 2, FIRST + 3);
    grants_acknowledged(&grants, 3, FIRST + 2);
    cr_assert_eq(grants_limit(&grants, now), FIRST + 2);
}

Test(grants, a_learner_that_holds_one_counts)
{
    set_members(3, 1);
    everybody_hears();
    grants_acknowledged(&grants, 4, FIRST);
    cr_assert(give(4, FIRST, FIRST));
    cr_assert_eq(grants_limit(&grants, now), FIRST);
}

Test(grants, a_silent_holder_is_waited_for_until_its_grant_is_over)
{
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    now += timing.duration_ns - 1;
    cr_assert_eq(grants_limit(&grants, now), FIRST);
    now++;
    cr_assert_eq(grants_limit(&grants, now), GRANTS_NO_LIMIT);
    cr_assert(!grants_hold_back(&grants, now));
}

Test(grants, a_holder_stays_one_when_others_join)
{
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    set_members(4, 0);
    cr_assert_eq(grants_limit(&grants, now), FIRST);
}

Test(grants, a_new_leader_waits_for_all_for_the_length_of_a_lease)
{
    grants_end(&grants);
    lead(false);
    for (uint64_t id = 1; id <= 3; id++)
        grants_acknowledged(&grants, id, FIRST + id);
    cr_assert(grants_hold_back(&grants, now));
    cr_assert_eq(grants_limit(&grants, now), FIRST + 2);
    now += timing.duration_ns - 1;
    cr_assert_eq(grants_limit(&grants, now), FIRST + 2);
    now++;
    cr_assert_eq(grants_limit(&grants, now), GRANTS_NO_LIMIT);
}

Test(grants, a_new_leader_does_not_wait_for_one_who_holds_nothing_of_before)
{
    lead(false);
    grants_free(&grants, 2);
    grants_acknowledged(&grants, 2, 1);
    grants_acknowledged(&grants, 3, FIRST);
    cr_assert_eq(grants_limit(&grants, now), FIRST);
    cr_assert_eq(grants_holders(&grants, now), 1);
    grants_free(&grants, 3);
    cr_assert_eq(grants_limit(&grants, now), GRANTS_NO_LIMIT);
    lead(false);
    grants_acknowledged(&grants, 2, 1);
    cr_assert_eq(grants_limit(&grants, now), 0);
}

Test(grants, one_who_held_nothing_of_before_is_waited_for_when_it_is_given_one)
{
    lead(false);
    grants_free(&grants, 2);
    grants_free(&grants, 3);
    grants_acknowledged(&grants, 2, FIRST);
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    cr_assert_eq(grants_limit(&grants, now), FIRST);
}

Test(grants, a_new_leader_that_may_not_know_all_commits_nothing_for_as_long)
{
    grants_end(&grants);
    lead(true);
    for (uint64_t id = 1; id <= 3; id++)
        grants_acknowledged(&grants, id, FIRST + id);
    cr_assert_eq(grants_limit(&grants, now), FIRST - 1);
    now += timing.duration_ns;
    cr_assert_eq(grants_limit(&grants, now), GRANTS_NO_LIMIT);
}

Test(grants, who_leads_no_more_holds_nobody_back)
{
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    grants_end(&grants);
    cr_assert(!grants_hold_back(&grants, now));
    cr_assert_eq(grants_holders(&grants, now), 0);
    cr_assert(!grants_wants(&grants, 2));
}

/* --- who holds the others up --- */

/* Member 2 has a grant and lacks an entry that the others have. */
static void keep_waiting(void)
{
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST));
    grants_acknowledged(&grants, 1, FIRST + 1);
    grants_acknowledged(&grants, 3, FIRST + 1);
    grants_tick(&grants, now);
}

Test(grants, who_is_waited_for_too_long_gets_no_new_one_for_a_while)
{
    keep_waiting();
    now += timing.duration_ns / GRANTS_PATIENCE_PART + 1;
    grants_tick(&grants, now);
    everybody_hears();
    cr_assert(!give(2, FIRST, FIRST + 1));
    cr_assert(give(3, FIRST, FIRST + 1));
    now += GRANTS_SUSPENDED_DURATIONS * timing.duration_ns;
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST + 1));
}

Test(grants, who_is_waited_for_a_moment_is_not_punished)
{
    keep_waiting();
    now += timing.duration_ns / GRANTS_PATIENCE_PART;
    grants_tick(&grants, now);
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST + 1));
}

Test(grants, who_acknowledges_is_not_punished_for_what_came_since)
{
    keep_waiting();
    now += timing.duration_ns / GRANTS_PATIENCE_PART;
    grants_acknowledged(&grants, 1, FIRST + 2);
    grants_acknowledged(&grants, 3, FIRST + 2);
    grants_acknowledged(&grants, 2, FIRST + 1);
    grants_tick(&grants, now);
    now += TICK;
    grants_tick(&grants, now);
    grants_acknowledged(&grants, 2, FIRST + 2);
    grants_tick(&grants, now);
    now += timing.duration_ns / GRANTS_PATIENCE_PART + 1;
    grants_tick(&grants, now);
    everybody_hears();
    cr_assert(give(2, FIRST, FIRST + 2));
}
