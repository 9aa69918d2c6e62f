#include "fs/record_ring.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A record does not wrap around: where the rest of the memory is too small for the
 * next one, a mark says that it is skipped. */
#define SKIP_MARK UINT32_MAX

#define RECORD_ALIGNMENT sizeof(uint32_t)

void record_ring_init(struct record_ring *ring, size_t capacity)
{
    assert(capacity % RECORD_ALIGNMENT == 0);
    *ring = (struct record_ring){
        .bytes = mem_alloc(capacity),
        .capacity = capacity,
        .first = 1,
        .next = 1,
    };
}

void record_ring_release(struct record_ring *ring)
{
    free(ring->bytes);
    *ring = (struct record_ring){0};
}

/* --- positions: bytes ever written, always aligned --- */

static uint8_t *bytes_at(const struct record_ring *ring, uint64_t at)
{
    return ring->bytes + at % ring->capacity;
}

static size_t room_to_wrap(const struct record_ring *ring, uint64_t at)
{
    return ring->capacity - (size_t)(at % ring->capacity);
}

static uint32_t size_at(const struct record_ring *ring, uint64_t at)
{
    uint32_t size;

    memcpy(&size, bytes_at(ring, at), sizeof(size));
    return size;
}

static void set_size_at(struct record_ring *ring, uint64_t at, uint32_t size)
{
    memcpy(bytes_at(ring, at), &size, sizeof(size));
}

static size_t footprint(size_t size)
{
    return (sizeof(uint32_t) + size + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

/* The record at `at`, or the one behind what is skipped there. */
static uint64_t skip(const struct record_ring *ring, uint64_t at)
{
    return size_at(ring, at) == SKIP_MARK ? at + room_to_wrap(ring, at) : at;
}

/* --- adding --- */

static void drop_oldest(struct record_ring *ring)
{
    ring->start = skip(ring, ring->start);
    ring->start += footprint(size_at(ring, ring->start));
    ring->first++;
}

/* Drops what is in the way of `needed` bytes in one piece at the end. */
static void make_room(struct record_ring *ring, size_t needed)
{
    size_t to_wrap = room_to_wrap(ring, ring->end);
    size_t skipped = to_wrap < needed ? to_wrap : 0;

    while (ring->first < ring->next && ring->end + skipped + needed - ring->start > ring->capacity)
        drop_oldest(ring);
    if (ring->first == ring->next)
        ring->start = ring->end;
    /* It counts as a part of what follows: a reader may stand here. */
    if (skipped > 0) {
        set_size_at(ring, ring->end, SKIP_MARK);
        ring->end += skipped;
    }
}

void record_ring_add(struct record_ring *ring, const void *head, size_t head_size, const void *body,
                     size_t body_size)
{
    size_t size = head_size + body_size;
    size_t needed = footprint(size);

    assert(needed <= ring->capacity / 2);
    make_room(ring, needed);
    set_size_at(ring, ring->end, (uint32_t)size);
    uint8_t *out = bytes_at(ring, ring->end) + sizeof(uint32_t);
    memcpy(out, head, head_size);
    if (body_size > 0)
        memcpy(out + head_size, body, body_size);
    ring->end += needed;
    ring->next++;
}

/* --- reading --- */

struct record_place record_ring_end(const struct record_ring *ring)
{
    return (struct record_place){.number = ring->next, .at = ring->end};
}

struct record_place record_ring_start(const struct record_ring *ring)
{
    return (struct record_place){.number = ring->first, .at = ring->start};
}

bool record_ring_read(const struct record_ring *ring, struct record_place *place,
                      const void **ret_data, size_t *ret_size, uint64_t *ret_lost)
{
    *ret_lost = 0;
    if (place->number < ring->first) {
        *ret_lost = ring->first - place->number;
        *place = record_ring_start(ring);
    }
    if (place->number == ring->next)
        return false;
    uint64_t at = skip(ring, place->at);
    *ret_size = size_at(ring, at);
    *ret_data = bytes_at(ring, at) + sizeof(uint32_t);
    place->at = at + footprint(*ret_size);
    place->number++;
    return true;
}
