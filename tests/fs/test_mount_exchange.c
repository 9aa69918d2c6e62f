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

static void assert_fails(int result, int expected)
{
    int saved = errno;

    cr_assert_eq(result, -1);
    cr_assert_eq(saved, expected, "%s", strerror(saved));
}

static void assert_content(const char *name, const char *expected)
{
    char *text = mounted_read(&m, name);

    cr_assert_not_null(text, "%s: %s", name, strerror(errno));
    cr_assert_str_eq(text, expected);
    free(text);
}

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
    assert_content("a", "two");
    assert_content("d/b", "one");
    cr_assert(remote_is(&m, "a", "two"));
    exchange("a", "a");
    assert_content("a", "two");
}

Test(mount_exchange, a_file_and_a_full_directory_change_places)
{
    make_dir("d");
    make_dir("d/deep");
    make_file("d/deep/f", "inside");
    make_file("a", "outside");
    exchange("a", "d");
    assert_content("a/deep/f", "inside");
    assert_content("d", "outside");
    exchange("a", "d");
    assert_content("d/deep/f", "inside");
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
    assert_content("e/f", "of d+");
    assert_content("d/f", "of e-");
    cr_assert_eq(mkdirat(dir, "made", 0755), 0, "%s", strerror(errno));
    cr_assert_eq(access(mounted_path(&m, "e/made"), F_OK), 0);
    close(dir);
}

Test(mount_exchange, both_must_exist_and_neither_be_in_the_other)
{
    make_dir("d");
    make_dir("d/e");
    make_file("a", "one");
    assert_fails(move("a", "none", RENAME_EXCHANGE), ENOENT);
    assert_fails(move("none", "a", RENAME_EXCHANGE), ENOENT);
    assert_fails(move("d", "d/e", RENAME_EXCHANGE), EINVAL);
    assert_fails(move("d/e", "d", RENAME_EXCHANGE), EINVAL);
    assert_fails(move("a", "d", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    assert_fails(move("a", ".keelfs", RENAME_EXCHANGE), EPERM);
    assert_content("a", "one");
}

Test(mount_exchange, a_rename_without_replacing_minds_what_is_there)
{
    make_file("a", "one");
    make_file("b", "two");
    assert_fails(move("a", "b", RENAME_NOREPLACE), EEXIST);
    cr_assert_eq(move("a", "c", RENAME_NOREPLACE), 0, "%s", strerror(errno));
    assert_content("b", "two");
    assert_content("c", "one");
    assert_fails(access(mounted_path(&m, "a"), F_OK), ENOENT);
}
