/* Timeouts of answers that are stopped on their way to the kernel.
 *
 * The answer goes into a pipe, by a writev() of this file that stops the process
 * first, as SIGSTOP from outside would at that very place.
 */
#include "fs/reply_guard.h"
#include "raftstore/op.h"

#include <criterion/criterion.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull

static bool stops;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t writev(int fd, const struct iovec *iov, int count)
{
    if (stops)
        raise(SIGSTOP);
    return syscall(SYS_writev, fd, iov, count);
}

TestSuite(reply_guard, .timeout = 30);

static void sleep_ms(uint64_t ms)
{
    const struct timespec time = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms % 1000 * NS_PER_MS)};

    nanosleep(&time, NULL);
}

static void write_body(int fd, enum reply_kind kind, uint64_t until_ns, void *body, size_t size)
{
    struct fuse_out_header header = {.unique = 1};
    const struct iovec iov[] = {
        {.iov_base = &header, .iov_len = sizeof(header)},
        {.iov_base = body, .iov_len = size},
    };

    reply_guard_begin(kind, until_ns);
    const struct reply_timeouts timeouts = reply_guard_take();
    cr_assert_eq(reply_guard_writev(&timeouts, fd, iov, 2), (ssize_t)(sizeof(header) + size));
}

static void read_body(int fd, void *body, size_t size)
{
    struct fuse_out_header header;

    cr_assert_eq(read(fd, &header, sizeof(header)), (ssize_t)sizeof(header));
    cr_assert_eq(read(fd, body, size), (ssize_t)size);
}

static uint64_t ms_of(uint64_t seconds, uint32_t ns)
{
    return seconds * 1000 + ns / NS_PER_MS;
}

/* What is left of `lease_ms`, in ms, of an answer that is stopped for `stop_ms` before
 * it is written. */
static uint64_t left_after_stop(uint64_t lease_ms, uint64_t stop_ms)
{
    struct fuse_attr_out out = {.attr_valid = 1};
    int ends[2];
    int status;

    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        stops = true;
        write_body(ends[1], REPLY_ATTR, clock_ns() + lease_ms * NS_PER_MS, &out, sizeof(out));
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
    cr_assert(WIFSTOPPED(status));
    sleep_ms(stop_ms);
    kill(child, SIGCONT);
    read_body(ends[0], &out, sizeof(out));
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(ends[0]);
    close(ends[1]);
    return ms_of(out.attr_valid, out.attr_valid_nsec);
}

Test(reply_guard, an_answer_that_was_stopped_past_its_end_has_no_timeout)
{
    cr_assert_eq(left_after_stop(200, 300), 0);
}

Test(reply_guard, an_answer_that_was_stopped_for_a_while_has_so_much_less)
{
    uint64_t left_ms = left_after_stop(1000, 500);

    cr_assert_leq(left_ms, 500 - REPLY_GUARD_MARGIN_NS / NS_PER_MS + 1, "%lu", left_ms);
}

Test(reply_guard, an_answer_has_what_is_left_but_for_the_margin)
{
    struct fuse_entry_out out = {.entry_valid = 1};
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    write_body(ends[1], REPLY_ENTRY, clock_ns() + 10000 * NS_PER_MS, &out, sizeof(out));
    read_body(ends[0], &out, sizeof(out));
    uint64_t left_ms = ms_of(out.entry_valid, out.entry_valid_nsec);
    cr_assert_leq(left_ms, 10000 - REPLY_GUARD_MARGIN_NS / NS_PER_MS);
    cr_assert_gt(left_ms, 5000);
    cr_assert_eq(out.attr_valid, 0, "what has no timeout gets none");
    cr_assert_eq(out.attr_valid_nsec, 0);
}

Test(reply_guard, a_lease_that_is_over_is_worth_nothing)
{
    struct fuse_entry_out out = {.entry_valid = 1, .attr_valid = 1};
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    write_body(ends[1], REPLY_ENTRY, clock_ns(), &out, sizeof(out));
    read_body(ends[0], &out, sizeof(out));
    cr_assert_eq(out.entry_valid + out.entry_valid_nsec + out.attr_valid + out.attr_valid_nsec, 0);
}

static void write_plain(int fd, void *body, size_t size)
{
    struct fuse_out_header header = {.unique = 2};
    const struct iovec iov[] = {
        {.iov_base = &header, .iov_len = sizeof(header)},
        {.iov_base = body, .iov_len = size},
    };
    const struct reply_timeouts timeouts = reply_guard_take();

    cr_assert_eq(reply_guard_writev(&timeouts, fd, iov, 2), (ssize_t)(sizeof(header) + size));
}

Test(reply_guard, what_is_answered_on_the_way_has_none_of_the_timeouts)
{
    struct fuse_out_header header = {.unique = 1};
    struct fuse_attr_out out = {.attr_valid = 1};
    const struct iovec iov[] = {
        {.iov_base = &header, .iov_len = sizeof(header)},
        {.iov_base = &out, .iov_len = sizeof(out)},
    };
    char text[] = "2026-11-22T22:47:20.496012Z [uid:0,gid:0,pid:1] getattr (f): OK <0.000001>\n";
    char got[sizeof(text)];
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    reply_guard_begin(REPLY_ATTR, clock_ns() + 10000 * NS_PER_MS);
    const struct reply_timeouts timeouts = reply_guard_take();
    write_plain(ends[1], text, sizeof(text));
    cr_assert_eq(reply_guard_writev(&timeouts, ends[1], iov, 2),
                 (ssize_t)(sizeof(header) + sizeof(out)));
    read_body(ends[0], got, sizeof(got));
    cr_assert_str_eq(got, text);
    read_body(ends[0], &out, sizeof(out));
    cr_assert_gt(ms_of(out.attr_valid, out.attr_valid_nsec), 5000);
}

/* Adds a record; returns its size. */
static size_t add_record(char *at, const char *name, uint64_t entry_valid)
{
    struct fuse_direntplus record = {
        .entry_out.entry_valid = entry_valid,
        .dirent.namelen = (uint32_t)strlen(name),
    };

    memcpy(at, &record, sizeof(record));
    memcpy(at + offsetof(struct fuse_direntplus, dirent.name), name, strlen(name));
    return FUSE_DIRENTPLUS_SIZE(&record);
}

Test(reply_guard, every_entry_of_a_listing_is_filled_in)
{
    _Alignas(8) char body[1024] = {0};
    struct fuse_direntplus record;
    int ends[2];

    size_t second = add_record(body, "a-name-of-some-length", 1);
    size_t third = second + add_record(body + second, "b", 0);
    size_t size = third + add_record(body + third, "c", 1);
    cr_assert_eq(pipe(ends), 0);
    write_body(ends[1], REPLY_LISTING, clock_ns() + 500 * NS_PER_MS, body, size);
    read_body(ends[0], body, size);
    const size_t offsets[] = {0, second, third};
    for (size_t i = 0; i < 3; i++) {
        memcpy(&record, body + offsets[i], sizeof(record));
        cr_assert_eq(record.entry_out.entry_valid, 0);
        cr_assert_eq(record.entry_out.entry_valid_nsec != 0, i != 1);
    }
}
