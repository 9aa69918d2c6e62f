/* Extended attributes on a mount. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 10000);
    remote_put(&m, "f", "text", 4);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_xattrs, .init = setup, .fini = teardown, .timeout = 120);

static void assert_fails(ssize_t result, int expected)
{
    int saved = errno;

    cr_assert_eq(result, -1);
    cr_assert_eq(saved, expected, "%s", strerror(saved));
}

static int set_flags(const char *path, const char *name, const char *value, int flags)
{
    return lsetxattr(mounted_path(&m, path), name, value, strlen(value), flags);
}

static void set(const char *path, const char *name, const char *value)
{
    cr_assert_eq(set_flags(path, name, value, 0), 0, "%s: %s", name, strerror(errno));
}

static int drop(const char *path, const char *name)
{
    return lremovexattr(mounted_path(&m, path), name);
}

static void assert_value(const char *path, const char *name, const char *expected)
{
    char value[256];
    ssize_t size = lgetxattr(mounted_path(&m, path), name, value, sizeof(value) - 1);

    cr_assert_geq(size, 0, "%s: %s", name, strerror(errno));
    value[size] = '\0';
    cr_assert_str_eq(value, expected);
}

static ssize_t get(const char *path, const char *name)
{
    return lgetxattr(mounted_path(&m, path), name, NULL, 0);
}

/* The names in order, with a comma behind each. */
static void assert_listed(const char *path, const char *expected)
{
    char names[1024];
    ssize_t size = llistxattr(mounted_path(&m, path), names, sizeof(names) - 1);

    cr_assert_geq(size, 0, "%s", strerror(errno));
    for (ssize_t i = 0; i < size; i++)
        names[i] = names[i] == '\0' ? ',' : names[i];
    names[size] = '\0';
    cr_assert_str_eq(names, expected);
}

static uint64_t version_of(const char *path)
{
    struct tree_view *view = tree_view_new(store_tree(m.store));
    struct attr attr;

    cr_assert_eq(tree_stat(view, path, &attr), 0);
    tree_view_unref(view);
    return attr.version;
}

/* --- setting and getting --- */

Test(mount_xattrs, what_was_set_is_there_until_it_is_removed)
{
    assert_listed("f", "");
    set("f", "user.b", "2");
    set("f", "user.a", "");
    set("f", "trusted.t", "deep");
    set("f", "security.s", "safe");
    assert_listed("f", "security.s,trusted.t,user.a,user.b,");
    assert_value("f", "user.a", "");
    assert_value("f", "user.b", "2");
    assert_value("f", "trusted.t", "deep");
    assert_value("f", "security.s", "safe");
    set("f", "user.b", "longer");
    assert_value("f", "user.b", "longer");
    cr_assert_eq(drop("f", "user.b"), 0);
    assert_fails(get("f", "user.b"), ENODATA);
    assert_listed("f", "security.s,trusted.t,user.a,");
}

Test(mount_xattrs, directories_links_and_the_root_have_them_too)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(symlink("f", mounted_path(&m, "s")), 0);
    set("d", "user.a", "1");
    set("", "user.a", "root");
    set("s", "trusted.a", "link");
    assert_value("d", "user.a", "1");
    assert_value("", "user.a", "root");
    assert_value("s", "trusted.a", "link");
    assert_fails(set_flags("s", "user.a", "1", 0), EPERM);
}

Test(mount_xattrs, they_are_the_files_and_not_the_names)
{
    set("f", "user.a", "1");
    cr_assert_eq(link(mounted_path(&m, "f"), mounted_path(&m, "g")), 0);
    cr_assert_eq(rename(mounted_path(&m, "f"), mounted_path(&m, "h")), 0);
    assert_value("g", "user.a", "1");
    assert_value("h", "user.a", "1");
    cr_assert_eq(unlink(mounted_path(&m, "g")), 0);
    set("h", "user.b", "2");
    assert_listed("h", "user.a,user.b,");
    cr_assert_eq(unlink(mounted_path(&m, "h")), 0);
    cr_assert_eq(mounted_write(&m, "h", O_CREAT, "new"), 0);
    assert_listed("h", "");
}

