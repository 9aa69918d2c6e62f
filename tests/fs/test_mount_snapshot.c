/* A mount whose node was so far behind that it got all data at once. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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

TestSuite(mount_snapshot, .init = setup, .fini = teardown, .timeout = 120);

static int open_file(const char *name, int flags)
{
    int fd = open(mounted_path(&m, name), flags, 0644);

    cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
    return fd;
}

static uint64_t inode_number(const char *name)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, name), &st), 0, "%s: %s", name, strerror(errno));
    return st.st_ino;
}

/* --- where things are afterwards --- */

Test(mount_snapshot, what_is_written_follows_a_file_that_was_moved)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(mounted_write(&m, "d/f", O_CREAT, "old"), 0);
    int fd = open_file("d/f", O_WRONLY | O_APPEND);

    fake_store_begin_snapshot(m.store);
    remote_mkdir(&m, "e");
    remote_rename(&m, "d/f", "e/g");
    fake_store_end_snapshot(m.store);

    cr_assert_eq(write(fd, " and new", 8), 8);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "e/g", "old and new"));
    cr_assert(remote_is(&m, "d/f", NULL));
}

Test(mount_snapshot, a_directory_that_moved_takes_along_who_works_in_it)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(mounted_write(&m, "d/f", O_CREAT, "x"), 0);
    int dir = open_file("d", O_RDONLY | O_DIRECTORY);

    fake_store_begin_snapshot(m.store);
    remote_mkdir(&m, "far");
    remote_mkdir(&m, "far/away");
    remote_rename(&m, "d", "far/away/e");
    fake_store_end_snapshot(m.store);

    struct stat st;
    cr_assert_eq(fstatat(dir, "f", &st, 0), 0, "%s", strerror(errno));
    cr_assert_eq(mkdirat(dir, "made", 0755), 0, "%s", strerror(errno));
    cr_assert_eq(access(mounted_path(&m, "far/away/e/made"), F_OK), 0);
    mounted_assert_content(&m, "far/away/e/f", "x");
    cr_assert_neq(access(mounted_path(&m, "d"), F_OK), 0);
    close(dir);
}

Test(mount_snapshot, an_open_file_that_is_gone_is_like_one_removed_elsewhere)
{
    char text[8];
    struct stat st;

    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "kept"), 0);
    int fd = open_file("f", O_RDWR);
    fake_store_begin_snapshot(m.store);
    remote_remove(&m, "f");
    fake_store_end_snapshot(m.store);

    cr_assert_eq(pread(fd, text, sizeof(text), 0), 4);
    cr_assert_eq(memcmp(text, "kept", 4), 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_nlink, 0);
    cr_assert_eq(pwrite(fd, "more", 4, 0), 4);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", NULL));
    cr_assert_neq(access(mounted_path(&m, "f"), F_OK), 0);
}

Test(mount_snapshot, a_file_in_the_place_of_another_is_told_apart)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "mine"), 0);
    uint64_t id = inode_number("f");
    int fd = open_file("f", O_WRONLY);

    fake_store_begin_snapshot(m.store);
    remote_remove(&m, "f");
    remote_put(&m, "f", "theirs", 6);
    fake_store_end_snapshot(m.store);

    cr_assert_neq(inode_number("f"), id);
    cr_assert_eq(write(fd, "lost", 4), 4);
    cr_assert_eq(close(fd), 0);
    mounted_assert_content(&m, "f", "theirs");
    cr_assert(remote_is(&m, "f", "theirs"));
}

Test(mount_snapshot, what_did_not_change_stays_where_it_is)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    uint64_t id = inode_number("f");
    int fd = open_file("f", O_WRONLY | O_APPEND);

    fake_store_begin_snapshot(m.store);
    remote_put(&m, "other", "y", 1);
    fake_store_end_snapshot(m.store);

    cr_assert_eq(write(fd, "y", 1), 1);
    cr_assert_eq(close(fd), 0);
    mounted_assert_content(&m, "f", "xy");
    cr_assert_eq(inode_number("f"), id);
}

