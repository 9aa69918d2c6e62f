/* Open files on a mount: what is seen here and elsewhere, and when. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

TestSuite(mount_files, .init = setup, .fini = teardown, .timeout = 120);

static void assert_reads(int fd, off_t offset, const char *expected)
{
    char text[256] = "";
    ssize_t got = pread(fd, text, sizeof(text) - 1, offset);

    cr_assert_geq(got, 0, "%s", strerror(errno));
    cr_assert_str_eq(text, expected);
}

static off_t size_of(const char *name)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, name), &st), 0);
    return st.st_size;
}

/* --- publishing --- */

Test(mount_files, what_is_written_appears_elsewhere_at_close_and_here_at_once)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);

    cr_assert_geq(fd, 0);
    cr_assert(remote_is(&m, "f", ""));
    cr_assert_eq(write(fd, "one ", 4), 4);
    cr_assert_eq(write(fd, "two", 3), 3);
    cr_assert(remote_is(&m, "f", ""));
    mounted_assert_content(&m, "f", "one two");
    cr_assert_eq(size_of("f"), 7);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "one two"));
    mounted_assert_content(&m, "f", "one two");
}

Test(mount_files, fsync_publishes_what_was_written_so_far)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);

    cr_assert_eq(write(fd, "one", 3), 3);
    cr_assert_eq(fsync(fd), 0);
    cr_assert(remote_is(&m, "f", "one"));
    cr_assert_eq(write(fd, "two", 3), 3);
    cr_assert(remote_is(&m, "f", "one"));
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "onetwo"));
}

Test(mount_files, an_overwrite_is_one_change_for_other_nodes)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "a longer text"), 0);
    size_t before = fake_store_applied(m.store);
    int fd = open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC);

    mounted_assert_content(&m, "f", "");
    cr_assert(remote_is(&m, "f", "a longer text"));
    cr_assert_eq(write(fd, "short", 5), 5);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "short"));
    cr_assert_eq(fake_store_applied(m.store), before + 1);
}

Test(mount_files, closing_without_a_change_sends_nothing)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    size_t before = fake_store_applied(m.store);
    int fd = open(mounted_path(&m, "f"), O_RDWR);

    cr_assert_eq(fsync(fd), 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(fake_store_applied(m.store), before);
}

Test(mount_files, truncating_and_closing_is_a_publish)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "text"), 0);
    close(open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC));
    cr_assert(remote_is(&m, "f", ""));
}

Test(mount_files, ftruncate_waits_for_close_and_truncate_does_not)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "0123456789"), 0);
    int fd = open(mounted_path(&m, "f"), O_RDWR);

    cr_assert_eq(ftruncate(fd, 4), 0);
    cr_assert_eq(ftruncate(fd, 6), 0);
    cr_assert_eq(size_of("f"), 6);
    cr_assert(remote_is(&m, "f", "0123456789"));
    cr_assert_eq(close(fd), 0);
    size_t size;
    char *text = fake_store_read(m.store, "f", &size);
    cr_assert_eq(size, 6);
    cr_assert_eq(memcmp(text, "0123\0\0", 6), 0);
    free(text);
    cr_assert_eq(truncate(mounted_path(&m, "f"), 2), 0);
    cr_assert(remote_is(&m, "f", "01"));
}

Test(mount_files, truncate_cuts_what_is_unpublished_too)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);

    cr_assert_eq(write(fd, "0123456789", 10), 10);
    cr_assert_eq(truncate(mounted_path(&m, "f"), 3), 0);
    assert_reads(fd, 0, "012");
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "012"));
}

Test(mount_files, a_file_opened_with_o_sync_is_published_by_each_write)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY | O_SYNC, 0644);

    cr_assert_eq(write(fd, "one", 3), 3);
    cr_assert(remote_is(&m, "f", "one"));
    cr_assert_eq(write(fd, "two", 3), 3);
    cr_assert(remote_is(&m, "f", "onetwo"));
    close(fd);
}

