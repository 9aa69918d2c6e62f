/* What the kernel was given, and is to be taken back from it. */
#include "fs/given.h"
#include "raftstore/touch.h"

#include <criterion/criterion.h>
#include <string.h>

static struct given given;

static void setup(void)
{
    given_init(&given);
}

static void teardown(void)
{
    given_release(&given);
}

TestSuite(given, .init = setup, .fini = teardown);

static uint64_t key_of(const char *path)
{
    return touch_key(path, strlen(path));
}

static struct given_look look_at(const char *path)
{
    return given_begin(&given, key_of(path));
}

/* As a lookup of that name. */
static bool ask(const char *path)
{
    const struct given_look look = look_at(path);

    return given_name(&given, &look);
}

static bool touch(const char *path, uint64_t mark)
{
    const uint64_t key = key_of(path) | mark;

    return given_touch(&given, &key, 1);
}

static size_t take(uint64_t key)
{
    uint64_t ids[GIVEN_TAKE_MAX];

    return given_take(&given, key, ids);
}

/* --- names --- */

Test(given, a_name_is_given_when_it_is_asked_for_again)
{
    cr_assert_not(ask("f"));
    cr_assert(ask("f"));
    cr_assert(ask("f"));
    cr_assert_not(ask("g"));
}

Test(given, names_are_dropped_only_for_one_that_was_given)
{
    cr_assert_not(touch("f", TOUCH_NAMES));
    ask("f");
    cr_assert_not(touch("f", TOUCH_NAMES));
    ask("f");
    ask("f");
    cr_assert(touch("f", TOUCH_NAMES));
    cr_assert_not(touch("f", TOUCH_NAMES));
}

Test(given, a_look_from_before_a_drop_forgets_nothing_that_was_given_since)
{
    const struct given_look late = look_at("f");

    ask("g");
    ask("g");
    cr_assert(touch("g", TOUCH_NAMES));
    ask("f");
    cr_assert(ask("f"));
    cr_assert_not(given_name(&given, &late));
    cr_assert(touch("f", TOUCH_NAMES));
}

Test(given, a_name_that_comes_and_goes_is_not_given)
{
    for (int i = 0; i < 10; i++) {
        cr_assert_not(ask("lock"));
        cr_assert_not(touch("lock", TOUCH_NAMES));
    }
}

Test(given, a_change_of_attributes_drops_no_names)
{
    ask("f");
    ask("f");
    cr_assert_not(touch("f", 0));
    cr_assert(touch("f", TOUCH_NAMES));
}

Test(given, none_counts_as_given_when_all_are_dropped)
{
    ask("f");
    ask("f");
    ask("g");
    ask("g");
    cr_assert(touch("f", TOUCH_NAMES));
    cr_assert_not(touch("g", TOUCH_NAMES));
    cr_assert_not(ask("f"));
    cr_assert(ask("f"));
}

Test(given, a_name_that_went_with_others_is_given_when_it_is_asked_for)
{
    ask("f");
    ask("f");
    ask("g");
    ask("g");
    ask("h");
    cr_assert(touch("f", TOUCH_NAMES));
    cr_assert(ask("g"));
    cr_assert(ask("h"));
    cr_assert(touch("g", TOUCH_NAMES));
    cr_assert_not(ask("g"));
    cr_assert(ask("h"));
}

Test(given, what_touches_everything_drops_all_names)
{
    const uint64_t everything = TOUCH_EVERYTHING;

    cr_assert(given_touch(&given, &everything, 1));
}

Test(given, a_name_that_was_touched_during_the_look_is_not_given)
{
    ask("f");
    ask("f");
    const struct given_look look = look_at("f");
    touch("f", 0);
    cr_assert_not(given_name(&given, &look));
    cr_assert(ask("f"));
}

Test(given, nothing_is_given_when_everything_was_touched_during_the_look)
{
    const uint64_t everything = TOUCH_EVERYTHING;

    ask("f");
    const struct given_look look = look_at("f");
    given_touch(&given, &everything, 1);
    cr_assert_not(given_name(&given, &look));
    cr_assert_not(given_attr(&given, &look, 7));
}

/* --- attributes --- */

Test(given, attributes_are_taken_back_once_by_their_key)
{
    const struct given_look f = look_at("f");
    const struct given_look g = look_at("g");
    uint64_t ids[GIVEN_TAKE_MAX];

    cr_assert(given_attr(&given, &f, 7));
    cr_assert(given_attr(&given, &f, 7));
    cr_assert(given_attr(&given, &g, 8));
    cr_assert_eq(given_take(&given, f.key | TOUCH_NAMES, ids), 1);
    cr_assert_eq(ids[0], 7);
    cr_assert_eq(take(f.key), 0);
    cr_assert_eq(take(g.key), 1);
}

Test(given, attributes_that_were_touched_during_the_look_are_not_given)
{
    const struct given_look look = look_at("f");

    touch("f", 0);
    cr_assert_not(given_attr(&given, &look, 7));
}

Test(given, everything_is_taken_back_in_pieces)
{
    const struct given_look look = look_at("f");
    size_t all = 2 * GIVEN_TAKE_MAX + 1;
    size_t taken = 0;
    size_t count;

    for (uint64_t id = 1; id <= all; id++)
        cr_assert(given_attr(&given, &look, id));
    do {
        count = take(TOUCH_EVERYTHING);
        taken += count;
    } while (count == GIVEN_TAKE_MAX);
    cr_assert_eq(taken, all);
}

/* Each under a key of its own. */
static bool give(uint64_t id)
{
    const struct given_look look = given_begin(&given, 2 * id);

    return given_attr(&given, &look, id);
}

Test(given, there_is_a_most_that_is_given)
{
    for (uint64_t id = 1; id <= GIVEN_ATTRS_MAX; id++)
        cr_assert(give(id));
    cr_assert_not(give(GIVEN_ATTRS_MAX + 1));
    cr_assert(give(1), "what is given already can be given again");
    take(TOUCH_EVERYTHING);
    cr_assert(give(GIVEN_ATTRS_MAX + 1));
}
