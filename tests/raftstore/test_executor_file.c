/* Create, write and attributes, as a mount sends them. */
#include "volume.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((uint64_t)TREE_CHUNK_SIZE)

/* --- create --- */

static int create(struct volume *v, const char *path, enum file_type type, bool exclusive,
                  const char *target)
{
    struct command *cmd = volume_command();

    command_create(cmd, &(struct command_create){.path = path,
                                                 .type = type,
                                                 .mode = 0100000 | 04755,
                                                 .uid = 7,
                                                 .gid = 8,
                                                 .target = target,
                                                 .exclusive = exclusive});
    return volume_run(v, cmd);
}

Test(executor_file, a_create_makes_what_was_asked_for)
{
    struct volume v;
    struct attr attr;

    volume_open(&v);
    cr_assert_eq(create(&v, "f", FILE_REGULAR, true, NULL), 0);
    cr_assert_eq(volume_stat(&v, "f", &attr), 0);
    cr_assert_eq(memcmp(&attr, &v.result.attr, sizeof attr), 0);
    cr_assert_eq(attr.type, FILE_REGULAR);
    cr_assert_eq(attr.mode, 04755);
    cr_assert_eq(attr.uid, 7);
    cr_assert_eq(attr.gid, 8);
    cr_assert_eq(attr.size, 0);
    cr_assert_eq(attr.mtime_ns, VOLUME_TIME);
    cr_assert_eq(create(&v, "d", FILE_DIRECTORY, true, NULL), 0);
    cr_assert_eq(v.result.attr.type, FILE_DIRECTORY);
    cr_assert_eq(create(&v, "l", FILE_SYMLINK, true, "some/target"), 0);
    cr_assert_eq(v.result.attr.type, FILE_SYMLINK);
    cr_assert_eq(v.result.attr.size, 11);
    volume_assert_names(&v, "", "d/,f,l@");
    volume_close(&v);
}

Test(executor_file, an_exclusive_create_fails_on_anything)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_create(&v, "f", true), 0);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "f"), 0);
    cr_assert_eq(volume_create(&v, "f", true), KE_EXISTS);
    cr_assert_not(v.result.has_attr);
    cr_assert_eq(volume_create(&v, "d", true), KE_EXISTS);
    cr_assert_eq(volume_create(&v, "l", true), KE_EXISTS);
    cr_assert_eq(volume_mkdir(&v, "f"), KE_EXISTS);
    cr_assert_eq(volume_symlink(&v, "d", "x"), KE_EXISTS);
    volume_close(&v);
}

Test(executor_file, a_create_that_is_not_exclusive_answers_with_the_file_that_is_there)
{
    struct volume v;
    struct attr attr;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "content"), 0);
    cr_assert_eq(volume_stat(&v, "f", &attr), 0);
    cr_assert_eq(volume_create(&v, "f", false), 0);
    cr_assert(v.result.has_attr);
    cr_assert_eq(memcmp(&attr, &v.result.attr, sizeof attr), 0);
    volume_assert_text(&v, "f", "content");
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "f"), 0);
    cr_assert_eq(volume_create(&v, "d", false), KE_IS_DIR);
    cr_assert_eq(volume_create(&v, "l", false), KE_EXISTS);
    cr_assert_eq(create(&v, "d", FILE_DIRECTORY, false, NULL), KE_EXISTS);
    volume_close(&v);
}

Test(executor_file, a_create_needs_its_directory)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_create(&v, "f", true), 0);
    cr_assert_eq(volume_create(&v, "d/f", true), KE_NOT_FOUND);
    cr_assert_eq(volume_mkdir(&v, "d/e/f"), KE_NOT_FOUND);
    cr_assert_eq(volume_create(&v, "f/g", true), KE_NOT_DIR);
    cr_assert_eq(volume_create(&v, "f/g/h", true), KE_NOT_DIR);
    volume_assert_names(&v, "", "f");
    volume_close(&v);
}

