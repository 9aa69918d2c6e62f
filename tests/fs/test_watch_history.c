/* Which changes a watcher is told, and that it is told when it is not told all. */
#include "fs/watch_history.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct watch_history history;
static struct watcher watcher;
static char told[4096];

static void setup(void)
{
    watch_history_init(&history, 10);
}

static void teardown(void)
{
    watch_history_release(&history);
}

TestSuite(watch_history, .init = setup, .fini = teardown);

static void join(const char *path, uint64_t seen)
{
    watcher = (struct watcher){.path = path};
    cr_assert(watch_history_join(&history, &watcher, seen));
}

static void add_line(void *ctx, uint64_t version, enum watch_event event, const char *path,
                     size_t path_size)
{
    size_t used = strlen(told);

    (void)ctx;
    snprintf(told + used, sizeof(told) - used, "%d %s %.*s;", (int)version, watch_event_name(event),
             (int)path_size, path);
}

/* What the watcher has been told since the last time. */
static const char *tell(void)
{
    uint64_t round;

    told[0] = '\0';
    while (watch_history_tell(&history, &watcher, add_line, NULL, &round))
        ;
    return told;
}

static void leave(void)
{
    watch_history_leave(&history, &watcher);
}

static void note(enum change_kind kind, const char *path, const char *to, uint64_t version)
{
    const struct change change = {.kind = kind, .path = path, .to = to, .version = version};

    watch_history_note(&history, &change, 1);
}

Test(watch_history, the_path_and_what_is_below_it_are_told)
{
    join("a", WATCH_FROM_NOW);
    note(CHANGE_CREATED, "a", NULL, 11);
    note(CHANGE_CONTENT, "a/b", NULL, 12);
    note(CHANGE_CREATED, "ab", NULL, 13);
    note(CHANGE_REMOVED, "a/b", NULL, 14);
    cr_assert_str_eq(tell(), "11 created a;12 changed a/b;14 removed a/b;");
    leave();
}

Test(watch_history, a_name_above_that_comes_or_goes_is_told)
{
    join("a/b/c", WATCH_FROM_NOW);
    note(CHANGE_CONTENT, "a", NULL, 11);
    note(CHANGE_RENAMED, "a", "z", 12);
    note(CHANGE_RENAMED, "y", "a/b", 13);
    note(CHANGE_EXCHANGED, "x", "a", 14);
    cr_assert_str_eq(tell(), "12 moved-from a;13 moved-to a/b;14 exchanged a;");
    leave();
}

Test(watch_history, the_root_is_everything)
{
    join("", WATCH_FROM_NOW);
    note(CHANGE_RENAMED, "a", "b/c", 11);
    cr_assert_str_eq(tell(), "11 moved-from a;11 moved-to b/c;");
    leave();
}

Test(watch_history, a_directory_is_not_told_for_the_names_in_it)
{
    const struct change changes[] = {
        {.kind = CHANGE_CREATED, .path = "d/f", .version = 11},
        {.kind = CHANGE_CONTENT, .path = "d", .version = 12},
        {.kind = CHANGE_CONTENT, .path = "d", .version = 13}, /* a chmod */
        {.kind = CHANGE_RENAMED, .path = "d/f", .to = "e/f", .version = 14},
        {.kind = CHANGE_CONTENT, .path = "d", .version = 15},
        {.kind = CHANGE_CONTENT, .path = "e", .version = 16},
        {.kind = CHANGE_CONTENT, .path = "e", .version = 17},
    };

    join("", WATCH_FROM_NOW);
    watch_history_note(&history, changes, sizeof(changes) / sizeof(changes[0]));
    cr_assert_str_eq(tell(), "11 created d/f;13 changed d;14 moved-from d/f;14 moved-to e/f;"
                             "17 changed e;");
    leave();
}

Test(watch_history, what_a_rename_replaces_is_not_told_as_removed)
{
    const struct change changes[] = {
        {.kind = CHANGE_REMOVED, .path = "f", .version = 11},
        {.kind = CHANGE_RENAMED, .path = "t", .to = "f", .version = 11},
    };

    join("f", WATCH_FROM_NOW);
    watch_history_note(&history, changes, 2);
    cr_assert_str_eq(tell(), "11 moved-to f;");
    leave();
}

