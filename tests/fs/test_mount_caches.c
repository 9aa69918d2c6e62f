/* What the kernel keeps of this mount, and loses when another node changes it. */
#include "fs/fs.h"
#include "mounted.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* So often that names are kept that were asked for before. */
#define LOOKS 4
/* Bytes of names of one letter. */
#define LISTED_MAX 16

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 700);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_caches, .init = setup, .fini = teardown, .timeout = 60);

/* The kernel has seen it several times. */
static void look(const char *name)
{
    struct stat st;

    for (int i = 0; i < LOOKS; i++)
        (void)stat(mounted_path(&m, name), &st);
}

static off_t size_of(const char *name)
{
    struct stat st;

    return stat(mounted_path(&m, name), &st) == 0 ? st.st_size : -1;
}

static bool is_there(const char *name)
{
    return access(mounted_path(&m, name), F_OK) == 0;
}

static int count_names(const char *name)
{
    DIR *dir = opendir(mounted_path(&m, name));
    int count = 0;

    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

Test(mount_caches, what_is_kept_is_answered_without_a_store)
{
    remote_put(&m, "f", "12345", 5);
    look("f");
    look("none");
    /* Reads are held, but the lease is not over. */
    fake_store_hold_reads(m.store);
    cr_assert_eq(size_of("f"), 5);
    cr_assert_eq(size_of("none"), -1);
    cr_assert_eq(errno, ENOENT);
    fake_store_release(m.store);
}

static uint64_t lookups_of(const char *name)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, name), &st), 0);
    struct inode *inode = inode_pin(&m.fs->inodes, st.st_ino);
    cr_assert_not_null(inode);
    uint64_t lookups = inode->lookups;
    inode_unpin(inode);
    return lookups;
}

Test(mount_caches, a_listing_says_nothing_of_what_was_looked_up)
{
    remote_put(&m, "f", "1", 1);
    remote_put(&m, "g", "1", 1);
    look("f");
    uint64_t before = lookups_of("f");
    cr_assert_eq(count_names(""), 4);
    cr_assert_eq(lookups_of("f"), before);
}

Test(mount_caches, attributes_of_what_is_opened_to_be_written_are_taken_back)
{
    remote_put(&m, "f", "12345", 5);
    look("f");
    uint64_t before = m.fs->recall.attrs;
    int reader = open(mounted_path(&m, "f"), O_RDONLY);
    cr_assert_eq(m.fs->recall.attrs, before);
    int writer = open(mounted_path(&m, "f"), O_WRONLY);
    cr_assert_eq(m.fs->recall.attrs, before + 1);
    /* And it is not given them again. */
    look("f");
    cr_assert_eq(close(open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC)), 0);
    cr_assert_eq(size_of("f"), 0);
    cr_assert_eq(m.fs->recall.attrs, before + 1);
    close(reader);
    close(writer);
}

Test(mount_caches, nothing_is_answered_when_the_lease_is_over)
{
    remote_put(&m, "f", "12345", 5);
    look("f");
    fake_store_hold(m.store);
    cr_assert_eq(size_of("f"), -1);
    cr_assert_eq(errno, ETIMEDOUT);
    fake_store_release(m.store);
}

Test(mount_caches, content_and_size_are_those_of_the_last_change)
{
    char text[16];

    for (int i = 0; i < 50; i++) {
        size_t size = (size_t)i % 7 + 1;
        memset(text, 'a' + i % 26, size);
        text[size] = '\0';
        remote_put(&m, "f", text, size);
        cr_assert_eq(size_of("f"), (off_t)size);
        mounted_assert_content(&m, "f", text);
        look("f");
    }
}

Test(mount_caches, a_name_that_was_missing_is_found_when_it_is_made)
{
    for (int i = 0; i < 20; i++) {
        look("f");
        cr_assert_not(is_there("f"));
        remote_put(&m, "f", "x", 1);
        cr_assert(is_there("f"));
        look("f");
        remote_remove(&m, "f");
        cr_assert_not(is_there("f"));
    }
}

