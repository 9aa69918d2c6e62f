/* Put and delete, as raw clients send them. */
#include "raftstore/path.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int put(struct volume *v, const char *cf, const void *key, size_t key_size,
               const void *value, size_t value_size)
{
    struct command *cmd = volume_command();

    command_put(cmd, cf, key, key_size, value, value_size);
    return volume_run(v, cmd);
}

static int get(struct volume *v, const char *cf, const void *key, size_t key_size,
               uint8_t **ret_value, size_t *ret_size)
{
    struct tree_view *view = tree_view_new(v->tree);
    int code = tree_get(view, cf, key, key_size, 1 << 20, ret_value, ret_size);

    tree_view_unref(view);
    return code;
}

/* --- put --- */

Test(executor_raw, a_put_makes_a_file_and_the_directories_above_it)
{
    struct volume v;
    struct attr attr;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a/b/c", "value"), 0);
    volume_assert_text(&v, "a/b/c", "value");
    volume_assert_names(&v, "", "a/");
    volume_assert_names(&v, "a", "b/");
    volume_assert_names(&v, "a/b", "c");
    cr_assert_eq(volume_stat(&v, "a/b/c", &attr), 0);
    cr_assert_eq(attr.type, FILE_REGULAR);
    cr_assert_eq(attr.mode, 0644);
    cr_assert_eq(attr.uid, VOLUME_UID);
    cr_assert_eq(attr.gid, VOLUME_GID);
    cr_assert_eq(attr.size, 5);
    cr_assert_eq(attr.mtime_ns, VOLUME_TIME);
    cr_assert_eq(attr.atime_ns, VOLUME_TIME);
    cr_assert_eq(attr.ctime_ns, VOLUME_TIME);
    cr_assert_eq(memcmp(&v.result.attr, &attr, sizeof attr), 0);
    cr_assert_eq(volume_stat(&v, "a/b", &attr), 0);
    cr_assert_eq(attr.mode, 0755);
    cr_assert_eq(attr.uid, VOLUME_UID);
    cr_assert_eq(attr.gid, VOLUME_GID);
    cr_assert_eq(attr.mtime_ns, VOLUME_TIME);
    cr_assert_eq(volume_stat(&v, "", &attr), 0);
    cr_assert_eq(attr.mtime_ns, VOLUME_TIME);
    volume_close(&v);
}

Test(executor_raw, a_put_replaces_the_content_and_keeps_the_file)
{
    struct volume v;
    struct attr before;
    struct attr after;
    struct command *cmd;

    volume_open(&v);
    cr_assert_eq(volume_create(&v, "f", true), 0);
    cr_assert_eq(volume_append(&v, "f", "a longer value"), 0);
    cr_assert_eq(volume_stat(&v, "f", &before), 0);
    cmd = volume_command();
    command_set_time(cmd, VOLUME_TIME + 5);
    command_put(cmd, "default", "f", 1, "short", 5);
    cr_assert_eq(volume_run(&v, cmd), 0);
    volume_assert_text(&v, "f", "short");
    cr_assert_eq(volume_stat(&v, "f", &after), 0);
    cr_assert_eq(after.id, before.id);
    cr_assert_eq(after.mode, 0640);
    cr_assert_eq(after.uid, 7);
    cr_assert_eq(after.gid, 8);
    cr_assert_eq(after.atime_ns, before.atime_ns);
    cr_assert_eq(after.mtime_ns, VOLUME_TIME + 5);
    cr_assert_eq(after.ctime_ns, VOLUME_TIME + 5);
    cr_assert_gt(after.version, before.version);
    volume_close(&v);
}

Test(executor_raw, an_empty_value_is_a_file)
{
    struct volume v;
    uint8_t *value = NULL;
    size_t size = 1;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "empty", ""), 0);
    cr_assert_eq(get(&v, "", "empty", 5, &value, &size), 0);
    cr_assert_not_null(value);
    cr_assert_eq(size, 0);
    free(value);
    volume_assert_names(&v, "", "empty");
    cr_assert_eq(get(&v, "", "absent", 6, &value, &size), KE_NOT_FOUND);
    cr_assert_eq(volume_put(&v, "empty", "x"), 0);
    cr_assert_eq(volume_put(&v, "empty", ""), 0);
    volume_assert_text(&v, "empty", "");
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    volume_close(&v);
}

