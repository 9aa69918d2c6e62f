#include "tools/bench.h"

#include "tools/bench_samples.h"

#include "raftstore/memory.h"
#include "raftstore/op.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Files of each process that overwrite, read, append and stat go round, and what
 * ls lists. */
#define FILES         100
#define PROCESSES_MAX 16
#define NS_PER_S      1e9

struct job {
    char dir[PATH_MAX - NAME_MAX - 1]; /* this process' own */
    const uint8_t *value;
    size_t value_size;
    unsigned run; /* of create: its files have names that no run before used */
};

/* One step of an operation; 0 or -1 with errno. */
typedef int step_fn(struct job *job, uint64_t number);

static void path_of(const struct job *job, const char *kind, uint64_t number, char *out)
{
    (void)snprintf(out, PATH_MAX, "%s/%s%" PRIu64, job->dir, kind, number);
}

static int write_file(const struct job *job, const char *path, int flags)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    if (fd < 0)
        return -1;
    ssize_t wrote = write(fd, job->value, job->value_size);
    int closed = close(fd);
    return wrote == (ssize_t)job->value_size && closed == 0 ? 0 : -1;
}

static int step_create(struct job *job, uint64_t number)
{
    char path[PATH_MAX];
    char kind[32];
    (void)snprintf(kind, sizeof(kind), "new%u-", job->run);
    path_of(job, kind, number, path);
    return write_file(job, path, O_CREAT | O_EXCL);
}

static int step_overwrite(struct job *job, uint64_t number)
{
    char path[PATH_MAX];
    path_of(job, "f", number % FILES, path);
    return write_file(job, path, O_TRUNC);
}

static int step_append(struct job *job, uint64_t number)
{
    char path[PATH_MAX];
    path_of(job, "log", number % FILES, path);
    return write_file(job, path, O_CREAT | O_APPEND);
}

