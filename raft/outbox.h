#ifndef KEEL_RAFT_OUTBOX_H
#define KEEL_RAFT_OUTBOX_H

#include <stddef.h>

#include "raft/message.h"

// A list of messages that owns what they own; at most RAFT_MESSAGES_MAX.

struct raft_outbox {
    struct raft_message *items;
    size_t count;
    size_t capacity;
};

void raft_outbox_release(struct raft_outbox *box);
void raft_outbox_clear(struct raft_outbox *box); // keeps the memory

// Room for `count` more: the next pushes cannot fail. RAFT_E_NO_MEMORY, RAFT_E_TOO_MANY.
int raft_outbox_reserve(struct raft_outbox *box, size_t count);
// Takes the contents of `m`; on failure `m` keeps them.
int raft_outbox_push(struct raft_outbox *box, struct raft_message *m);

#endif