Test(mount_xattrs, an_open_file_has_them_and_keeps_what_it_wrote)
{
    char value[8] = "";
    int fd = open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC);

    cr_assert_eq(write(fd, "new", 3), 3);
    cr_assert_eq(fsetxattr(fd, "user.a", "1", 1, 0), 0, "%s", strerror(errno));
    remote_rename(&m, "f", "g");
    cr_assert_eq(fsetxattr(fd, "user.b", "2", 1, 0), 0, "%s", strerror(errno));
    cr_assert_eq(fgetxattr(fd, "user.b", value, sizeof(value)), 1);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "g", "new"));
    assert_listed("g", "user.a,user.b,");
}

/* As cp -a sets it: before the first publish. */
Test(mount_xattrs, a_capability_outlives_what_was_written_before_it_and_not_what_comes_after)
{
    static const uint8_t capability[20] = {1, 0, 0, 2, 0, 0x20};
    char value[64];
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0700);

    cr_assert_eq(write(fd, "program", 7), 7);
    cr_assert_eq(fsetxattr(fd, "security.capability", capability, sizeof capability, 0), 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(getxattr(mounted_path(&m, "f"), "security.capability", value, sizeof value), 20);
    cr_assert_eq(mounted_write(&m, "f", 0, "other"), 0);
    cr_assert_eq(getxattr(mounted_path(&m, "f"), "security.capability", value, sizeof value), -1);
    cr_assert_eq(errno, ENODATA);
}

Test(mount_xattrs, a_change_of_one_is_a_change_of_ctime)
{
    struct stat before;
    struct stat after;

    cr_assert_eq(stat(mounted_path(&m, "f"), &before), 0);
    set("f", "user.a", "1");
    cr_assert_eq(stat(mounted_path(&m, "f"), &after), 0);
    cr_expect(before.st_ctim.tv_sec != after.st_ctim.tv_sec ||
              before.st_ctim.tv_nsec != after.st_ctim.tv_nsec);
    cr_expect_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

/* --- errors --- */

Test(mount_xattrs, create_and_replace_mind_what_is_there)
{
    assert_fails(set_flags("f", "user.a", "1", XATTR_REPLACE), ENODATA);
    cr_assert_eq(set_flags("f", "user.a", "1", XATTR_CREATE), 0);
    assert_fails(set_flags("f", "user.a", "2", XATTR_CREATE), EEXIST);
    cr_assert_eq(set_flags("f", "user.a", "3", XATTR_REPLACE), 0);
    assert_value("f", "user.a", "3");
    assert_fails(drop("f", "user.none"), ENODATA);
    assert_fails(get("f", "user.none"), ENODATA);
}

Test(mount_xattrs, a_buffer_that_is_too_small_is_refused_and_none_asks_for_the_size)
{
    char value[4];

    set("f", "user.a", "12345");
    cr_expect_eq(get("f", "user.a"), 5);
    assert_fails(getxattr(mounted_path(&m, "f"), "user.a", value, sizeof(value)), ERANGE);
    cr_expect_eq(listxattr(mounted_path(&m, "f"), NULL, 0), 7);
    assert_fails(listxattr(mounted_path(&m, "f"), value, sizeof(value)), ERANGE);
}

Test(mount_xattrs, names_without_a_namespace_are_refused)
{
    assert_fails(set_flags("f", "other.a", "1", 0), EOPNOTSUPP);
    assert_fails(set_flags("f", "plain", "1", 0), EOPNOTSUPP);
    assert_fails(set_flags("f", "user.", "1", 0), EINVAL);
    assert_fails(get("f", "other.a"), EOPNOTSUPP);
    assert_fails(get("f", "system.posix_acl_access"), ENODATA);
    assert_fails(get(".keelfs/status", "user.a"), EOPNOTSUPP);
    assert_fails(set_flags(".keelfs/status", "user.a", "1", 0), EOPNOTSUPP);
}

Test(mount_xattrs, a_file_takes_large_ones_up_to_a_limit)
{
    char name[16];
    char *large = calloc(1, 65537);

    memset(large, 'v', 65536);
    int fd = open(mounted_path(&m, "f"), O_RDONLY);
    assert_fails(fsetxattr(fd, "user.a", large, 65537, 0), E2BIG);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "user.%d", i);
        cr_assert_eq(fsetxattr(fd, name, large, 65536, 0), 0, "%s", strerror(errno));
    }
    assert_fails(fsetxattr(fd, "user.3", large, 65536, 0), ENOSPC);
    memset(large, 0, 65536);
    cr_expect_eq(fgetxattr(fd, "user.2", large, 65536), 65536);
    cr_expect_eq(large[65535], 'v');
    close(fd);
    free(large);
}