Test(executor_file, a_create_changes_the_times_and_version_of_its_directory)
{
    struct volume v;
    struct attr before;
    struct attr after;
    struct command *cmd = volume_command();

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_stat(&v, "d", &before), 0);
    command_set_time(cmd, VOLUME_TIME + 9);
    command_create(cmd, &(struct command_create){.path = "d/f"});
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(volume_stat(&v, "d", &after), 0);
    cr_assert_eq(after.mtime_ns, VOLUME_TIME + 9);
    cr_assert_eq(after.ctime_ns, VOLUME_TIME + 9);
    cr_assert_eq(after.atime_ns, before.atime_ns);
    cr_assert_gt(after.version, before.version);
    cr_assert_eq(after.id, before.id);
    volume_close(&v);
}

Test(executor_file, a_create_that_makes_no_sense_is_invalid)
{
    struct volume v;
    char target[5000];

    volume_open(&v);
    cr_assert_eq(create(&v, "x", (enum file_type)7, true, NULL), KE_INVALID);
    cr_assert_eq(create(&v, "x", FILE_SYMLINK, true, NULL), KE_INVALID);
    cr_assert_eq(create(&v, "x", FILE_SYMLINK, true, ""), KE_INVALID);
    cr_assert_eq(create(&v, "x", FILE_REGULAR, true, "target"), KE_INVALID);
    memset(target, 't', sizeof target);
    target[4096] = '\0';
    cr_assert_eq(create(&v, "x", FILE_SYMLINK, true, target), KE_NAME_TOO_LONG);
    volume_assert_names(&v, "", "");
    target[4095] = '\0';
    cr_assert_eq(create(&v, "x", FILE_SYMLINK, true, target), 0);
    volume_close(&v);
}

/* --- write --- */

/* A file and what it should hold. */
struct model {
    struct volume v;
    uint8_t *bytes; /* `room` of them, zeros past `size` */
    size_t size;
    size_t room;
};

static void model_open(struct model *m, size_t room)
{
    volume_open(&m->v);
    cr_assert_eq(volume_create(&m->v, "f", true), 0);
    m->bytes = calloc(1, room);
    cr_assert_not_null(m->bytes);
    m->size = 0;
    m->room = room;
}

static void model_close(struct model *m)
{
    free(m->bytes);
    volume_close(&m->v);
}

static void model_check(struct model *m)
{
    size_t size;
    uint8_t *bytes = volume_bytes(&m->v, "f", &size);

    cr_assert_eq(size, m->size, "%zu bytes, not %zu", size, m->size);
    for (size_t i = 0; i < size; i++) {
        cr_assert_eq(bytes[i], m->bytes[i], "byte %zu of %zu", i, size);
    }
    free(bytes);
    /* No row reaches past the end; there may be one map of holes. */
    cr_assert_leq(volume_rows(&m->v, CF_DEFAULT), tree_chunk_count(size) + 1);
}

static void model_set(struct model *m, size_t offset, const void *data, size_t size)
{
    cr_assert_leq(offset + size, m->room);
    if (size > 0) {
        memcpy(m->bytes + offset, data, size);
        m->size = offset + size > m->size ? offset + size : m->size;
    }
}

static void model_resize(struct model *m, size_t size)
{
    if (size < m->size) {
        memset(m->bytes + size, 0, m->size - size);
    }
    m->size = size;
}

static void model_write(struct model *m, size_t offset, size_t size, int fill)
{
    uint8_t *data = malloc(size + 1);

    cr_assert_not_null(data);
    memset(data, fill, size);
    cr_assert_eq(volume_write(&m->v, "f", offset, data, size), 0);
    model_set(m, offset, data, size);
    free(data);
    model_check(m);
}

static void model_truncate(struct model *m, size_t size)
{
    cr_assert_eq(volume_truncate(&m->v, "f", size), 0);
    model_resize(m, size);
    model_check(m);
}

