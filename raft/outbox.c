#include "raft/outbox.h"

#include <string.h>

#include "raft/alloc.h"
#include "raft/error.h"
#include "raft/raft.h"

#define FIRST_CAPACITY 8

void raft_outbox_release(struct raft_outbox *box)
{
    raft_outbox_clear(box);
    raft_mem_free(box->items);
    memset(box, 0, sizeof(*box));
}

void raft_outbox_clear(struct raft_outbox *box)
{
    for (size_t i = 0; i < box->count; i++) {
        raft_message_release(&box->items[i]);
    }
    box->count = 0;
}

int raft_outbox_reserve(struct raft_outbox *box, size_t count)
{
    if (count > RAFT_MESSAGES_MAX || box->count > RAFT_MESSAGES_MAX - count) {
        return RAFT_E_TOO_MANY;
    }
    if (box->count + count <= box->capacity) {
        return 0;
    }
    size_t capacity = box->capacity == 0 ? FIRST_CAPACITY : box->capacity;
    while (capacity < box->count + count) {
        capacity *= 2;
    }
    struct raft_message *items = raft_mem_resize(box->items, capacity * sizeof(*items));
    if (items == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    box->items = items;
    box->capacity = capacity;
    return 0;
}

int raft_outbox_push(struct raft_outbox *box, struct raft_message *m)
{
    int rc = raft_outbox_reserve(box, 1);
    if (rc == 0) {
        raft_message_move(&box->items[box->count++], m);
    }
    return rc;
}
