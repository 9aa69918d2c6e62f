#include "fs/waiters.h"

#include "raftstore/memory.h"

#include <stdlib.h>

#define WAITERS_CAPACITY_MIN 4

bool waiters_add(struct waiters *waiters, uint64_t round, struct op *op)
{
    if (round != waiters->round)
        return false;
    if (waiters->count == waiters->capacity) {
        waiters->capacity = waiters->capacity == 0 ? WAITERS_CAPACITY_MIN : waiters->capacity * 2;
        waiters->ops = mem_realloc(waiters->ops, waiters->capacity * sizeof(struct op *));
    }
    op_ref(op);
    waiters->ops[waiters->count++] = op;
    return true;
}

void waiters_end_round(struct waiters *waiters, struct waiters *ret_ended)
{
    *ret_ended = *waiters;
    *waiters = (struct waiters){.round = ret_ended->round + 1};
}

void waiters_finish(struct waiters *ended)
{
    const struct op_result result = {0};

    for (size_t i = 0; i < ended->count; i++) {
        op_finish(ended->ops[i], &result);
        op_unref(ended->ops[i]);
    }
    free(ended->ops);
    *ended = (struct waiters){0};
}
