#include "raftstore/engine.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 2000

/* A directory with an engine, and the place of a table in it. */
struct place {
    char dir[SCRATCH_PATH_MAX];
    char kv[SCRATCH_PATH_MAX + 16];
    char table[SCRATCH_PATH_MAX + 16];
    struct engine *engine;
};

static struct bytes text(const char *s)
{
    return (struct bytes){.data = (const uint8_t *)s, .size = strlen(s)};
}

static void open_place(struct place *place)
{
    struct err e = {0};

    cr_assert_eq(engine_open(place->kv, ENGINE_KV, &place->engine, &e), 0, "%s", e.text);
}

static void make_place(struct place *place)
{
    scratch_make(place->dir);
    (void)snprintf(place->kv, sizeof place->kv, "%s/kv", place->dir);
    (void)snprintf(place->table, sizeof place->table, "%s/table.sst", place->dir);
    open_place(place);
}

static void remove_place(struct place *place)
{
    engine_close(place->engine);
    scratch_remove(place->dir);
}

static void format_row(int i, char key[16], char value[64])
{
    (void)snprintf(key, 16, "key%06d", i);
    (void)snprintf(value, 64, "value of row %d", i);
}

/* Rows from `from` below `to`, of which key and value are known. */
static void make_table(const char *path, int from, int to)
{
    struct engine_table *table;
    struct err e = {0};
    uint64_t size = 0;
    struct stat found;

    cr_assert_eq(engine_table_new(path, &table, &e), 0, "%s", e.text);
    for (int i = from; i < to; i++) {
        char key[16];
        char value[64];

        format_row(i, key, value);
        cr_assert_eq(engine_table_put(table, text(key), text(value), &e), 0, "%s", e.text);
    }
    cr_assert_eq(engine_table_finish(table, &size, &e), 0, "%s", e.text);
    engine_table_free(table);
    cr_assert_eq(stat(path, &found), 0);
    cr_assert_eq((uint64_t)found.st_size, size);
}

static void put_in(struct place *place)
{
    struct err e = {0};

    cr_assert_eq(engine_ingest(place->engine, CF_DEFAULT, place->table, &e), 0, "%s", e.text);
}

static void put(struct engine *engine, const char *key, const char *value)
{
    struct engine_batch *batch = engine_batch_new(false);

    engine_batch_put(batch, engine, CF_DEFAULT, text(key), text(value));
    engine_write(engine, batch, true);
    engine_batch_free(batch);
}

static void delete_all(struct engine *engine)
{
    struct engine_batch *batch = engine_batch_new(false);

    engine_batch_delete_range(batch, engine, CF_DEFAULT, text("a"), text("z"));
    engine_write(engine, batch, true);
    engine_batch_free(batch);
}

/* All rows are those of make_table(from, to), and no other is there. */
static void assert_rows(struct engine *engine, const struct engine_snapshot *snapshot, int from,
                        int to)
{
    struct engine_iterator *it =
        engine_iterator_new(engine, snapshot, NULL, CF_DEFAULT, (struct bytes){0});
    int i = from;

    for (engine_iterator_seek(it, text("")); engine_iterator_valid(it); engine_iterator_next(it)) {
        struct bytes key = engine_iterator_key(it);
        struct bytes value = engine_iterator_value(it);
        char want_key[16];
        char want_value[64];

        format_row(i, want_key, want_value);
        cr_assert_eq(key.size, strlen(want_key));
        cr_assert_eq(memcmp(key.data, want_key, key.size), 0);
        cr_assert_eq(value.size, strlen(want_value));
        cr_assert_eq(memcmp(value.data, want_value, value.size), 0);
        i++;
    }
    cr_assert_eq(engine_iterator_status(it), 0);
    cr_assert_eq(i, to);
    engine_iterator_free(it);
}

struct content {
    uint8_t *data;
    size_t size;
};

static struct content read_file(const char *path)
{
    struct content content;
    struct stat found;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(fstat(fd, &found), 0);
    content.size = (size_t)found.st_size;
    content.data = malloc(content.size);
    cr_assert_not_null(content.data);
    cr_assert_eq(read(fd, content.data, content.size), found.st_size);
    (void)close(fd);
    return content;
}

static bool is_unchanged(const char *path, const struct content *before)
{
    struct content now = read_file(path);
    bool same = now.size == before->size && memcmp(now.data, before->data, now.size) == 0;

    free(now.data);
    return same;
}

/* --- making one --- */

