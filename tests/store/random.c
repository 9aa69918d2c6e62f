#include "random.h"

#include <stdlib.h>
#include <sys/random.h>

uint64_t random_of(uint64_t state)
{
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t random_next(uint64_t *state)
{
    *state += RANDOM_STEP;
    return random_of(*state);
}

uint64_t random_seed(const char *name)
{
    const char *text = getenv(name);
    uint64_t seed = 0;
    if (text != NULL)
        return strtoull(text, NULL, 10);
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        abort();
    return seed >> 32; /* short enough to be typed */
}
