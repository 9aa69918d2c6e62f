#include "raft/memory_storage.h"

#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/error.h"

#define FIRST_CAPACITY 64

struct raft_memory_storage {
    struct raft_hard_state hard_state;
    struct raft_snapshot *snapshot; // NULL: none yet, no members
    // The log is the entries at compacted+1, compacted+2, ...
    uint64_t compacted;
    uint64_t compacted_term;
    struct raft_entry **entries;
    size_t start; // first live slot; slots before it are free
    size_t count;
    size_t capacity;
};

static uint64_t last_index(const struct raft_memory_storage *s)
{
    return s->compacted + s->count;
}

static struct raft_entry *at(const struct raft_memory_storage *s, uint64_t index)
{
    assert(index > s->compacted);
    assert(index <= last_index(s));
    return s->entries[s->start + (size_t)(index - s->compacted) - 1];
}

struct raft_memory_storage *raft_memory_storage_new(void)
{
    struct raft_memory_storage *s = raft_mem_alloc(sizeof(*s));
    if (s != NULL) {
        memset(s, 0, sizeof(*s));
    }
    return s;
}

static void truncate_to(struct raft_memory_storage *s, size_t count)
{
    while (s->count > count) {
        s->count--;
        raft_entry_unref(s->entries[s->start + s->count]);
    }
}

void raft_memory_storage_free(struct raft_memory_storage *s)
{
    if (s == NULL) {
        return;
    }
    truncate_to(s, 0);
    raft_mem_free(s->entries);
    raft_snapshot_unref(s->snapshot);
    raft_mem_free(s);
}

static int get_initial_state(void *ctx, struct raft_hard_state *ret_hard,
                             struct raft_conf_state *ret_conf)
{
    const struct raft_memory_storage *s = ctx;
    *ret_hard = s->hard_state;
    if (s->snapshot != NULL) {
        *ret_conf = s->snapshot->conf;
    } else {
        memset(ret_conf, 0, sizeof(*ret_conf));
    }
    return 0;
}

static int get_entries(void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                       struct raft_entry **entries, size_t *ret_count)
{
    const struct raft_memory_storage *s = ctx;
    if (lo <= s->compacted) {
        return RAFT_E_COMPACTED;
    }
    if (hi > last_index(s) + 1) {
        return RAFT_E_UNAVAILABLE;
    }
    size_t count = 0;
    uint64_t bytes = 0;
    for (uint64_t index = lo; index < hi; index++) {
        struct raft_entry *entry = at(s, index);
        bytes += raft_entry_encoded_size(entry);
        if (count > 0 && bytes > max_bytes) {
            break;
        }
        entries[count++] = raft_entry_ref(entry);
    }
    *ret_count = count;
    return 0;
}

static int get_term(void *ctx, uint64_t index, uint64_t *ret_term)
{
    const struct raft_memory_storage *s = ctx;
    if (index < s->compacted) {
        return RAFT_E_COMPACTED;
    }
    if (index > last_index(s)) {
        return RAFT_E_UNAVAILABLE;
    }
    *ret_term = index == s->compacted ? s->compacted_term : at(s, index)->term;
    return 0;
}

static int get_first_index(void *ctx, uint64_t *ret_index)
{
    const struct raft_memory_storage *s = ctx;
    *ret_index = s->compacted + 1;
    return 0;
}

static int get_last_index(void *ctx, uint64_t *ret_index)
{
    *ret_index = last_index(ctx);
    return 0;
}

static int get_snapshot(void *ctx, struct raft_snapshot **ret_snapshot)
{
    const struct raft_memory_storage *s = ctx;
    if (s->snapshot == NULL || s->snapshot->index < s->compacted) {
        return RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE;
    }
    *ret_snapshot = raft_snapshot_ref(s->snapshot);
    return 0;
}

struct raft_storage raft_memory_storage_interface(struct raft_memory_storage *s)
{
    static const struct raft_storage_ops ops = {
        .initial_state = get_initial_state,
        .entries = get_entries,
        .term = get_term,
        .first_index = get_first_index,
        .last_index = get_last_index,
        .snapshot = get_snapshot,
    };
    return (struct raft_storage){.ops = &ops, .ctx = s};
}

