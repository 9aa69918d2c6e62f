/* Holes of files: which rows there are, what says so, and what goes at once. */
#include "raftstore/hole_map.h"
#include "raftstore/keys.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK TREE_CHUNK_SIZE
#define GIB   (1ull << 30)

static struct volume v;

static void setup(void)
{
    volume_open(&v);
    cr_assert_eq(volume_create(&v, "f", true), 0);
}

static void teardown(void)
{
    volume_close(&v);
}

TestSuite(holes, .init = setup, .fini = teardown);

static struct attr attr_of(const char *path)
{
    struct attr attr;

    cr_assert_eq(volume_stat(&v, path, &attr), 0);
    return attr;
}

static void write_extent(const char *path, struct command_extent extent)
{
    struct command *cmd = volume_command();

    command_write(
        cmd, &(struct command_write){
                 .path = path, .id = volume_id(&v, path), .extents = &extent, .extent_count = 1});
    cr_assert_eq(volume_run(&v, cmd), 0);
}

static void zero(uint64_t offset, uint64_t size)
{
    write_extent("f", (struct command_extent){.offset = offset, .zeros = size});
}

static void write_byte(uint64_t offset)
{
    cr_assert_eq(volume_write(&v, "f", offset, "x", 1), 0);
}

static void write_chunks(uint64_t from, uint64_t to)
{
    static uint8_t data[16 * CHUNK];

    memset(data, 'x', sizeof data);
    while (from < to) {
        uint64_t count = to - from < 16 ? to - from : 16;

        cr_assert_eq(volume_write(&v, "f", from * CHUNK, data, (size_t)count * CHUNK), 0);
        from += count;
    }
}

/* The runs of data of `path` in chunks, "2-5,9-10", as lseek(2) would find them. */
static void assert_data(const char *expected)
{
    char text[256] = "";
    size_t size = 0;
    struct attr attr = attr_of("f");
    struct tree_view *view = tree_view_new(v.tree);
    uint64_t end;
    bool is_data;

    for (uint64_t at = 0; at < attr.size; at = end) {
        cr_assert_eq(tree_probe(view, &attr, at, &is_data, &end), 0);
        cr_assert_gt(end, at);
        if (is_data) {
            size += (size_t)snprintf(text + size, sizeof text - size, "%s%llu-%llu",
                                     size > 0 ? "," : "", (unsigned long long)(at / CHUNK),
                                     (unsigned long long)((end + CHUNK - 1) / CHUNK));
        }
    }
    tree_view_unref(view);
    cr_assert_str_eq(text, expected);
}

/* Counts the rows of content of `f` and asserts that they are those that are known. */
static uint32_t count_rows(void)
{
    struct attr attr = attr_of("f");
    struct key first = key_content(attr.id, 0);
    struct key end = key_hole_map(attr.id, 0);
    struct engine_iterator *it = engine_iterator_new(v.kv, NULL, NULL, CF_DEFAULT, key_bytes(&end));
    struct tree_view *view = tree_view_new(v.tree);
    uint32_t count = 0;

    for (engine_iterator_seek(it, key_bytes(&first)); engine_iterator_valid(it);
         engine_iterator_next(it)) {
        const uint8_t *number = engine_iterator_key(it).data + sizeof(uint64_t);
        uint64_t chunk = (uint64_t)number[1] << 16 | (uint64_t)number[2] << 8 | number[3];
        bool is_data;
        uint64_t run_end;

        cr_assert_lt(chunk * CHUNK, attr.size);
        cr_assert_leq(engine_iterator_value(it).size, attr.size - chunk * CHUNK);
        cr_assert_eq(tree_probe(view, &attr, chunk * CHUNK, &is_data, &run_end), 0);
        cr_assert(is_data, "chunk %u", (unsigned)chunk);
        count++;
    }
    engine_iterator_free(it);
    tree_view_unref(view);
    cr_assert_eq(count + attr.hole_chunks, tree_chunk_count(attr.size));
    return count;
}

