/* Files with several names on a mount. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 10000);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_links, .init = setup, .fini = teardown, .timeout = 120);

static struct stat stat_of(const char *name)
{
    struct stat st;

    cr_assert_eq(lstat(mounted_path(&m, name), &st), 0, "%s: %s", name, strerror(errno));
    return st;
}

static nlink_t links_of(int fd)
{
    struct stat st;

    cr_assert_eq(fstat(fd, &st), 0, "%s", strerror(errno));
    return st.st_nlink;
}

static void link_names(const char *from, const char *to)
{
    cr_assert_eq(link(mounted_path(&m, from), mounted_path(&m, to)), 0, "%s: %s", to,
                 strerror(errno));
}

static void unlink_name(const char *name)
{
    cr_assert_eq(unlink(mounted_path(&m, name)), 0, "%s: %s", name, strerror(errno));
}

static void make_file(const char *name, const char *text)
{
    cr_assert_eq(mounted_write(&m, name, O_CREAT, text), 0, "%s: %s", name, strerror(errno));
}

static void make_dir(const char *name)
{
    cr_assert_eq(mkdir(mounted_path(&m, name), 0755), 0, "%s: %s", name, strerror(errno));
}

static int open_file(const char *name, int flags)
{
    int fd = open(mounted_path(&m, name), flags);

    cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
    return fd;
}

/* What another node does. */
static void remote_link(const char *from, const char *to)
{
    struct tree_view *view = tree_view_new(store_tree(m.store));
    struct command *cmd = command_new();
    struct attr attr;

    cr_assert_eq(tree_stat(view, from, &attr), 0);
    tree_view_unref(view);
    command_link(cmd, from, attr.id, to);
    cr_assert_eq(fake_store_apply(m.store, cmd), 0);
}

/* --- names --- */

Test(mount_links, two_names_are_one_file)
{
    make_file("a", "one");
    make_dir("d");
    link_names("a", "d/b");
    struct stat a = stat_of("a");
    struct stat b = stat_of("d/b");
    cr_expect_eq(a.st_ino, b.st_ino);
    cr_expect_eq(a.st_nlink, 2);
    cr_expect_eq(b.st_nlink, 2);
    mounted_assert_content(&m, "d/b", "one");
    cr_assert_eq(mounted_write(&m, "d/b", O_TRUNC, "two"), 0);
    mounted_assert_content(&m, "a", "two");
    cr_assert(remote_is(&m, "a", "two"));
    cr_assert(remote_is(&m, "d/b", "two"));
}

Test(mount_links, a_file_lives_until_its_last_name_goes)
{
    make_file("a", "text");
    link_names("a", "b");
    link_names("b", "c");
    unlink_name("a");
    cr_expect_eq(stat_of("b").st_nlink, 2);
    mounted_assert_content(&m, "c", "text");
    unlink_name("c");
    cr_expect_eq(stat_of("b").st_nlink, 1);
    mounted_assert_content(&m, "b", "text");
    unlink_name("b");
    mounted_assert_fails(access(mounted_path(&m, "b"), F_OK), ENOENT);
}

