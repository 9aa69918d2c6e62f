#include "raft/alloc.h"

#include <assert.h>
#include <stdlib.h>

void *raft_mem_alloc(size_t size)
{
    assert(size > 0);
    return malloc(size);
}

void *raft_mem_resize(void *block, size_t size)
{
    assert(size > 0);
    return realloc(block, size);
}

void raft_mem_free(void *block)
{
    free(block);
}
