/* One figure about files, once: a script compares file systems by taking them in turn. */
#include "tools/bench.h"

#include "tools/bench_crew.h"
#include "tools/bench_file_ops.h"

#include "raftstore/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_NAMES 1000
#define LIST_DIR   "list"

/* The first round in a directory makes what the later ones find. */
static int prepare(const char *dir, struct bench_file_job *jobs)
{
    if (mkdir(dir, 0755) != 0)
        return errno == EEXIST ? 0 : -1;
    if (bench_list_dir_prepare(&jobs[0], LIST_NAMES) != 0)
        return -1;
    for (size_t i = 0; i < BENCH_CREW_MAX; i++) {
        if (bench_file_job_prepare(&jobs[i]) != 0)
            return -1;
    }
    return 0;
}

static void print_result(const struct bench_crew_result *result)
{
    const struct bench_samples *samples = &result->samples;
    printf("rate=%.0f p50_ms=%.4f p99_ms=%.4f failures=%" PRIu64 "\n", result->rate,
           bench_samples_percentile_ms(samples, 50), bench_samples_percentile_ms(samples, 99),
           samples->failures);
    if (samples->failures > 0)
        (void)fprintf(stderr, "bench: %" PRIu64 " failed: %s\n", samples->failures,
                      strerror(result->failure));
}

int bench_round(const struct bench_config *config)
{
    static struct bench_crew_result result; /* too large for a stack */
    const struct bench_file_op *op = bench_file_op_find(config->op);
    if (op == NULL) {
        (void)fprintf(stderr, "bench: there is no operation '%s'\n", config->op);
        return 1;
    }
    const char *dir = config->mounts.items[0];
    uint8_t *value = bench_file_value_new(config->value_size);
    struct bench_file_job *jobs = mem_zalloc(BENCH_CREW_MAX * sizeof(*jobs));
    for (size_t i = 0; i < BENCH_CREW_MAX; i++) {
        struct bench_file_job *job = &jobs[i];
        job->value = value;
        job->value_size = config->value_size;
        job->run = (uint64_t)getpid();
        (void)snprintf(job->dir, sizeof(job->dir), "%s/%zu", dir, i);
        (void)snprintf(job->list_dir, sizeof(job->list_dir), "%s/" LIST_DIR, dir);
    }
    int status = 0;
    if (prepare(dir, jobs) != 0) {
        (void)fprintf(stderr, "bench: cannot prepare %s: %s\n", dir, strerror(errno));
        status = 1;
    }
    if (status == 0)
        status = bench_crew_run(jobs, config->processes, op->step, config->seconds, &result);
    if (status == 0)
        print_result(&result);
    free(jobs);
    free(value);
    return status;
}
