/* The way back in a listing whose names come and go. */
#include "fs/dir_trail.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct dir_trail trail;
static struct dir_place place;

static void teardown(void)
{
    dir_trail_clear(&trail);
}

TestSuite(dir_trail, .fini = teardown);

static const char *numbered(int i)
{
    static char names[2][16];
    static int turn;

    turn = 1 - turn;
    (void)snprintf(names[turn], sizeof(names[turn]), "n%07d", i);
    return names[turn];
}

/* Lists the names from..to. */
static void list(int from, int to)
{
    for (int i = from; i <= to; i++)
        dir_trail_add(&trail, i == 0 ? "" : numbered(i - 1), numbered(i));
}

static void assert_place_of(int i)
{
    cr_assert(dir_trail_find(&trail, dir_cookie(numbered(i)), &place), "%d", i);
    cr_assert_lt(strcmp(place.after, numbered(i)), 0);
    cr_assert_geq(strcmp(place.last, numbered(i)), 0);
    cr_assert_eq(place.cookies[place.count - 1], dir_cookie(numbered(i)));
}

Test(dir_trail, a_cookie_is_positive_and_no_dot)
{
    for (int i = 0; i < 10000; i++) {
        cr_assert_gt(dir_cookie(numbered(i)), DIR_COOKIE_DOT_DOT);
        cr_assert_leq(dir_cookie(numbered(i)), (uint64_t)INT64_MAX);
    }
    cr_assert_neq(dir_cookie("a"), dir_cookie("b"));
}

Test(dir_trail, an_empty_one_knows_no_place)
{
    cr_assert_not(dir_trail_find(&trail, dir_cookie("a"), &place));
}

Test(dir_trail, each_name_that_was_listed_has_a_place_between_its_neighbours)
{
    list(0, 999);
    for (int i = 0; i < 1000; i++)
        assert_place_of(i);
    cr_assert_not(dir_trail_find(&trail, dir_cookie(numbered(1000)), &place));
}

Test(dir_trail, a_place_has_the_names_in_front_of_it_and_no_other)
{
    list(0, 9);
    assert_place_of(4);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(dir_place_has(&place, dir_cookie(numbered(i))), i <= 4);
}

Test(dir_trail, what_is_listed_again_takes_no_room)
{
    list(0, 60);
    for (int i = 0; i < 100; i++)
        list(20, 60);
    cr_assert_eq(trail.count, 1);
    list(61, 70);
    cr_assert_eq(trail.count, 1);
    for (int i = 0; i <= 70; i++)
        assert_place_of(i);
}

Test(dir_trail, a_jump_keeps_what_was_listed_before_it)
{
    list(0, 300);
    list(100, 120);
    list(500, 520);
    for (int i = 0; i <= 300; i++)
        assert_place_of(i);
    for (int i = 500; i <= 520; i++)
        assert_place_of(i);
}

Test(dir_trail, a_name_that_came_later_has_its_place_beside_those_of_before)
{
    list(0, 10);
    dir_trail_add(&trail, numbered(3), "n0000003x");
    dir_trail_add(&trail, "n0000003x", numbered(4));
    cr_assert(dir_trail_find(&trail, dir_cookie("n0000003x"), &place));
    cr_assert_str_eq(place.after, numbered(3));
    for (int i = 0; i <= 10; i++)
        assert_place_of(i);
}

Test(dir_trail, only_the_last_places_of_very_many_are_kept)
{
    const int kept = DIR_TRAIL_GROUPS_MAX * DIR_TRAIL_GROUP_ENTRIES;

    list(0, kept + 999);
    cr_assert_eq(trail.count, DIR_TRAIL_GROUPS_MAX);
    assert_place_of(kept + 999);
    assert_place_of(2000);
    cr_assert_not(dir_trail_find(&trail, dir_cookie(numbered(0)), &place));
}