Test(executor_raw, values_of_all_sizes_around_a_chunk_replace_each_other)
{
    static const size_t sizes[] = {0,
                                   1,
                                   TREE_CHUNK_SIZE - 1,
                                   TREE_CHUNK_SIZE,
                                   TREE_CHUNK_SIZE + 1,
                                   2 * TREE_CHUNK_SIZE,
                                   70 * TREE_CHUNK_SIZE + 1};
    static const size_t count = sizeof sizes / sizeof sizes[0];
    struct volume v;
    uint8_t *value = malloc(sizes[count - 1]);

    volume_open(&v);
    cr_assert_not_null(value);
    for (size_t from = 0; from < count; from++) {
        for (size_t to = 0; to < count; to++) {
            size_t size;
            uint8_t *got;

            memset(value, (int)('a' + from), sizes[from]);
            cr_assert_eq(put(&v, "", "f", 1, value, sizes[from]), 0);
            memset(value, (int)('A' + to), sizes[to]);
            cr_assert_eq(put(&v, "", "f", 1, value, sizes[to]), 0);
            got = volume_bytes(&v, "f", &size);
            cr_assert_eq(size, sizes[to]);
            cr_assert_eq(memcmp(got, value, size), 0);
            free(got);
            cr_assert_eq(volume_rows(&v, CF_DEFAULT),
                         (size + TREE_CHUNK_SIZE - 1) / TREE_CHUNK_SIZE);
        }
    }
    free(value);
    volume_close(&v);
}

Test(executor_raw, a_put_does_not_replace_what_is_no_file)
{
    struct volume v;
    char *before;
    char *after;

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "dir"), 0);
    cr_assert_eq(volume_symlink(&v, "link", "dir"), 0);
    cr_assert_eq(volume_put(&v, "file", "x"), 0);
    before = volume_dump(&v);
    cr_assert_eq(volume_put(&v, "dir", "x"), KE_IS_DIR);
    cr_assert_eq(volume_put(&v, "link", "x"), KE_NOT_REGULAR);
    cr_assert_eq(volume_put(&v, "file/x", "x"), KE_NOT_DIR);
    cr_assert_eq(volume_put(&v, "file/x/y/z", "x"), KE_NOT_DIR);
    cr_assert_eq(volume_put(&v, "link/x", "x"), KE_NOT_DIR);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    volume_close(&v);
}

Test(executor_raw, names_may_hold_any_bytes)
{
    static const char *const names[] = {"\x01", "\x01\x02\x7f", "\xff\xfe",      "\xc3\x28",
                                        " ",    "\n",           "\x01/\xff/\x80"};
    struct volume v;

    volume_open(&v);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (i != 6) {
            cr_assert_eq(volume_put(&v, names[i], names[i]), 0);
        }
    }
    cr_assert_eq(volume_put(&v, names[6], "x"), KE_NOT_DIR);
    cr_assert_eq(volume_delete(&v, "\x01"), 0);
    cr_assert_eq(volume_put(&v, names[6], names[6]), 0);
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++) {
        volume_assert_text(&v, names[i], names[i]);
    }
    volume_assert_names(&v, "", "\x01/,\x01\x02\x7f,\n, ,\xc3\x28,\xff\xfe");
    volume_assert_names(&v, "\x01", "\xff/");
    volume_close(&v);
}

Test(executor_raw, the_deepest_path_can_be_put)
{
    struct volume v;
    char path[PATH_BYTES_MAX + 1];

    for (size_t i = 0; i < PATH_BYTES_MAX; i++) {
        path[i] = i % 2 == 0 ? 'a' : '/';
    }
    path[PATH_BYTES_MAX] = '\0';
    volume_open(&v);
    cr_assert_eq(volume_put(&v, path, "deep"), 0);
    volume_assert_text(&v, path, "deep");
    cr_assert_eq(volume_rows(&v, CF_ATTR), 2 + PATH_BYTES_MAX / 2);
    volume_close(&v);
}

/* --- delete --- */

