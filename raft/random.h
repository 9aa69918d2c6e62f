#ifndef KEEL_RAFT_RANDOM_H
#define KEEL_RAFT_RANDOM_H

#include <stdint.h>

// SplitMix64: small, seedable, good enough to keep timeouts apart.
static inline uint64_t raft_random_next(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// Uniform enough in [0, bound) for small bounds; bound > 0.
static inline uint64_t raft_random_below(uint64_t *state, uint64_t bound)
{
    return raft_random_next(state) % bound;
}

#endif
