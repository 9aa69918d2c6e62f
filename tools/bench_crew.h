/* Processes that do the same operation on files at once, for a time.
 *
 * Processes and not threads, since that is how files are used: each has descriptors of
 * its own. What they saw lies in memory that they share.
 */
#ifndef KEELFS_TOOLS_BENCH_CREW_H
#define KEELFS_TOOLS_BENCH_CREW_H

#include "tools/bench_file_ops.h"
#include "tools/bench_samples.h"

#include <stddef.h>
#include <stdint.h>

#define BENCH_CREW_MAX 16

struct bench_crew_result {
    struct bench_samples samples;
    double rate; /* operations a second, of all of them */
    int failure; /* errno of the last one that failed; 0: none */
};

/* Runs `step` in `count` processes, one job each. Returns an exit status; says on
 * standard error what is wrong. */
int bench_crew_run(struct bench_file_job *jobs, size_t count, bench_file_op_fn *step,
                   uint32_t seconds, struct bench_crew_result *ret_result);

#endif
