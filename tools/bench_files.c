#include "tools/bench.h"

#include "tools/bench_crew.h"
#include "tools/bench_file_ops.h"

#include "raftstore/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST_NAMES 100

static void print_line(const char *name, size_t count, const struct bench_crew_result *result)
{
    const struct bench_samples *samples = &result->samples;
    printf("%-10s %9zu   %9.0f %8.3f %8.3f", name, count, result->rate,
           bench_samples_percentile_ms(samples, 50), bench_samples_percentile_ms(samples, 99));
    if (samples->failures > 0)
        printf("   (%" PRIu64 " failed: %s)", samples->failures, strerror(result->failure));
    printf("\n");
    (void)fflush(stdout);
}

static int measure_all(const struct bench_config *config, struct bench_file_job *jobs)
{
    static const size_t processes[] = {1, BENCH_CREW_MAX};
    static struct bench_crew_result result; /* too large for a stack */
    printf("Files: %u bytes, %zu mounts, each process in a directory of its own; ls lists %d "
           "files; each line %u s\n\n",
           config->value_size, config->mounts.count, LIST_NAMES, config->seconds);
    printf("%-10s %9s   %9s %8s %8s\n", "op", "processes", "ops/s", "p50 ms", "p99 ms");
    for (size_t i = 0; i < bench_file_op_count; i++) {
        for (size_t k = 0; k < sizeof(processes) / sizeof(processes[0]); k++) {
            int status = bench_crew_run(jobs, processes[k], bench_file_ops[i].step, config->seconds,
                                        &result);
            if (status != 0)
                return status;
            print_line(bench_file_ops[i].name, processes[k], &result);
        }
    }
    return 0;
}

static int prepare_jobs(const struct bench_config *config, const uint8_t *value,
                        struct bench_file_job *jobs)
{
    for (size_t i = 0; i < BENCH_CREW_MAX; i++) {
        struct bench_file_job *job = &jobs[i];
        const char *mount = config->mounts.items[i % config->mounts.count];
        job->value = value;
        job->value_size = config->value_size;
        (void)snprintf(job->dir, sizeof(job->dir), "%s/bench-%d-%zu", mount, (int)getpid(), i);
        (void)snprintf(job->list_dir, sizeof(job->list_dir), "%s/bench-%d-%zu/list", mount,
                       (int)getpid(), i);
        if (bench_file_job_prepare(job) != 0 || bench_list_dir_prepare(job, LIST_NAMES) != 0) {
            (void)fprintf(stderr, "bench: cannot prepare %s: %s\n", job->dir, strerror(errno));
            return 1;
        }
    }
    return 0;
}

int bench_files(const struct bench_config *config)
{
    uint8_t *value = bench_file_value_new(config->value_size);
    struct bench_file_job *jobs = mem_zalloc(BENCH_CREW_MAX * sizeof(*jobs));
    int status = prepare_jobs(config, value, jobs);
    if (status == 0)
        status = measure_all(config, jobs);
    for (size_t i = 0; i < BENCH_CREW_MAX; i++) {
        if (jobs[i].dir[0] != '\0')
            bench_dir_remove(jobs[i].dir);
    }
    free(jobs);
    free(value);
    return status;
}
