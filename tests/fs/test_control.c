/* The control directory: what its files say, and that they say it without a majority. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 5000);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(control, .init = setup, .fini = teardown, .timeout = 60);

Test(control, members_and_leader_are_words_for_scripts)
{
    mounted_assert_content(&m, ".keelfs/members", "n1 1 host:1 leader self\n");
    mounted_assert_content(&m, ".keelfs/leader", "n1 host:1\n");
}

Test(control, without_a_leader_there_is_none_to_read)
{
    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
    mounted_assert_content(&m, ".keelfs/leader", "");
}

Test(control, the_version_is_that_of_the_program)
{
    mounted_assert_content(&m, ".keelfs/version", "keelfs " KEELFS_VERSION "\n");
}

Test(control, a_file_is_read_in_pieces_and_again)
{
    char piece[3] = "";
    int fd = open(mounted_path(&m, ".keelfs/version"), O_RDONLY);

    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, piece, 2, 4), 2);
    cr_assert_str_eq(piece, "fs");
    cr_assert_eq(pread(fd, piece, 2, 0), 2);
    cr_assert_str_eq(piece, "ke");
    cr_assert_eq(pread(fd, piece, 2, 1000), 0);
    close(fd);
}

Test(control, the_files_are_the_mounters_and_cannot_be_written)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, ".keelfs/members"), &st), 0);
    cr_assert_eq(st.st_uid, geteuid());
    cr_assert_eq(st.st_mode, S_IFREG | 0444);
}

/* --- metrics --- */

/* The value of a series, or -1. */
static double value_of(const char *text, const char *series)
{
    size_t size = strlen(series);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, series, size) == 0 && line[size] == ' ')
            return strtod(line + size, NULL);
    }
    return -1;
}

static double metric(const char *series)
{
    char *text = mounted_read(&m, ".keelfs/metrics");

    cr_assert_not_null(text);
    double value = value_of(text, series);
    free(text);
    return value;
}

/* What the format asks of every line: a name that was described, perhaps with labels
 * in quotes, and a number. */
Test(control, metrics_are_in_the_format_of_prometheus)
{
    const char *const name_chars = "abcdefghijklmnopqrstuvwxyz_";
    char described[128] = "";
    char *text = mounted_read(&m, ".keelfs/metrics");
    char *end;

    cr_assert_not_null(text);
    cr_assert_eq(text[strlen(text) - 1], '\n');
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (sscanf(line, "# TYPE %127s", described) == 1 || strncmp(line, "# HELP ", 7) == 0)
            continue;
        cr_assert_eq(strncmp(line, described, strlen(described)), 0, "%s", line);
        char *rest = line + strspn(line, name_chars);
        if (*rest == '{') {
            rest = strstr(rest, "\"}");
            cr_assert_not_null(rest, "%s", line);
            rest += 2;
        }
        cr_assert_eq(*rest, ' ', "%s", line);
        (void)strtod(rest, &end);
        cr_assert_eq(*end, '\0', "%s", line);
    }
    free(text);
}

Test(control, operations_are_counted_with_their_errors_and_times)
{
    cr_assert_eq(metric("keelfs_operation_duration_seconds_count{op=\"create\"}"), 0);
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    mounted_assert_fails(open(mounted_path(&m, "none"), O_RDONLY), ENOENT);
    cr_assert_eq(metric("keelfs_operation_duration_seconds_count{op=\"create\"}"), 1);
    cr_assert_eq(metric("keelfs_operation_duration_seconds_bucket{op=\"create\",le=\"+Inf\"}"), 1);
    cr_assert_gt(metric("keelfs_operation_duration_seconds_sum{op=\"create\"}"), 0);
    cr_assert_eq(metric("keelfs_operation_errors_total{op=\"create\"}"), 0);
    cr_assert_geq(metric("keelfs_operation_errors_total{op=\"lookup\"}"), 1);
    cr_assert_eq(metric("keelfs_raft_term"), 7);
    cr_assert_eq(metric("keelfs_raft_role{role=\"leader\"}"), 1);
}

Test(control, reads_of_the_control_directory_are_no_operations)
{
    double reads = metric("keelfs_operation_duration_seconds_count{op=\"read\"}");

    for (int i = 0; i < 10; i++)
        free(mounted_read(&m, ".keelfs/status"));
    cr_assert_eq(metric("keelfs_operation_duration_seconds_count{op=\"read\"}"), reads);
}

Test(control, metrics_need_no_majority)
{
    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
    cr_assert_eq(metric("keelfs_raft_has_leader"), 0);
    cr_assert_eq(metric("keelfs_raft_is_leader"), 0);
}
