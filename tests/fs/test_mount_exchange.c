/* renameat2(2) with flags on a mount. */
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

TestSuite(mount_exchange, .init = setup, .fini = teardown, .timeout = 120);

static int move(const char *from, const char *to, unsigned flags)
{
    return renameat2(AT_FDCWD, mounted_path(&m, from), AT_FDCWD, mounted_path(&m, to), flags);
}

static void exchange(const char *one, const char *other)
{
    cr_assert_eq(move(one, other, RENAME_EXCHANGE), 0, "%s", strerror(errno));
}

static void make_file(const char *name, const char *text)
{
    cr_assert_eq(mounted_write(&m, name, O_CREAT, text), 0, "%s: %s", name, strerror(errno));
}

static void make_dir(const char *name)
{
    cr_assert_eq(mkdir(mounted_path(&m, name), 0755), 0, "%s: %s", name, strerror(errno));
}

/* What another node does. */
static void remote_exchange(const char *one, const char *other)
{
    struct command *cmd = command_new();

    command_exchange(cmd, one, other);
    cr_assert_eq(fake_store_apply(m.store, cmd), 0);
}

static int open_file(const char *name, int flags)
{
    int fd = open(mounted_path(&m, name), flags);

    cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
    return fd;
}

Test(mount_exchange, two_files_change_places)
{
    make_dir("d");
    make_file("a", "one");
    make_file("d/b", "two");
    exchange("a", "d/b");
    mounted_assert_content(&m, "a", "two");
    mounted_assert_content(&m, "d/b", "one");
    cr_assert(remote_is(&m, "a", "two"));
    exchange("a", "a");
    mounted_assert_content(&m, "a", "two");
}

Test(mount_exchange, a_file_and_a_full_directory_change_places)
{
    make_dir("d");
    make_dir("d/deep");
    make_file("d/deep/f", "inside");
    make_file("a", "outside");
    exchange("a", "d");
    mounted_assert_content(&m, "a/deep/f", "inside");
    mounted_assert_content(&m, "d", "outside");
    exchange("a", "d");
    mounted_assert_content(&m, "d/deep/f", "inside");
}

Test(mount_exchange, open_files_and_directories_move_along)
{
    make_dir("d");
    make_dir("e");
    make_file("d/f", "of d");
    make_file("e/f", "of e");
    int dir = open_file("d", O_RDONLY | O_DIRECTORY);
    int d_file = open_file("d/f", O_WRONLY | O_APPEND);
    int e_file = open_file("e/f", O_WRONLY | O_APPEND);
    remote_exchange("d", "e");
    cr_assert_eq(write(d_file, "+", 1), 1);
    cr_assert_eq(write(e_file, "-", 1), 1);
    cr_assert_eq(close(d_file), 0, "%s", strerror(errno));
    cr_assert_eq(close(e_file), 0, "%s", strerror(errno));
    mounted_assert_content(&m, "e/f", "of d+");
    mounted_assert_content(&m, "d/f", "of e-");
    cr_assert_eq(mkdirat(dir, "made", 0755), 0, "%s", strerror(errno));
    cr_assert_eq(access(mounted_path(&m, "e/made"), F_OK), 0);
    close(dir);
}

Test(mount_exchange, both_must_exist_and_neither_be_in_the_other)
{
    make_dir("d");
    make_dir("d/e");
    make_file("a", "one");
    mounted_assert_fails(move("a", "none", RENAME_EXCHANGE), ENOENT);
    mounted_assert_fails(move("none", "a", RENAME_EXCHANGE), ENOENT);
    mounted_assert_fails(move("d", "d/e", RENAME_EXCHANGE), EINVAL);
    mounted_assert_fails(move("d/e", "d", RENAME_EXCHANGE), EINVAL);
    mounted_assert_fails(move("a", "d", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    mounted_assert_fails(move("a", ".keelfs", RENAME_EXCHANGE), EPERM);
    mounted_assert_content(&m, "a", "one");
}

Test(mount_exchange, a_rename_without_replacing_minds_what_is_there)
{
    make_file("a", "one");
    make_file("b", "two");
    mounted_assert_fails(move("a", "b", RENAME_NOREPLACE), EEXIST);
    cr_assert_eq(move("a", "c", RENAME_NOREPLACE), 0, "%s", strerror(errno));
    mounted_assert_content(&m, "b", "two");
    mounted_assert_content(&m, "c", "one");
    mounted_assert_fails(access(mounted_path(&m, "a"), F_OK), ENOENT);
}
