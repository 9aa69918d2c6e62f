#include "tools/bench_crew.h"

#include "raftstore/op.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_S 1e9
#define PAUSE_US 100

/* Shared by the processes. */
struct board {
    atomic_uint ready;
    atomic_bool go;
    struct {
        struct bench_samples samples;
        uint64_t elapsed_ns;
        int failure;
    } results[BENCH_CREW_MAX];
};

static void work(struct bench_file_job *job, bench_file_op_fn *step, uint32_t seconds,
                 struct board *board, size_t self)
{
    atomic_fetch_add(&board->ready, 1);
    while (!atomic_load(&board->go))
        (void)usleep(PAUSE_US);
    uint64_t start_ns = clock_ns(), now_ns = start_ns;
    uint64_t end_ns = start_ns + (uint64_t)(seconds * NS_PER_S);
    for (uint64_t number = 0; now_ns < end_ns; number++) {
        uint64_t before_ns = now_ns;
        int rc = step(job, number);
        now_ns = clock_ns();
        if (rc == 0) {
            bench_samples_add(&board->results[self].samples, now_ns - before_ns);
        } else {
            board->results[self].samples.failures++;
            board->results[self].failure = errno;
        }
    }
    board->results[self].elapsed_ns = now_ns - start_ns;
}

/* Every process is started, or none runs any more. */
static int start(struct bench_file_job *jobs, size_t count, bench_file_op_fn *step,
                 uint32_t seconds, struct board *board, pid_t *children)
{
    for (size_t i = 0; i < count; i++) {
        jobs[i].run++;
        children[i] = fork();
        if (children[i] == 0) {
            work(&jobs[i], step, seconds, board, i);
            _exit(0);
        }
        if (children[i] < 0) {
            (void)fprintf(stderr, "bench: cannot start a process: %s\n", strerror(errno));
            atomic_store(&board->go, true);
            for (size_t k = 0; k < i; k++)
                (void)waitpid(children[k], NULL, 0);
            return 1;
        }
    }
    return 0;
}

static void add_up(const struct board *board, size_t count, struct bench_crew_result *result)
{
    memset(result, 0, sizeof(*result));
    for (size_t i = 0; i < count; i++) {
        const struct bench_samples *samples = &board->results[i].samples;
        bench_samples_merge(&result->samples, samples);
        if (board->results[i].elapsed_ns > 0)
            result->rate +=
                (double)samples->count * NS_PER_S / (double)board->results[i].elapsed_ns;
        if (board->results[i].failure != 0)
            result->failure = board->results[i].failure;
    }
}

int bench_crew_run(struct bench_file_job *jobs, size_t count, bench_file_op_fn *step,
                   uint32_t seconds, struct bench_crew_result *ret_result)
{
    pid_t children[BENCH_CREW_MAX];
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        (void)fprintf(stderr, "bench: cannot map memory: %s\n", strerror(errno));
        return 1;
    }
    int status = start(jobs, count, step, seconds, board, children);
    if (status == 0) {
        while (atomic_load(&board->ready) < count)
            (void)usleep(PAUSE_US);
        atomic_store(&board->go, true);
        for (size_t i = 0; i < count; i++)
            (void)waitpid(children[i], NULL, 0);
        add_up(board, count, ret_result);
    }
    (void)munmap(board, sizeof(*board));
    return status;
}