Test(executor_raw, a_delete_removes_the_file_and_its_content)
{
    struct volume v;
    struct attr attr;
    struct command *cmd = volume_command();

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/f", "value"), 0);
    command_set_time(cmd, VOLUME_TIME + 2);
    command_delete(cmd, "default", "d/f", 3);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert(v.result.has_attr);
    cr_assert_eq(v.result.attr.size, 5);
    cr_assert_eq(volume_stat(&v, "d/f", &attr), KE_NOT_FOUND);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    volume_assert_names(&v, "d", "");
    cr_assert_eq(volume_stat(&v, "d", &attr), 0);
    cr_assert_eq(attr.version, v.revision);
    cr_assert_eq(attr.mtime_ns, VOLUME_TIME + 2);
    volume_close(&v);
}

Test(executor_raw, deleting_what_is_absent_is_no_error)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    cr_assert_eq(volume_delete(&v, "g"), 0);
    cr_assert_not(v.result.has_attr);
    cr_assert_eq(volume_delete(&v, "f/g"), 0);
    cr_assert_eq(volume_delete(&v, "no/such/dir"), 0);
    volume_assert_names(&v, "", "f");
    volume_close(&v);
}

Test(executor_raw, a_delete_does_not_remove_what_is_no_file)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "dir"), 0);
    cr_assert_eq(volume_symlink(&v, "link", "x"), 0);
    cr_assert_eq(volume_delete(&v, "dir"), KE_IS_DIR);
    cr_assert_eq(volume_delete(&v, "link"), KE_NOT_REGULAR);
    volume_assert_names(&v, "", "dir/,link@");
    volume_close(&v);
}

/* --- plain pairs --- */

Test(executor_raw, plain_pairs_are_apart_from_the_files_and_each_other)
{
    struct volume v;
    struct command *cmd;
    uint8_t *value;
    size_t size;

    volume_open(&v);
    cr_assert_eq(put(&v, "lock", "/any//key\0", 10, "l", 1), 0);
    cr_assert_not(v.result.has_attr);
    cr_assert_eq(put(&v, "write", "/any//key\0", 10, "", 0), 0);
    volume_assert_names(&v, "", "");
    cr_assert_eq(get(&v, "lock", "/any//key\0", 10, &value, &size), 0);
    cr_assert_eq(size, 1);
    cr_assert_eq(value[0], 'l');
    free(value);
    cr_assert_eq(get(&v, "write", "/any//key\0", 10, &value, &size), 0);
    cr_assert_eq(size, 0);
    free(value);
    cmd = volume_command();
    command_delete(cmd, "lock", "/any//key\0", 10);
    command_delete(cmd, "lock", "absent", 6);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(get(&v, "lock", "/any//key\0", 10, &value, &size), KE_NOT_FOUND);
    cr_assert_eq(volume_rows(&v, CF_WRITE), 1);
    volume_close(&v);
}

Test(executor_raw, keys_of_plain_pairs_are_bounded)
{
    struct volume v;
    char key[PATH_BYTES_MAX + 1] = {0};
    struct command *cmd;

    volume_open(&v);
    cr_assert_eq(put(&v, "lock", "", 0, "x", 1), KE_INVALID);
    cr_assert_eq(put(&v, "lock", key, PATH_BYTES_MAX, "x", 1), 0);
    cr_assert_eq(put(&v, "lock", key, PATH_BYTES_MAX + 1, "x", 1), KE_NAME_TOO_LONG);
    cmd = volume_command();
    command_delete(cmd, "lock", key, PATH_BYTES_MAX + 1);
    cr_assert_eq(volume_run(&v, cmd), KE_NAME_TOO_LONG);
    volume_close(&v);
}

Test(executor_raw, other_column_families_are_refused)
{
    struct volume v;
    struct command *cmd = volume_command();

    volume_open(&v);
    cr_assert_eq(put(&v, "meta", "k", 1, "x", 1), KE_INVALID);
    cr_assert_eq(put(&v, "attr", "k", 1, "x", 1), KE_INVALID);
    command_delete(cmd, "meta", "k", 1);
    cr_assert_eq(volume_run(&v, cmd), KE_INVALID);
    volume_close(&v);
}