Test(mount_xattrs, trusted_ones_are_for_root)
{
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0666), 0);
    set("f", "trusted.t", "1");
    set("f", "user.u", "1");
    pid_t child = fork();
    if (child == 0) {
        char names[64];
        bool ok = setuid(1000) == 0;
        ok = ok && listxattr(mounted_path(&m, "f"), names, sizeof(names)) == 7;
        ok = ok && strcmp(names, "user.u") == 0;
        ok = ok && get("f", "trusted.t") == -1 && errno == ENODATA;
        ok = ok && set_flags("f", "trusted.t", "2", 0) == -1 && errno == EPERM;
        _exit(ok ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(mount_xattrs, a_removed_file_that_is_open_keeps_them)
{
    char value[8];

    set("f", "user.a", "1");
    set("f", "user.b", "2");
    int fd = open(mounted_path(&m, "f"), O_RDWR);
    remote_remove(&m, "f");
    cr_expect_eq(fgetxattr(fd, "user.a", value, sizeof(value)), 1);
    cr_expect_eq(value[0], '1');
    assert_fails(fgetxattr(fd, "user.c", value, sizeof(value)), ENODATA);
    cr_expect_eq(flistxattr(fd, NULL, 0), 14);
    assert_fails(fsetxattr(fd, "user.a", "x", 1, XATTR_CREATE), EEXIST);
    assert_fails(fsetxattr(fd, "user.c", "x", 1, XATTR_REPLACE), ENODATA);
    cr_expect_eq(fsetxattr(fd, "user.a", "333", 3, XATTR_REPLACE), 0);
    cr_expect_eq(fsetxattr(fd, "user.c", "4", 1, XATTR_CREATE), 0);
    cr_expect_eq(fgetxattr(fd, "user.a", value, sizeof(value)), 3);
    cr_expect_eq(fremovexattr(fd, "user.b"), 0);
    assert_fails(fremovexattr(fd, "user.b"), ENODATA);
    cr_expect_eq(flistxattr(fd, NULL, 0), 14);
    /* Of this file, and not of the one that has its name now. */
    remote_put(&m, "f", "other", 5);
    assert_listed("f", "");
    close(fd);
}

Test(mount_xattrs, a_removed_file_takes_no_more_than_others)
{
    static char large[65537];

    int fd = open(mounted_path(&m, "f"), O_RDWR);
    cr_assert_eq(unlink(mounted_path(&m, "f")), 0);
    assert_fails(fsetxattr(fd, "user.a", large, sizeof(large), 0), E2BIG);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(fsetxattr(fd, (const char *[]){"user.a", "user.b", "user.c"}[i], large,
                               sizeof(large) - 1, 0),
                     0);
    assert_fails(fsetxattr(fd, "user.d", large, sizeof(large) - 1, 0), ENOSPC);
    close(fd);
}

/* --- what the mount makes up --- */

Test(mount_xattrs, the_version_of_a_file_can_be_read_and_not_set)
{
    char expected[32];

    snprintf(expected, sizeof(expected), "%llu", (unsigned long long)version_of("f"));
    assert_value("f", "user.keelfs.version", expected);
    remote_put(&m, "f", "new", 3);
    snprintf(expected, sizeof(expected), "%llu", (unsigned long long)version_of("f"));
    assert_value("f", "user.keelfs.version", expected);
    assert_listed("f", "");
    assert_fails(set_flags("f", "user.keelfs.version", "1", 0), EPERM);
    assert_fails(drop("f", "user.keelfs.version"), EPERM);
    assert_fails(get("f", "user.keelfs.other"), ENODATA);
}

static void set_if_version(int fd, uint64_t version)
{
    char text[32];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
    cr_assert_eq(fsetxattr(fd, "user.keelfs.if-version", text, strlen(text), 0), 0, "%s",
                 strerror(errno));
}

Test(mount_xattrs, a_publish_on_the_condition_of_a_version_has_one_winner)
{
    uint64_t version = version_of("f");
    int fd = open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC);

    set_if_version(fd, version);
    cr_assert_eq(write(fd, "mine", 4), 4);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "f", "mine"));

    fd = open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC);
    set_if_version(fd, version);
    cr_assert_eq(write(fd, "late", 4), 4);
    assert_fails(fsync(fd), ESTALE);
    assert_fails(close(fd), ESTALE);
    cr_assert(remote_is(&m, "f", "mine"));
}