/* Executing another program closes what is inherited. */
Test(mount_files, a_child_that_wrote_nothing_publishes_nothing)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    int status;

    cr_assert_eq(write(fd, "half", 4), 4);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert(remote_is(&m, "f", ""));
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "half"));
}

Test(mount_files, a_child_publishes_what_it_wrote_to_an_inherited_file)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);
    int status;

    pid_t child = fork();
    if (child == 0) {
        ssize_t written = write(fd, "child", 5);
        _exit(written == 5 && close(fd) == 0 ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert(remote_is(&m, "f", "child"));
    close(fd);
}

/* --- mappings --- */

enum { MAP_WORKS, MAP_FAILS, MAP_REFUSED };

/* A process of its own: a page fault must not wait for threads that share its
 * memory. Maps "f", changes its beginning and ends, in the order that `closes`
 * says: with the file closed before or after the change. */
static int change_through_mapping(bool closes_first)
{
    int fd = open(mounted_path(&m, "f"), O_RDWR);
    char *map = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        return errno == ENODEV ? MAP_REFUSED : MAP_FAILS;
    if (memcmp(map, "0123456789", 10) != 0 || (closes_first && close(fd) != 0))
        return MAP_FAILS;
    memcpy(map, "abc", 3);
    if (!closes_first && (msync(map, 10, MS_SYNC) != 0 || close(fd) != 0))
        return MAP_FAILS;
    return munmap(map, 10) == 0 ? MAP_WORKS : MAP_FAILS;
}

static void assert_mapping_works(bool closes_first)
{
    int status;

    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "0123456789"), 0);
    size_t before = fake_store_applied(m.store);
    pid_t child = fork();
    if (child == 0)
        _exit(change_through_mapping(closes_first));
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == MAP_REFUSED)
        cr_skip_test("this kernel maps no file that is opened for direct I/O");
    cr_assert_eq(WEXITSTATUS(status), MAP_WORKS);
    while (fake_store_applied(m.store) == before)
        sched_yield();
    cr_assert(remote_is(&m, "f", "abc3456789"));
}

Test(mount_files, what_is_changed_through_a_mapping_is_published_at_close)
{
    assert_mapping_works(false);
}

Test(mount_files, what_no_close_came_for_is_published_when_the_last_user_is_gone)
{
    assert_mapping_works(true);
}

/* Waits until thread `tid` is in the system call `number`. */
static void await_in_call(pid_t tid, long number)
{
    char path[64];
    long seen = -1;

    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
    while (seen != number) {
        FILE *file = fopen(path, "r");
        if (file == NULL || fscanf(file, "%ld", &seen) != 1)
            seen = -1;
        if (file != NULL)
            fclose(file);
        sched_yield();
    }
}

struct flushing {
    int fd;
    _Atomic pid_t tid;
    int code;
};

static void *flush_it(void *arg)
{
    struct flushing *flushing = arg;

    flushing->tid = (pid_t)syscall(SYS_gettid);
    /* Closes a copy: a flush, without the lock that fsync() holds in the kernel. */
    flushing->code = close(flushing->fd);
    return NULL;
}

Test(mount_files, a_close_ends_when_others_overwrote_what_it_waits_to_publish)
{
    int a_fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);
    struct flushing a = {.fd = dup(a_fd)};
    struct flushing b = {.fd = open(mounted_path(&m, "f"), O_WRONLY)};
    pthread_t a_thread, b_thread;

    cr_assert_eq(pwrite(a_fd, "a", 1, 0), 1);
    fake_store_hold_proposals(m.store);
    pthread_create(&a_thread, NULL, flush_it, &a);
    fake_store_await_held(m.store, 1);
    cr_assert_eq(pwrite(b.fd, "b", 1, 1), 1);
    pthread_create(&b_thread, NULL, flush_it, &b);
    while (b.tid == 0)
        sched_yield();
    await_in_call(b.tid, SYS_close);
    cr_assert_eq(pwrite(a_fd, "A", 1, 1), 1);
    fake_store_release(m.store);
    pthread_join(b_thread, NULL);
    pthread_join(a_thread, NULL);
    cr_assert_eq(a.code, 0);
    cr_assert_eq(b.code, 0);
    close(a_fd);
    cr_assert(remote_is(&m, "f", "aA"));
}

