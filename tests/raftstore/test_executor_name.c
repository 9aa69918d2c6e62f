/* Remove and rename, as a mount sends them. */
#include "raftstore/path.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rename_no_replace(struct volume *v, const char *from, const char *to)
{
    struct command *cmd = volume_command();

    command_rename(cmd, from, to, true);
    return volume_run(v, cmd);
}

/* d/ with e/ and f in it, and l -> d, next to it. */
static void open_small_tree(struct volume *v)
{
    volume_open(v);
    cr_assert_eq(volume_mkdir(v, "d"), 0);
    cr_assert_eq(volume_mkdir(v, "d/e"), 0);
    cr_assert_eq(volume_put(v, "d/f", "text"), 0);
    cr_assert_eq(volume_symlink(v, "l", "d"), 0);
}

/* --- remove --- */

Test(executor_name, each_remove_takes_only_its_own_kind)
{
    struct volume v;

    open_small_tree(&v);
    cr_assert_eq(volume_remove(&v, "d", false), KE_IS_DIR);
    cr_assert_eq(volume_remove(&v, "d/f", true), KE_NOT_DIR);
    cr_assert_eq(volume_remove(&v, "l", true), KE_NOT_DIR);
    cr_assert_eq(volume_remove(&v, "d", true), KE_NOT_EMPTY);
    cr_assert_eq(volume_remove(&v, "none", false), KE_NOT_FOUND);
    cr_assert_eq(volume_remove(&v, "none", true), KE_NOT_FOUND);
    cr_assert_eq(volume_remove(&v, "none/x", false), KE_NOT_FOUND);
    cr_assert_eq(volume_remove(&v, "d/f/x", false), KE_NOT_DIR);
    cr_assert_eq(volume_remove(&v, "l/f", false), KE_NOT_DIR);
    volume_assert_names(&v, "", "d/,l@");
    volume_assert_names(&v, "d", "e/,f");
    volume_close(&v);
}

Test(executor_name, a_removed_object_is_gone_with_its_content)
{
    struct volume v;
    struct attr attr;

    open_small_tree(&v);
    cr_assert_eq(volume_stat(&v, "d/f", &attr), 0);
    cr_assert_eq(volume_remove(&v, "d/f", false), 0);
    cr_assert(v.result.has_attr);
    attr.nlink = 0;
    cr_assert_eq(memcmp(&v.result.attr, &attr, sizeof attr), 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    cr_assert_eq(volume_remove(&v, "d/e", true), 0);
    cr_assert_eq(volume_remove(&v, "d", true), 0);
    cr_assert_eq(volume_remove(&v, "l", false), 0);
    volume_assert_names(&v, "", "");
    volume_close(&v);
}

Test(executor_name, a_directory_is_empty_whatever_its_neighbours_are_called)
{
    static const char *const neighbours[] = {"d-", "d.x", "d0", "dd", "d!/x", "d0/x2"};
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_mkdir(&v, "d!"), 0);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(volume_put(&v, neighbours[i], "x"), 0);
    }
    cr_assert_eq(volume_remove(&v, "d", true), 0);
    volume_close(&v);
}

Test(executor_name, a_remove_changes_the_times_of_the_directory)
{
    struct volume v;
    struct attr attr;
    struct command *cmd = volume_command();

    open_small_tree(&v);
    command_set_time(cmd, VOLUME_TIME + 4);
    command_remove(cmd, "d/f", false);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(volume_stat(&v, "d", &attr), 0);
    cr_assert_eq(attr.mtime_ns, VOLUME_TIME + 4);
    cr_assert_eq(attr.ctime_ns, VOLUME_TIME + 4);
    cr_assert_eq(attr.version, v.revision);
    volume_close(&v);
}

/* --- rename --- */

Test(executor_name, a_renamed_file_keeps_its_id_and_content)
{
    struct volume v;
    struct attr before;
    struct attr after;
    struct attr parent;
    struct command *cmd = volume_command();

    open_small_tree(&v);
    cr_assert_eq(volume_stat(&v, "d/f", &before), 0);
    command_set_time(cmd, VOLUME_TIME + 4);
    command_rename(cmd, "d/f", "d/e/g", false);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(volume_stat(&v, "d/f", &after), KE_NOT_FOUND);
    cr_assert_eq(volume_stat(&v, "d/e/g", &after), 0);
    cr_assert_eq(memcmp(&v.result.attr, &after, sizeof after), 0);
    cr_assert_gt(after.version, before.version);
    before.version = after.version;
    before.ctime_ns = VOLUME_TIME + 4;
    cr_assert_eq(memcmp(&after, &before, sizeof after), 0);
    volume_assert_text(&v, "d/e/g", "text");
    cr_assert_eq(volume_stat(&v, "d", &parent), 0);
    cr_assert_eq(parent.mtime_ns, VOLUME_TIME + 4);
    cr_assert_eq(volume_stat(&v, "d/e", &parent), 0);
    cr_assert_eq(parent.mtime_ns, VOLUME_TIME + 4);
    volume_close(&v);
}