void raft_memory_storage_set_hard_state(struct raft_memory_storage *s,
                                        const struct raft_hard_state *state)
{
    s->hard_state = *state;
}

static int reserve(struct raft_memory_storage *s, size_t count)
{
    if (s->start + count <= s->capacity) {
        return 0;
    }
    // Sliding back pays once half of the slots in front are free.
    if (count <= s->capacity && s->start >= s->capacity / 2) {
        memmove(s->entries, s->entries + s->start, s->count * sizeof(struct raft_entry *));
        s->start = 0;
        return 0;
    }
    size_t capacity = s->capacity == 0 ? FIRST_CAPACITY : s->capacity;
    while (capacity < s->start + count) {
        capacity *= 2;
    }
    struct raft_entry **grown = raft_mem_resize(s->entries, capacity * sizeof(struct raft_entry *));
    if (grown == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    s->entries = grown;
    s->capacity = capacity;
    return 0;
}

int raft_memory_storage_append(struct raft_memory_storage *s, struct raft_entry *const *entries,
                               size_t count)
{
    while (count > 0 && entries[0]->index <= s->compacted) {
        entries++;
        count--;
    }
    if (count == 0) {
        return 0;
    }
    if (entries[0]->index > last_index(s) + 1) {
        return RAFT_E_INVALID;
    }
    size_t keep = (size_t)(entries[0]->index - s->compacted) - 1;
    int rc = reserve(s, keep + count);
    if (rc != 0) {
        return rc;
    }
    truncate_to(s, keep);
    for (size_t i = 0; i < count; i++) {
        s->entries[s->start + s->count++] = raft_entry_ref(entries[i]);
    }
    return 0;
}

int raft_memory_storage_apply_snapshot(struct raft_memory_storage *s,
                                       struct raft_snapshot *snapshot)
{
    if (s->snapshot != NULL && s->snapshot->index != 0 && s->snapshot->index >= snapshot->index) {
        return RAFT_E_SNAPSHOT_OUT_OF_DATE;
    }
    struct raft_snapshot *old = s->snapshot;
    s->snapshot = raft_snapshot_ref(snapshot);
    raft_snapshot_unref(old);
    truncate_to(s, 0);
    s->start = 0;
    s->compacted = snapshot->index;
    s->compacted_term = snapshot->term;
    return 0;
}

int raft_memory_storage_create_snapshot(struct raft_memory_storage *s, uint64_t index,
                                        const struct raft_conf_state *conf, const void *data,
                                        size_t size)
{
    if (s->snapshot != NULL && index <= s->snapshot->index) {
        return RAFT_E_SNAPSHOT_OUT_OF_DATE;
    }
    uint64_t term;
    int rc = get_term(s, index, &term);
    if (rc != 0) {
        return rc;
    }
    struct raft_snapshot *snapshot = raft_snapshot_alloc(size);
    if (snapshot == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    snapshot->index = index;
    snapshot->term = term;
    if (conf != NULL) {
        snapshot->conf = *conf;
    } else if (s->snapshot != NULL) {
        snapshot->conf = s->snapshot->conf;
    }
    if (size > 0) {
        memcpy(snapshot->data, data, size);
    }
    raft_snapshot_unref(s->snapshot);
    s->snapshot = snapshot;
    return 0;
}

int raft_memory_storage_compact(struct raft_memory_storage *s, uint64_t index)
{
    if (index <= s->compacted) {
        return RAFT_E_COMPACTED;
    }
    if (index > last_index(s)) {
        return RAFT_E_UNAVAILABLE;
    }
    s->compacted_term = at(s, index)->term;
    size_t drop = (size_t)(index - s->compacted);
    for (size_t i = 0; i < drop; i++) {
        raft_entry_unref(s->entries[s->start + i]);
    }
    s->start += drop;
    s->count -= drop;
    s->compacted = index;
    if (s->count == 0) {
        s->start = 0;
    }
    return 0;
}
