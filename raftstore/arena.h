/* Memory of many small objects with one end: what a command unpacks to, and the
 * paths of a list of changes. Owned by one thread.
 */
#ifndef KEELFS_RAFTSTORE_ARENA_H
#define KEELFS_RAFTSTORE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* The first block stays for the next round; larger needs get blocks of their own. */
#define ARENA_BLOCK_SIZE (64u << 10)

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first; the last one is kept */
    size_t used;                /* bytes given out */
    size_t limit;
};

/* At most `limit` bytes between two resets. */
void arena_init(struct arena *arena, size_t limit);
void arena_release(struct arena *arena);

/* Aligned for any type; NULL past the limit. */
void *arena_alloc(struct arena *arena, size_t size);

/* Everything given out is gone. */
void arena_reset(struct arena *arena);

/* For protobuf-c; what it frees stays until the reset. */
ProtobufCAllocator arena_allocator(struct arena *arena);

#endif