Test(executor_file, a_write_changes_its_bytes_and_no_others)
{
    struct model m;

    model_open(&m, 4 * TREE_CHUNK_SIZE);
    model_write(&m, 0, 100, 'a');
    model_write(&m, 50, 10, 'b');
    model_write(&m, 95, 10, 'c');
    model_write(&m, CHUNK - 1, 2, 'd');
    model_write(&m, CHUNK, 1, 'e');
    model_write(&m, CHUNK, TREE_CHUNK_SIZE, 'f');
    model_write(&m, 10, 3 * TREE_CHUNK_SIZE, 'g');
    model_write(&m, 3 * CHUNK - 1, 1, 'h');
    model_close(&m);
}

Test(executor_file, a_hole_reads_as_zeros)
{
    struct model m;

    model_open(&m, 10 * TREE_CHUNK_SIZE);
    model_write(&m, 5 * CHUNK + 7, 1, 'a');
    cr_assert_eq(volume_rows(&m.v, CF_DEFAULT), 1 + 1, "and the map of holes");
    model_write(&m, 2 * CHUNK, 3, 'b');
    model_write(&m, 2 * CHUNK + 100, 3, 'c');
    model_truncate(&m, 9 * TREE_CHUNK_SIZE);
    cr_assert_eq(volume_rows(&m.v, CF_DEFAULT), 2 + 1);
    model_close(&m);
}

Test(executor_file, a_file_that_shrank_and_grew_again_reads_zeros_there)
{
    struct model m;

    model_open(&m, 4 * TREE_CHUNK_SIZE);
    model_write(&m, 0, 3 * TREE_CHUNK_SIZE, 'a');
    model_truncate(&m, TREE_CHUNK_SIZE + 10);
    model_truncate(&m, 3 * TREE_CHUNK_SIZE);
    model_truncate(&m, TREE_CHUNK_SIZE);
    model_truncate(&m, TREE_CHUNK_SIZE + 1);
    model_truncate(&m, 5);
    model_write(&m, 100, 5, 'b');
    model_truncate(&m, 0);
    model_write(&m, TREE_CHUNK_SIZE, 1, 'c');
    model_close(&m);
}

Test(executor_file, appends_join_at_the_end)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_create(&v, "log", true), 0);
    cr_assert_eq(volume_append(&v, "log", "one\n"), 0);
    cr_assert_eq(volume_append(&v, "log", "two\n"), 0);
    cr_assert_eq(volume_append(&v, "log", ""), 0);
    cr_assert_eq(volume_append(&v, "log", "three\n"), 0);
    volume_assert_text(&v, "log", "one\ntwo\nthree\n");
    cr_assert_eq(v.result.attr.size, 14);
    volume_close(&v);
}

Test(executor_file, one_publish_truncates_then_writes_then_appends)
{
    struct volume v;
    struct command *cmd = volume_command();
    struct command_extent extents[] = {{.offset = 2, .data = "XY", .size = 2},
                                       {.offset = 3, .data = "Z..", .size = 3}};

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "abcdefghij"), 0);
    command_write(cmd, &(struct command_write){.path = "f",
                                               .id = volume_id(&v, "f"),
                                               .truncate = true,
                                               .truncate_size = 5,
                                               .extents = extents,
                                               .extent_count = 2,
                                               .append = "end",
                                               .append_size = 3});
    cr_assert_eq(volume_run(&v, cmd), 0);
    volume_assert_text(&v, "f", "abXZ..end");
    cr_assert_eq(v.result.attr.size, 9);
    volume_close(&v);
}

/* Extents in any order and over each other, appends and truncations, against a
 * plain buffer. */
