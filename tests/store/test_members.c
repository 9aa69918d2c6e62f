/* Members that leave, come back empty or say what cannot be: the others go on. */
#include "cluster.h"

#include "raftstore/err.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS     20000
#define REMOVE_FDS_MAX 16

static struct cluster cluster;

static void release(void)
{
    cluster_release(&cluster);
}

TestSuite(members, .fini = release, .timeout = 120);

static int change(enum member_change_kind kind, size_t i, struct err *e)
{
    struct member_op what = {.kind = kind};
    snprintf(what.name, sizeof(what.name), "%s", cluster.slots[i].name);
    return cluster_change_members(&cluster, &what, TIMEOUT_MS, e);
}

Test(members, of_two_the_one_that_stays_serves_when_the_leader_is_removed)
{
    struct err e = {0};
    cluster_init(&cluster, 2);
    cluster_start_all(&cluster);
    size_t leader = cluster_leader(&cluster, 0), other = 1 - leader;
    cr_assert_eq(cluster_put(&cluster, other, "before", "1", TIMEOUT_MS), 0);
    cr_assert_eq(change(MEMBER_REMOVE, leader, &e), 0, "%s", e.text);
    cr_assert(cluster_wait_gone(&cluster, leader, TIMEOUT_MS));
    cluster_stop(&cluster, leader);
    cr_assert_eq(cluster_put(&cluster, other, "after", "2", TIMEOUT_MS), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

Test(members, one_whose_disk_was_wiped_is_told_so_and_does_no_harm)
{
    char dir[CLUSTER_DIR_MAX + CLUSTER_NAME_MAX + 2], key[16];
    cluster_init(&cluster, 3);
    cluster_start_all(&cluster);
    size_t wiped = (cluster_leader(&cluster, 0) + 1) % 3, other = (wiped + 1) % 3;
    cr_assert_eq(cluster_put(&cluster, other, "before", "1", TIMEOUT_MS), 0);
    cr_assert(cluster_wait_equal(&cluster, TIMEOUT_MS));
    cluster_stop(&cluster, wiped);
    snprintf(dir, sizeof(dir), "%s/%s", cluster.dir, cluster.slots[wiped].name);
    cr_assert_eq(nftw(dir, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS), 0);
    cluster_start(&cluster, wiped);
    cr_assert(cluster_wait_gone(&cluster, wiped, TIMEOUT_MS));
    cr_assert_eq(atomic_load(&cluster.slots[wiped].gone), KE_WIPED);
    /* The leader goes on talking to it, of entries that it does not have. */
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        cr_assert_eq(cluster_put(&cluster, other, key, key, TIMEOUT_MS), 0);
    }
    cr_assert_eq(cluster_put(&cluster, wiped, "lost", "1", 500), KE_WIPED);
}

Test(members, a_change_that_would_leave_no_majority_is_refused)
{
    struct err e = {0};
    cluster_init(&cluster, 1);
    cluster_start_all(&cluster);
    size_t learner = cluster_add_slot(&cluster, true);
    cr_assert_eq(cluster_join(&cluster, learner), 0);
    cr_assert(cluster_wait_role(&cluster, learner, MEMBER_LEARNER, TIMEOUT_MS));
    cluster_stop(&cluster, learner);
    struct store_status status;
    do {
        cluster_pause();
        cr_assert(cluster_status(&cluster, 0, &status));
    } while (status.members[1].active);
    struct member_op what = {.kind = MEMBER_PROMOTE};
    snprintf(what.name, sizeof(what.name), "%s", cluster.slots[learner].name);
    /* It says busy, which is asked again until the time is over. */
    cr_assert_neq(cluster_change_members(&cluster, &what, 1000, &e), 0);
    cr_assert(cluster_status(&cluster, 0, &status));
    cr_assert_eq(status.members[1].role, MEMBER_LEARNER);
    cr_assert_eq(cluster_put(&cluster, 0, "k", "v", TIMEOUT_MS), 0);
    cr_assert_eq(change(MEMBER_REMOVE, learner, &e), 0, "%s", e.text);
}

static void join_as_voter(size_t i)
{
    cr_assert_eq(cluster_join(&cluster, i), 0);
    cr_assert(cluster_wait_role(&cluster, i, MEMBER_VOTER, TIMEOUT_MS));
}

/* One that founded its cluster alone leads from its first tick on: whatever it does once in
 * an election timeout falls on the tick at which the core asks who is active, and has no
 * answer yet. */
Test(members, a_founder_that_leads_is_replaced)
{
    struct err e = {0};
    struct member_op what = {.kind = MEMBER_REPLACE};
    cluster_init(&cluster, 1);
    cluster_start_all(&cluster);
    join_as_voter(cluster_add_slot(&cluster, false));
    size_t third = cluster_add_slot(&cluster, false);
    snprintf(what.name, sizeof(what.name), "%s", cluster.slots[third].name);
    snprintf(what.address, sizeof(what.address), "%s", cluster.slots[third].address);
    snprintf(what.old_name, sizeof(what.old_name), "%s", cluster.slots[0].name);
    cr_assert_eq(cluster_change_members(&cluster, &what, TIMEOUT_MS, &e), 0, "%s", e.text);
    join_as_voter(third);
    cr_assert(cluster_wait_gone(&cluster, 0, TIMEOUT_MS));
}