Test(executor_name, a_rename_in_one_directory_changes_it_once)
{
    struct volume v;
    struct attr root;
    uint64_t revision;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a", "x"), 0);
    revision = v.revision;
    cr_assert_eq(volume_rename(&v, "a", "b"), 0);
    cr_assert_eq(v.revision, revision + 2);
    cr_assert_eq(volume_stat(&v, "", &root), 0);
    cr_assert_eq(root.version, v.revision);
    volume_close(&v);
}

Test(executor_name, a_file_replaces_a_file_or_a_link)
{
    struct volume v;
    uint64_t id;

    open_small_tree(&v);
    cr_assert_eq(volume_put(&v, "new", "new text"), 0);
    id = volume_id(&v, "new");
    cr_assert_eq(volume_rename(&v, "new", "d/f"), 0);
    volume_assert_text(&v, "d/f", "new text");
    cr_assert_eq(volume_id(&v, "d/f"), id);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 1);
    cr_assert_eq(volume_rename(&v, "d/f", "l"), 0);
    volume_assert_text(&v, "l", "new text");
    volume_assert_names(&v, "", "d/,l");
    cr_assert_eq(volume_symlink(&v, "m", "target"), 0);
    cr_assert_eq(volume_rename(&v, "m", "l"), 0);
    volume_assert_names(&v, "", "d/,l@");
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    volume_close(&v);
}

Test(executor_name, a_rename_that_rename_2_refuses_changes_nothing)
{
    struct volume v;
    char *before;
    char *after;

    open_small_tree(&v);
    cr_assert_eq(volume_put(&v, "file", "x"), 0);
    cr_assert_eq(volume_mkdir(&v, "empty"), 0);
    before = volume_dump(&v);
    cr_assert_eq(volume_rename(&v, "none", "x"), KE_NOT_FOUND);
    cr_assert_eq(volume_rename(&v, "none/x", "x"), KE_NOT_FOUND);
    cr_assert_eq(volume_rename(&v, "file/x", "x"), KE_NOT_DIR);
    cr_assert_eq(volume_rename(&v, "file", "none/x"), KE_NOT_FOUND);
    cr_assert_eq(volume_rename(&v, "file", "d/f/x"), KE_NOT_DIR);
    cr_assert_eq(volume_rename(&v, "file", "l/x"), KE_NOT_DIR);
    cr_assert_eq(volume_rename(&v, "file", "empty"), KE_IS_DIR);
    cr_assert_eq(volume_rename(&v, "empty", "file"), KE_NOT_DIR);
    cr_assert_eq(volume_rename(&v, "empty", "l"), KE_NOT_DIR);
    cr_assert_eq(volume_rename(&v, "empty", "d"), KE_NOT_EMPTY);
    cr_assert_eq(volume_rename(&v, "d", "d/e/x"), KE_INVALID);
    cr_assert_eq(volume_rename(&v, "d", "d/e"), KE_INVALID);
    cr_assert_eq(volume_rename(&v, "d/e", "d"), KE_NOT_EMPTY);
    cr_assert_eq(rename_no_replace(&v, "file", "l"), KE_EXISTS);
    cr_assert_eq(rename_no_replace(&v, "d", "empty"), KE_EXISTS);
    cr_assert_eq(rename_no_replace(&v, "file", "file"), KE_EXISTS);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    volume_close(&v);
}

Test(executor_name, a_rename_to_itself_is_a_success_that_changes_nothing)
{
    struct volume v;
    char *before;
    char *after;

    open_small_tree(&v);
    before = volume_dump(&v);
    cr_assert_eq(volume_rename(&v, "d", "d"), 0);
    cr_assert(v.result.has_attr);
    cr_assert_eq(volume_rename(&v, "d/f", "d/f"), 0);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    volume_close(&v);
}

Test(executor_name, a_directory_moves_with_all_below_it)
{
    struct volume v;
    uint64_t id;

    open_small_tree(&v);
    cr_assert_eq(volume_put(&v, "d/e/x/y", "deep"), 0);
    cr_assert_eq(volume_symlink(&v, "d/e/s", "target"), 0);
    cr_assert_eq(volume_put(&v, "d-", "beside"), 0);
    cr_assert_eq(volume_put(&v, "d0", "beside"), 0);
    cr_assert_eq(volume_mkdir(&v, "empty"), 0);
    id = volume_id(&v, "d/e/x/y");
    cr_assert_eq(rename_no_replace(&v, "d", "a longer name"), 0);
    volume_assert_names(&v, "", "a longer name/,d-,d0,empty/,l@");
    volume_assert_names(&v, "a longer name", "e/,f");
    volume_assert_names(&v, "a longer name/e", "s@,x/");
    volume_assert_text(&v, "a longer name/e/x/y", "deep");
    cr_assert_eq(volume_id(&v, "a longer name/e/x/y"), id);
    cr_assert_eq(volume_rename(&v, "a longer name", "empty"), 0);
    volume_assert_text(&v, "empty/e/x/y", "deep");
    volume_assert_text(&v, "d-", "beside");
    cr_assert_eq(volume_rename(&v, "empty/e", "d"), 0);
    volume_assert_names(&v, "", "d/,d-,d0,empty/,l@");
    volume_assert_names(&v, "empty", "f");
    volume_assert_text(&v, "d/x/y", "deep");
    volume_close(&v);
}