Test(engine_table, a_table_without_a_row_leaves_no_file)
{
    char dir[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 16];
    struct engine_table *table;
    uint64_t size = 7;

    scratch_make(dir);
    (void)snprintf(path, sizeof path, "%s/table", dir);
    cr_assert_eq(engine_table_new(path, &table, NULL), 0);
    cr_assert_eq(engine_table_finish(table, &size, NULL), 0);
    cr_assert_eq(size, 0);
    cr_assert_neq(access(path, F_OK), 0);
    engine_table_free(table);
    scratch_remove(dir);
}

Test(engine_table, a_table_can_be_given_up_half_done)
{
    char dir[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 16];
    struct engine_table *table;

    scratch_make(dir);
    (void)snprintf(path, sizeof path, "%s/table", dir);
    cr_assert_eq(engine_table_new(path, &table, NULL), 0);
    cr_assert_eq(engine_table_put(table, text("a"), text("1"), NULL), 0);
    engine_table_free(table);
    engine_table_free(NULL);
    scratch_remove(dir);
}

Test(engine_table, a_row_out_of_order_is_refused)
{
    char dir[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 16];
    struct engine_table *table;
    struct err e = {0};

    scratch_make(dir);
    (void)snprintf(path, sizeof path, "%s/table", dir);
    cr_assert_eq(engine_table_new(path, &table, NULL), 0);
    cr_assert_eq(engine_table_put(table, text("b"), text("1"), NULL), 0);
    cr_assert_lt(engine_table_put(table, text("a"), text("2"), &e), 0);
    cr_assert_not_null(strstr(e.text, path), "%s", e.text);
    engine_table_free(table);
    scratch_remove(dir);
}

Test(engine_table, a_table_that_cannot_be_made_is_refused_by_name)
{
    struct engine_table *table = NULL;
    struct err e = {0};

    cr_assert_eq(engine_table_new("/no/such/table", &table, &e), KE_IO);
    cr_assert_null(table);
    cr_assert_not_null(strstr(e.text, "/no/such/table"), "%s", e.text);
}

/* --- putting it in --- */

Test(engine_table, its_rows_are_there_and_survive_a_restart_and_the_end_of_the_file)
{
    struct place place;

    make_place(&place);
    make_table(place.table, 0, ROWS);
    put_in(&place);
    assert_rows(place.engine, NULL, 0, ROWS);
    cr_assert_eq(unlink(place.table), 0);
    engine_close(place.engine);
    open_place(&place);
    assert_rows(place.engine, NULL, 0, ROWS);
    remove_place(&place);
}

Test(engine_table, it_takes_the_place_of_rows_that_a_range_deletion_covers)
{
    struct place place;

    make_place(&place);
    make_table(place.table, 0, ROWS);
    put_in(&place);
    put(place.engine, "key000003", "another");
    put(place.engine, "zoo", "not in the range");
    delete_all(place.engine);
    delete_all(place.engine);
    cr_assert_eq(unlink(place.table), 0);
    make_table(place.table, ROWS / 2, 2 * ROWS);
    struct engine_batch *batch = engine_batch_new(false);

    engine_batch_delete(batch, place.engine, CF_DEFAULT, text("zoo"));
    engine_write(place.engine, batch, false);
    engine_batch_free(batch);
    put_in(&place);
    assert_rows(place.engine, NULL, ROWS / 2, 2 * ROWS);
    remove_place(&place);
}

Test(engine_table, an_older_snapshot_does_not_see_its_rows)
{
    struct place place;
    const struct engine_snapshot *snapshot;

    make_place(&place);
    make_table(place.table, 0, ROWS);
    put_in(&place);
    snapshot = engine_snapshot_new(place.engine);
    delete_all(place.engine);
    cr_assert_eq(unlink(place.table), 0);
    make_table(place.table, ROWS / 2, 2 * ROWS);
    put_in(&place);
    assert_rows(place.engine, snapshot, 0, ROWS);
    assert_rows(place.engine, NULL, ROWS / 2, 2 * ROWS);
    engine_snapshot_free(place.engine, snapshot);
    remove_place(&place);
}

/* A crash in the middle of putting a snapshot in has it done again from the start. */
Test(engine_table, it_can_be_put_in_again_and_again_and_its_file_stays_as_it_was)
{
    struct place place;
    struct content before;
    struct stat found;

    make_place(&place);
    make_table(place.table, 0, ROWS);
    before = read_file(place.table);
    for (int i = 0; i < 3; i++) {
        put(place.engine, "key000001", "old");
        delete_all(place.engine);
        put_in(&place);
        assert_rows(place.engine, NULL, 0, ROWS);
        cr_assert(is_unchanged(place.table, &before));
        /* RocksDB has the file itself once at most. */
        cr_assert_eq(stat(place.table, &found), 0);
        cr_assert_leq(found.st_nlink, 2);
        engine_close(place.engine);
        open_place(&place);
        assert_rows(place.engine, NULL, 0, ROWS);
    }
    free(before.data);
    remove_place(&place);
}