/* More than are looked for one by one. */
Test(mount_snapshot, many_files_are_found_again)
{
    enum { FILES = 5000 };
    char name[32];

    remote_mkdir(&m, "d");
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "d/f%d", i);
        remote_put(&m, name, "x", 1);
    }
    int fd = open_file("d/f0", O_WRONLY | O_APPEND);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "d/f%d", i);
        inode_number(name);
    }
    fake_store_begin_snapshot(m.store);
    remote_rename(&m, "d", "e");
    fake_store_end_snapshot(m.store);

    cr_assert_eq(write(fd, "y", 1), 1);
    cr_assert_eq(close(fd), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "e/f0", "xy"));
    mounted_assert_content(&m, "e/f4999", "x");
}

/* --- what the kernel holds --- */

static bool is_cached(void *page)
{
    unsigned char resident = 0;

    cr_assert_eq(mincore(page, 1, &resident), 0);
    return (resident & 1) != 0;
}

Test(mount_snapshot, mapped_pages_are_dropped)
{
    const struct timespec pause = {.tv_nsec = 2000000};

    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "text"), 0);
    int fd = open_file("f", O_RDONLY);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    cr_assert_neq(page, MAP_FAILED);
    cr_assert_eq(page[0], 't');
    cr_assert(is_cached(page));

    fake_store_begin_snapshot(m.store);
    fake_store_end_snapshot(m.store);
    for (int i = 0; i < 5000 && is_cached(page); i++)
        nanosleep(&pause, NULL);
    cr_assert_not(is_cached(page));
    cr_assert_eq(page[0], 't', "the open file has its version still");
    munmap(page, 4096);
    close(fd);
}

/* --- commands that came with it --- */

/* Runs `act` in a child while a snapshot brings what it asks for. Returns what the
 * child found: 0 or an errno. */
static int act_under_snapshot(int (*act)(void))
{
    int status;

    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0)
        _exit(act());
    fake_store_await_held(m.store, 1);
    fake_store_begin_snapshot(m.store);
    fake_store_release(m.store);
    cr_assert_eq(waitpid(child, &status, 0), child);
    fake_store_end_snapshot(m.store);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int make_directory(void)
{
    struct stat st;

    if (mkdir(mounted_path(&m, "d"), 0750) != 0 || stat(mounted_path(&m, "d"), &st) != 0)
        return errno;
    return S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0750 ? 0 : 200;
}

Test(mount_snapshot, mkdir_shows_what_it_made)
{
    cr_assert_eq(act_under_snapshot(make_directory), 0);
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), -1);
    cr_assert_eq(errno, EEXIST);
}

static int make_file(void)
{
    struct stat st;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0640);

    if (fd < 0 || fstat(fd, &st) != 0)
        return errno;
    return st.st_size == 0 && (st.st_mode & 07777) == 0640 ? 0 : 200;
}

Test(mount_snapshot, an_exclusive_create_wins_once)
{
    cr_assert_eq(act_under_snapshot(make_file), 0);
    cr_assert_eq(open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0640), -1);
    cr_assert_eq(errno, EEXIST);
}

static int change_mode(void)
{
    struct stat st;

    if (chmod(mounted_path(&m, "d"), 0700) != 0 || stat(mounted_path(&m, "d"), &st) != 0)
        return errno;
    return S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700 ? 0 : 200;
}

Test(mount_snapshot, chmod_shows_what_it_changed)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(act_under_snapshot(change_mode), 0);
}

static int write_file(void)
{
    struct stat st;

    if (mounted_write(&m, "f", 0, "new!") != 0 || stat(mounted_path(&m, "f"), &st) != 0)
        return errno;
    return st.st_size == 4 ? 0 : 200;
}

Test(mount_snapshot, a_publish_shows_what_it_wrote)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    cr_assert_eq(act_under_snapshot(write_file), 0);
    mounted_assert_content(&m, "f", "new!");
    cr_assert(remote_is(&m, "f", "new!"));
}
