/* The generator of the tests: SplitMix64 (Steele, Lea, Flood: Fast splittable
 * pseudorandom number generators). Its state is a counter. */
#ifndef KEELFS_TESTS_STORE_RANDOM_H
#define KEELFS_TESTS_STORE_RANDOM_H

#include <stdint.h>

#define RANDOM_STEP 0x9e3779b97f4a7c15u

/* The number that belongs to a state; the next state is RANDOM_STEP further. */
uint64_t random_of(uint64_t state);
uint64_t random_next(uint64_t *state);
/* The seed in environment variable `name`, or one of the system's. */
uint64_t random_seed(const char *name);

#endif
