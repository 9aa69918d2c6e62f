#include "fs/waiters.h"

#include "raftstore/memory.h"

#include <stdlib.h>

#define WAITERS_CAPACITY_MIN 4

/* Who was interrupted waits no longer. */
static void drop_ended(struct waiters *waiters)
{
    size_t kept = 0;

    for (size_t i = 0; i < waiters->count; i++) {
        if (op_is_claimed(waiters->ops[i]))
            op_unref(waiters->ops[i]);
        else
            waiters->ops[kept++] = waiters->ops[i];
    }
    waiters->count = kept;
}

bool waiters_add(struct waiters *waiters, uint64_t round, struct op *op)
{
    if (round != waiters->round)
        return false;
    if (waiters->count == waiters->capacity)
        drop_ended(waiters);
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

void waiters_move(struct waiters *ended, struct waiters *all)
{
    for (size_t i = 0; i < ended->count; i++)
        waiters_add(all, all->round, ended->ops[i]);
    waiters_drop(ended);
}

static void end_all(struct waiters *ended, const struct op_result *result)
{
    for (size_t i = 0; i < ended->count; i++)
        op_finish(ended->ops[i], result);
    waiters_drop(ended);
}

void waiters_finish(struct waiters *ended)
{
    const struct op_result result = {0};

    end_all(ended, &result);
}

void waiters_fail(struct waiters *ended, int code)
{
    const struct op_result result = {.code = code};

    end_all(ended, &result);
}

void waiters_drop(struct waiters *waiters)
{
    for (size_t i = 0; i < waiters->count; i++)
        op_unref(waiters->ops[i]);
    free(waiters->ops);
    *waiters = (struct waiters){.round = waiters->round};
}