Test(holes, a_file_without_holes_has_no_map)
{
    write_chunks(0, 3);
    cr_assert_eq(volume_append(&v, "f", "tail"), 0);
    cr_assert_eq(attr_of("f").hole_chunks, 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 4);
    assert_data("0-4");
}

Test(holes, what_lies_between_the_end_and_a_write_is_a_hole)
{
    write_byte(0);
    write_byte(5 * CHUNK + 7);
    write_byte(20000ull * CHUNK);
    assert_data("0-1,5-6,20000-20001");
    cr_assert_eq(count_rows(), 3);
    cr_assert_eq(attr_of("f").size, 20000ull * CHUNK + 1);
}

Test(holes, a_hole_that_is_filled_needs_no_map_any_more)
{
    write_byte(3 * CHUNK);
    write_chunks(0, 3);
    cr_assert_eq(count_rows(), 4);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 4);
}

Test(holes, a_longer_file_ends_in_a_hole_and_a_shorter_one_forgets_it)
{
    write_chunks(0, 2);
    cr_assert_eq(volume_truncate(&v, "f", 30000ull * CHUNK + 5), 0);
    assert_data("0-2");
    cr_assert_eq(attr_of("f").hole_chunks, 29999);
    cr_assert_eq(volume_truncate(&v, "f", 10000ull * CHUNK), 0);
    cr_assert_eq(attr_of("f").hole_chunks, 9998);
    assert_data("0-2");
    cr_assert_eq(volume_truncate(&v, "f", 2ull * CHUNK), 0);
    cr_assert_eq(attr_of("f").hole_chunks, 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 2);
}

Test(holes, an_empty_extent_extends_and_never_shortens)
{
    cr_assert_eq(volume_put(&v, "f", "0123456789"), 0);
    write_extent("f", (struct command_extent){.offset = 12});
    cr_assert_eq(attr_of("f").size, 12);
    write_extent("f", (struct command_extent){.offset = 3 * CHUNK});
    assert_data("0-1");
    uint64_t version = attr_of("f").version;
    write_extent("f", (struct command_extent){.offset = 11});
    cr_assert_eq(attr_of("f").size, 3 * CHUNK);
    cr_assert_eq(attr_of("f").version, version, "nothing changed");
}

Test(holes, zeros_make_holes_of_whole_chunks_and_zeros_of_the_rest)
{
    uint8_t *bytes;
    size_t size;

    write_chunks(0, 10);
    zero(CHUNK / 2, 4 * CHUNK);
    assert_data("0-1,4-10");
    cr_assert_eq(count_rows(), 7);
    bytes = volume_bytes(&v, "f", &size);
    cr_assert_eq(size, 10 * CHUNK);
    for (size_t i = 0; i < size; i++) {
        bool zeroed = i >= CHUNK / 2 && i < CHUNK / 2 + 4 * CHUNK;

        cr_assert_eq(bytes[i], zeroed ? 0 : 'x', "at %zu", i);
    }
    free(bytes);
}

Test(holes, a_chunk_that_is_zeroed_in_pieces_becomes_a_hole)
{
    write_chunks(0, 3);
    for (uint64_t at = CHUNK; at < 2 * CHUNK; at += 4096) {
        assert_data("0-3");
        zero(at, 4096);
    }
    assert_data("0-1,2-3");
    cr_assert_eq(count_rows(), 2);
}

Test(holes, zeros_at_the_end_take_the_last_row_and_may_extend)
{
    write_chunks(0, 2);
    cr_assert_eq(volume_append(&v, "f", "tail"), 0);
    zero(2 * CHUNK, 4);
    assert_data("0-2");
    zero(CHUNK + 1, 5 * CHUNK);
    assert_data("0-2");
    cr_assert_eq(attr_of("f").size, 6 * CHUNK + 1);
    zero(0, 6 * CHUNK + 1);
    assert_data("");
    cr_assert_eq(count_rows(), 0);
}

