/* Open files over the fake store, without a mount. */
#include "fake_store.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/resolve.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE (VIEW_CONTENT_MAX + 1000)

static char dir[] = "/tmp/keelfs-file-test-XXXXXX";
static struct store *store;
static struct fs *fs;
static char text[LARGE];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static void setup(void)
{
    cr_assert_not_null(mkdtemp(dir));
    const struct fs_config config = {.mountpoint = dir, .data_dir = dir};
    store = fake_store_new(dir);
    fs = fs_new(store, &config);
}

static void teardown(void)
{
    fs_abandon_open(fs);
    fake_store_free(store);
    fs_free(fs);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(file, .init = setup, .fini = teardown);

static void put(const char *name, char byte, size_t size)
{
    struct command *cmd = command_new();

    memset(text, byte, size);
    command_put(cmd, "default", name, strlen(name), text, size);
    cr_assert_eq(fake_store_apply(store, cmd), 0);
}

static struct look look_at(const char *name)
{
    struct look look = {
        .tree = tree_view_new(store_tree(store)),
        .path = name,
        .since_ns = clock_ns(),
    };

    cr_assert_eq(tree_stat(look.tree, name, &look.attr), 0);
    return look;
}

static struct handle *open_file(const char *name, int flags)
{
    struct look look = look_at(name);
    struct inode *inode = inode_remember(&fs->inodes, look.attr.id, FILE_REGULAR, name);
    struct handle *handle = NULL;
    uint64_t round;

    cr_assert_eq(file_open(fs, inode, &look, flags, 1, &handle, &round), FILE_READY);
    inode_unpin(inode);
    look_release(&look);
    return handle;
}

static char first_byte(struct handle *handle)
{
    char byte = '?';
    size_t got;

    cr_assert_eq(file_read(handle, 0, &byte, 1, 1, &got), 0);
    cr_assert_eq(got, 1);
    return byte;
}

Test(file, a_small_file_is_held_in_memory_and_a_large_one_by_a_snapshot)
{
    put("small", 's', 10);
    put("large", 'l', LARGE);
    struct handle *small = open_file("small", O_RDONLY);
    struct handle *large = open_file("large", O_RDONLY);

    cr_assert_eq(first_byte(small), 's');
    cr_assert_eq(first_byte(large), 'l');
    cr_assert_null(small->view->tree);
    cr_assert_not_null(large->view->tree);
    file_release(small);
    file_release(large);
}

Test(file, an_old_snapshot_is_replaced_by_the_current_version)
{
    put("f", 'a', LARGE);
    struct handle *handle = open_file("f", O_RDONLY);
    struct inode *inode = handle->inode;

    put("f", 'b', LARGE);
    file_renew_views(inode);
    cr_assert_eq(first_byte(handle), 'a');
    handle->view->taken_ns -= VIEW_AGE_MAX_NS;
    file_renew_views(inode);
    cr_assert_eq(first_byte(handle), 'b');
    file_release(handle);
}

Test(file, an_old_snapshot_of_a_removed_file_stays)
{
    put("f", 'a', LARGE);
    struct handle *handle = open_file("f", O_RDONLY);
    struct command *cmd = command_new();

    command_remove(cmd, "f", false);
    cr_assert_eq(fake_store_apply(store, cmd), 0);
    handle->view->taken_ns -= VIEW_AGE_MAX_NS;
    file_renew_views(handle->inode);
    cr_assert_eq(first_byte(handle), 'a');
    file_release(handle);
}

Test(file, handles_of_one_version_share_its_view)
{
    put("f", 'a', LARGE);
    struct handle *one = open_file("f", O_RDONLY);
    struct handle *two = open_file("f", O_RDONLY);

    cr_assert_eq(one->view, two->view);
    file_release(one);
    file_release(two);
    cr_assert_eq(fs->inodes.count, 1);
}

Test(file, a_removed_file_holds_a_bounded_amount_of_memory)
{
    put("f", 'a', 1);
    struct handle *handle = open_file("f", O_RDWR);
    struct command *cmd = command_new();
    char *block = calloc(1, 1 << 20);
    struct file_write write = {.data = block, .size = 1 << 20};
    uint64_t round;
    int answer = FILE_READY;

    command_remove(cmd, "f", false);
    cr_assert_eq(fake_store_apply(store, cmd), 0);
    for (int i = 0; i < 200 && answer == FILE_READY; i++, write.offset += write.size)
        answer = file_write(handle, &write, &round);
    cr_assert_eq(answer, KE_NO_SPACE);
    cr_assert_leq(fs->budget.used, FILE_REMOVED_COST_MAX);
    file_release(handle);
    cr_assert_eq(fs->budget.used, 0);
    free(block);
}

/* --- removed files that are just being opened --- */

static void remove_elsewhere(const char *name)
{
    struct command *cmd = command_new();

    command_remove(cmd, name, false);
    cr_assert_eq(fake_store_apply(store, cmd), 0);
}

static void write_text(struct handle *handle, const char *bytes)
{
    const struct file_write write = {.append = true, .data = bytes, .size = strlen(bytes)};
    uint64_t round;

    cr_assert_eq(file_write(handle, &write, &round), FILE_READY);
}

static void assert_reads(struct handle *handle, const char *expected)
{
    char bytes[32] = {0};
    size_t got;

    cr_assert_eq(file_read(handle, 0, bytes, sizeof(bytes) - 1, 1, &got), 0);
    cr_assert_str_eq(bytes, expected);
}

Test(file, what_was_written_to_a_removed_file_is_there_for_who_opens_it_meanwhile)
{
    put("f", 'a', 2);
    struct handle *writer = open_file("f", O_RDWR);
    struct inode *inode = writer->inode;
    struct attr attr;

    inode_pin_again(inode); /* as by a lookup */
    remove_elsewhere("f");
    write_text(writer, "xy");
    file_release(writer);
    cr_assert(file_show_removed(inode, NULL, &attr));
    cr_assert_eq(attr.size, 4);
    for (int i = 0; i < 2; i++) {
        struct handle *late = file_open_removed(fs, inode, NULL, NULL, O_RDWR, 1);
        cr_assert_not_null(late);
        assert_reads(late, i == 0 ? "aaxy" : "aaxyz");
        if (i == 0)
            write_text(late, "z");
        file_release(late);
    }
    cr_assert_gt(fs->budget.used, 0);
    inode_unpin(inode);
    cr_assert_eq(fs->budget.used, 0);
    cr_assert_eq(fs->inodes.count, 1);
}

Test(file, what_is_left_of_a_removed_file_goes_after_a_moment)
{
    put("f", 'a', 2);
    struct handle *writer = open_file("f", O_RDWR);
    struct inode *inode = writer->inode;

    inode_pin_again(inode);
    remove_elsewhere("f");
    write_text(writer, "xy");
    file_release(writer);
    file_renew_views(inode);
    cr_assert_gt(fs->budget.used, 0);
    inode_file(inode)->left_ns -= FILE_LEFT_NS;
    file_renew_views(inode);
    cr_assert_eq(fs->budget.used, 0);
    cr_assert_null(file_open_removed(fs, inode, NULL, NULL, O_RDONLY, 1));
    inode_unpin(inode);
}

/* Who only writes does not follow what other nodes publish. */
Test(file, what_was_written_to_a_removed_file_lies_over_its_last_version)
{
    put("f", 'a', 2);
    struct handle *writer = open_file("f", O_WRONLY);
    struct inode *inode = writer->inode;

    inode_pin_again(inode);
    put("f", 'b', 3);
    struct look look = look_at("f");
    struct view *last = view_new(look.tree, &look.attr);
    look_release(&look);
    remove_elsewhere("f");
    write_text(writer, "xy");
    file_release(writer);
    cr_assert_null(file_open_removed(fs, inode, NULL, NULL, O_RDONLY, 1));
    struct handle *late = file_open_removed(fs, inode, last, &last->attr, O_RDONLY, 1);
    assert_reads(late, "bbbxy");
    file_release(late);
    view_unref(last);
    inode_unpin(inode);
}

/* Changed and removed at once: nobody here has seen the last version. */
Test(file, a_version_before_the_last_of_a_removed_file_is_opened_by_nobody_anew)
{
    put("f", 'a', 2);
    struct handle *reader = open_file("f", O_RDONLY);
    struct inode *inode = reader->inode;
    struct attr last = reader->view->attr;

    inode_pin_again(inode);
    remove_elsewhere("f");
    last.version++;
    last.mode = 0600;
    struct handle *late = file_open_removed(fs, inode, NULL, &last, O_RDONLY, 1);
    assert_reads(late, "aa");
    file_release(late);
    last.size = 3;
    cr_assert_null(file_open_removed(fs, inode, NULL, &last, O_RDONLY, 1));
    assert_reads(reader, "aa");
    file_release(reader);
    inode_unpin(inode);
}

/* --- looks while a publish is under way --- */

static void publish_held(struct handle *handle, struct file_publish *publish)
{
    uint64_t round;

    *publish = (struct file_publish){.deadline_ns = clock_ns() + 10000000000ull};
    fake_store_hold_proposals(store);
    cr_assert_eq(file_publish(handle, publish, &round), FILE_WAIT);
    fake_store_await_held(store, 1);
}

static void append_elsewhere(const char *name, const char *bytes)
{
    struct look look = look_at(name);
    struct command *cmd = command_new();
    const struct command_write write = {
        .path = name,
        .id = look.attr.id,
        .append = bytes,
        .append_size = strlen(bytes),
    };

    look_release(&look);
    command_write(cmd, &write);
    cr_assert_eq(fake_store_apply(store, cmd), 0);
}

/* The version that was found may have what is in flight already. */
Test(file, a_new_version_is_not_shown_before_the_publish_under_way_has_ended)
{
    put("f", 'a', 3);
    struct handle *handle = open_file("f", O_RDWR);
    struct file_publish publish;
    struct look look = look_at("f");
    struct attr attr;
    uint64_t round;

    write_text(handle, "xy");
    publish_held(handle, &publish);
    cr_assert_eq(file_show(handle->inode, &look, 0, &attr, &round), FILE_READY);
    cr_assert_eq(attr.size, 5);
    look_release(&look);
    append_elsewhere("f", "1234");
    look = look_at("f");
    cr_assert_eq(file_show(handle->inode, &look, 0, &attr, &round), FILE_WAIT);
    fake_store_release(store);
    fs_wait_for_work(fs);
    cr_assert_eq(file_show(handle->inode, &look, 0, &attr, &round), FILE_READY);
    cr_assert_eq(attr.size, 9);
    look_release(&look);
    cr_assert_eq(file_publish(handle, &publish, &round), FILE_READY);
    file_release(handle);
}

/* --- paths that the table has and the store has not --- */

Test(file, a_child_is_looked_for_only_in_the_directory_that_is_meant)
{
    struct request request = {.fs = fs, .read_point_ns = 1};
    struct resolved resolved;

    put("d/f", 'x', 1);
    struct look look = look_at("d");
    struct inode *other = inode_remember(&fs->inodes, look.attr.id + 1000, FILE_DIRECTORY, "d");
    struct inode *same = inode_remember(&fs->inodes, look.attr.id, FILE_DIRECTORY, "d");
    look_release(&look);
    cr_assert_eq(resolve_child(&request, other, "f", &resolved), KE_STALE);
    cr_assert_eq(resolve_inode(&request, other, &resolved), KE_STALE);
    cr_assert_eq(resolve_child(&request, same, "g", &resolved), KE_NOT_FOUND);
    cr_assert_eq(resolve_child(&request, same, "f", &resolved), 0);
    look_release(&resolved.look);
    inode_unpin(other);
    inode_unpin(same);
}