static void random_publish(struct model *m, uint64_t *seed)
{
    enum { EXTENTS_MAX = 12 };
    struct command *cmd = volume_command();
    struct command_extent extents[EXTENTS_MAX];
    struct command_write write = {.path = "f", .id = volume_id(&m->v, "f"), .extents = extents};
    static uint8_t data[3 * TREE_CHUNK_SIZE + 1];

    memset(data, (int)(1 + scratch_random(seed, 255)), sizeof data);
    if (scratch_random(seed, 3) == 0) {
        write.truncate = true;
        write.truncate_size = scratch_random(seed, (uint32_t)m->room);
        model_resize(m, (size_t)write.truncate_size);
    }
    write.extent_count = scratch_random(seed, EXTENTS_MAX);
    for (size_t i = 0; i < write.extent_count; i++) {
        size_t size = 1 + scratch_random(seed, scratch_random(seed, 4) == 0 ? sizeof data : 200);
        size_t offset = scratch_random(seed, (uint32_t)(m->room - size));

        if (scratch_random(seed, 3) == 0) {
            offset -= offset % TREE_CHUNK_SIZE;
        }
        extents[i] = (struct command_extent){.offset = offset, .data = data, .size = size};
        model_set(m, offset, data, size);
    }
    write.append = data;
    write.append_size = scratch_random(seed, 300);
    if (m->size + write.append_size > m->room) {
        write.append_size = 0;
    }
    model_set(m, m->size, data, write.append_size);
    command_write(cmd, &write);
    cr_assert_eq(volume_run(&m->v, cmd), 0);
}

Test(executor_file, random_publishes_make_the_bytes_of_a_plain_buffer)
{
    struct model m;
    uint64_t seed = scratch_seed("executor_file");

    model_open(&m, 8 * TREE_CHUNK_SIZE);
    for (int i = 0; i < 300; i++) {
        m.v.hold = scratch_random(&seed, 2) == 0;
        random_publish(&m, &seed);
        volume_commit(&m.v);
        model_check(&m);
    }
    model_close(&m);
}

Test(executor_file, a_write_needs_the_file_that_was_opened)
{
    struct volume v;
    struct command *cmd = volume_command();
    uint64_t id;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    id = volume_id(&v, "f");
    cr_assert_eq(volume_remove(&v, "f", false), 0);
    command_write(cmd,
                  &(struct command_write){.path = "f", .id = id, .append = "y", .append_size = 1});
    cr_assert_eq(volume_run(&v, cmd), KE_STALE);
    cr_assert_eq(volume_put(&v, "f", "new"), 0);
    cmd = volume_command();
    command_write(cmd,
                  &(struct command_write){.path = "f", .id = id, .append = "y", .append_size = 1});
    cr_assert_eq(volume_run(&v, cmd), KE_STALE);
    volume_assert_text(&v, "f", "new");
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_append(&v, "d", "x"), KE_IS_DIR);
    cr_assert_eq(volume_symlink(&v, "l", "f"), 0);
    cr_assert_eq(volume_append(&v, "l", "x"), KE_NOT_REGULAR);
    volume_close(&v);
}

Test(executor_file, a_write_changes_mtime_ctime_and_version)
{
    struct volume v;
    struct attr before;
    struct command *cmd = volume_command();

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    cr_assert_eq(volume_stat(&v, "f", &before), 0);
    command_set_time(cmd, VOLUME_TIME + 3);
    command_write(cmd, &(struct command_write){
                           .path = "f", .id = before.id, .append = "y", .append_size = 1});
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(v.result.attr.mtime_ns, VOLUME_TIME + 3);
    cr_assert_eq(v.result.attr.ctime_ns, VOLUME_TIME + 3);
    cr_assert_eq(v.result.attr.atime_ns, before.atime_ns);
    cr_assert_gt(v.result.attr.version, before.version);
    cr_assert_eq(v.result.attr.id, before.id);
    volume_close(&v);
}