Test(watch_history, who_comes_back_goes_on_behind_what_it_has_seen)
{
    note(CHANGE_CREATED, "a", NULL, 11);
    note(CHANGE_CREATED, "b", NULL, 12);
    join("", 11);
    cr_assert_str_eq(tell(), "12 created b;");
    cr_assert_str_eq(tell(), "");
    leave();
}

Test(watch_history, what_was_before_the_history_is_said_to_be_lost)
{
    note(CHANGE_CREATED, "a", NULL, 11);
    join("b", 9);
    cr_assert_str_eq(tell(), "10 lost b;");
    leave();
    join("b", 10);
    cr_assert_str_eq(tell(), "");
    leave();
}

Test(watch_history, a_snapshot_ends_what_is_known)
{
    join("b", WATCH_FROM_NOW);
    note(CHANGE_CREATED, "b", NULL, 11);
    note(CHANGE_EVERYTHING, NULL, NULL, 20);
    note(CHANGE_CREATED, "b/c", NULL, 21);
    cr_assert_str_eq(tell(), "11 created b;20 lost b;21 created b/c;");
    leave();
    join("b", 15);
    cr_assert_str_eq(tell(), "20 lost b;21 created b/c;");
    leave();
    join("b", 20);
    cr_assert_str_eq(tell(), "21 created b/c;");
    leave();
}

/* More than the memory of the history. */
static uint64_t note_many(uint64_t version)
{
    char path[1001];

    memset(path, 'x', 1000);
    path[1000] = '\0';
    for (size_t i = 0; i < 2 * WATCH_HISTORY_BYTES / 1000; i++)
        note(CHANGE_CONTENT, path, NULL, ++version);
    return version;
}

Test(watch_history, a_slow_watcher_is_told_what_it_lost_and_goes_on)
{
    join("b", WATCH_FROM_NOW);
    note(CHANGE_CREATED, "b", NULL, 11);
    uint64_t last = note_many(11);
    note(CHANGE_REMOVED, "b", NULL, last + 1);
    unsigned long long lost_to, removed_at;
    cr_assert_eq(sscanf(tell(), "%llu lost b;%llu removed b;", &lost_to, &removed_at), 2, "%s",
                 told);
    cr_assert(lost_to > 11 && lost_to < last);
    cr_assert_eq(removed_at, last + 1);
    leave();
    join("b", lost_to - 1);
    cr_assert_str_neq(tell(), "");
    leave();
    join("x", last);
    cr_assert_str_eq(tell(), "");
    leave();
}

/* --- waiting --- */

struct test_wait {
    struct op op;
    int ended;
    int code;
};

static void wait_done(struct op *op, const struct op_result *result)
{
    struct test_wait *wait = (struct test_wait *)op;

    wait->ended++;
    wait->code = result->code;
}

static uint64_t begin_wait(struct test_wait *wait)
{
    uint64_t round;

    op_init(&wait->op, 1000, wait_done, NULL);
    cr_assert_not(watch_history_tell(&history, &watcher, add_line, NULL, &round));
    return round;
}

Test(watch_history, a_wait_ends_with_the_next_event_of_what_is_watched)
{
    struct test_wait wait = {.ended = 0};

    join("a", WATCH_FROM_NOW);
    uint64_t round = begin_wait(&wait);
    cr_assert(watch_history_wait(&history, &watcher, round, &wait.op));
    note(CHANGE_CREATED, "b", NULL, 11);
    cr_assert_eq(wait.ended, 0);
    note(CHANGE_CREATED, "a/c", NULL, 12);
    cr_assert_eq(wait.ended, 1);
    cr_assert_eq(wait.code, 0);
    leave();
}

Test(watch_history, an_event_just_before_the_wait_is_not_missed)
{
    struct test_wait wait = {.ended = 0};

    join("a", WATCH_FROM_NOW);
    uint64_t round = begin_wait(&wait);
    note(CHANGE_CREATED, "a", NULL, 11);
    cr_assert_not(watch_history_wait(&history, &watcher, round, &wait.op));
    leave();
}

Test(watch_history, the_end_of_the_mount_ends_waits_with_a_failure)
{
    struct test_wait wait = {.ended = 0};

    join("a", WATCH_FROM_NOW);
    uint64_t round = begin_wait(&wait);
    cr_assert(watch_history_wait(&history, &watcher, round, &wait.op));
    watch_history_stop(&history, &watcher);
    cr_assert_eq(wait.ended, 1);
    cr_assert_eq(wait.code, KE_SHUTDOWN);
    leave();
}