Test(holes, very_many_rows_go_at_once)
{
    v.hold = true;
    write_chunks(0, 3000);
    volume_commit(&v);
    size_t before = engine_batch_bytes(v.batch);
    zero(100 * CHUNK, 2800ull * CHUNK);
    cr_assert_lt(engine_batch_bytes(v.batch) - before, ENGINE_RANGE_COST + 4096);
    /* In the same batch, into what was just deleted. */
    write_byte(200 * CHUNK + 1);
    volume_commit(&v);
    assert_data("0-100,200-201,2900-3000");
    cr_assert_eq(count_rows(), 201);
    uint8_t *bytes;
    size_t size;
    bytes = volume_bytes(&v, "f", &size);
    cr_assert_eq(bytes[200 * CHUNK], 0);
    cr_assert_eq(bytes[200 * CHUNK + 1], 'x');
    cr_assert_eq(bytes[200 * CHUNK + 2], 0);
    free(bytes);
}

Test(holes, a_large_file_goes_with_all_its_rows_and_no_other)
{
    cr_assert_eq(volume_put(&v, "after", "y"), 0);
    v.hold = true;
    write_chunks(0, 2000);
    zero(10 * CHUNK, CHUNK);
    volume_commit(&v);
    write_byte(1500 * CHUNK); /* in the batch that deletes it */
    cr_assert_eq(volume_remove(&v, "f", false), 0);
    cr_assert_lt(engine_batch_bytes(v.batch), ENGINE_RANGE_COST + 2 * CHUNK);
    volume_commit(&v);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 1);
    volume_assert_text(&v, "after", "y");
}

Test(holes, a_refused_command_leaves_a_large_file_whole)
{
    struct command *cmd = volume_command();

    v.hold = true;
    write_chunks(0, 2000);
    volume_commit(&v);
    command_remove(cmd, "f", false);
    command_remove(cmd, "none", false);
    cr_assert_eq(volume_run(&v, cmd), KE_NOT_FOUND);
    volume_commit(&v);
    cr_assert_eq(count_rows(), 2000);
}

Test(holes, the_largest_file_is_made_and_removed_in_a_small_batch)
{
    struct tree_usage usage;

    cr_assert_eq(volume_truncate(&v, "f", TREE_FILE_MAX), 0);
    cr_assert_eq(volume_truncate(&v, "f", TREE_FILE_MAX + 1), KE_TOO_LARGE);
    write_byte(TREE_FILE_MAX - 1);
    assert_data("4194303-4194304");
    cr_assert_eq(count_rows(), 1);
    cr_assert_eq(volume_append(&v, "f", "x"), KE_TOO_LARGE);
    zero(1, TREE_FILE_MAX - 1);
    cr_assert_eq(count_rows(), 0);
    cr_assert_eq(volume_truncate(&v, "f", 63 * GIB + 1), 0);
    cr_assert_eq(volume_truncate(&v, "f", 0), 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    cr_assert_eq(volume_truncate(&v, "f", TREE_FILE_MAX), 0);
    cr_assert_eq(volume_rename(&v, "f", "g"), 0);
    cr_assert_eq(volume_put(&v, "small", "x"), 0);
    cr_assert_eq(volume_rename(&v, "small", "g"), 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 1);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.bytes, 1);
}

Test(holes, a_value_that_replaces_a_sparse_file_leaves_nothing_of_it)
{
    write_byte(20000ull * CHUNK);
    cr_assert_eq(volume_put(&v, "f", "new"), 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 1);
    cr_assert_eq(attr_of("f").hole_chunks, 0);
    volume_assert_text(&v, "f", "new");
}

/* --- at random, against a plain buffer --- */

#define ROOM ((size_t)(HOLE_MAP_CHUNKS + 1500) * CHUNK)

struct model {
    uint8_t *bytes;
    size_t size;
    bool written[ROOM / CHUNK]; /* chunks that may be more than zeros */
};

static struct model model;

