/* What the figures about files are made of: one operation on files, done once, in a
 * directory that one process has for itself. */
#ifndef KEELFS_TOOLS_BENCH_FILE_OPS_H
#define KEELFS_TOOLS_BENCH_FILE_OPS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/* Files of a directory that overwrite, replace, read, append and stat go round. */
#define BENCH_FILES 100

struct bench_file_job {
    char dir[PATH_MAX - NAME_MAX - 1];
    char list_dir[PATH_MAX - NAME_MAX - 1]; /* what ls lists; others may list it too */
    const uint8_t *value;
    size_t value_size;
    uint64_t run; /* of create: its files have names that no run before used */
};

/* Does it for the `number`th time in this run; 0 or -1 with errno. */
typedef int bench_file_op_fn(struct bench_file_job *job, uint64_t number);

struct bench_file_op {
    const char *name;
    bench_file_op_fn *step;
};
extern const struct bench_file_op bench_file_ops[];
extern const size_t bench_file_op_count;

/* NULL when there is none of that name. */
const struct bench_file_op *bench_file_op_find(const char *name);

/* `size` bytes that are easy to tell; the caller frees them. */
uint8_t *bench_file_value_new(size_t size);

/* Makes the directory with its files; 0 or -1 with errno. */
int bench_file_job_prepare(struct bench_file_job *job);
/* Makes a directory of `count` names to be listed; 0 or -1 with errno. */
int bench_list_dir_prepare(const struct bench_file_job *job, uint64_t count);
/* Removes what is in it too, as far as that is possible. */
void bench_dir_remove(const char *dir);

#endif
