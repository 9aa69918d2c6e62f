/* The last records of something, in a fixed amount of memory: a new one takes the
 * place of the oldest.
 *
 * Records are numbered from 1 on. Each reader has a place of its own and is told how
 * many it was too slow for; a ring has any number of them and knows none. Pure;
 * whoever embeds it guards it.
 */
#ifndef KEELFS_FS_RECORD_RING_H
#define KEELFS_FS_RECORD_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_ring {
    uint8_t *bytes;
    size_t capacity;
    uint64_t first; /* the number of the oldest record */
    uint64_t next;  /* the number of the one to come */
    uint64_t start; /* where the oldest begins, in bytes ever written */
    uint64_t end;
};

/* Where a reader is: before record `number`. */
struct record_place {
    uint64_t number;
    uint64_t at;
};

/* `capacity` in bytes. The memory is used as it fills. */
void record_ring_init(struct record_ring *ring, size_t capacity);
void record_ring_release(struct record_ring *ring);

/* `head` and `body` make one record; together at most half of the capacity. */
void record_ring_add(struct record_ring *ring, const void *head, size_t head_size, const void *body,
                     size_t body_size);

/* Behind the last, before the first. */
struct record_place record_ring_end(const struct record_ring *ring);
struct record_place record_ring_start(const struct record_ring *ring);

/* The record at `place`, valid until the next is added; moves on. `*ret_lost` records
 * before it are gone since the reader was here last. False: there is none; then
 * `*ret_lost` may not be 0 either. */
bool record_ring_read(const struct record_ring *ring, struct record_place *place,
                      const void **ret_data, size_t *ret_size, uint64_t *ret_lost);

#endif