/* Where RocksDB put the number of the rows into `after`. */
static size_t first_difference(const struct content *before, const struct content *after)
{
    size_t at = 0;

    cr_assert_eq(before->size, after->size);
    while (at < before->size && before->data[at] == after->data[at]) {
        at++;
    }
    cr_assert_lt(at, before->size);
    return at;
}

static const char number_name[] = "external_sst_file.global_seqno";

/* What a crash between RocksDB's part and ours leaves: the number in the file. */
static void write_number(const char *path, uint8_t number)
{
    struct content content = read_file(path);
    uint8_t *at = memmem(content.data, content.size, number_name, sizeof number_name - 1);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    cr_assert_not_null(at);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, &number, 1, at - content.data + (off_t)sizeof number_name - 1), 1);
    (void)close(fd);
    free(content.data);
}

Test(engine_table, what_a_crash_leaves_in_its_file_can_be_taken_back)
{
    struct place place;
    struct content before;

    make_place(&place);
    make_table(place.table, 0, ROWS);
    before = read_file(place.table);
    write_number(place.table, 9);
    struct content after = read_file(place.table);

    (void)first_difference(&before, &after);
    free(after.data);
    cr_assert_eq(engine_table_reset(place.table, NULL), 0);
    cr_assert(is_unchanged(place.table, &before));
    cr_assert_eq(engine_table_reset(place.table, NULL), 0);
    cr_assert(is_unchanged(place.table, &before));
    free(before.data);
    remove_place(&place);
}

Test(engine_table, it_can_be_put_in_after_a_crash_at_any_step)
{
    struct place place;
    char second[SCRATCH_PATH_MAX + 32];

    make_place(&place);
    make_table(place.table, 0, ROWS);
    (void)snprintf(second, sizeof second, "%s.ingest", place.table);
    cr_assert_eq(link(place.table, second), 0);
    write_number(place.table, 9);
    delete_all(place.engine);
    put_in(&place);
    assert_rows(place.engine, NULL, 0, ROWS);
    cr_assert_neq(access(second, F_OK), 0);
    remove_place(&place);
}

/* The name of the number stands in a row too, nearer to the end than any other. */
Test(engine_table, a_row_that_looks_like_a_property_is_not_taken_for_one)
{
    struct place place;
    struct engine_table *table;
    struct content before;
    uint64_t size;
    uint8_t value[64] = {8};
    struct bytes row = {.data = value, .size = sizeof value};
    uint8_t *got;
    size_t got_size;

    make_place(&place);
    memcpy(value + 1, number_name, sizeof number_name - 1);
    memset(value + sizeof number_name, 0x77, sizeof value - sizeof number_name);
    cr_assert_eq(engine_table_new(place.table, &table, NULL), 0);
    cr_assert_eq(engine_table_put(table, text("key"), row, NULL), 0);
    cr_assert_eq(engine_table_finish(table, &size, NULL), 0);
    engine_table_free(table);
    before = read_file(place.table);
    delete_all(place.engine);
    put_in(&place);
    cr_assert(is_unchanged(place.table, &before));
    cr_assert_eq(engine_get(place.engine, NULL, CF_DEFAULT, text("key"), &got, &got_size), 0);
    cr_assert_eq(got_size, sizeof value);
    cr_assert_eq(memcmp(got, value, got_size), 0);
    free(got);
    free(before.data);
    remove_place(&place);
}

Test(engine_table, a_damaged_one_is_refused_by_name_and_puts_nothing_in)
{
    struct place place;
    struct err e = {0};
    struct stat found;

    make_place(&place);
    make_table(place.table, 0, ROWS);
    cr_assert_eq(stat(place.table, &found), 0);
    cr_assert_eq(truncate(place.table, found.st_size - 1), 0);
    cr_assert_eq(engine_ingest(place.engine, CF_DEFAULT, place.table, &e), KE_CORRUPT, "%s",
                 e.text);
    cr_assert_not_null(strstr(e.text, place.table), "%s", e.text);
    cr_assert_eq(truncate(place.table, 100), 0);
    cr_assert_eq(engine_ingest(place.engine, CF_DEFAULT, place.table, &e), KE_CORRUPT, "%s",
                 e.text);
    cr_assert_eq(truncate(place.table, 0), 0);
    cr_assert_eq(engine_ingest(place.engine, CF_DEFAULT, place.table, &e), KE_CORRUPT);
    cr_assert_eq(unlink(place.table), 0);
    cr_assert_eq(engine_ingest(place.engine, CF_DEFAULT, place.table, &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "No such file"), "%s", e.text);
    assert_rows(place.engine, NULL, 0, 0);
    remove_place(&place);
}

