/* fallocate(2) and the holes that lseek(2) knows of, on a mount. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static struct mounted m;
static int fd;

static void setup(void)
{
    mounted_start(&m, 10000);
    remote_put(&m, "f", "0123456789", 10);
    fd = open(mounted_path(&m, "f"), O_RDWR);
    cr_assert_geq(fd, 0);
}

static void teardown(void)
{
    close(fd);
    mounted_stop(&m);
}

TestSuite(mount_fallocate, .init = setup, .fini = teardown, .timeout = 120);

static void assert_fails(off_t result, int expected)
{
    int saved = errno;

    cr_assert_eq(result, -1);
    cr_assert_eq(saved, expected, "%s", strerror(saved));
}

static void assert_bytes(const char *expected, size_t size)
{
    char bytes[64];
    size_t seen_size;

    cr_assert_eq(pread(fd, bytes, sizeof(bytes), 0), (ssize_t)size);
    cr_assert_eq(memcmp(bytes, expected, size), 0);
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    char *seen = fake_store_read(m.store, "f", &seen_size);
    cr_assert_eq(seen_size, size);
    cr_assert_eq(memcmp(seen, expected, size), 0);
    free(seen);
}

Test(mount_fallocate, room_behind_the_end_extends_the_file_with_zeros)
{
    cr_assert_eq(fallocate(fd, 0, 8, 4), 0, "%s", strerror(errno));
    assert_bytes("0123456789\0\0", 12);
    cr_assert_eq(fallocate(fd, 0, 0, 5), 0);
    assert_bytes("0123456789\0\0", 12);
    cr_assert_eq(posix_fallocate(fd, 0, 13), 0);
    assert_bytes("0123456789\0\0\0", 13);
}

Test(mount_fallocate, what_another_node_appends_meanwhile_stays)
{
    cr_assert_eq(fallocate(fd, PUNCH, 8, 100), 0);
    remote_append(&m, "f", "abcdef");
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    assert_bytes("01234567\0\0abcdef", 16);
}

Test(mount_fallocate, keeping_the_size_keeps_it)
{
    cr_assert_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8, 100), 0);
    assert_bytes("0123456789", 10);
}

Test(mount_fallocate, a_hole_reads_as_zeros_and_never_changes_the_size)
{
    cr_assert_eq(fallocate(fd, PUNCH, 2, 3), 0, "%s", strerror(errno));
    assert_bytes("01\0\0\0"
                 "56789",
                 10);
    cr_assert_eq(fallocate(fd, PUNCH, 8, 100), 0);
    assert_bytes("01\0\0\0"
                 "567\0\0",
                 10);
    cr_assert_eq(fallocate(fd, PUNCH, 50, 100), 0);
    assert_bytes("01\0\0\0"
                 "567\0\0",
                 10);
    cr_assert_eq(fallocate(fd, PUNCH, 0, 10), 0);
    assert_bytes("\0\0\0\0\0\0\0\0\0\0", 10);
}

Test(mount_fallocate, zeroing_may_extend)
{
    cr_assert_eq(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 2), 0, "%s", strerror(errno));
    cr_assert_eq(fallocate(fd, FALLOC_FL_ZERO_RANGE, 9, 3), 0);
    assert_bytes("\0\0"
                 "2345678\0\0\0",
                 12);
    cr_assert_eq(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8, 100), 0);
    assert_bytes("\0\0"
                 "234567\0\0\0\0",
                 12);
    cr_assert_eq(fallocate(fd, FALLOC_FL_ZERO_RANGE, 13, 1), 0);
    assert_bytes("\0\0"
                 "234567\0\0\0\0\0\0",
                 14);
}

Test(mount_fallocate, a_hole_of_many_megabytes_is_made_in_pieces)
{
    size_t size = 20u << 20;
    size_t hole = 17u << 20;
    char *bytes = malloc(size);

    memset(bytes, 'x', size);
    cr_assert_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
    cr_assert_eq(fallocate(fd, PUNCH, 1, (off_t)hole), 0, "%s", strerror(errno));
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    free(bytes);
    bytes = fake_store_read(m.store, "f", &size);
    cr_assert_eq(size, 20u << 20);
    cr_assert_eq(bytes[0], 'x');
    for (size_t i = 1; i <= hole; i++)
        cr_assert_eq(bytes[i], '\0', "at %zu", i);
    cr_assert_eq(bytes[hole + 1], 'x');
    free(bytes);
}

Test(mount_fallocate, what_cannot_be_said_is_refused)
{
    assert_fails(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
    assert_fails(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096), EOPNOTSUPP);
    assert_fails(fallocate(fd, 0, (off_t)TREE_FILE_MAX, 1), EFBIG);
    cr_assert_eq(ftruncate(fd, 1 << 30), 0);
    assert_fails(fallocate(fd, PUNCH, 0, 512 << 20), EOPNOTSUPP);
    cr_assert_eq(fallocate(fd, PUNCH, (1 << 30) - 10, 512 << 20), 0);
}

Test(mount_fallocate, to_lseek_a_file_is_data_with_a_hole_at_its_end)
{
    cr_assert_eq(pwrite(fd, "x", 1, 99), 1);
    cr_expect_eq(lseek(fd, 0, SEEK_DATA), 0);
    cr_expect_eq(lseek(fd, 42, SEEK_DATA), 42);
    cr_expect_eq(lseek(fd, 42, SEEK_HOLE), 100);
    assert_fails(lseek(fd, 100, SEEK_DATA), ENXIO);
    assert_fails(lseek(fd, 100, SEEK_HOLE), ENXIO);
}