Test(mount_xattrs, a_change_elsewhere_between_open_and_close_refuses_the_publish)
{
    int fd = open(mounted_path(&m, "f"), O_WRONLY | O_APPEND);

    set_if_version(fd, version_of("f"));
    cr_assert_eq(write(fd, "+", 1), 1);
    remote_put(&m, "f", "theirs", 6);
    assert_fails(close(fd), ESTALE);
    cr_assert(remote_is(&m, "f", "theirs"));
}

Test(mount_xattrs, the_condition_is_for_one_publish_and_goes_with_the_last_close)
{
    int fd = open(mounted_path(&m, "f"), O_WRONLY | O_APPEND);

    set_if_version(fd, version_of("f"));
    cr_assert_eq(write(fd, "1", 1), 1);
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    cr_assert_eq(write(fd, "2", 1), 1);
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    set_if_version(fd, 1);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(mounted_write(&m, "f", O_APPEND, "3"), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "f", "text123"));
}

/* Shorter once, then longer: two writes in one command, of which the first counts. */
Test(mount_xattrs, the_condition_holds_for_a_publish_of_several_parts)
{
    int fd = open(mounted_path(&m, "f"), O_WRONLY);

    set_if_version(fd, version_of("f"));
    cr_assert_eq(ftruncate(fd, 1), 0);
    cr_assert_eq(ftruncate(fd, 3), 0);
    cr_assert_eq(pwrite(fd, "!", 1, 3), 1);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    size_t size;
    char *seen = fake_store_read(m.store, "f", &size);
    cr_assert_eq(size, 4);
    cr_assert_eq(memcmp(seen, "t\0\0!", 4), 0);
    free(seen);
}

Test(mount_xattrs, a_condition_needs_an_open_file_and_a_number)
{
    assert_fails(set_flags("f", "user.keelfs.if-version", "1", 0), EINVAL);
    int fd = open(mounted_path(&m, "f"), O_WRONLY);
    assert_fails(set_flags("f", "user.keelfs.if-version", "one", 0), EINVAL);
    assert_fails(set_flags("f", "user.keelfs.if-version", "", 0), EINVAL);
    assert_fails(set_flags("f", "user.keelfs.if-version", "99999999999999999999", 0), EINVAL);
    cr_assert_eq(set_flags("f", "user.keelfs.if-version", "1\n", 0), 0);
    cr_assert_eq(set_flags("f", "user.keelfs.if-version", "0", 0), 0);
    assert_fails(get("f", "user.keelfs.if-version"), ENODATA);
    cr_assert_eq(write(fd, "T", 1), 1);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "f", "Text"));
}
