#include "raft/entry.h"

#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/varint.h"

struct raft_entry *raft_entry_alloc(enum raft_entry_type type, size_t size)
{
    if (size > RAFT_ENTRY_SIZE_MAX) {
        return NULL;
    }
    struct raft_entry *entry = raft_mem_alloc(sizeof(*entry) + size);
    if (entry == NULL) {
        return NULL;
    }
    atomic_init(&entry->refs, 1);
    entry->type = type;
    entry->term = 0;
    entry->index = 0;
    entry->size = size;
    return entry;
}

struct raft_entry *raft_entry_new(enum raft_entry_type type, const void *data, size_t size)
{
    struct raft_entry *entry = raft_entry_alloc(type, size);
    if (entry != NULL && size > 0) {
        memcpy(entry->data, data, size);
    }
    return entry;
}

struct raft_entry *raft_entry_ref(struct raft_entry *entry)
{
    unsigned before = atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return entry;
}

void raft_entry_unref(struct raft_entry *entry)
{
    if (entry == NULL) {
        return;
    }
    // Release so that this thread's reads are over before another one frees;
    // acquire so that the freeing thread sees them over.
    unsigned before = atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        raft_mem_free(entry);
    }
}

uint64_t raft_entry_encoded_size(const struct raft_entry *entry)
{
    uint64_t size = 1 + raft_varint_size(entry->term) + 1 + raft_varint_size(entry->index);
    if (entry->type != RAFT_ENTRY_NORMAL) {
        size += 1 + raft_varint_size((uint64_t)entry->type);
    }
    if (entry->size > 0) {
        size += 1 + raft_varint_size(entry->size) + entry->size;
    }
    return size;
}