static uint32_t mode_after_write(struct volume *v, uint32_t mode, bool clear_suid)
{
    struct command *cmd = volume_command();

    command_set_attr(
        cmd, &(struct command_set_attr){
                 .path = "f", .id = volume_id(v, "f"), .mask = COMMAND_SET_MODE, .mode = mode});
    command_write(cmd, &(struct command_write){.path = "f",
                                               .id = volume_id(v, "f"),
                                               .append = "x",
                                               .append_size = 1,
                                               .clear_suid = clear_suid});
    cr_assert_eq(volume_run(v, cmd), 0);
    return v->result.attr.mode;
}

Test(executor_file, a_write_clears_suid_and_sgid_when_asked)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_create(&v, "f", true), 0);
    cr_assert_eq(mode_after_write(&v, 06755, true), 0755);
    /* Without execution by the group the bit means locking. */
    cr_assert_eq(mode_after_write(&v, 06745, true), 02745);
    cr_assert_eq(mode_after_write(&v, 07777, false), 07777);
    volume_close(&v);
}

static uint32_t mode_after_set(struct volume *v, uint32_t mode, unsigned mask)
{
    struct command *cmd = volume_command();

    command_set_attr(
        cmd, &(struct command_set_attr){
                 .path = "f", .id = volume_id(v, "f"), .mask = COMMAND_SET_MODE, .mode = mode});
    cr_assert_eq(volume_run(v, cmd), 0);
    cmd = volume_command();
    command_set_attr(
        cmd, &(struct command_set_attr){
                 .path = "f", .id = volume_id(v, "f"), .mask = mask, .mode = 04711, .uid = 7});
    cr_assert_eq(volume_run(v, cmd), 0);
    return v->result.attr.mode;
}

Test(executor_file, a_new_owner_clears_suid_and_sgid_when_asked)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_create(&v, "f", true), 0);
    cr_assert_eq(mode_after_set(&v, 06755, COMMAND_SET_UID | COMMAND_CLEAR_SUID), 0755);
    cr_assert_eq(v.result.attr.uid, 7);
    cr_assert_eq(mode_after_set(&v, 06745, COMMAND_SET_UID | COMMAND_CLEAR_SUID), 02745);
    cr_assert_eq(mode_after_set(&v, 06755, COMMAND_SET_UID), 06755);
    /* A mode that is set is set. */
    cr_assert_eq(mode_after_set(&v, 0, COMMAND_SET_MODE | COMMAND_CLEAR_SUID), 04711);
    volume_close(&v);
}

static int write_at(struct volume *v, uint64_t offset, size_t size, bool truncate,
                    uint64_t truncate_size, size_t append)
{
    static const uint8_t zeros[100];
    struct command *cmd = volume_command();
    struct command_extent extent = {.offset = offset, .data = zeros, .size = size};

    command_write(cmd, &(struct command_write){.path = "f",
                                               .id = volume_id(v, "f"),
                                               .truncate = truncate,
                                               .truncate_size = truncate_size,
                                               .extents = &extent,
                                               .extent_count = 1,
                                               .append = zeros,
                                               .append_size = append});
    return volume_run(v, cmd);
}

Test(executor_file, no_file_grows_past_the_largest)
{
    struct volume v;
    char *before;
    char *after;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    before = volume_dump(&v);
    cr_assert_eq(write_at(&v, TREE_FILE_MAX - 9, 10, false, 0, 0), KE_TOO_LARGE);
    cr_assert_eq(write_at(&v, TREE_FILE_MAX + 1, 1, false, 0, 0), KE_TOO_LARGE);
    cr_assert_eq(write_at(&v, UINT64_MAX - 5, 10, false, 0, 0), KE_TOO_LARGE);
    cr_assert_eq(write_at(&v, 0, 0, true, TREE_FILE_MAX + 1, 0), KE_TOO_LARGE);
    cr_assert_eq(write_at(&v, 0, 0, true, TREE_FILE_MAX - 9, 10), KE_TOO_LARGE);
    cr_assert_eq(volume_truncate(&v, "f", TREE_FILE_MAX + 1), KE_TOO_LARGE);
    cr_assert_eq(volume_truncate(&v, "f", UINT64_MAX), KE_TOO_LARGE);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    cr_assert_eq(write_at(&v, TREE_FILE_MAX - 10, 10, false, 0, 0), 0);
    cr_assert_eq(v.result.attr.size, TREE_FILE_MAX);
    cr_assert_eq(volume_append(&v, "f", "x"), KE_TOO_LARGE);
    cr_assert_eq(volume_append(&v, "f", ""), 0);
    free(before);
    free(after);
    volume_close(&v);
}

