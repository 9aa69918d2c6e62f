/* Files that lose their name, or get another, while somebody makes, opens or changes them:
 * what a local file system says is said here too. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
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

TestSuite(mount_removed, .init = setup, .fini = teardown, .timeout = 120);

static void assert_reads(int fd, const char *expected)
{
    char text[32] = {0};

    cr_assert_eq(pread(fd, text, sizeof(text) - 1, 0), strlen(expected), "%s", strerror(errno));
    cr_assert_str_eq(text, expected);
}

static void follow_with_removal(const char *name)
{
    struct command *cmd = command_new();

    command_remove(cmd, name, false);
    fake_store_follow(m.store, cmd);
}

static void follow_with_rename(const char *from, const char *to)
{
    struct command *cmd = command_new();

    command_rename(cmd, from, to, false);
    fake_store_follow(m.store, cmd);
}

/* --- made, and gone in the same moment --- */

Test(mount_removed, what_is_made_and_removed_at_once_is_open_without_a_name)
{
    struct stat st;

    follow_with_removal("f");
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0640);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_nlink, 0);
    cr_assert_eq(st.st_mode, S_IFREG | 0640);
    cr_assert_eq(write(fd, "text", 4), 4);
    assert_reads(fd, "text");
    cr_assert_eq(fchmod(fd, 0600), 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(access(mounted_path(&m, "f"), F_OK), -1);
    cr_assert_eq(errno, ENOENT);
}

Test(mount_removed, what_is_made_exclusively_and_removed_at_once_is_open_too)
{
    follow_with_removal("f");
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0640);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    cr_assert_eq(close(fd), 0);
}

Test(mount_removed, what_is_made_and_renamed_at_once_is_written_under_its_new_name)
{
    follow_with_rename("f", "g");
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0640);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    cr_assert_eq(write(fd, "text", 4), 4);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "g", "text"));
    cr_assert(remote_is(&m, "f", NULL));
}

Test(mount_removed, what_is_made_in_a_directory_that_is_renamed_at_once_is_written_there)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    follow_with_rename("d", "e");
    int fd = open(mounted_path(&m, "d/f"), O_CREAT | O_RDWR, 0640);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    cr_assert_eq(write(fd, "text", 4), 4);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "e/f", "text"));
}

Test(mount_removed, a_directory_that_is_made_and_renamed_at_once_is_the_same_one)
{
    struct stat made, moved;

    follow_with_rename("d", "e");
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(access(mounted_path(&m, "d"), F_OK), -1);
    cr_assert_eq(stat(mounted_path(&m, "e"), &moved), 0);
    follow_with_removal("f");
    cr_assert_eq(mknod(mounted_path(&m, "f"), S_IFREG | 0644, 0), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &made), -1);
    cr_assert_eq(errno, ENOENT);
}

/* --- another object takes the place of what is to be made --- */

/* What open() says in a child of a name that gets something by `make` after the kernel has
 * looked it up; 0 when it opens. */
static int open_over(int flags, void (*make)(void))
{
    int status;

    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY | flags, 0644);
        _exit(fd < 0 ? errno : 0);
    }
    fake_store_await_held(m.store, 1);
    make();
    fake_store_release(m.store);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void make_directory(void)
{
    remote_mkdir(&m, "f");
}

static void make_link(void)
{
    struct command *cmd = command_new();
    const struct command_create create = {.path = "f", .type = FILE_SYMLINK, .target = "g"};

    command_create(cmd, &create);
    cr_assert_eq(fake_store_apply(m.store, cmd), 0);
}

/* A link is there when the create is applied, and a file when it is answered. */
static void make_link_for_a_moment(void)
{
    make_link();
    follow_with_removal("f");
}

Test(mount_removed, a_directory_that_is_in_the_way_of_a_create_is_said)
{
    cr_assert_eq(open_over(0, make_directory), EISDIR);
}

Test(mount_removed, a_link_that_is_in_the_way_of_a_create_is_followed_unless_asked_not_to)
{
    cr_assert_eq(open_over(O_NOFOLLOW, make_link), ELOOP);
    remote_remove(&m, "f");
    cr_assert_eq(open_over(0, make_link), 0);
    cr_assert(remote_is(&m, "g", ""));
}

Test(mount_removed, what_was_in_the_way_of_a_create_and_is_gone_is_not)
{
    cr_assert_eq(open_over(O_NOFOLLOW, make_link_for_a_moment), 0);
    cr_assert(remote_is(&m, "f", ""));
}

Test(mount_removed, what_another_node_put_there_first_is_truncated)
{
    cr_assert_eq(mounted_write(&m, "g", O_CREAT, "x"), 0);
    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(mounted_path(&m, "f"), O_CREAT | O_TRUNC | O_WRONLY, 0644);
        _exit(fd >= 0 && close(fd) == 0 ? 0 : 1);
    }
    fake_store_await_held(m.store, 1);
    remote_put(&m, "f", "theirs", 6);
    fake_store_release(m.store);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert(remote_is(&m, "f", ""));
}

Test(mount_removed, what_a_create_has_made_is_not_truncated_again)
{
    size_t before = fake_store_applied(m.store);
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_TRUNC | O_WRONLY, 0644);

    cr_assert_geq(fd, 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(fake_store_applied(m.store), before + 1);
}

/* --- removed between the steps of a call --- */

/* Opens what `fd`, an O_PATH descriptor, stands for: as a call that has looked it up. */
static int open_found(int fd, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags);
}

Test(mount_removed, what_is_removed_while_it_is_opened_is_opened_as_it_was_last)
{
    remote_put(&m, "f", "old", 3);
    int found = open(mounted_path(&m, "f"), O_PATH);
    cr_assert_geq(found, 0);
    remote_append(&m, "f", "er");
    remote_remove(&m, "f");
    int fd = open_found(found, O_RDONLY);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    assert_reads(fd, "older");
    close(fd);
    close(found);
}

Test(mount_removed, what_was_changed_and_removed_at_once_is_not_opened_as_it_was_before)
{
    remote_put(&m, "f", "old", 3);
    int found = open(mounted_path(&m, "f"), O_PATH);
    cr_assert_geq(found, 0);
    follow_with_removal("f");
    cr_assert_eq(setxattr(mounted_path(&m, "f"), "user.a", "1", 1, 0), 0);
    cr_assert_eq(open_found(found, O_RDONLY), -1);
    cr_assert_eq(errno, ESTALE);
    close(found);
}

Test(mount_removed, a_truncation_is_seen_by_who_has_the_file_open_though_it_is_removed_then)
{
    struct stat st;

    remote_put(&m, "f", "content", 7);
    int fd = open(mounted_path(&m, "f"), O_RDONLY);
    cr_assert_geq(fd, 0);
    follow_with_removal("f");
    cr_assert_eq(truncate(mounted_path(&m, "f"), 4), 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_size, 4);
    cr_assert_eq(st.st_nlink, 0);
    assert_reads(fd, "cont");
    close(fd);
}

Test(mount_removed, what_is_truncated_when_it_is_removed_already_is_cut_for_who_has_it_open)
{
    remote_put(&m, "f", "content", 7);
    int fd = open(mounted_path(&m, "f"), O_RDONLY);
    int found = open(mounted_path(&m, "f"), O_PATH);
    char path[64];

    cr_assert_geq(fd, 0);
    remote_remove(&m, "f");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
    cr_assert_eq(truncate(path, 4), 0);
    assert_reads(fd, "cont");
    close(found);
    close(fd);
}
