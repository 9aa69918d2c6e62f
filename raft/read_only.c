#include "raft/read_only.h"

#include <assert.h>
#include <string.h>

#include "raft/alloc.h"

#define FIRST_CAPACITY 16

void raft_read_only_release(struct raft_read_only *r)
{
    raft_mem_free(r->waiting);
    memset(r, 0, sizeof(*r));
}

void raft_read_only_reset(struct raft_read_only *r)
{
    r->count = 0;
    r->held = 0;
    r->confirmed = 0;
}

int raft_read_only_add(struct raft_read_only *r, const struct raft_message *m, uint64_t index,
                       bool held)
{
    assert(held || r->held == 0);
    if (r->count == RAFT_READS_MAX) {
        return RAFT_E_TOO_MANY;
    }
    if (r->count == r->capacity) {
        size_t capacity = r->capacity == 0 ? FIRST_CAPACITY : r->capacity * 2;
        struct raft_read_request *waiting =
            raft_mem_resize(r->waiting, capacity * sizeof(*waiting));
        if (waiting == NULL) {
            return RAFT_E_NO_MEMORY;
        }
        r->waiting = waiting;
        r->capacity = capacity;
    }
    struct raft_read_request *request = &r->waiting[r->count++];
    request->from = m->from;
    request->index = index;
    request->context_size = m->context_size;
    memcpy(request->context, m->context, sizeof(request->context));
    r->held += held;
    return 0;
}

void raft_read_only_unhold(struct raft_read_only *r, uint64_t index)
{
    for (size_t i = r->count - r->held; i < r->count; i++) {
        r->waiting[i].index = index;
    }
    r->held = 0;
}

uint64_t raft_read_only_newest(const struct raft_read_only *r)
{
    return r->confirmed + (r->count - r->held);
}

size_t raft_read_only_ready(const struct raft_read_only *r, uint64_t acked)
{
    uint64_t newest = raft_read_only_newest(r);
    uint64_t up_to = acked < newest ? acked : newest;
    return up_to > r->confirmed ? (size_t)(up_to - r->confirmed) : 0;
}

void raft_read_only_drop(struct raft_read_only *r, size_t count)
{
    assert(count <= r->count - r->held);
    if (count == 0) {
        return;
    }
    memmove(r->waiting, r->waiting + count, (r->count - count) * sizeof(r->waiting[0]));
    r->count -= count;
    r->confirmed += count;
}
