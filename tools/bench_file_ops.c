#include "tools/bench_file_ops.h"

#include "raftstore/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_of(const struct bench_file_job *job, const char *kind, uint64_t number, char *out)
{
    (void)snprintf(out, PATH_MAX, "%s/%s%" PRIu64, job->dir, kind, number);
}

static int write_file(const struct bench_file_job *job, const char *path, int flags)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
    if (fd < 0)
        return -1;
    ssize_t wrote = write(fd, job->value, job->value_size);
    int closed = close(fd);
    return wrote == (ssize_t)job->value_size && closed == 0 ? 0 : -1;
}

static int step_create(struct bench_file_job *job, uint64_t number)
{
    char path[PATH_MAX];
    char kind[32];
    (void)snprintf(kind, sizeof(kind), "new%" PRIu64 "-", job->run);
    path_of(job, kind, number, path);
    return write_file(job, path, O_CREAT | O_EXCL);
}

static int step_overwrite(struct bench_file_job *job, uint64_t number)
{
    char path[PATH_MAX];
    path_of(job, "f", number % BENCH_FILES, path);
    return write_file(job, path, O_TRUNC);
}

/* What editors do, and all that want no reader to see half of a file. */
static int step_replace(struct bench_file_job *job, uint64_t number)
{
    char temporary[PATH_MAX], path[PATH_MAX];
    path_of(job, "tmp", number % BENCH_FILES, temporary);
    path_of(job, "f", number % BENCH_FILES, path);
    if (write_file(job, temporary, O_CREAT | O_EXCL) != 0)
        return -1;
    return rename(temporary, path);
}

static int step_append(struct bench_file_job *job, uint64_t number)
{
    char path[PATH_MAX];
    path_of(job, "log", number % BENCH_FILES, path);
    return write_file(job, path, O_CREAT | O_APPEND);
}

static int step_read(struct bench_file_job *job, uint64_t number)
{
    char path[PATH_MAX];
    uint8_t buffer[4096];
    path_of(job, "f", number % BENCH_FILES, path);
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

static int step_stat(struct bench_file_job *job, uint64_t number)
{
    char path[PATH_MAX];
    struct stat st;
    path_of(job, "f", number % BENCH_FILES, path);
    return stat(path, &st);
}

static int step_list(struct bench_file_job *job, uint64_t number)
{
    (void)number;
    DIR *dir = opendir(job->list_dir);
    if (dir == NULL)
        return -1;
    errno = 0;
    while (readdir(dir) != NULL) {
    }
    int failed = errno;
    return closedir(dir) == 0 && failed == 0 ? 0 : -1;
}

const struct bench_file_op bench_file_ops[] = {
    {"create", step_create}, {"overwrite", step_overwrite}, {"replace", step_replace},
    {"read", step_read},     {"append", step_append},       {"stat", step_stat},
    {"ls", step_list},
};
const size_t bench_file_op_count = sizeof(bench_file_ops) / sizeof(bench_file_ops[0]);

const struct bench_file_op *bench_file_op_find(const char *name)
{
    for (size_t i = 0; i < bench_file_op_count; i++) {
        if (strcmp(bench_file_ops[i].name, name) == 0)
            return &bench_file_ops[i];
    }
    return NULL;
}

/* ---- what they work on ---- */

uint8_t *bench_file_value_new(size_t size)
{
    uint8_t *value = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        value[i] = (uint8_t)('a' + i % 26);
    return value;
}

int bench_file_job_prepare(struct bench_file_job *job)
{
    char path[PATH_MAX];
    if (mkdir(job->dir, 0755) != 0)
        return -1;
    for (uint64_t i = 0; i < BENCH_FILES; i++) {
        path_of(job, "f", i, path);
        if (write_file(job, path, O_CREAT) != 0)
            return -1;
    }
    return 0;
}

int bench_list_dir_prepare(const struct bench_file_job *job, uint64_t count)
{
    char path[PATH_MAX];
    if (mkdir(job->list_dir, 0755) != 0)
        return -1;
    for (uint64_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "%s/f%" PRIu64, job->list_dir, i);
        if (write_file(job, path, O_CREAT) != 0)
            return -1;
    }
    return 0;
}

void bench_dir_remove(const char *dir)
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
            bench_dir_remove(path);
    }
    (void)closedir(list);
    (void)rmdir(dir);
}
