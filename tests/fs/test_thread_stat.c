/* What the system tells of a thread. */
#include "fs/thread_stat.h"

#include <criterion/criterion.h>
#include <grp.h>
#include <unistd.h>

Test(thread_stat, a_thread_has_the_groups_it_was_given_and_no_others)
{
    const gid_t groups[] = {7, 70000, 700};

    cr_assert_eq(setgroups(3, groups), 0);
    for (size_t i = 0; i < 3; i++)
        cr_assert(thread_has_group(gettid(), groups[i]));
    cr_assert_not(thread_has_group(gettid(), 70));
    cr_assert_not(thread_has_group(gettid(), 0));
    cr_assert_eq(setgroups(0, NULL), 0);
    cr_assert_not(thread_has_group(gettid(), 7));
}

/* A list that is longer than any buffer one would think of. */
Test(thread_stat, the_last_of_very_many_groups_counts)
{
    enum { COUNT = 60000 };
    static gid_t groups[COUNT];

    for (gid_t i = 0; i < COUNT; i++)
        groups[i] = 100000 + i;
    cr_assert_eq(setgroups(COUNT, groups), 0);
    cr_assert(thread_has_group(gettid(), 100000 + COUNT - 1));
    cr_assert_not(thread_has_group(gettid(), 100000 + COUNT));
}

Test(thread_stat, nothing_is_known_of_who_does_not_exist)
{
    struct thread_stat stat;

    cr_assert_not(thread_has_group(0, 0));
    cr_assert_not(thread_stat_read(0, &stat));
}