/* Sizes and offsets of all magnitudes, often at the edge of a chunk. */
static size_t random_size(uint64_t *seed, size_t max)
{
    size_t size = scratch_random(seed, (uint32_t)(max >> scratch_random(seed, 24)) | 1);

    return scratch_random(seed, 2) == 0 ? size : (size + CHUNK - 1) / CHUNK * CHUNK % max;
}

static void model_cut(size_t size)
{
    for (size_t chunk = size / CHUNK; chunk < ROOM / CHUNK; chunk++) {
        size_t from = chunk * CHUNK > size ? chunk * CHUNK : size;

        if (model.written[chunk]) {
            memset(model.bytes + from, 0, (chunk + 1) * CHUNK - from);
        }
    }
    model.size = size;
}

static void model_write(size_t offset, size_t size, uint8_t byte)
{
    for (size_t chunk = offset / CHUNK; chunk <= (offset + size - 1) / CHUNK; chunk++) {
        size_t from = chunk * CHUNK > offset ? chunk * CHUNK : offset;
        size_t to = (chunk + 1) * CHUNK < offset + size ? (chunk + 1) * CHUNK : offset + size;

        if (byte != 0 || model.written[chunk]) {
            memset(model.bytes + from, byte, to - from);
            model.written[chunk] = true;
        }
    }
    model.size = offset + size > model.size ? offset + size : model.size;
}

static void random_change(uint64_t *seed)
{
    static uint8_t data[4 * CHUNK];
    struct command *cmd = volume_command();
    struct command_extent extents[4] = {{.offset = 0}};
    struct command_write write = {.path = "f", .extents = extents};

    v.result.has_attr = false;
    write.id = attr_of("f").id;
    if (scratch_random(seed, 5) == 0) {
        write.truncate = true;
        write.truncate_size = random_size(seed, ROOM);
        model_cut((size_t)write.truncate_size);
    }
    write.extent_count = scratch_random(seed, 5);
    memset(data, 'a', sizeof data);
    for (size_t i = 0; i < write.extent_count; i++) {
        bool zeros = scratch_random(seed, 2) == 0;
        size_t size = random_size(seed, zeros ? ROOM / 2 : sizeof data);
        size_t offset = random_size(seed, ROOM - size);

        size = size == 0 ? 1 : size;
        extents[i] = (struct command_extent){.offset = offset};
        if (zeros) {
            extents[i].zeros = size;
        } else {
            extents[i].data = data;
            extents[i].size = size;
        }
        model_write(offset, size, zeros ? 0 : 'a');
    }
    command_write(cmd, &write);
    cr_assert_eq(volume_run(&v, cmd), 0);
}

static void check_bytes(void)
{
    static uint8_t buffer[CHUNK];
    struct attr attr = attr_of("f");
    struct tree_view *view = tree_view_new(v.tree);
    size_t got;

    cr_assert_eq(attr.size, model.size);
    for (size_t chunk = 0; chunk * CHUNK < model.size; chunk++) {
        uint64_t end;
        bool is_data;

        cr_assert_eq(tree_probe(view, &attr, chunk * CHUNK, &is_data, &end), 0);
        if (!is_data && !model.written[chunk]) {
            continue;
        }
        cr_assert_eq(tree_read(view, &attr, chunk * CHUNK, buffer, CHUNK, &got), 0);
        cr_assert_eq(memcmp(buffer, model.bytes + chunk * CHUNK, got), 0, "chunk %zu", chunk);
    }
    tree_view_unref(view);
}

Test(holes, random_changes_make_the_bytes_of_a_plain_buffer_and_know_their_holes)
{
    uint64_t seed = scratch_seed("holes");

    model.bytes = calloc(1, ROOM);
    for (int i = 0; i < 150; i++) {
        v.hold = scratch_random(&seed, 2) == 0;
        random_change(&seed);
        if (v.hold) {
            continue;
        }
        volume_commit(&v);
        (void)count_rows();
        check_bytes();
    }
    free(model.bytes);
}
