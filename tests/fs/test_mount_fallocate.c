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

#define CHUNK ((off_t)TREE_CHUNK_SIZE)
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

Test(mount_fallocate, a_hole_of_many_megabytes_is_made)
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
    assert_fails(fallocate(fd, FALLOC_FL_ZERO_RANGE, 1, (off_t)TREE_FILE_MAX), EFBIG);
}

/* --- holes --- */

/* The runs of data in chunks, as lseek(2) finds them: "0-1,5-6". */
static void assert_data(const char *expected)
{
    char text[128] = "";
    off_t hole = 0;
    off_t data;

    while ((data = lseek(fd, hole, SEEK_DATA)) >= 0) {
        hole = lseek(fd, data, SEEK_HOLE);
        cr_assert_gt(hole, data);
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%ld-%ld",
                       text[0] != '\0' ? "," : "", (long)(data / CHUNK),
                       (long)((hole + CHUNK - 1) / CHUNK));
    }
    cr_assert_eq(errno, ENXIO, "%s", strerror(errno));
    cr_assert_str_eq(text, expected);
}

static blkcnt_t blocks(void)
{
    struct stat st;

    cr_assert_eq(fstat(fd, &st), 0);
    return st.st_blocks;
}

static void write_chunks(off_t from, off_t to)
{
    char *bytes = malloc(CHUNK);

    memset(bytes, 'x', CHUNK);
    for (off_t chunk = from; chunk < to; chunk++)
        cr_assert_eq(pwrite(fd, bytes, CHUNK, chunk * CHUNK), CHUNK);
    free(bytes);
}

Test(mount_fallocate, data_ends_at_the_end_of_the_file)
{
    cr_assert_eq(pwrite(fd, "x", 1, 99), 1);
    cr_assert_eq(fsync(fd), 0);
    cr_expect_eq(lseek(fd, 0, SEEK_DATA), 0);
    cr_expect_eq(lseek(fd, 42, SEEK_DATA), 42);
    cr_expect_eq(lseek(fd, 42, SEEK_HOLE), 100);
    assert_fails(lseek(fd, 100, SEEK_DATA), ENXIO);
    assert_fails(lseek(fd, 100, SEEK_HOLE), ENXIO);
}

Test(mount_fallocate, holes_are_the_same_before_and_after_a_publish)
{
    static const char *const expected = "0-1,4-6,9-10,100-101";

    write_chunks(4, 10);
    cr_assert_eq(pwrite(fd, "x", 1, 100 * CHUNK), 1);
    cr_assert_eq(fallocate(fd, PUNCH, 6 * CHUNK, 3 * CHUNK), 0);
    assert_data(expected);
    cr_assert_eq(fsync(fd), 0);
    assert_data(expected);
    cr_assert_eq(blocks(), 5 * CHUNK / 512);
    /* Holes and data over what was published. */
    cr_assert_eq(fallocate(fd, PUNCH, 5 * CHUNK, CHUNK), 0);
    write_chunks(20, 21);
    assert_data("0-1,4-5,9-10,20-21,100-101");
    cr_assert_eq(ftruncate(fd, 9 * CHUNK), 0);
    cr_assert_eq(ftruncate(fd, 50 * CHUNK), 0);
    assert_data("0-1,4-5");
    cr_assert_eq(lseek(fd, 5 * CHUNK, SEEK_HOLE), 5 * CHUNK);
    cr_assert_eq(fsync(fd), 0);
    assert_data("0-1,4-5");
    cr_assert_eq(blocks(), 2 * CHUNK / 512);
}

Test(mount_fallocate, another_reader_sees_a_hole_at_once)
{
    char byte = 'x';
    int other = open(mounted_path(&m, "f"), O_RDONLY);

    cr_assert_eq(fallocate(fd, PUNCH, 0, 5), 0);
    cr_assert_eq(pread(other, &byte, 1, 4), 1);
    cr_assert_eq(byte, 0);
    cr_assert(remote_is(&m, "f", "0123456789"));
    close(other);
}

Test(mount_fallocate, the_largest_file_is_written_at_its_end_and_read)
{
    char bytes[2] = "";
    off_t end = (off_t)TREE_FILE_MAX;

    cr_assert_eq(ftruncate(fd, end), 0);
    cr_assert_eq(pwrite(fd, "z", 1, end - 1), 1);
    assert_fails(pwrite(fd, "z", 1, end), EFBIG);
    assert_data("0-1,4194303-4194304");
    cr_assert_eq(fsync(fd), 0);
    assert_data("0-1,4194303-4194304");
    cr_assert_eq(pread(fd, bytes, 2, end - 2), 2);
    cr_assert_eq(memcmp(bytes, "\0z", 2), 0);
    cr_assert_eq(fallocate(fd, PUNCH, 10, end - 10), 0);
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    assert_data("0-1");
    cr_assert_eq(unlink(mounted_path(&m, "f")), 0);
}

Test(mount_fallocate, a_copy_of_a_range_keeps_its_holes)
{
    loff_t in = 0;
    loff_t out = 0;
    ssize_t copied;

    write_chunks(0, 2);
    cr_assert_eq(ftruncate(fd, 90000 * CHUNK), 0);
    cr_assert_eq(pwrite(fd, "end", 3, 90000 * CHUNK), 3);
    cr_assert_eq(fsync(fd), 0);
    int copy = open(mounted_path(&m, "copy"), O_CREAT | O_RDWR, 0600);
    while ((copied = copy_file_range(fd, &in, copy, &out, 1 << 30, 0)) > 0)
        continue;
    cr_assert_eq(copied, 0, "%s", strerror(errno));
    cr_assert_eq(fsync(copy), 0);
    close(fd);
    fd = copy;
    assert_data("0-2,90000-90001");
    cr_assert_eq(lseek(fd, 0, SEEK_END), 90000 * CHUNK + 3);
}

Test(mount_fallocate, a_longer_file_takes_no_room)
{
    cr_assert_eq(fallocate(fd, 0, 0, 1000 * CHUNK), 0);
    cr_assert_eq(fsync(fd), 0);
    assert_data("0-1");
    cr_assert_eq(blocks(), CHUNK / 512);
    cr_assert_eq(lseek(fd, 0, SEEK_END), 1000 * CHUNK);
}

Test(mount_fallocate, a_length_that_is_asked_for_never_cuts)
{
    cr_assert_eq(fallocate(fd, 0, 0, 12), 0);
    remote_append(&m, "f", "abcdef");
    cr_assert_eq(fsync(fd), 0, "%s", strerror(errno));
    assert_bytes("0123456789abcdef", 16);
}