/* Each row that a command touches is rewritten whole. */
Test(executor_file, a_command_rewrites_a_bounded_number_of_rows)
{
    struct volume v;
    struct command *cmd = volume_command();
    struct command_extent *extents = calloc(COMMAND_CHUNKS_MAX + 1, sizeof *extents);

    volume_open(&v);
    cr_assert_not_null(extents);
    cr_assert_eq(volume_create(&v, "f", true), 0);
    for (size_t i = 0; i <= COMMAND_CHUNKS_MAX; i++) {
        extents[i] = (struct command_extent){.offset = i * CHUNK, .data = "x", .size = 1};
    }
    struct command_write write = {.path = "f",
                                  .id = volume_id(&v, "f"),
                                  .extents = extents,
                                  .extent_count = COMMAND_CHUNKS_MAX + 1};

    command_write(cmd, &write);
    cr_assert_eq(volume_run(&v, cmd), KE_TOO_LARGE);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    /* Neighbours in one chunk count once. */
    for (size_t i = 0; i <= COMMAND_CHUNKS_MAX; i++) {
        extents[i].offset = i;
    }
    cmd = volume_command();
    command_write(cmd, &write);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(v.result.attr.size, COMMAND_CHUNKS_MAX + 1);
    free(extents);
    volume_close(&v);
}

Test(executor_file, a_large_hole_is_removed_at_the_cost_of_a_range)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    cr_assert_eq(volume_write(&v, "f", TREE_FILE_MAX / 2, "y", 1), 0);
    cr_assert_eq(volume_truncate(&v, "f", TREE_FILE_MAX), 0);
    v.hold = true;
    cr_assert_eq(volume_remove(&v, "f", false), 0);
    cr_assert_lt(engine_batch_bytes(v.batch), ENGINE_RANGE_COST + 10000);
    volume_commit(&v);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    volume_close(&v);
}

Test(executor_file, a_large_file_is_removed_row_by_row)
{
    struct volume v;
    size_t size = 500 * TREE_CHUNK_SIZE;
    uint8_t *bytes = malloc(size);
    struct command *cmd = volume_command();

    volume_open(&v);
    cr_assert_not_null(bytes);
    memset(bytes, 'x', size);
    command_put(cmd, "", "f", 1, bytes, size);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 500);
    cr_assert_eq(volume_truncate(&v, "f", 100 * CHUNK + 1), 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 101);
    cr_assert_eq(volume_remove(&v, "f", false), 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    free(bytes);
    volume_close(&v);
}

/* --- attributes --- */

static int set_attr(struct volume *v, const struct command_set_attr *set)
{
    struct command *cmd = volume_command();

    command_set_time(cmd, VOLUME_TIME + 11);
    command_set_attr(cmd, set);
    return volume_run(v, cmd);
}