Test(mount_caches, names_below_a_directory_go_with_it)
{
    remote_mkdir(&m, "d");
    remote_put(&m, "d/f", "x", 1);
    look("d/f");
    look("e/f");
    remote_rename(&m, "d", "e");
    cr_assert_not(is_there("d/f"));
    cr_assert_not(is_there("d"));
    cr_assert(is_there("e/f"));
    look("e/f");
    remote_put(&m, "e/f", "12345", 5);
    cr_assert_eq(size_of("e/f"), 5);
}

Test(mount_caches, what_is_made_here_is_seen_over_what_was_kept)
{
    for (int i = 0; i < 20; i++) {
        look("f");
        cr_assert_eq(mounted_write(&m, "f", O_CREAT | O_EXCL, "12"), 0);
        cr_assert_eq(size_of("f"), 2);
        look("f");
        cr_assert_eq(mounted_write(&m, "f", O_APPEND, "345"), 0);
        cr_assert_eq(size_of("f"), 5);
        look("f");
        cr_assert_eq(rename(mounted_path(&m, "f"), mounted_path(&m, "g")), 0);
        cr_assert_not(is_there("f"));
        cr_assert_eq(size_of("g"), 5);
    }
}

Test(mount_caches, a_listing_shows_what_came_since)
{
    remote_mkdir(&m, "d");
    for (int i = 0; i < 20; i++) {
        char name[16];
        for (int j = 0; j < LOOKS; j++)
            cr_assert_eq(count_names("d"), 2 + i);
        snprintf(name, sizeof(name), "d/%d", i);
        remote_put(&m, name, "", 0);
    }
}

/* Adds the names that the next read of the kernel brings. Returns how many bytes. */
static long list_on(int fd, char names[LISTED_MAX])
{
    char buffer[4096];
    long size = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));

    for (long at = 0; at < size;) {
        const struct dirent64 *entry = (const struct dirent64 *)(buffer + at);
        if (entry->d_name[0] != '.')
            strncat(names, entry->d_name, LISTED_MAX - 1 - strlen(names));
        at += entry->d_reclen;
    }
    return size;
}

/* Whoever read the directory first goes on when others have begun to read a newer one. */
Test(mount_caches, a_listing_is_of_one_moment_to_its_end)
{
    char names[LISTED_MAX] = "", others[LISTED_MAX] = "";

    remote_mkdir(&m, "d");
    remote_put(&m, "d/b", "", 0);
    for (int i = 0; i < LOOKS; i++)
        count_names("d");
    remote_put(&m, "d/c", "", 0);
    int fd = open(mounted_path(&m, "d"), O_RDONLY | O_DIRECTORY);
    cr_assert_geq(fd, 0);
    cr_assert_gt(list_on(fd, names), 0);
    int other = open(mounted_path(&m, "d"), O_RDONLY | O_DIRECTORY);
    cr_assert_geq(other, 0);
    remote_rename(&m, "d/b", "d/x");
    cr_assert_gt(list_on(other, others), 0);
    cr_assert_eq(list_on(fd, names), 0, "it has listed everything");
    cr_assert_eq(list_on(other, others), 0);
    cr_assert_str_eq(names, "bc");
    cr_assert_str_eq(others, "cx");
    cr_assert_eq(count_names("d"), 4);
    close(other);
    close(fd);
    cr_assert_eq(count_names("d"), 4);
}

Test(mount_caches, nothing_that_was_kept_outlives_the_mount)
{
    struct stat st;

    remote_put(&m, "f", "x", 1);
    look("f");
    int dir = open(m.mountpoint, O_RDONLY | O_DIRECTORY);
    cr_assert_geq(dir, 0);
    mounted_stop(&m);
    cr_expect_eq(fstatat(dir, "f", &st, 0), -1);
    cr_expect_eq(errno, ENOTCONN, "%s", strerror(errno));
    cr_expect_eq(fstat(dir, &st), -1);
    close(dir);
}