/* --- versions --- */

/* Larger than what a view reads at once. */
#define LARGE (300u << 10)

static char *large_text(char byte)
{
    char *text = malloc(LARGE + 1);

    memset(text, byte, LARGE);
    text[LARGE] = '\0';
    return text;
}

Test(mount_files, a_reader_stays_on_the_version_it_opened)
{
    char *a = large_text('a');
    char *b = large_text('b');
    char *seen = malloc(LARGE);

    remote_put(&m, "f", a, LARGE);
    int fd = open(mounted_path(&m, "f"), O_RDONLY);
    cr_assert_eq(pread(fd, seen, 1000, 0), 1000);
    remote_put(&m, "f", b, LARGE);
    mounted_assert_content(&m, "f", b);
    cr_assert_eq(pread(fd, seen, LARGE, 0), LARGE);
    cr_assert_eq(memcmp(seen, a, LARGE), 0);
    remote_remove(&m, "f");
    cr_assert_eq(pread(fd, seen, LARGE, 0), LARGE);
    cr_assert_eq(memcmp(seen, a, LARGE), 0);
    close(fd);
    free(a);
    free(b);
    free(seen);
}

Test(mount_files, fstat_shows_a_reader_at_the_end_what_is_new)
{
    struct stat st;

    remote_put(&m, "log", "one\n", 4);
    int fd = open(mounted_path(&m, "log"), O_RDONLY);
    assert_reads(fd, 0, "one\n");
    remote_append(&m, "log", "two\n");
    assert_reads(fd, 4, "");
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_size, 8);
    assert_reads(fd, 4, "two\n");
    close(fd);
}

Test(mount_files, fstat_does_not_move_a_reader_in_the_middle)
{
    struct stat st;

    remote_put(&m, "f", "aaaa", 4);
    int fd = open(mounted_path(&m, "f"), O_RDONLY);
    char half[2];
    cr_assert_eq(pread(fd, half, 2, 0), 2);
    remote_put(&m, "f", "bbbb", 4);
    cr_assert_eq(fstat(fd, &st), 0);
    assert_reads(fd, 2, "aa");
    close(fd);
}

Test(mount_files, a_reader_follows_what_is_written_here)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "one"), 0);
    int fd = open(mounted_path(&m, "f"), O_RDONLY);
    assert_reads(fd, 0, "one");
    cr_assert_eq(mounted_write(&m, "f", O_TRUNC, "three"), 0);
    assert_reads(fd, 0, "three");
    close(fd);
}

Test(mount_files, local_writes_lie_over_the_newest_version)
{
    remote_put(&m, "f", "aaaa", 4);
    int fd = open(mounted_path(&m, "f"), O_RDWR);
    cr_assert_eq(pwrite(fd, "X", 1, 1), 1);
    remote_put(&m, "f", "bbbbbb", 6);
    mounted_assert_content(&m, "f", "bXbbbb");
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "bXbbbb"));
}

Test(mount_files, while_a_publish_is_under_way_nothing_is_shown_twice)
{
    int fd = open(mounted_path(&m, "log"), O_CREAT | O_WRONLY | O_APPEND, 0644);

    cr_assert_eq(write(fd, "mine\n", 5), 5);
    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0)
        _exit(fsync(fd) == 0 ? 0 : 1);
    fake_store_await_held(m.store, 1);
    mounted_assert_content(&m, "log", "mine\n");
    cr_assert_eq(size_of("log"), 5);
    fake_store_release(m.store);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    mounted_assert_content(&m, "log", "mine\n");
    close(fd);
}

/* --- append --- */

