#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS_A_TEST 50
#else
#define SEEDS_A_TEST 500
#endif

// 2,000 seeds in four parts.
static void hold(uint64_t first)
{
    for (uint64_t seed = first; seed < first + SEEDS_A_TEST; seed++) {
        struct world *w = world_new(seed, NULL);
        bool good = world_run(w);
        cr_assert(good, "seed %lu, step %lu: %s", (unsigned long)seed, (unsigned long)w->step,
                  w->failure);
        world_free(w);
    }
}

Test(simulation, seeds_1_to_500_violate_nothing)
{
    hold(1);
}

Test(simulation, seeds_501_to_1000_violate_nothing)
{
    hold(501);
}

Test(simulation, seeds_1001_to_1500_violate_nothing)
{
    hold(1001);
}

Test(simulation, seeds_1501_to_2000_violate_nothing)
{
    hold(1501);
}

static char *trace_of(uint64_t seed)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    struct world *w = world_new(seed, f);
    world_run(w);
    world_free(w);
    fclose(f);
    return text;
}

Test(simulation, the_same_seed_gives_the_same_trace)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        char *first = trace_of(seed);
        char *second = trace_of(seed);
        cr_assert_str_eq(first, second);
        cr_assert_gt(strlen(first), 1000);
        free(first);
        free(second);
    }
}

Test(simulation, different_seeds_give_different_traces)
{
    char *first = trace_of(1);
    char *second = trace_of(2);
    cr_assert_str_neq(first, second);
    free(first);
    free(second);
}
