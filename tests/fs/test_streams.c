/* Text that grows, and records that give way to newer ones. */
#include "fs/record_ring.h"
#include "fs/stream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- stream --- */

static struct stream stream;

static void drop_stream(void)
{
    stream_release(&stream);
}

TestSuite(stream, .fini = drop_stream);

static size_t read_at(uint64_t offset, size_t size, char *out)
{
    const char *text = NULL;
    size_t got;

    cr_assert(stream_read(&stream, offset, size, &text, &got));
    if (got > 0)
        memcpy(out, text, got);
    return got;
}

Test(stream, what_was_added_is_read_in_order_and_again)
{
    char text[16];

    stream_add(&stream, "one ", 4);
    stream_add(&stream, "two", 3);
    cr_assert_eq(read_at(0, 16, text), 7);
    cr_assert_eq(memcmp(text, "one two", 7), 0);
    cr_assert_eq(read_at(4, 2, text), 2);
    cr_assert_eq(memcmp(text, "tw", 2), 0);
    cr_assert_eq(read_at(7, 16, text), 0);
    cr_assert_eq(stream_unread(&stream), 0);
}

Test(stream, only_the_end_of_what_was_read_is_kept)
{
    static char block[STREAM_REREAD_MAX];
    static char out[STREAM_REREAD_MAX];
    const char *text;
    size_t got;

    for (uint64_t i = 0; i < 100; i++) {
        stream_add(&stream, block, sizeof(block));
        cr_assert_eq(read_at(i * sizeof(block), sizeof(out), out), sizeof(out));
    }
    cr_assert_leq(stream.capacity, 4 * sizeof(block));
    cr_assert_not(stream_read(&stream, 0, 1, &text, &got));
    cr_assert_eq(read_at(99 * sizeof(block), sizeof(out), out), sizeof(out));
}

Test(stream, what_was_not_read_stays)
{
    static char block[STREAM_REREAD_MAX];
    char out[1];

    for (int i = 0; i < 10; i++)
        stream_add(&stream, block, sizeof(block));
    cr_assert_eq(stream_unread(&stream), 10 * sizeof(block));
    cr_assert_eq(read_at(0, 1, out), 1);
}

/* --- record ring --- */

static struct record_ring ring;

static void drop_ring(void)
{
    record_ring_release(&ring);
}

TestSuite(record_ring, .fini = drop_ring);

static void add(const char *text)
{
    record_ring_add(&ring, text, 1, text + 1, strlen(text) - 1);
}

static void assert_next(struct record_place *place, const char *expected, uint64_t expected_lost)
{
    const void *data;
    size_t size;
    uint64_t lost;
    bool found = record_ring_read(&ring, place, &data, &size, &lost);

    cr_assert_eq(lost, expected_lost);
    cr_assert_eq(found, expected != NULL);
    if (expected == NULL)
        return;
    cr_assert_eq(size, strlen(expected));
    cr_assert_eq(memcmp(data, expected, size), 0);
}

Test(record_ring, each_reader_gets_what_came_after_it_began)
{
    record_ring_init(&ring, 1024);
    struct record_place early = record_ring_end(&ring);
    add("one");
    struct record_place late = record_ring_end(&ring);
    add("two");
    assert_next(&early, "one", 0);
    assert_next(&early, "two", 0);
    assert_next(&early, NULL, 0);
    assert_next(&late, "two", 0);
    assert_next(&late, NULL, 0);
    add("three");
    assert_next(&late, "three", 0);
}

Test(record_ring, a_slow_reader_is_told_how_many_it_lost)
{
    record_ring_init(&ring, 64);
    struct record_place place = record_ring_end(&ring);
    /* 12 bytes each: five fit. */
    for (char c = 'a'; c < 'j'; c++) {
        const char text[] = {c, c, c, c, c, '\0'};
        add(text);
    }
    assert_next(&place, "eeeee", 4);
    assert_next(&place, "fffff", 0);
}

/* Against a plain list: sizes that wrap around everywhere, readers that lag behind. */
Test(record_ring, records_are_whole_wherever_they_lie)
{
    enum { COUNT = 20000, SIZE_MAX_HERE = 120 };
    char text[SIZE_MAX_HERE + 1];
    uint64_t expected = 1;
    unsigned seed = 7;

    record_ring_init(&ring, 512);
    struct record_place place = record_ring_end(&ring);
    for (uint64_t i = 1; i <= COUNT; i++) {
        size_t size = 1 + (i * 31 + i / 7) % SIZE_MAX_HERE;
        memset(text, 'a' + (int)(i % 26), size);
        text[size] = '\0';
        add(text);
        for (seed = seed * 1103515245u + 12345u; (seed >> 16) % 3 == 0; seed = seed * 5u + 1u) {
            const void *data;
            uint64_t lost;
            if (!record_ring_read(&ring, &place, &data, &size, &lost))
                break;
            expected += lost;
            cr_assert_eq(size, 1 + (expected * 31 + expected / 7) % SIZE_MAX_HERE);
            for (size_t k = 0; k < size; k++)
                cr_assert_eq(((const char *)data)[k], 'a' + (int)(expected % 26));
            expected++;
        }
    }
    cr_assert_gt(expected, COUNT / 10);
}
