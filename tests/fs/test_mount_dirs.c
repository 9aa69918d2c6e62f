/* Directories on a mount that change while they are listed. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More than one answer of the file system holds. */
#define NAMES 3000

static struct mounted m;
static int seen[NAMES];

static void setup(void)
{
    mounted_start(&m, 10000);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_dirs, .init = setup, .fini = teardown, .timeout = 120);

static const char *numbered(const char *dir, int i)
{
    static char name[64];

    (void)snprintf(name, sizeof(name), "%s/n%05d", dir, i);
    return name;
}

static void fill(const char *dir, int count)
{
    remote_mkdir(&m, dir);
    for (int i = 0; i < count; i++)
        remote_put(&m, numbered(dir, i), "", 0);
}

/* The number of a name as numbered() makes it; -1 of another. */
static int number_of(const char *name)
{
    return name[0] == 'n' ? atoi(name + 1) : -1;
}

static DIR *open_dir(const char *dir)
{
    DIR *stream = opendir(mounted_path(&m, dir));

    cr_assert_not_null(stream, "%s", strerror(errno));
    return stream;
}

static void read_rest(DIR *stream)
{
    const struct dirent *entry;

    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        if (number_of(entry->d_name) >= 0)
            seen[number_of(entry->d_name)]++;
    }
    cr_assert_eq(errno, 0, "%s", strerror(errno));
}

Test(mount_dirs, what_stays_is_seen_once_while_others_come_and_go)
{
    const struct dirent *entry;
    char name[64];
    int i = 0;

    fill("d", NAMES);
    DIR *stream = open_dir("d");
    while ((entry = readdir(stream)) != NULL && i < NAMES) {
        if (number_of(entry->d_name) >= 0)
            seen[number_of(entry->d_name)]++;
        if (i % 3 == 1)
            remote_remove(&m, numbered("d", i));
        (void)snprintf(name, sizeof(name), "d/z%05d", NAMES - i);
        remote_put(&m, name, "", 0);
        i++;
    }
    if (entry != NULL && number_of(entry->d_name) >= 0)
        seen[number_of(entry->d_name)]++;
    read_rest(stream);
    closedir(stream);
    for (i = 0; i < NAMES; i += 3)
        cr_assert_eq(seen[i], 1, "%d", i);
}

Test(mount_dirs, a_place_stays_right_when_names_come_and_go)
{
    static long places[NAMES];
    const struct dirent *entry;
    char name[64];

    fill("d", NAMES);
    /* What another version is kept for is not kept by the kernel, which may go on
     * showing what is gone. */
    DIR *first = open_dir("d");
    remote_put(&m, "d/first", "", 0);
    DIR *stream = open_dir("d");
    for (long at = telldir(stream); (entry = readdir(stream)) != NULL; at = telldir(stream)) {
        if (number_of(entry->d_name) >= 0)
            places[number_of(entry->d_name)] = at;
    }
    /* All of it was read: from here on the directory is looked at anew. */
    for (int i = 0; i < NAMES; i += 2)
        remote_remove(&m, numbered("d", i));
    for (int i = 0; i < NAMES; i += 5) {
        (void)snprintf(name, sizeof(name), "d/n%05d-new", i);
        remote_mkdir(&m, name);
    }
    for (int i = NAMES - 1; i >= 0; i -= 7) {
        seekdir(stream, places[i]);
        do
            entry = readdir(stream);
        while (entry != NULL && strchr(entry->d_name, '-') != NULL);
        cr_assert_not_null(entry);
        cr_assert_eq(number_of(entry->d_name), i % 2 == 0 ? i + 1 : i, "%s at %d", entry->d_name,
                     i);
    }
    closedir(stream);
    closedir(first);
}

Test(mount_dirs, a_place_behind_the_last_name_is_the_end)
{
    fill("d", 3);
    DIR *stream = open_dir("d");
    read_rest(stream);
    long end = telldir(stream);
    remote_remove(&m, numbered("d", 2));
    rewinddir(stream);
    cr_assert_not_null(readdir(stream));
    seekdir(stream, end);
    cr_assert_null(readdir(stream));
    closedir(stream);
}

Test(mount_dirs, rewinding_shows_what_came_since)
{
    fill("d", 3);
    DIR *stream = open_dir("d");
    read_rest(stream);
    remote_put(&m, numbered("d", 7), "", 0);
    rewinddir(stream);
    read_rest(stream);
    cr_assert_eq(seen[0], 2);
    cr_assert_eq(seen[7], 1);
    closedir(stream);
}

/* The kernel drops what its reader has no room for and asks again. */
Test(mount_dirs, a_reader_with_little_room_sees_every_name_once)
{
    char buffer[128];
    long got;

    fill("d", 500);
    int fd = open(mounted_path(&m, "d"), O_RDONLY | O_DIRECTORY);
    cr_assert_geq(fd, 0);
    while ((got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < got;) {
            unsigned short size;
            memcpy(&size, buffer + at + offsetof(struct dirent64, d_reclen), sizeof(size));
            const char *name = buffer + at + offsetof(struct dirent64, d_name);
            if (number_of(name) >= 0)
                seen[number_of(name)]++;
            at += size;
        }
    }
    cr_assert_eq(got, 0, "%s", strerror(errno));
    close(fd);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(seen[i], 1, "%d", i);
}

/* The daemon runs in this process: what it needs is the places that it has given out. */
Test(mount_dirs, a_large_directory_is_listed_in_a_few_bytes_for_a_name)
{
    enum { MANY = 50000, BYTES_FOR_A_NAME = 12, BYTES_BESIDES = 1 << 17 };
    size_t count = 0;

    fill("d", MANY);
    DIR *stream = open_dir("d");
    size_t before = mallinfo2().uordblks;
    while (readdir(stream) != NULL)
        count++;
    size_t after = mallinfo2().uordblks;
    closedir(stream);
    cr_assert_eq(count, MANY + 2);
    cr_assert_lt(after, before + MANY * BYTES_FOR_A_NAME + BYTES_BESIDES);
}

Test(mount_dirs, a_place_that_was_never_given_out_is_invalid)
{
    char buffer[1024];

    fill("d", 3);
    int fd = open(mounted_path(&m, "d"), O_RDONLY | O_DIRECTORY);
    cr_assert_eq(lseek(fd, 123456789, SEEK_SET), 123456789);
    mounted_assert_fails((int)syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), EINVAL);
    close(fd);
}
