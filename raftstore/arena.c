#include "raftstore/arena.h"

#include "raftstore/memory.h"

#include <stdalign.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

static void push_block(struct arena *arena, size_t size)
{
    struct arena_block *block = mem_alloc(sizeof *block + size);

    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
}

void arena_init(struct arena *arena, size_t limit)
{
    arena->blocks = NULL;
    arena->used = 0;
    arena->limit = limit;
    push_block(arena, ARENA_BLOCK_SIZE);
}

void arena_release(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->blocks;
    size_t rounded;

    if (size > arena->limit - arena->used) {
        return NULL;
    }
    rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (rounded > block->size - block->used) {
        push_block(arena, rounded > ARENA_BLOCK_SIZE ? rounded : ARENA_BLOCK_SIZE);
        block = arena->blocks;
    }
    block->used += rounded;
    arena->used += size;
    return block->data + block->used - rounded;
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks->next != NULL) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
    arena->blocks->used = 0;
    arena->used = 0;
}

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void keep(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

ProtobufCAllocator arena_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){.alloc = allocate, .free = keep, .allocator_data = arena};
}