Test(executor_name, a_rename_in_the_same_batch_as_what_it_moves_moves_it)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/stored", "1"), 0);
    cr_assert_eq(volume_put(&v, "d/removed", "1"), 0);
    v.hold = true;
    cr_assert_eq(volume_put(&v, "d/new", "2"), 0);
    cr_assert_eq(volume_delete(&v, "d/removed"), 0);
    cr_assert_eq(volume_rename(&v, "d", "e"), 0);
    cr_assert_eq(volume_put(&v, "d/again", "3"), 0);
    volume_commit(&v);
    volume_assert_names(&v, "e", "new,stored");
    volume_assert_names(&v, "d", "again");
    volume_close(&v);
}

/* The name of the `i`th of the files that fill a directory. */
static const char *numbered(char *out, size_t size, const char *dir, int i)
{
    (void)snprintf(out, size, "%s/%06d", dir, i);
    return out;
}

static void fill(struct volume *v, const char *dir, int from, int to)
{
    char path[64];

    v->hold = true;
    for (int i = from; i < to; i++) {
        cr_assert_eq(volume_create(v, numbered(path, sizeof path, dir, i), true), 0);
        if (i % 1000 == 999) {
            volume_commit(v);
            executor_clear_changes(v->executor);
        }
    }
    volume_commit(v);
    v->hold = false;
}

Test(executor_name, a_directory_moves_up_to_the_largest_and_no_further, .timeout = 120)
{
    struct volume v;
    struct attr attr;
    char path[64];

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "big"), 0);
    fill(&v, "big", 0, RENAME_KEYS_MAX);
    cr_assert_eq(volume_rename(&v, "big", "moved"), 0);
    cr_assert_eq(volume_rows(&v, CF_ATTR), RENAME_KEYS_MAX + 2);
    for (int i = 0; i < RENAME_KEYS_MAX; i += 9999) {
        cr_assert_eq(volume_stat(&v, numbered(path, sizeof path, "big", i), &attr), KE_NOT_FOUND);
        cr_assert_eq(volume_stat(&v, numbered(path, sizeof path, "moved", i), &attr), 0);
    }
    cr_assert_eq(volume_put(&v, "moved/one-more", "x"), 0);
    cr_assert_eq(volume_rename(&v, "moved", "big"), KE_CROSS);
    cr_assert_eq(volume_stat(&v, "moved/one-more", &attr), 0);
    cr_assert_eq(volume_stat(&v, "big", &attr), KE_NOT_FOUND);
    volume_close(&v);
}

Test(executor_name, a_rename_is_refused_when_a_path_below_gets_too_long)
{
    struct volume v;
    char below[PATH_BYTES_MAX + 1];
    char *before;
    char *after;

    volume_open(&v);
    for (size_t i = 0; i < PATH_BYTES_MAX - 1; i++) {
        below[i] = i % 200 == 1 ? '/' : 'a';
    }
    below[PATH_BYTES_MAX - 1] = '\0';
    cr_assert_eq(volume_put(&v, below, "x"), 0);
    cr_assert_eq(volume_rename(&v, "a", "bb"), 0);
    before = volume_dump(&v);
    cr_assert_eq(volume_rename(&v, "bb", "ccc"), KE_NAME_TOO_LONG);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    cr_assert_eq(volume_rename(&v, "bb", "a"), 0);
    volume_assert_text(&v, below, "x");
    free(before);
    free(after);
    volume_close(&v);
}

Test(executor_name, the_size_of_a_file_does_not_matter_to_its_rename)
{
    struct volume v;
    size_t size = 400 * TREE_CHUNK_SIZE;
    uint8_t *bytes = calloc(1, size);
    struct command *cmd = volume_command();

    volume_open(&v);
    cr_assert_not_null(bytes);
    command_put(cmd, "", "large", 5, bytes, size);
    cr_assert_eq(volume_run(&v, cmd), 0);
    v.hold = true;
    cr_assert_eq(volume_rename(&v, "large", "moved"), 0);
    cr_assert_lt(engine_batch_bytes(v.batch), 1000);
    volume_commit(&v);
    free(bytes);
    bytes = volume_bytes(&v, "moved", &size);
    cr_assert_eq(size, 400 * TREE_CHUNK_SIZE);
    free(bytes);
    volume_close(&v);
}
