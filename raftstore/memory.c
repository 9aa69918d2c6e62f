#include "raftstore/memory.h"

#include "raftstore/log.h"

#include <stdlib.h>
#include <string.h>

static void *check(void *memory, size_t size)
{
    if (memory == NULL) {
        log_fatal("out of memory: cannot get %zu bytes", size);
    }
    return memory;
}

/* malloc(0) may be NULL, which would look like a failure. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

void *mem_alloc(size_t size)
{
    return check(malloc(at_least_one(size)), size);
}

void *mem_zalloc(size_t size)
{
    return check(calloc(1, at_least_one(size)), size);
}

void *mem_realloc(void *old, size_t size)
{
    return check(realloc(old, at_least_one(size)), size);
}

void *mem_dup(const void *data, size_t size)
{
    void *copy = mem_alloc(size);

    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_dup(text, strlen(text) + 1);
}
