/* Ranges that an indexed batch deletes. */
#include "raftstore/engine.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char dir[SCRATCH_PATH_MAX];
static struct engine *engine;
static struct engine_batch *batch;

static struct bytes text(const char *s)
{
    return (struct bytes){.data = (const uint8_t *)s, .size = strlen(s)};
}

static void put(const char *key)
{
    engine_batch_put(batch, engine, CF_DEFAULT, text(key), text("x"));
}

static void delete_range(const char *from, const char *to)
{
    engine_batch_delete_range(batch, engine, CF_DEFAULT, text(from), text(to));
}

static void write_batch(void)
{
    engine_write(engine, batch, false);
    engine_batch_clear(batch);
}

/* The rows a, b, c, d are in the engine. */
static void setup(void)
{
    struct err e;

    scratch_make(dir);
    cr_assert_eq(engine_open(dir, ENGINE_KV, &engine, &e), 0, "%s", e.text);
    batch = engine_batch_new(true);
    put("a");
    put("b");
    put("c");
    put("d");
    write_batch();
}

static void teardown(void)
{
    engine_batch_free(batch);
    engine_close(engine);
    scratch_remove(dir);
}

TestSuite(engine_batch, .init = setup, .fini = teardown);

static bool batch_has(const char *key)
{
    uint8_t *value;
    size_t size;
    int code = engine_batch_get(batch, engine, CF_DEFAULT, text(key), &value, &size);

    cr_assert(code == 0 || code == KE_NOT_FOUND);
    if (code == 0) {
        free(value);
    }
    return code == 0;
}

/* The keys of the engine. */
static void assert_keys(const char *expected)
{
    char keys[64] = "";
    struct engine_iterator *it =
        engine_iterator_new(engine, NULL, NULL, CF_DEFAULT, (struct bytes){.size = 0});

    for (engine_iterator_seek(it, text("a")); engine_iterator_valid(it); engine_iterator_next(it)) {
        struct bytes key = engine_iterator_key(it);

        (void)strncat(keys, (const char *)key.data, key.size);
    }
    cr_assert_eq(engine_iterator_status(it), 0);
    engine_iterator_free(it);
    cr_assert_str_eq(keys, expected);
}

Test(engine_batch, a_range_takes_rows_of_the_engine_and_of_the_batch)
{
    put("bb");
    delete_range("b", "d");
    cr_assert(batch_has("a"));
    cr_assert_not(batch_has("b"));
    cr_assert_not(batch_has("bb"));
    cr_assert(batch_has("d"));
    assert_keys("abcd");
    write_batch();
    assert_keys("ad");
}

Test(engine_batch, what_is_put_into_a_deleted_range_stays)
{
    delete_range("b", "d");
    put("c");
    put("cc");
    cr_assert_not(batch_has("b"));
    cr_assert(batch_has("c"));
    write_batch();
    assert_keys("accc"
                "d");
}

Test(engine_batch, a_later_range_takes_what_was_put_into_an_earlier_one)
{
    delete_range("b", "d");
    put("b");
    put("c");
    delete_range("c", "e");
    put("d");
    cr_assert(batch_has("b"));
    cr_assert_not(batch_has("c"));
    cr_assert(batch_has("d"));
    write_batch();
    assert_keys("abd");
}

Test(engine_batch, a_rollback_takes_a_range_back)
{
    delete_range("a", "b");
    put("bb");
    engine_batch_set_save_point(batch);
    delete_range("b", "d");
    engine_batch_rollback(batch);
    cr_assert_not(batch_has("a"));
    cr_assert(batch_has("b"));
    cr_assert(batch_has("bb"));
    write_batch();
    assert_keys("bbbcd");
}

Test(engine_batch, a_range_is_of_one_column_family)
{
    engine_batch_put(batch, engine, CF_ATTR, text("b"), text("x"));
    delete_range("a", "z");
    write_batch();
    assert_keys("");
    uint8_t *value;
    size_t size;
    cr_assert_eq(engine_get(engine, NULL, CF_ATTR, text("b"), &value, &size), 0);
    free(value);
}

Test(engine_batch, a_cleared_batch_has_no_range)
{
    delete_range("a", "z");
    engine_batch_clear(batch);
    cr_assert(batch_has("a"));
    write_batch();
    assert_keys("abcd");
}

Test(engine_batch, ranges_survive_a_restart)
{
    struct err e;

    delete_range("a", "c");
    put("b");
    write_batch();
    engine_close(engine);
    cr_assert_eq(engine_open(dir, ENGINE_KV, &engine, &e), 0, "%s", e.text);
    assert_keys("bcd");
}

Test(engine_batch, a_range_counts_for_more_than_its_bytes)
{
    size_t before = engine_batch_bytes(batch);

    delete_range("a", "c");
    cr_assert_geq(engine_batch_bytes(batch), before + ENGINE_RANGE_COST);
}
