#ifndef KEEL_RAFT_ALLOC_H
#define KEEL_RAFT_ALLOC_H

#include <stddef.h>

// The one place where raft/ gets memory. Tests put themselves between with the
// linker (--wrap) and let any single call fail.

void *raft_mem_alloc(size_t size);               // NULL when memory is short
void *raft_mem_resize(void *block, size_t size); // NULL: the block is as it was
void raft_mem_free(void *block);                 // NULL is fine

#endif
