#include "raft/unstable.h"

#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/error.h"
#include "raft/hook.h"
#include "raft/raft.h"

#define FIRST_CAPACITY 64

void raft_unstable_init(struct raft_unstable *u, uint64_t offset, const struct raft_log_hook *hook)
{
    memset(u, 0, sizeof(*u));
    u->offset = offset;
    u->in_progress_to = offset;
    u->hook = hook;
}

// Drops the first `count` entries.
static void drop_front(struct raft_unstable *u, size_t count)
{
    assert(count <= u->count);
    for (size_t i = 0; i < count; i++) {
        raft_entry_unref(u->slots[u->start + i]);
    }
    u->start += count;
    u->count -= count;
    if (u->count == 0) {
        u->start = 0;
    }
}

// Keeps only the first `count` entries.
static void drop_back(struct raft_unstable *u, size_t count)
{
    while (u->count > count) {
        u->count--;
        raft_entry_unref(u->slots[u->start + u->count]);
    }
    if (u->count == 0) {
        u->start = 0;
    }
}

void raft_unstable_release(struct raft_unstable *u)
{
    drop_back(u, 0);
    raft_mem_free(u->slots);
    raft_snapshot_unref(u->snapshot);
    u->slots = NULL;
    u->capacity = 0;
    u->snapshot = NULL;
}

bool raft_unstable_first_index(const struct raft_unstable *u, uint64_t *ret_index)
{
    if (u->snapshot == NULL) {
        return false;
    }
    *ret_index = u->snapshot->index + 1;
    return true;
}

bool raft_unstable_last_index(const struct raft_unstable *u, uint64_t *ret_index)
{
    if (u->count > 0) {
        *ret_index = u->offset + u->count - 1;
        return true;
    }
    if (u->snapshot != NULL) {
        *ret_index = u->snapshot->index;
        return true;
    }
    return false;
}

bool raft_unstable_term(const struct raft_unstable *u, uint64_t index, uint64_t *ret_term)
{
    if (index >= u->offset && index - u->offset < u->count) {
        *ret_term = raft_unstable_at(u, index)->term;
        return true;
    }
    if (index < u->offset && u->snapshot != NULL && u->snapshot->index == index) {
        *ret_term = u->snapshot->term;
        return true;
    }
    return false;
}

struct raft_entry **raft_unstable_slots(const struct raft_unstable *u, uint64_t index)
{
    assert(index >= u->offset);
    assert(index - u->offset <= u->count);
    return u->slots + u->start + (index - u->offset);
}

struct raft_entry *raft_unstable_at(const struct raft_unstable *u, uint64_t index)
{
    assert(index - u->offset < u->count);
    return *raft_unstable_slots(u, index);
}

size_t raft_unstable_new_count(const struct raft_unstable *u)
{
    size_t handed_over = (size_t)(u->in_progress_to - u->offset);
    return handed_over < u->count ? u->count - handed_over : 0;
}

struct raft_snapshot *raft_unstable_new_snapshot(const struct raft_unstable *u)
{
    return u->snapshot_in_progress ? NULL : u->snapshot;
}

void raft_unstable_accept(struct raft_unstable *u)
{
    if (u->count > 0) {
        u->in_progress_to = u->offset + u->count;
    }
    if (u->snapshot != NULL) {
        u->snapshot_in_progress = true;
    }
}

int raft_unstable_reserve(struct raft_unstable *u, size_t count)
{
    if (count > RAFT_UNSTABLE_MAX || u->count > RAFT_UNSTABLE_MAX - count) {
        return RAFT_E_TOO_MANY;
    }
    if (u->start + u->count + count <= u->capacity) {
        return 0;
    }
    // Sliding back costs a move of the live entries; it pays when at least as
    // many slots have become free in front of them.
    if (u->count + count <= u->capacity && u->start >= u->count) {
        memmove(u->slots, u->slots + u->start, u->count * sizeof(struct raft_entry *));
        u->start = 0;
        return 0;
    }
    size_t capacity = u->capacity == 0 ? FIRST_CAPACITY : u->capacity;
    while (capacity < 2 * (u->count + count)) {
        capacity *= 2;
    }
    struct raft_entry **slots = raft_mem_alloc(capacity * sizeof(struct raft_entry *));
    if (slots == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    if (u->count > 0) {
        memcpy(slots, u->slots + u->start, u->count * sizeof(struct raft_entry *));
    }
    raft_mem_free(u->slots);
    u->slots = slots;
    u->capacity = capacity;
    u->start = 0;
    return 0;
}

void raft_unstable_append(struct raft_unstable *u, struct raft_entry *const *entries, size_t count)
{
    assert(count > 0);
    uint64_t first = entries[0]->index;
    if (first < u->offset || (first == u->offset && u->count > 0)) {
        RAFT_TELL(u->hook, UNSTABLE_REPLACED, .index = first);
        drop_back(u, 0);
        u->offset = first;
        u->in_progress_to = first;
    } else if (first - u->offset < u->count) {
        RAFT_TELL(u->hook, UNSTABLE_TRUNCATED, .index = first);
        drop_back(u, (size_t)(first - u->offset));
        if (u->in_progress_to > first) {
            u->in_progress_to = first;
        }
    }
    assert(first == u->offset + u->count);
    assert(u->start + u->count + count <= u->capacity);
    for (size_t i = 0; i < count; i++) {
        assert(entries[i]->index == first + i);
        u->slots[u->start + u->count + i] = raft_entry_ref(entries[i]);
    }
    u->count += count;
}

void raft_unstable_stable_to(struct raft_unstable *u, uint64_t term, uint64_t index)
{
    uint64_t held;
    if (!raft_unstable_term(u, index, &held)) {
        RAFT_TELL(u->hook, STABLE_MISSING, .index = index);
        return;
    }
    if (index < u->offset) {
        RAFT_TELL(u->hook, STABLE_IS_SNAPSHOT, .index = index);
        return;
    }
    if (held != term) {
        RAFT_TELL(u->hook, STABLE_MISMATCH, .index = index, .log_term = term, .peer_term = held);
        return;
    }
    drop_front(u, (size_t)(index + 1 - u->offset));
    u->offset = index + 1;
    if (u->in_progress_to < u->offset) {
        u->in_progress_to = u->offset;
    }
}

void raft_unstable_snapshot_stable(struct raft_unstable *u, uint64_t index)
{
    if (u->snapshot != NULL && u->snapshot->index == index) {
        raft_snapshot_unref(u->snapshot);
        u->snapshot = NULL;
        u->snapshot_in_progress = false;
    }
}

void raft_unstable_restore(struct raft_unstable *u, struct raft_snapshot *snapshot)
{
    drop_back(u, 0);
    struct raft_snapshot *old = u->snapshot;
    u->snapshot = raft_snapshot_ref(snapshot);
    raft_snapshot_unref(old);
    u->snapshot_in_progress = false;
    u->offset = snapshot->index + 1;
    u->in_progress_to = u->offset;
}