Test(mount_files, appends_of_several_nodes_are_all_there)
{
    int fd = open(mounted_path(&m, "log"), O_CREAT | O_WRONLY | O_APPEND, 0644);

    cr_assert_eq(write(fd, "a1\n", 3), 3);
    remote_append(&m, "log", "b1\n");
    cr_assert_eq(write(fd, "a2\n", 3), 3);
    mounted_assert_content(&m, "log", "b1\na1\na2\n");
    cr_assert_eq(fsync(fd), 0);
    cr_assert(remote_is(&m, "log", "b1\na1\na2\n"));
    remote_append(&m, "log", "b2\n");
    cr_assert_eq(write(fd, "a3\n", 3), 3);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "log", "b1\na1\na2\nb2\na3\n"));
}

/* --- removed and renamed while open --- */

Test(mount_files, a_removed_file_goes_on_for_those_who_have_it_open)
{
    struct stat st;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);

    cr_assert_eq(write(fd, "one", 3), 3);
    cr_assert_eq(fsync(fd), 0);
    cr_assert_eq(unlink(mounted_path(&m, "f")), 0);
    cr_assert_eq(write(fd, "two", 3), 3);
    assert_reads(fd, 0, "onetwo");
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_nlink, 0);
    cr_assert_eq(st.st_size, 6);
    cr_assert_eq(fsync(fd), 0);
    assert_reads(fd, 0, "onetwo");
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", NULL));
}

Test(mount_files, a_removed_file_has_the_attributes_that_are_set_on_it)
{
    const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    struct stat st;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);

    cr_assert_eq(write(fd, "text", 4), 4);
    cr_assert_eq(fsync(fd), 0);
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0601), 0);
    remote_remove(&m, "f");
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0601);
    cr_assert_eq(fchown(fd, 12, 34), 0);
    cr_assert_eq(fchmod(fd, 0640), 0);
    cr_assert_eq(write(fd, "more", 4), 4);
    cr_assert_eq(futimens(fd, times), 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_nlink, 0);
    cr_assert_eq(st.st_mode & 07777, 0640);
    cr_assert_eq(st.st_uid, 12);
    cr_assert_eq(st.st_gid, 34);
    cr_assert_eq(st.st_size, 8);
    cr_assert_eq(st.st_mtim.tv_sec, 6);
    cr_assert_eq(ftruncate(fd, 2), 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_size, 2);
    cr_assert_gt(st.st_mtim.tv_sec, 6);
    cr_assert_eq(st.st_mode & 07777, 0640);
    cr_assert_eq(close(fd), 0);
}

Test(mount_files, what_was_written_to_a_file_removed_elsewhere_vanishes)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);

    cr_assert_eq(write(fd, "mine", 4), 4);
    remote_remove(&m, "f");
    remote_put(&m, "f", "other", 5);
    assert_reads(fd, 0, "mine");
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", "other"));
}

Test(mount_files, a_publish_finds_the_file_where_it_was_renamed_to)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    int fd = open(mounted_path(&m, "d/f"), O_CREAT | O_WRONLY, 0644);

    cr_assert_eq(write(fd, "text", 4), 4);
    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0)
        _exit(fsync(fd) == 0 ? 0 : 1);
    fake_store_await_held(m.store, 1);
    remote_rename(&m, "d", "e");
    remote_rename(&m, "e/f", "e/g");
    remote_mkdir(&m, "d");
    remote_put(&m, "d/f", "other", 5);
    fake_store_release(m.store);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert(remote_is(&m, "e/g", "text"));
    cr_assert(remote_is(&m, "d/f", "other"));
    close(fd);
}

/* --- more than one publish takes --- */

#define HUGE_SIZE  (20u << 20)
#define HUGE_BLOCK (1u << 20)

