/* Read leases: docs/decisions/0009-read-leases.md. No read is ever stale, whatever happens to
 * the cluster, and nobody holds the others up for longer than a lease. */
#include "cluster.h"
#include "random.h"
#include "registers.h"

#include "raftstore/err.h"
#include "raftstore/touch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS  1000000ull
#define TIMEOUT_MS 10000
/* Ten ticks of the default length. */
#define LEASE_MS 500

static struct cluster cluster;

static void three_stores(void)
{
    cluster_init(&cluster, 3);
    cluster_start_all(&cluster);
}

static void release(void)
{
    cluster_release(&cluster);
}

TestSuite(leases, .init = three_stores, .fini = release, .timeout = 180);

static void sleep_ms(unsigned ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static uint64_t since_ms(uint64_t start)
{
    return (clock_ns() - start) / NS_PER_MS;
}

/* Some store that does not lead. */
static size_t follower_of(size_t leader)
{
    return (leader + 1) % 3;
}

static void wait_for_leases(void)
{
    for (size_t i = 0; i < 3; i++)
        cr_assert(cluster_wait_lease(&cluster, i, TIMEOUT_MS));
}

static void assert_found(size_t i, const char *path, enum cluster_source source)
{
    struct attr attr;
    enum cluster_source from;
    cr_assert_eq(cluster_stat_leased(&cluster, i, path, &attr, TIMEOUT_MS, &from), 0);
    cr_assert_eq(from, source, "store %zu reads %s from %d", i, path, (int)from);
}

Test(leases, a_node_with_a_lease_answers_without_a_word_to_anybody)
{
    cr_assert_eq(cluster_put(&cluster, 0, "f", "x", TIMEOUT_MS), 0);
    wait_for_leases();
    for (size_t i = 0; i < 3; i++) {
        cluster_isolate(&cluster, i);
        assert_found(i, "f", CLUSTER_FROM_LEASE);
        assert_found(i, "f", CLUSTER_FROM_CACHE);
        cluster_heal(&cluster);
        wait_for_leases();
    }
}

Test(leases, a_node_that_hears_nobody_has_no_lease_in_the_end)
{
    wait_for_leases();
    size_t reader = follower_of(cluster_leader(&cluster, 0));
    cluster_isolate(&cluster, reader);
    sleep_ms(LEASE_MS);
    uint64_t root = touch_key("", 0);
    cr_assert_eq(store_current_until(cluster.stores[reader], &root, 1), 0);
}

Test(leases, a_silent_holder_stops_writes_until_its_lease_is_over)
{
    size_t leader = cluster_leader(&cluster, 0);
    size_t reader = follower_of(leader);
    cr_assert_eq(cluster_put(&cluster, leader, "f", "x", TIMEOUT_MS), 0);
    cr_assert(cluster_wait_lease(&cluster, reader, TIMEOUT_MS));
    cluster_isolate(&cluster, reader);
    uint64_t until = store_current_until(cluster.stores[reader], &(uint64_t){touch_key("f", 1)}, 1);
    uint64_t start = clock_ns();
    cr_assert_eq(cluster_put(&cluster, leader, "f", "y", TIMEOUT_MS), 0);
    cr_assert_gt(clock_ns(), until);
    cr_assert_lt(since_ms(start), 2 * LEASE_MS);
    /* From now on it is not waited for. */
    start = clock_ns();
    cr_assert_eq(cluster_put(&cluster, leader, "f", "z", TIMEOUT_MS), 0);
    cr_assert_lt(since_ms(start), LEASE_MS / 2);
}

Test(leases, nobody_is_waited_for_when_nobody_reads)
{
    size_t leader = cluster_leader(&cluster, 0);
    cr_assert_eq(cluster_put(&cluster, leader, "f", "x", TIMEOUT_MS), 0);
    sleep_ms(2 * LEASE_MS);
    struct store_status status;
    cr_assert(cluster_status(&cluster, leader, &status));
    cr_assert_eq(status.lease_holders, 0);
    cr_assert_eq(status.lease_until_ns, 0);
    cluster_isolate(&cluster, follower_of(leader));
    uint64_t start = clock_ns();
    cr_assert_eq(cluster_put(&cluster, leader, "f", "y", TIMEOUT_MS), 0);
    cr_assert_lt(since_ms(start), LEASE_MS / 2);
}

Test(leases, the_status_tells_of_leases_and_of_what_they_hold_back)
{
    wait_for_leases();
    size_t leader = cluster_leader(&cluster, 0);
    size_t reader = follower_of(leader);
    struct store_status status = {0};
    for (unsigned i = 0;
         i < TIMEOUT_MS && (status.lease_holders != 2 || status.lease_until_ns == 0); i++) {
        wait_for_leases();
        cr_assert(cluster_status(&cluster, leader, &status));
        cluster_pause();
    }
    cr_assert_eq(status.lease_holders, 2);
    cr_assert_gt(status.lease_until_ns, clock_ns());
    cluster_isolate(&cluster, reader);
    (void)cluster_put(&cluster, leader, "f", "y", LEASE_MS / 3);
    uint64_t held_back = 0;
    for (unsigned i = 0; i < LEASE_MS && held_back == 0; i++) {
        cr_assert(cluster_status(&cluster, leader, &status));
        held_back = status.lease_held_back;
        sleep_ms(1);
    }
    cr_assert_gt(held_back, 0);
}

Test(leases, a_slow_member_loses_its_lease_and_the_others_go_on)
{
    size_t leader = cluster_leader(&cluster, 0);
    size_t slow = follower_of(leader);
    cr_assert_eq(cluster_put(&cluster, leader, "f", "x", TIMEOUT_MS), 0);
    cr_assert(cluster_wait_lease(&cluster, slow, TIMEOUT_MS));
    atomic_store(&cluster.slots[slow].stall_ms, 250);
    uint64_t start = clock_ns(), last = 0;
    unsigned writes = 0;
    struct attr attr;
    enum cluster_source source;
    for (; since_ms(start) < 4 * LEASE_MS; writes++) {
        uint64_t begin = clock_ns();
        cr_assert_eq(cluster_put(&cluster, leader, "f", "y", TIMEOUT_MS), 0);
        last = since_ms(begin);
        /* It goes on asking for one. */
        (void)store_current_until(cluster.stores[slow], &(uint64_t){touch_key("f", 1)}, 1);
    }
    cr_assert_gt(writes, 50);
    cr_assert_lt(last, LEASE_MS / 2);
    atomic_store(&cluster.slots[slow].stall_ms, 0);
    cr_assert_eq(cluster_stat_leased(&cluster, slow, "f", &attr, TIMEOUT_MS, &source), 0);
}

Test(leases, a_member_that_joins_gets_one_and_one_that_is_removed_has_none)
{
    size_t added = cluster_add_slot(&cluster, false);
    struct member_op remove = {.kind = MEMBER_REMOVE};
    wait_for_leases();
    cr_assert_eq(cluster_join(&cluster, added), 0);
    cr_assert(cluster_wait_role(&cluster, added, MEMBER_VOTER, 3 * TIMEOUT_MS));
    cr_assert(cluster_wait_lease(&cluster, added, TIMEOUT_MS));
    snprintf(remove.name, sizeof(remove.name), "%s", cluster.slots[added].name);
    cr_assert_eq(cluster_change_members(&cluster, &remove, TIMEOUT_MS, NULL), 0);
    cr_assert_eq(cluster_put(&cluster, 0, "f", "y", TIMEOUT_MS), 0);
    cr_assert_eq(store_current_until(cluster.stores[added], &(uint64_t){touch_key("", 0)}, 1), 0);
}

Test(leases, a_change_of_members_that_came_to_nothing_ends_no_lease_for_good)
{
    struct member_op add = {.kind = MEMBER_ADD_LEARNER, .name = "n9", .address = "127.0.0.1:1"};
    size_t leader = cluster_leader(&cluster, 0);
    cr_assert_eq(cluster_put(&cluster, leader, "f", "x", TIMEOUT_MS), 0);
    cluster_isolate(&cluster, leader);
    /* Behind two writes, so that it is past the end of the log that the others go on with. */
    cr_assert_eq(cluster_put(&cluster, leader, "f", "y", 1), KE_TIMEOUT);
    cr_assert_eq(cluster_put(&cluster, leader, "f", "z", 1), KE_TIMEOUT);
    cr_assert_neq(cluster_change_members(&cluster, &add, LEASE_MS / 10, NULL), 0);
    cr_assert_neq(cluster_leader(&cluster, follower_of(leader)), CLUSTER_STORES_MAX);
    struct store_status status = {.leader_id = 0};
    uint64_t term = 0;
    for (unsigned i = 0; i < TIMEOUT_MS && (term == 0 || status.term == term); i++) {
        cr_assert(cluster_status(&cluster, follower_of(leader), &status));
        term = term == 0 ? status.term : term;
        cluster_pause();
    }
    cr_assert_eq(cluster_barrier(&cluster, follower_of(leader), TIMEOUT_MS), 0);
    cluster_heal(&cluster);
    wait_for_leases();
}

Test(leases, a_leader_that_gives_the_leadership_away_has_no_lease)
{
    bool ended_early = false;
    for (unsigned round = 0; round < 10 && !ended_early; round++) {
        size_t leader = cluster_leader(&cluster, round % 3);
        wait_for_leases();
        leader = cluster_leader(&cluster, leader);
        /* It hears nothing of what comes of it. */
        cluster_silence(&cluster, follower_of(leader), leader);
        cluster_silence(&cluster, follower_of(follower_of(leader)), leader);
        uint64_t root = touch_key("", 0);
        uint64_t until = store_current_until(cluster.stores[leader], &root, 1);
        (void)cluster_transfer_leader(&cluster, cluster.slots[follower_of(leader)].name, 1);
        while (clock_ns() < until && !ended_early)
            ended_early = store_current_until(cluster.stores[leader], &root, 1) == 0;
        ended_early = ended_early && clock_ns() < until;
        cluster_heal(&cluster);
    }
    cr_assert(ended_early);
}

/* The chosen one hears nothing of it, and could yet be elected by a message that is late. */
Test(leases, there_are_leases_again_after_a_transfer_that_came_to_nothing)
{
    wait_for_leases();
    size_t leader = cluster_leader(&cluster, 0);
    size_t target = follower_of(leader);
    struct store_status before, after;
    cr_assert(cluster_status(&cluster, leader, &before));
    cluster_silence(&cluster, leader, target);
    cr_assert_neq(cluster_transfer_leader(&cluster, cluster.slots[target].name, TIMEOUT_MS), 0);
    cluster_heal(&cluster);
    uint64_t start = clock_ns();
    do {
        cluster_pause();
        cr_assert(cluster_status(&cluster, leader, &after));
    } while (after.term == before.term && since_ms(start) < TIMEOUT_MS);
    cr_assert_gt(after.term, before.term);
    wait_for_leases();
}

/* Waits until another store than `lost` leads; its status of then. */
static void await_other_leader(size_t lost, struct store_status *ret_status)
{
    size_t leader;
    do {
        leader = cluster_leader(&cluster, follower_of(lost));
        cr_assert(cluster_status(&cluster, leader, ret_status));
        cluster_pause();
    } while (leader == lost || strcmp(ret_status->role, "leader") != 0);
}

/* What it answered from itself was over before another could be elected. */
Test(leases, a_leader_that_is_lost_is_not_waited_for_beside_its_election)
{
    struct store_status before, after = {0};
    bool was_next = false;
    for (unsigned round = 0; round < 10 && !was_next; round++) {
        wait_for_leases();
        size_t lost = cluster_leader(&cluster, 0);
        cr_assert(cluster_status(&cluster, lost, &before));
        sleep_ms(2 * LEASE_MS);
        cluster_isolate(&cluster, lost);
        await_other_leader(lost, &after);
        was_next = after.term == before.term + 1;
        cluster_heal(&cluster);
    }
    cr_assert(was_next);
    cr_assert_leq(after.lease_holders, 1);
}

/* --- no read is stale --- */

static struct registers registers;

static void begin_reads_and_writes(void)
{
    cr_assert(registers_start(&registers, &cluster, random_seed("KEELFS_TEST_SEED")));
}

static void end_reads_and_writes(void)
{
    cluster_heal(&cluster);
    sleep_ms(2 * LEASE_MS);
    cr_assert(registers_stop(&registers));
    cr_assert_gt(registers.reads[CLUSTER_FROM_CACHE], 0);
    cr_assert_gt(registers.reads[CLUSTER_FROM_LEASE], 0);
}

Test(leases, no_read_is_stale_in_peace)
{
    begin_reads_and_writes();
    sleep_ms(4 * LEASE_MS);
    end_reads_and_writes();
}

Test(leases, no_read_is_stale_when_the_leader_is_cut_off)
{
    begin_reads_and_writes();
    for (unsigned round = 0; round < 4; round++) {
        size_t leader = cluster_leader(&cluster, round % 3);
        cluster_isolate(&cluster, leader);
        sleep_ms(3 * LEASE_MS);
        cluster_heal(&cluster);
        sleep_ms(LEASE_MS);
    }
    end_reads_and_writes();
}

Test(leases, no_read_is_stale_when_messages_go_one_way)
{
    begin_reads_and_writes();
    for (unsigned round = 0; round < 6; round++) {
        size_t leader = cluster_leader(&cluster, round % 3);
        if (round % 2 == 0)
            cluster_silence(&cluster, leader, follower_of(leader));
        else
            cluster_silence(&cluster, follower_of(leader), leader);
        sleep_ms(2 * LEASE_MS);
        cluster_heal(&cluster);
        sleep_ms(LEASE_MS / 2);
    }
    end_reads_and_writes();
}

Test(leases, no_read_is_stale_when_the_leadership_moves)
{
    begin_reads_and_writes();
    for (unsigned round = 0; round < 12; round++) {
        (void)cluster_transfer_leader(&cluster, cluster.slots[round % 3].name, TIMEOUT_MS);
        sleep_ms(LEASE_MS / 2);
    }
    end_reads_and_writes();
}

Test(leases, no_read_is_stale_when_messages_are_late)
{
    begin_reads_and_writes();
    for (unsigned round = 0; round < 3; round++) {
        cluster_delay(&cluster, round, round == 0 ? LEASE_MS / 10 : LEASE_MS / 3);
        sleep_ms(3 * LEASE_MS);
        cluster_heal(&cluster);
    }
    end_reads_and_writes();
}

Test(leases, no_read_is_stale_when_the_raft_thread_stands_still)
{
    begin_reads_and_writes();
    for (unsigned round = 0; round < 4; round++) {
        size_t slot = round % 2 == 0 ? cluster_leader(&cluster, round % 3) : round % 3;
        atomic_store(&cluster.slots[slot].stall_ms, 2 * LEASE_MS);
        sleep_ms(LEASE_MS);
        atomic_store(&cluster.slots[slot].stall_ms, 0);
        sleep_ms(3 * LEASE_MS);
    }
    end_reads_and_writes();
}

Test(leases, no_read_is_stale_when_stores_start_anew)
{
    begin_reads_and_writes();
    for (unsigned round = 0; round < 4; round++) {
        size_t slot = round % 2 == 0 ? cluster_leader(&cluster, 0) : round % 3;
        cluster_stop(&cluster, slot);
        sleep_ms(round < 2 ? 3 * LEASE_MS : 0);
        cluster_start(&cluster, slot);
        sleep_ms(LEASE_MS);
    }
    end_reads_and_writes();
}

Test(leases, no_read_is_stale_when_members_come_and_go)
{
    begin_reads_and_writes();
    for (unsigned round = 0; round < 2; round++) {
        struct member_op remove = {.kind = MEMBER_REMOVE};
        size_t added = cluster_add_slot(&cluster, round == 1);
        cr_assert_eq(cluster_join(&cluster, added), 0);
        cr_assert(cluster_wait_role(&cluster, added, round == 0 ? MEMBER_VOTER : MEMBER_LEARNER,
                                    3 * TIMEOUT_MS));
        sleep_ms(LEASE_MS);
        snprintf(remove.name, sizeof(remove.name), "%s", cluster.slots[added].name);
        cr_assert_eq(cluster_change_members(&cluster, &remove, TIMEOUT_MS, NULL), 0);
        sleep_ms(LEASE_MS);
        cluster_stop(&cluster, added);
    }
    end_reads_and_writes();
}
