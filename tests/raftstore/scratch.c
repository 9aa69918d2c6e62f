#include "scratch.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void scratch_make(char out[SCRATCH_PATH_MAX])
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(out, SCRATCH_PATH_MAX, "%s/keelfs-test-XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(out));
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void scratch_remove(const char *dir)
{
    cr_assert_eq(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

uint64_t scratch_seed(const char *test)
{
    const char *given = getenv("KEELFS_TEST_SEED");
    struct timespec now;
    uint64_t seed;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    seed = given != NULL ? strtoull(given, NULL, 10)
                         : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    (void)fprintf(stderr, "%s: KEELFS_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return seed;
}

uint32_t scratch_random(uint64_t *state, uint32_t bound)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % bound);
}
