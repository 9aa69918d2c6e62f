/* The program's own fstatvfs() stands in front of the C library's, so that disks of
 * any size can be had. */
#include "raftstore/disk_watch.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* What fstatvfs() tells, when `total` is not 0. */
static struct {
    uint64_t total;
    uint64_t available;
    int error;
} fake;

int fstatvfs(int fd, struct statvfs *ret_found)
{
    int (*real)(int, struct statvfs *);

    if (fake.error != 0) {
        errno = fake.error;
        return -1;
    }
    if (fake.total == 0) {
        *(void **)&real = dlsym(RTLD_NEXT, "fstatvfs");
        cr_assert_not_null(real);
        return real(fd, ret_found);
    }
    *ret_found = (struct statvfs){.f_bsize = 65536,
                                  .f_frsize = 4096,
                                  .f_blocks = fake.total / 4096,
                                  .f_bfree = fake.total / 4096,
                                  .f_bavail = fake.available / 4096};
    return 0;
}

static struct disk_watch open_watch(uint64_t total, uint64_t available)
{
    struct disk_watch watch;
    struct err e = {0};

    fake.total = total;
    fake.available = available;
    cr_assert_eq(disk_watch_open("/", &watch, &e), 0, "%s", e.text);
    return watch;
}

static enum disk_room room_with(struct disk_watch *watch, uint64_t available)
{
    fake.available = available;
    return disk_watch_update(watch);
}

/* The state of a disk that was empty a moment ago. */
static enum disk_room room_of(uint64_t total, uint64_t available)
{
    struct disk_watch watch = open_watch(total, total);
    enum disk_room room = room_with(&watch, available);

    cr_assert_eq(room, watch.room);
    disk_watch_close(&watch);
    return room;
}

Test(disk_watch, a_twentieth_of_the_disk_is_kept_in_reserve)
{
    cr_assert_eq(room_of(10 * GIB, GIB / 2), DISK_ROOM);
    cr_assert_eq(room_of(10 * GIB, GIB / 2 - 4096), DISK_LOW);
    cr_assert_eq(room_of(10 * GIB, GIB / 4), DISK_LOW);
    cr_assert_eq(room_of(10 * GIB, GIB / 4 - 4096), DISK_FULL);
    cr_assert_eq(room_of(10 * GIB, 0), DISK_FULL);
}

Test(disk_watch, the_reserve_has_a_least_and_a_largest_size)
{
    cr_assert_eq(room_of(400 * MIB, DISK_RESERVE_MIN), DISK_ROOM);
    cr_assert_eq(room_of(400 * MIB, DISK_RESERVE_MIN - 4096), DISK_LOW);
    cr_assert_eq(room_of(400 * MIB, DISK_RESERVE_MIN / 2 - 4096), DISK_FULL);
    cr_assert_eq(room_of(10000 * GIB, DISK_RESERVE_MAX), DISK_ROOM);
    cr_assert_eq(room_of(10000 * GIB, DISK_RESERVE_MAX - 4096), DISK_LOW);
    cr_assert_eq(room_of(10000 * GIB, DISK_RESERVE_MAX / 2 - 4096), DISK_FULL);
}

Test(disk_watch, a_state_ends_only_with_an_eighth_more_than_its_mark)
{
    const uint64_t low = GIB / 2;
    const uint64_t full = GIB / 4;
    struct disk_watch watch = open_watch(10 * GIB, GIB);

    cr_assert_eq(room_with(&watch, low - 4096), DISK_LOW);
    cr_assert_eq(room_with(&watch, low + low / 8 - 4096), DISK_LOW);
    cr_assert_eq(room_with(&watch, low + low / 8), DISK_ROOM);
    cr_assert_eq(room_with(&watch, low), DISK_ROOM);
    cr_assert_eq(room_with(&watch, full - 4096), DISK_FULL);
    cr_assert_eq(room_with(&watch, full + full / 8 - 4096), DISK_FULL);
    cr_assert_eq(room_with(&watch, full + full / 8), DISK_LOW);
    cr_assert_eq(room_with(&watch, full), DISK_LOW);
    cr_assert_eq(room_with(&watch, low), DISK_LOW);
    cr_assert_eq(room_with(&watch, full - 4096), DISK_FULL);
    cr_assert_eq(room_with(&watch, GIB), DISK_ROOM);
    disk_watch_close(&watch);
}

Test(disk_watch, a_disk_that_is_full_at_the_start_is_seen_at_once)
{
    struct disk_watch watch = open_watch(10 * GIB, 0);

    cr_assert_eq(watch.room, DISK_FULL);
    disk_watch_close(&watch);
    watch = open_watch(10 * GIB, GIB / 2 - 4096);
    cr_assert_eq(watch.room, DISK_LOW);
    disk_watch_close(&watch);
}

Test(disk_watch, what_cannot_be_seen_has_not_changed)
{
    struct disk_watch watch = open_watch(10 * GIB, GIB / 3);
    struct disk_watch other;
    struct err e = {0};

    fake.error = EIO;
    cr_assert_eq(room_with(&watch, GIB), DISK_LOW);
    cr_assert_eq(disk_watch_open("/", &other, &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "Input/output error"), "%s", e.text);
    fake.error = 0;
    cr_assert_eq(room_with(&watch, GIB), DISK_ROOM);
    disk_watch_close(&watch);
}

Test(disk_watch, a_directory_that_is_missing_is_refused_by_name)
{
    struct disk_watch watch;
    struct err e = {0};

    cr_assert_eq(disk_watch_open("/no/such", &watch, &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "/no/such"), "%s", e.text);
}

/* A tmpfs that this process alone sees; false without the right to one. */
static bool mount_small(const char *dir, const char *options)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return false;
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", dir, "tmpfs", 0, options) == 0;
}

static void fill_to(const char *path, uint64_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(bytes == 0 ? 0 : posix_fallocate(fd, 0, (off_t)bytes), 0);
    (void)close(fd);
}

Test(disk_watch, a_real_file_system_that_fills_up_and_empties)
{
    char dir[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 16];
    struct disk_watch watch;

    scratch_make(dir);
    if (!mount_small(dir, "size=256m")) {
        scratch_remove(dir);
        cr_skip_test("NOT TESTED: no right to mount a file system here");
    }
    (void)snprintf(path, sizeof path, "%s/file", dir);
    cr_assert_eq(disk_watch_open(dir, &watch, NULL), 0);
    cr_assert_eq(watch.room, DISK_ROOM);
    fill_to(path, 132 * MIB);
    cr_assert_eq(disk_watch_update(&watch), DISK_LOW);
    fill_to(path, 200 * MIB);
    cr_assert_eq(disk_watch_update(&watch), DISK_FULL);
    fill_to(path, 132 * MIB);
    cr_assert_eq(disk_watch_update(&watch), DISK_LOW);
    fill_to(path, 0);
    cr_assert_eq(disk_watch_update(&watch), DISK_ROOM);
    disk_watch_close(&watch);
    cr_assert_eq(umount(dir), 0);
    scratch_remove(dir);
}
