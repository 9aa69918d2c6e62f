/* The latest events: what is kept, in which order. */
#include "raftstore/event_log.h"

#include <criterion/criterion.h>
#include <string.h>

static struct event_log event_log;
static struct event event;

static void setup(void)
{
    event_log_init(&event_log);
}

static void teardown(void)
{
    event_log_release(&event_log);
}

TestSuite(event_log, .init = setup, .fini = teardown);

Test(event_log, events_are_numbered_and_read_in_order)
{
    cr_assert_not(event_log_get(&event_log, 1, &event));
    event_log_add(&event_log, "leader: %s", "n1");
    event_log_add(&event_log, "leader: %s", "n2");
    cr_assert(event_log_get(&event_log, 0, &event));
    cr_assert_eq(event.number, 1);
    cr_assert_str_eq(event.text, "leader: n1");
    int64_t first_ns = event.time_ns;
    cr_assert(event_log_get(&event_log, 2, &event));
    cr_assert_str_eq(event.text, "leader: n2");
    cr_assert_geq(event.time_ns, first_ns);
    cr_assert_not(event_log_get(&event_log, 3, &event));
}

Test(event_log, the_oldest_go_when_there_is_no_room)
{
    for (int i = 1; i <= EVENT_LOG_MAX + 1; i++)
        event_log_add(&event_log, "%d", i);
    cr_assert(event_log_get(&event_log, 1, &event));
    cr_assert_eq(event.number, EVENT_LOG_DROP + 1);
    cr_assert(event_log_get(&event_log, EVENT_LOG_MAX + 1, &event));
    cr_assert_str_eq(event.text, "257");
}

Test(event_log, its_size_is_that_of_what_is_kept)
{
    struct event_log_size size;
    size_t bytes = 0;
    size_t count = 0;

    event_log_size(&event_log, &size);
    cr_assert_eq(size.count, 0);
    cr_assert_eq(size.time_ns, 0);
    for (int i = 1; i <= 10 * EVENT_LOG_MAX; i++)
        event_log_add(&event_log, "%d", i);
    for (uint64_t at = 0; event_log_get(&event_log, at, &event); at = event.number + 1) {
        bytes += strlen(event.text);
        count++;
    }
    event_log_size(&event_log, &size);
    cr_assert_eq(size.count, count);
    cr_assert_eq(size.text_bytes, bytes);
    cr_assert_gt(size.time_ns, 0);
}

Test(event_log, a_text_that_is_too_long_is_cut)
{
    char text[2 * EVENT_TEXT_MAX];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    event_log_add(&event_log, "%s", text);
    cr_assert(event_log_get(&event_log, 1, &event));
    cr_assert_eq(strlen(event.text), EVENT_TEXT_MAX);
}
