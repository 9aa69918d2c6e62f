#include "raftstore/log.h"
#include "raftstore/memory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What `emit` writes to stderr. */
static void capture(void (*emit)(void), char *out, size_t size)
{
    int saved = dup(STDERR_FILENO);
    int fds[2];
    ssize_t got;

    cr_assert_eq(pipe(fds), 0);
    cr_assert_geq(dup2(fds[1], STDERR_FILENO), 0);
    emit();
    cr_assert_geq(dup2(saved, STDERR_FILENO), 0);
    cr_assert_eq(close(fds[1]), 0);
    got = read(fds[0], out, size - 1);
    cr_assert_geq(got, 0);
    out[got] = '\0';
    (void)close(fds[0]);
    (void)close(saved);
}

static void emit_all(void)
{
    log_debug("one");
    log_info("two %d", 2);
    log_warn("three");
    log_error("four");
}

static void emit_long(void)
{
    char text[4096];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_error("%s", text);
    log_error("%s", "");
}

Test(log, a_line_has_time_name_level_and_text)
{
    char out[4096];

    log_open("node1", LOG_LEVEL_INFO, 0);
    capture(emit_all, out, sizeof out);
    cr_assert_eq(out[10], 'T');
    cr_assert_eq(strncmp(out + 24, " node1: info: two 2\n", 20), 0, "%s", out);
    cr_assert_not_null(strstr(out, "Z node1: warning: three\n"));
    cr_assert_not_null(strstr(out, "Z node1: error: four\n"));
}

Test(log, levels_below_the_chosen_one_are_silent)
{
    char out[4096];

    log_open("node1", LOG_LEVEL_INFO, 0);
    capture(emit_all, out, sizeof out);
    cr_assert_null(strstr(out, "one"));
    log_open("node1", LOG_LEVEL_ERROR, 0);
    capture(emit_all, out, sizeof out);
    cr_assert_null(strstr(out, "three"));
    log_open("node1", LOG_LEVEL_DEBUG, 0);
    capture(emit_all, out, sizeof out);
    cr_assert_not_null(strstr(out, "debug: one\n"));
}

Test(log, a_long_line_is_cut_and_still_ends)
{
    char out[8192];
    char *end;

    log_open("node1", LOG_LEVEL_INFO, 0);
    capture(emit_long, out, sizeof out);
    end = strchr(out, '\n');
    cr_assert_not_null(end);
    cr_assert_lt(end - out, 1024);
    cr_assert_gt(end - out, 1000);
    cr_assert_eq(strlen(end + 1), strlen("2024-05-01T12:00:00.123Z node1: error: \n"));
}

Test(log, errno_survives_a_line)
{
    errno = ENOSPC;
    log_error("x");
    cr_assert_eq(errno, ENOSPC);
}

Test(log, fatal_ends_the_process_with_the_status_of_an_io_error, .exit_code = 74)
{
    log_fatal("the disk is gone");
}

/* AddressSanitizer ends the process itself. */
#ifndef __SANITIZE_ADDRESS__
Test(memory, out_of_memory_ends_the_process, .exit_code = 74)
{
    /* More than any address space has. */
    volatile size_t size = SIZE_MAX / 2;

    (void)mem_alloc(size);
}
#endif

Test(memory, nothing_is_never_null)
{
    void *a = mem_alloc(0);
    void *b = mem_dup(NULL, 0);
    char *c = mem_strdup("");

    cr_assert(a != NULL && b != NULL && c != NULL);
    cr_assert_str_eq(c, "");
    free(mem_realloc(a, 0));
    free(b);
    free(c);
}
