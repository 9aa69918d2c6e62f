#ifndef KEEL_RAFT_INFLIGHTS_H
#define KEEL_RAFT_INFLIGHTS_H

#include <stdbool.h>
#include <stdint.h>

// The appends on their way to one member: a ring of (last index, bytes), oldest
// first, with a limit on both the number and the sum of bytes. Its memory grows
// with use up to the limit.

struct raft_inflight {
    uint64_t index;
    uint64_t bytes;
};

struct raft_inflights {
    struct raft_inflight *ring; // NULL until the first append
    uint32_t capacity;
    uint32_t start;
    uint32_t count;
    uint64_t bytes;
};

struct raft_inflight_limits {
    uint32_t messages;
    uint64_t bytes;
};

void raft_inflights_release(struct raft_inflights *f);
void raft_inflights_reset(struct raft_inflights *f); // keeps the memory

bool raft_inflights_full(const struct raft_inflights *f, const struct raft_inflight_limits *limits);

// Makes room for one more, so that the next add cannot fail. RAFT_E_NO_MEMORY.
int raft_inflights_reserve(struct raft_inflights *f, const struct raft_inflight_limits *limits);
// Indexes must not decrease; there must be room and the ring not full.
void raft_inflights_add(struct raft_inflights *f, uint64_t index, uint64_t bytes);
// Everything up to `index` has arrived.
void raft_inflights_free_to(struct raft_inflights *f, uint64_t index);

#endif