Test(mount_links, a_link_changes_ctime_and_not_mtime)
{
    make_file("a", "text");
    struct stat before = stat_of("a");
    usleep(2000);
    link_names("a", "b");
    struct stat after = stat_of("a");
    cr_expect(after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
              after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
    cr_expect_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

Test(mount_links, errors_are_those_of_a_file_system)
{
    char name[300];

    make_file("a", "x");
    make_file("b", "y");
    make_dir("d");
    mounted_assert_fails(link(mounted_path(&m, "d"), mounted_path(&m, "e")), EPERM);
    mounted_assert_fails(link(mounted_path(&m, "a"), mounted_path(&m, "b")), EEXIST);
    mounted_assert_fails(link(mounted_path(&m, "a"), mounted_path(&m, "a")), EEXIST);
    mounted_assert_fails(link(mounted_path(&m, "a"), mounted_path(&m, "none/b")), ENOENT);
    mounted_assert_fails(link(mounted_path(&m, "a"), mounted_path(&m, "b/c")), ENOTDIR);
    mounted_assert_fails(link(mounted_path(&m, "none"), mounted_path(&m, "c")), ENOENT);
    mounted_assert_fails(link(mounted_path(&m, "a"), mounted_path(&m, ".keelfs/a")), EPERM);
    mounted_assert_fails(link(mounted_path(&m, ".keelfs/status"), mounted_path(&m, "c")), EPERM);
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    mounted_assert_fails(link(mounted_path(&m, "a"), mounted_path(&m, name)), ENAMETOOLONG);
    cr_expect_eq(stat_of("a").st_nlink, 1);
}

Test(mount_links, too_many_names_are_refused)
{
    make_file("a", "x");
    fake_store_refuse(m.store, KE_TOO_MANY_LINKS);
    mounted_assert_fails(link(mounted_path(&m, "a"), mounted_path(&m, "b")), EMLINK);
}

Test(mount_links, symbolic_links_and_nodes_have_several_names_too)
{
    char target[8] = "";

    cr_assert_eq(symlink("away", mounted_path(&m, "s")), 0);
    cr_assert_eq(mkfifo(mounted_path(&m, "p"), 0600), 0);
    link_names("s", "s2");
    link_names("p", "p2");
    unlink_name("s");
    cr_assert_eq(readlink(mounted_path(&m, "s2"), target, sizeof(target)), 4);
    cr_expect_str_eq(target, "away");
    cr_expect(S_ISFIFO(stat_of("p2").st_mode));
    cr_expect_eq(stat_of("p2").st_nlink, 2);
}

Test(mount_links, a_rename_moves_one_name_and_may_take_the_place_of_another)
{
    make_file("a", "one");
    make_file("x", "other");
    link_names("a", "b");
    link_names("x", "y");
    cr_assert_eq(rename(mounted_path(&m, "a"), mounted_path(&m, "c")), 0);
    mounted_assert_content(&m, "b", "one");
    mounted_assert_content(&m, "c", "one");
    cr_assert_eq(rename(mounted_path(&m, "c"), mounted_path(&m, "x")), 0);
    mounted_assert_content(&m, "x", "one");
    mounted_assert_content(&m, "y", "other");
    cr_expect_eq(stat_of("y").st_nlink, 1);
    cr_expect_eq(stat_of("b").st_nlink, 2);
}

Test(mount_links, a_rename_to_another_name_of_the_same_file_does_nothing)
{
    make_file("a", "one");
    link_names("a", "b");
    cr_assert_eq(rename(mounted_path(&m, "a"), mounted_path(&m, "b")), 0);
    cr_expect_eq(stat_of("a").st_nlink, 2);
    mounted_assert_content(&m, "b", "one");
}

Test(mount_links, names_move_with_their_directory)
{
    make_dir("d");
    make_file("d/a", "one");
    link_names("d/a", "b");
    int fd = open_file("d/a", O_WRONLY | O_APPEND);
    cr_assert_eq(rename(mounted_path(&m, "d"), mounted_path(&m, "e")), 0);
    cr_assert_eq(write(fd, "+", 1), 1);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    mounted_assert_content(&m, "e/a", "one+");
    mounted_assert_content(&m, "b", "one+");
}

/* --- open files --- */

Test(mount_links, an_open_file_whose_name_went_is_written_under_the_other)
{
    make_file("a", "old");
    link_names("a", "b");
    int fd = open_file("a", O_RDWR | O_APPEND);
    unlink_name("a");
    cr_expect_eq(links_of(fd), 1);
    cr_assert_eq(write(fd, " new", 4), 4);
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "b", "old new"));
    cr_assert_eq(fchmod(fd, 0600), 0, "%s", strerror(errno));
    cr_expect_eq(stat_of("b").st_mode, S_IFREG | 0600);
    cr_assert_eq(close(fd), 0);
    mounted_assert_content(&m, "b", "old new");
}

Test(mount_links, another_file_under_the_name_that_went_is_left_alone)
{
    make_file("a", "mine");
    link_names("a", "b");
    int fd = open_file("a", O_WRONLY | O_APPEND);
    unlink_name("a");
    make_file("a", "other");
    cr_assert_eq(write(fd, "!", 1), 1);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    mounted_assert_content(&m, "a", "other");
    mounted_assert_content(&m, "b", "mine!");
}

