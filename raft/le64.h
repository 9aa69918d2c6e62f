#ifndef KEEL_RAFT_LE64_H
#define KEEL_RAFT_LE64_H

#include <stdint.h>

// Numbers in the context of a message: little-endian, eight bytes.

static inline void raft_put_le64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint64_t raft_get_le64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

#endif
