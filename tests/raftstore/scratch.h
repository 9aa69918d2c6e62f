/* A directory of a test's own, and what tests do to the files in it. */
#ifndef KEELFS_TESTS_RAFTSTORE_SCRATCH_H
#define KEELFS_TESTS_RAFTSTORE_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#define SCRATCH_PATH_MAX 4200

/* Makes a new directory; its path goes to `out`. */
void scratch_make(char out[SCRATCH_PATH_MAX]);
/* Removes the directory and all in it. */
void scratch_remove(const char *dir);

/* The seed of a random test: KEELFS_TEST_SEED or a new one; printed. */
uint64_t scratch_seed(const char *test);
/* A random number below `bound`. */
uint32_t scratch_random(uint64_t *state, uint32_t bound);

#endif