Test(mount_links, what_is_written_after_the_last_name_went_is_nowhere)
{
    char text[8];

    make_file("a", "kept");
    link_names("a", "b");
    int fd = open_file("a", O_RDWR);
    unlink_name("a");
    unlink_name("b");
    cr_expect_eq(links_of(fd), 0);
    cr_expect_eq(pread(fd, text, sizeof(text), 0), 4);
    cr_assert_eq(pwrite(fd, "more", 4, 0), 4);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "a", NULL));
    cr_assert(remote_is(&m, "b", NULL));
}

Test(mount_links, bytes_that_wait_are_seen_under_the_new_name)
{
    make_file("a", "");
    int fd = open_file("a", O_WRONLY);
    cr_assert_eq(write(fd, "waits", 5), 5);
    link_names("a", "b");
    cr_expect_eq(stat_of("b").st_size, 5);
    cr_expect_eq(links_of(fd), 2);
    mounted_assert_content(&m, "b", "waits");
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "b", "waits"));
}

/* Truncation by somebody else takes the set-user-id bit, on a condition. */
Test(mount_links, the_set_user_id_bit_goes_though_the_known_name_went)
{
    make_file("a", "text");
    cr_assert_eq(chmod(mounted_path(&m, "a"), 04755), 0);
    link_names("a", "b");
    int fd = open_file("a", O_RDONLY);
    remote_remove(&m, "a");
    cr_assert_eq(fchown(fd, 12, 34), 0, "%s", strerror(errno));
    cr_expect_eq(stat_of("b").st_mode, S_IFREG | 0755);
    cr_expect_eq(stat_of("b").st_uid, 12);
    close(fd);
}

/* --- other nodes --- */

Test(mount_links, a_name_that_another_node_took_away_leaves_the_open_file_alive)
{
    char text[8];

    make_file("a", "text");
    int fd = open_file("a", O_RDWR);
    remote_link("a", "b");
    remote_remove(&m, "a");
    cr_expect_eq(links_of(fd), 1);
    cr_expect_eq(pread(fd, text, sizeof(text), 0), 4);
    cr_assert_eq(pwrite(fd, "TEXT", 4, 0), 4);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "b", "TEXT"));
    mounted_assert_content(&m, "b", "TEXT");
}

Test(mount_links, a_file_is_reached_by_names_that_other_nodes_gave_it)
{
    make_file("a", "text");
    ino_t number = stat_of("a").st_ino;
    remote_link("a", "b");
    remote_remove(&m, "a");
    remote_rename(&m, "b", "c");
    cr_expect_eq(stat_of("c").st_ino, number);
    cr_expect_eq(stat_of("c").st_nlink, 1);
    remote_append(&m, "c", "+");
    mounted_assert_content(&m, "c", "text+");
    mounted_assert_fails(access(mounted_path(&m, "b"), F_OK), ENOENT);
}

Test(mount_links, a_symbolic_link_is_read_though_its_known_name_went)
{
    char target[8] = "";

    cr_assert_eq(symlink("away", mounted_path(&m, "s")), 0);
    int fd = open(mounted_path(&m, "s"), O_PATH | O_NOFOLLOW);
    cr_assert_geq(fd, 0);
    remote_link("s", "s2");
    remote_remove(&m, "s");
    cr_assert_eq(readlinkat(fd, "", target, sizeof(target)), 4, "%s", strerror(errno));
    cr_expect_str_eq(target, "away");
    close(fd);
}

Test(mount_links, a_file_whose_name_went_by_a_snapshot_is_found_under_another)
{
    make_file("a", "text");
    link_names("a", "b");
    int fd = open_file("a", O_WRONLY | O_APPEND);
    fake_store_begin_snapshot(m.store);
    remote_remove(&m, "a");
    remote_mkdir(&m, "d");
    remote_rename(&m, "b", "d/b");
    fake_store_end_snapshot(m.store);
    cr_assert_eq(write(fd, "+", 1), 1);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "d/b", "text+"));
}

Test(mount_links, a_link_that_came_with_a_snapshot_is_known)
{
    make_file("a", "text");
    fake_store_begin_snapshot(m.store);
    link_names("a", "b");
    fake_store_end_snapshot(m.store);
    cr_expect_eq(stat_of("b").st_nlink, 2);
    mounted_assert_content(&m, "b", "text");
}