static int step_read(struct job *job, uint64_t number)
{
    char path[PATH_MAX];
    uint8_t buffer[4096];
    path_of(job, "f", number % FILES, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t got;
    do {
        got = read(fd, buffer, sizeof(buffer));
    } while (got > 0);
    int closed = close(fd);
    return got == 0 && closed == 0 ? 0 : -1;
}

static int step_stat(struct job *job, uint64_t number)
{
    char path[PATH_MAX];
    struct stat st;
    path_of(job, "f", number % FILES, path);
    return stat(path, &st);
}

static int step_list(struct job *job, uint64_t number)
{
    (void)number;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/list", job->dir);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -1;
    errno = 0;
    while (readdir(dir) != NULL) {
    }
    int failed = errno;
    return closedir(dir) == 0 && failed == 0 ? 0 : -1;
}

static const struct {
    const char *name;
    step_fn *step;
} operations[] = {
    {"create", step_create}, {"overwrite", step_overwrite}, {"read", step_read},
    {"append", step_append}, {"stat", step_stat},           {"ls", step_list},
};
#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))

/* ---- processes ---- */

/* Shared by the processes of one measurement. */
struct board {
    atomic_uint ready;
    atomic_bool go;
    struct {
        struct bench_samples samples;
        uint64_t elapsed_ns;
        int failure; /* errno of the last one */
    } results[PROCESSES_MAX];
};

static int work(struct job *job, step_fn *step, uint32_t seconds, struct board *board, size_t self)
{
    atomic_fetch_add(&board->ready, 1);
    while (!atomic_load(&board->go))
        (void)usleep(100);
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
    return 0;
}

static int prepare(struct job *job)
{
    char path[PATH_MAX];
    if (mkdir(job->dir, 0755) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/list", job->dir);
    if (mkdir(path, 0755) != 0)
        return -1;
    for (uint64_t i = 0; i < FILES; i++) {
        path_of(job, "f", i, path);
        if (write_file(job, path, O_CREAT) != 0)
            return -1;
        path_of(job, "list/f", i, path);
        if (write_file(job, path, O_CREAT) != 0)
            return -1;
    }
    return 0;
}

static void remove_dir(const char *dir)
{
    DIR *list = opendir(dir);
    if (list == NULL)
        return;
    struct dirent *entry;
    while ((entry = readdir(list)) != NULL) {
        char path[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) >= (int)sizeof(path))
            continue;
        if (unlink(path) != 0 && errno == EISDIR)
            remove_dir(path);
    }
    (void)closedir(list);
    (void)rmdir(dir);
}

/* Runs `step` in `count` processes, one job each, and adds up what they saw. */
static int measure_operation(struct job *jobs, size_t count, step_fn *step, uint32_t seconds,
                             struct board *board)
{
    pid_t children[PROCESSES_MAX];
    memset(board, 0, sizeof(*board));
    for (size_t i = 0; i < count; i++) {
        jobs[i].run++;
        children[i] = fork();
        if (children[i] == 0)
            _exit(work(&jobs[i], step, seconds, board, i));
        if (children[i] < 0) {
            (void)fprintf(stderr, "bench: cannot start a process: %s\n", strerror(errno));
            atomic_store(&board->go, true);
            for (size_t k = 0; k < i; k++)
                (void)waitpid(children[k], NULL, 0);
            return 1;
        }
    }
    while (atomic_load(&board->ready) < count)
        (void)usleep(100);
    atomic_store(&board->go, true);
    for (size_t i = 0; i < count; i++)
        (void)waitpid(children[i], NULL, 0);
    return 0;
}

static void print_line(const char *name, size_t count, struct board *board)
{
    double rate = 0;
    int failure = 0;
    struct bench_samples *total = &board->results[0].samples;
    for (size_t i = 0; i < count; i++) {
        if (board->results[i].elapsed_ns > 0)
            rate += (double)board->results[i].samples.count * NS_PER_S /
                    (double)board->results[i].elapsed_ns;
        if (board->results[i].failure != 0)
            failure = board->results[i].failure;
        if (i > 0)
            bench_samples_merge(total, &board->results[i].samples);
    }
    printf("%-10s %9zu   %9.0f %8.3f %8.3f", name, count, rate,
           bench_samples_percentile_ms(total, 50), bench_samples_percentile_ms(total, 99));
    if (total->failures > 0)
        printf("   (%" PRIu64 " failed: %s)", total->failures, strerror(failure));
    printf("\n");
    (void)fflush(stdout);
}

/* ---- the table ---- */

static int measure_all(const struct bench_config *config, struct job *jobs, struct board *board)
{
    static const size_t processes[] = {1, PROCESSES_MAX};
    printf("Files: %u bytes, %zu mounts, each process in a directory of its own; ls lists %d "
           "files; each line %u s\n\n",
           config->value_size, config->mounts.count, FILES, config->seconds);
    printf("%-10s %9s   %9s %8s %8s\n", "op", "processes", "ops/s", "p50 ms", "p99 ms");
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        for (size_t k = 0; k < sizeof(processes) / sizeof(processes[0]); k++) {
            int status =
                measure_operation(jobs, processes[k], operations[i].step, config->seconds, board);
            if (status != 0)
                return status;
            print_line(operations[i].name, processes[k], board);
        }
    }
    return 0;
}

static int prepare_jobs(const struct bench_config *config, const uint8_t *value, struct job *jobs)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        const char *mount = config->mounts.items[i % config->mounts.count];
        jobs[i].value = value;
        jobs[i].value_size = config->value_size;
        (void)snprintf(jobs[i].dir, sizeof(jobs[i].dir), "%s/bench-%d-%zu", mount, (int)getpid(),
                       i);
        if (prepare(&jobs[i]) != 0) {
            (void)fprintf(stderr, "bench: cannot prepare %s: %s\n", jobs[i].dir, strerror(errno));
            return 1;
        }
    }
    return 0;
}

int bench_files(const struct bench_config *config)
{
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        (void)fprintf(stderr, "bench: cannot map memory: %s\n", strerror(errno));
        return 1;
    }
    uint8_t *value = mem_alloc(config->value_size);
    for (size_t i = 0; i < config->value_size; i++)
        value[i] = (uint8_t)('a' + i % 26);
    struct job *jobs = mem_zalloc(PROCESSES_MAX * sizeof(*jobs));
    int status = prepare_jobs(config, value, jobs);
    if (status == 0)
        status = measure_all(config, jobs, board);
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (jobs[i].dir[0] != '\0')
            remove_dir(jobs[i].dir);
    }
    free(jobs);
    free(value);
    (void)munmap(board, sizeof(*board));
    return status;
}
