#include "raftstore/reads.h"

#include "raftstore/memory.h"

#include <stdlib.h>
#include <string.h>

#define OP_LIST_CAPACITY_MIN 16

void op_list_add(struct op_list *list, struct op *op)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? OP_LIST_CAPACITY_MIN : list->capacity * 2;
        list->ops = mem_realloc(list->ops, list->capacity * sizeof(*list->ops));
    }
    list->ops[list->count++] = op;
}

void op_list_release(struct op_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        op_unref(list->ops[i]);
    free(list->ops);
    *list = (struct op_list){0};
}

void op_list_sweep(struct op_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (op_is_claimed(list->ops[i]))
            op_unref(list->ops[i]);
        else
            list->ops[kept++] = list->ops[i];
    }
    list->count = kept;
}

void reads_init(struct reads *reads, uint64_t store_id, uint64_t incarnation)
{
    *reads = (struct reads){.store_id = store_id, .incarnation = incarnation};
}

void reads_release(struct reads *reads)
{
    op_list_release(&reads->current);
    op_list_release(&reads->waiting);
}

bool reads_add(struct reads *reads, struct op *op)
{
    if (reads->waiting.count >= READS_WAITING_MAX)
        return false;
    op_ref(op);
    op_list_add(&reads->waiting, op);
    return true;
}

static void reads_context(const struct reads *reads, uint8_t context[READS_CONTEXT_SIZE])
{
    memcpy(context, &reads->store_id, 8);
    memcpy(context + 8, &reads->incarnation, 8);
    memcpy(context + 16, &reads->round, 8);
}

bool reads_next_round(struct reads *reads, uint8_t context[READS_CONTEXT_SIZE])
{
    if (reads->asked || reads->waiting.count + reads->current.count == 0)
        return false;
    /* Ops of a round that was given up join the new one. */
    for (size_t i = 0; i < reads->waiting.count; i++)
        op_list_add(&reads->current, reads->waiting.ops[i]);
    reads->waiting.count = 0;
    reads->round++;
    reads_context(reads, context);
    return true;
}

void reads_asked(struct reads *reads, uint64_t tick)
{
    reads->asked = true;
    reads->asked_tick = tick;
}

bool reads_answered(struct reads *reads, const uint8_t *context, size_t size,
                    struct op_list *ret_ops)
{
    uint8_t expected[READS_CONTEXT_SIZE];
    reads_context(reads, expected);
    if (!reads->asked || size != sizeof(expected) || memcmp(context, expected, size) != 0)
        return false;
    *ret_ops = reads->current;
    reads->current = (struct op_list){0};
    reads->asked = false;
    return true;
}

void reads_ask_again(struct reads *reads)
{
    reads->asked = false;
}

void reads_tick(struct reads *reads, uint64_t tick, uint64_t patience)
{
    if (reads->asked && reads->asked_tick + patience <= tick)
        reads_ask_again(reads);
    op_list_sweep(&reads->current);
    op_list_sweep(&reads->waiting);
}