Test(mount_files, a_large_file_is_published_in_pieces_in_order)
{
    size_t before = fake_store_applied(m.store);
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);
    char *block = malloc(HUGE_BLOCK);
    size_t size;

    for (unsigned i = 0; i < HUGE_SIZE / HUGE_BLOCK; i++) {
        memset(block, 'a' + (int)i, HUGE_BLOCK);
        cr_assert_eq(write(fd, block, HUGE_BLOCK), HUGE_BLOCK, "%s", strerror(errno));
    }
    for (unsigned i = 0; i < HUGE_SIZE / HUGE_BLOCK; i++) {
        cr_assert_eq(pread(fd, block, HUGE_BLOCK, (off_t)i * HUGE_BLOCK), HUGE_BLOCK);
        cr_assert_eq(block[0], 'a' + (int)i);
        cr_assert_eq(block[HUGE_BLOCK - 1], 'a' + (int)i);
    }
    cr_assert_eq(close(fd), 0);
    cr_assert_geq(fake_store_applied(m.store), before + 3);
    char *text = fake_store_read(m.store, "f", &size);
    cr_assert_eq(size, HUGE_SIZE);
    for (size_t i = 0; i < size; i++)
        cr_assert_eq(text[i], 'a' + (int)(i / HUGE_BLOCK));
    free(text);
    free(block);
}

Test(mount_files, many_small_scattered_writes_are_published)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);
    size_t size;

    for (int i = 0; i < 5000; i++)
        cr_assert_eq(pwrite(fd, "x", 1, (off_t)i * 5000), 1, "%s", strerror(errno));
    cr_assert_eq(close(fd), 0);
    char *text = fake_store_read(m.store, "f", &size);
    cr_assert_eq(size, 4999u * 5000 + 1);
    for (int i = 0; i < 5000; i++)
        cr_assert_eq(text[(size_t)i * 5000], 'x');
    free(text);
}

Test(mount_files, a_file_cannot_grow_past_the_largest)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);

    cr_assert_eq(pwrite(fd, "x", 1, (off_t)TREE_FILE_MAX), -1);
    cr_assert_eq(errno, EFBIG);
    cr_assert_eq(ftruncate(fd, (off_t)TREE_FILE_MAX + 1), -1);
    cr_assert_eq(errno, EFBIG);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "f", ""));
}

Test(mount_files, copy_file_range_copies_the_version_that_was_opened)
{
    char *a = large_text('a');
    char *b = large_text('b');

    remote_put(&m, "from", a, LARGE);
    int from = open(mounted_path(&m, "from"), O_RDONLY);
    int to = open(mounted_path(&m, "to"), O_CREAT | O_WRONLY, 0644);
    char first;
    cr_assert_eq(pread(from, &first, 1, 0), 1);
    remote_put(&m, "from", b, LARGE);
    mounted_assert_content(&m, "from", b);
    size_t copied = 0;
    ssize_t part;
    while ((part = copy_file_range(from, NULL, to, NULL, LARGE, 0)) > 0)
        copied += (size_t)part;
    cr_assert_eq(part, 0, "%s", strerror(errno));
    cr_assert_eq(copied, LARGE);
    cr_assert(remote_is(&m, "to", ""));
    cr_assert_eq(close(to), 0);
    cr_assert(remote_is(&m, "to", a));
    close(from);
    free(a);
    free(b);
}

/* --- failures --- */

Test(mount_files, a_refused_publish_is_the_error_of_close_and_changes_nothing)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "old"), 0);
    int fd = open(mounted_path(&m, "f"), O_RDWR);

    cr_assert_eq(write(fd, "new", 3), 3);
    fake_store_refuse(m.store, KE_NO_SPACE);
    cr_assert_eq(fsync(fd), -1);
    cr_assert_eq(errno, ENOSPC);
    fake_store_refuse(m.store, 0);
    assert_reads(fd, 0, "old");
    cr_assert_eq(write(fd, "new", 3), -1);
    cr_assert_eq(errno, ENOSPC);
    cr_assert_eq(close(fd), -1);
    cr_assert_eq(errno, ENOSPC);
    cr_assert(remote_is(&m, "f", "old"));
    cr_assert_eq(mounted_write(&m, "f", O_TRUNC, "again"), 0);
    cr_assert(remote_is(&m, "f", "again"));
}