/* --- giving space back --- */

static uint64_t table_bytes(struct engine *engine)
{
    return engine_property(engine, CF_DEFAULT, "rocksdb.total-sst-files-size");
}

Test(engine_table, dropped_files_give_their_space_back_at_once)
{
    struct place place;

    make_place(&place);
    make_table(place.table, 0, ROWS);
    put_in(&place);
    cr_assert_gt(table_bytes(place.engine), 0);
    delete_all(place.engine);
    engine_drop_files(place.engine, CF_DEFAULT, text("a"), text("z"));
    cr_assert_eq(table_bytes(place.engine), 0);
    assert_rows(place.engine, NULL, 0, 0);
    remove_place(&place);
}

/* A file whose last row is `last`, dropped up to `to`. */
static bool is_dropped(struct bytes last, struct bytes to)
{
    struct place place;
    struct engine_table *table;
    uint64_t size;
    bool dropped;

    make_place(&place);
    cr_assert_eq(engine_table_new(place.table, &table, NULL), 0);
    cr_assert_eq(engine_table_put(table, text("a"), text("1"), NULL), 0);
    cr_assert_eq(engine_table_put(table, last, text("2"), NULL), 0);
    cr_assert_eq(engine_table_finish(table, &size, NULL), 0);
    engine_table_free(table);
    put_in(&place);
    engine_drop_files(place.engine, CF_DEFAULT, text("a"), to);
    dropped = table_bytes(place.engine) == 0;
    remove_place(&place);
    return dropped;
}

Test(engine_table, a_file_with_the_end_of_the_range_in_it_is_not_dropped)
{
    struct bytes b00 = {.data = (const uint8_t *)"b\0\0", .size = 3};
    struct bytes b0 = {.data = (const uint8_t *)"b\0", .size = 2};

    cr_assert_not(is_dropped(text("m"), text("m")));
    cr_assert_not(is_dropped(text("n"), text("m")));
    cr_assert_not(is_dropped(b0, b0));
    cr_assert_not(is_dropped(b00, b0));
    cr_assert(is_dropped(text("l"), text("m")));
    cr_assert(is_dropped(text("l\xff\xff"), text("m")));
    cr_assert(is_dropped(text("b"), b0));
    cr_assert(is_dropped(b0, b00));
}

/* What one would have of many rows in few files. */
static void put_much(struct engine *engine, int rows)
{
    uint64_t seed = 1;

    for (int i = 0; i < rows; i++) {
        struct engine_batch *batch = engine_batch_new(false);
        uint32_t value[16384]; /* of which nothing is saved by compression */
        char key[16];

        (void)snprintf(key, sizeof key, "key%06d", i);
        for (size_t at = 0; at < sizeof value / sizeof value[0]; at++) {
            value[at] = scratch_random(&seed, UINT32_MAX);
        }
        engine_batch_put(batch, engine, CF_DEFAULT, text(key),
                         (struct bytes){.data = (const uint8_t *)value, .size = sizeof value});
        engine_write(engine, batch, false);
        engine_batch_free(batch);
    }
}

static void delete_each(struct engine *engine, int rows)
{
    struct engine_batch *batch = engine_batch_new(false);

    for (int i = 0; i < rows; i++) {
        char key[16];

        (void)snprintf(key, sizeof key, "key%06d", i);
        engine_batch_delete(batch, engine, CF_DEFAULT, text(key));
    }
    engine_write(engine, batch, false);
    engine_batch_free(batch);
}

Test(engine_table, few_deletions_give_much_space_back_when_it_is_asked_for)
{
    struct place place;
    uint64_t before;

    make_place(&place);
    put_much(place.engine, 600);
    cr_assert_eq(engine_flush(place.engine, NULL), 0);
    before = table_bytes(place.engine);
    cr_assert_gt(before, 30u << 20);
    delete_each(place.engine, 550);
    for (int i = 0; table_bytes(place.engine) > before / 4; i++) {
        cr_assert_lt(i, 200);
        engine_reclaim(place.engine);
        (void)usleep(20000);
    }
    remove_place(&place);
}
