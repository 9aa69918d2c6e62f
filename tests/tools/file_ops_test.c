/* What the figures about files do, on a local directory. */
#include "tools/bench_crew.h"
#include "tools/bench_file_ops.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_SIZE 256
#define LIST_NAMES 3
#define STEPS      (2 * BENCH_FILES) /* each file twice */

static char dir[] = "/tmp/keelfs-bench-XXXXXX";
static uint8_t *value;
static struct bench_file_job jobs[BENCH_CREW_MAX];

static void setup(void)
{
    cr_assert_not_null(mkdtemp(dir));
    value = bench_file_value_new(VALUE_SIZE);
    for (size_t i = 0; i < BENCH_CREW_MAX; i++) {
        jobs[i].value = value;
        jobs[i].value_size = VALUE_SIZE;
        (void)snprintf(jobs[i].dir, sizeof(jobs[i].dir), "%s/%zu", dir, i);
        (void)snprintf(jobs[i].list_dir, sizeof(jobs[i].list_dir), "%s/list", dir);
        cr_assert_eq(bench_file_job_prepare(&jobs[i]), 0);
    }
    cr_assert_eq(bench_list_dir_prepare(&jobs[0], LIST_NAMES), 0);
}

static void teardown(void)
{
    bench_dir_remove(dir);
    free(value);
}

TestSuite(bench_file_ops, .init = setup, .fini = teardown, .timeout = 60);

static size_t count_names(const char *path)
{
    DIR *list = opendir(path);
    size_t count = 0;
    cr_assert_not_null(list);
    while (readdir(list) != NULL)
        count++;
    (void)closedir(list);
    return count - 2; /* . and .. */
}

static off_t size_of(const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", jobs[0].dir, name);
    cr_assert_eq(stat(path, &st), 0);
    return st.st_size;
}

Test(bench_file_ops, each_can_be_done_again_and_again)
{
    for (size_t i = 0; i < bench_file_op_count; i++) {
        for (uint64_t number = 0; number < STEPS; number++)
            cr_assert_eq(bench_file_ops[i].step(&jobs[0], number), 0, "%s", bench_file_ops[i].name);
    }
    cr_assert_eq(count_names(jobs[0].dir), STEPS + 2 * BENCH_FILES, "new, old and appended");
    cr_assert_eq(size_of("f0"), VALUE_SIZE);
    cr_assert_eq(size_of("log0"), 2 * VALUE_SIZE);
}

Test(bench_file_ops, are_found_by_name)
{
    cr_assert_eq(bench_file_op_find("ls"), &bench_file_ops[bench_file_op_count - 1]);
    cr_assert_null(bench_file_op_find("nothing"));
}

Test(bench_file_ops, a_failure_is_one)
{
    bench_dir_remove(jobs[0].dir);
    for (size_t i = 0; i < bench_file_op_count; i++) {
        bool lists = bench_file_op_find("ls") == &bench_file_ops[i];
        cr_assert_eq(bench_file_ops[i].step(&jobs[0], 0), lists ? 0 : -1);
    }
}

Test(bench_file_ops, a_crew_makes_new_files_in_each_run)
{
    static struct bench_crew_result result;
    bench_file_op_fn *create = bench_file_op_find("create")->step;
    uint64_t made = 0;
    for (int run = 0; run < 2; run++) {
        cr_assert_eq(bench_crew_run(jobs, BENCH_CREW_MAX, create, 1, &result), 0);
        cr_assert_eq(result.samples.failures, 0);
        cr_assert_gt(result.rate, 0);
        made += result.samples.count;
    }
    for (size_t i = 0; i < BENCH_CREW_MAX; i++)
        made -= count_names(jobs[i].dir) - BENCH_FILES;
    cr_assert_eq(made, 0);
}
