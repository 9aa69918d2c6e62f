#include "raftstore/entry_cache.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <stdlib.h>

static struct raft_entry **entry_cache_slot(const struct entry_cache *cache, uint64_t index)
{
    return &cache->slots[index & (ENTRY_CACHE_ENTRIES_MAX - 1)];
}

static void entry_cache_drop(struct entry_cache *cache, uint64_t index)
{
    struct raft_entry **slot = entry_cache_slot(cache, index);
    assert(*slot != NULL && (*slot)->index == index);
    cache->bytes -= (*slot)->size;
    raft_entry_unref(*slot);
    *slot = NULL;
    cache->count--;
}

static void entry_cache_drop_oldest(struct entry_cache *cache)
{
    entry_cache_drop(cache, cache->first);
    cache->first++;
}

static void entry_cache_drop_from(struct entry_cache *cache, uint64_t index)
{
    while (cache->count > 0 && cache->first + cache->count > index)
        entry_cache_drop(cache, cache->first + cache->count - 1);
}

void entry_cache_init(struct entry_cache *cache)
{
    *cache = (struct entry_cache){
        .slots = mem_zalloc(ENTRY_CACHE_ENTRIES_MAX * sizeof(struct raft_entry *)),
    };
}

void entry_cache_release(struct entry_cache *cache)
{
    if (cache->slots == NULL)
        return;
    entry_cache_drop_from(cache, 0);
    free(cache->slots);
    cache->slots = NULL;
}

void entry_cache_append(struct entry_cache *cache, struct raft_entry *entry)
{
    if (cache->count > 0) {
        entry_cache_drop_from(cache, entry->index);
        if (cache->first + cache->count != entry->index)
            entry_cache_drop_from(cache, 0);
    }
    if (cache->count == 0)
        cache->first = entry->index;
    if (cache->count == ENTRY_CACHE_ENTRIES_MAX)
        entry_cache_drop_oldest(cache);
    *entry_cache_slot(cache, entry->index) = raft_entry_ref(entry);
    cache->count++;
    cache->bytes += entry->size;
    while (cache->bytes > ENTRY_CACHE_BYTES_MAX && cache->count > 1)
        entry_cache_drop_oldest(cache);
}

void entry_cache_clear(struct entry_cache *cache)
{
    entry_cache_drop_from(cache, 0);
}

struct raft_entry *entry_cache_get(const struct entry_cache *cache, uint64_t index)
{
    if (cache->count == 0 || index < cache->first || index >= cache->first + cache->count)
        return NULL;
    return *entry_cache_slot(cache, index);
}
