/* Random tests: the seed is printed, and taken from KEELFS_SEED when set. */
#ifndef KEELFS_TESTS_FS_SEED_H
#define KEELFS_TESTS_FS_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t seed_take(const char *test)
{
    const char *given = getenv("KEELFS_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) | 1;

    fprintf(stderr, "%s: KEELFS_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

/* xorshift64*; the state is never 0. */
static inline uint32_t seed_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1dull) >> 32);
}

/* Below `limit`. */
static inline uint32_t seed_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(((uint64_t)seed_next(state) * limit) >> 32);
}

#endif