Test(executor_file, only_the_named_attributes_are_set)
{
    struct volume v;
    struct attr before;
    struct attr after;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "content"), 0);
    cr_assert_eq(volume_stat(&v, "f", &before), 0);
    struct command_set_attr set = {.path = "f",
                                   .id = before.id,
                                   .mode = 0100000 | 01711,
                                   .uid = 3,
                                   .gid = 4,
                                   .size = 2,
                                   .atime_ns = -6,
                                   .mtime_ns = 7};

    set.mask = 0;
    cr_assert_eq(set_attr(&v, &set), 0);
    cr_assert_eq(memcmp(&v.result.attr, &before, sizeof before), 0);
    set.mask = COMMAND_SET_MODE | COMMAND_SET_ATIME;
    cr_assert_eq(set_attr(&v, &set), 0);
    after = before;
    after.mode = 01711;
    after.atime_ns = -6;
    after.ctime_ns = VOLUME_TIME + 11;
    after.version = v.revision;
    cr_assert_eq(memcmp(&v.result.attr, &after, sizeof after), 0);
    set.mask = COMMAND_SET_UID | COMMAND_SET_MTIME;
    cr_assert_eq(set_attr(&v, &set), 0);
    after.uid = 3;
    after.mtime_ns = 7;
    after.version = v.revision;
    cr_assert_eq(memcmp(&v.result.attr, &after, sizeof after), 0);
    set.mask = COMMAND_SET_GID | COMMAND_SET_SIZE;
    cr_assert_eq(set_attr(&v, &set), 0);
    after.gid = 4;
    after.size = 2;
    after.mtime_ns = VOLUME_TIME + 11;
    after.version = v.revision;
    cr_assert_eq(memcmp(&v.result.attr, &after, sizeof after), 0);
    volume_assert_text(&v, "f", "co");
    set.mask = COMMAND_SET_SIZE | COMMAND_SET_MTIME;
    cr_assert_eq(set_attr(&v, &set), 0);
    cr_assert_eq(v.result.attr.mtime_ns, 7);
    cr_assert_gt(after.version, before.version);
    volume_close(&v);
}

Test(executor_file, directories_links_and_the_root_have_attributes_too)
{
    struct volume v;
    struct attr attr;

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "target"), 0);
    struct command_set_attr set = {
        .mask = COMMAND_SET_MODE | COMMAND_SET_UID, .mode = 01777, .uid = 5};

    set.path = "d";
    set.id = volume_id(&v, "d");
    cr_assert_eq(set_attr(&v, &set), 0);
    set.path = "l";
    set.id = volume_id(&v, "l");
    cr_assert_eq(set_attr(&v, &set), 0);
    set.path = "";
    set.id = ATTR_ROOT_ID;
    cr_assert_eq(set_attr(&v, &set), 0);
    cr_assert_eq(volume_stat(&v, "", &attr), 0);
    cr_assert_eq(attr.mode, 01777);
    cr_assert_eq(attr.uid, 5);
    cr_assert_eq(attr.id, ATTR_ROOT_ID);
    cr_assert_eq(volume_stat(&v, "d", &attr), 0);
    cr_assert_eq(attr.mode, 01777);

    char target[4096];
    struct tree_view *view = tree_view_new(v.tree);

    cr_assert_eq(tree_read_link(view, "l", target), 0);
    cr_assert_str_eq(target, "target");
    tree_view_unref(view);
    volume_close(&v);
}

Test(executor_file, attributes_that_make_no_sense_are_refused)
{
    struct volume v;
    char *before;
    char *after;

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "f"), 0);
    before = volume_dump(&v);
    cr_assert_eq(volume_truncate(&v, "d", 0), KE_IS_DIR);
    cr_assert_eq(volume_truncate(&v, "l", 0), KE_NOT_REGULAR);
    struct command_set_attr set = {.path = "f", .id = 999, .mask = COMMAND_SET_MODE};

    cr_assert_eq(set_attr(&v, &set), KE_STALE);
    set.path = "none";
    cr_assert_eq(set_attr(&v, &set), KE_STALE);
    set.path = "f";
    set.id = volume_id(&v, "f");
    set.mask = 256;
    cr_assert_eq(set_attr(&v, &set), KE_INVALID);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    volume_close(&v);
}
