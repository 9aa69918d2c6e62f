#include "raft/inflights.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/error.h"

#define FIRST_CAPACITY 8

void raft_inflights_release(struct raft_inflights *f)
{
    raft_mem_free(f->ring);
    memset(f, 0, sizeof(*f));
}

void raft_inflights_reset(struct raft_inflights *f)
{
    f->start = 0;
    f->count = 0;
    f->bytes = 0;
}

bool raft_inflights_full(const struct raft_inflights *f, const struct raft_inflight_limits *limits)
{
    return f->count >= limits->messages || f->bytes >= limits->bytes;
}

int raft_inflights_reserve(struct raft_inflights *f, const struct raft_inflight_limits *limits)
{
    if (f->count < f->capacity) {
        return 0;
    }
    assert(f->count == f->capacity);
    uint32_t capacity = f->capacity == 0 ? FIRST_CAPACITY : f->capacity * 2;
    if (capacity > limits->messages) {
        capacity = limits->messages;
    }
    assert(capacity > f->count);
    struct raft_inflight *ring = raft_mem_alloc(capacity * sizeof(*ring));
    if (ring == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        ring[i] = f->ring[(f->start + i) % f->capacity];
    }
    raft_mem_free(f->ring);
    f->ring = ring;
    f->capacity = capacity;
    f->start = 0;
    return 0;
}

void raft_inflights_add(struct raft_inflights *f, uint64_t index, uint64_t bytes)
{
    assert(f->count < f->capacity);
    f->ring[(f->start + f->count) % f->capacity] =
        (struct raft_inflight){.index = index, .bytes = bytes};
    f->count++;
    f->bytes += bytes;
}

void raft_inflights_free_to(struct raft_inflights *f, uint64_t index)
{
    while (f->count > 0 && f->ring[f->start].index <= index) {
        assert(f->bytes >= f->ring[f->start].bytes);
        f->bytes -= f->ring[f->start].bytes;
        f->start = (f->start + 1) % f->capacity;
        f->count--;
    }
}
