#include "check.h"

#include "log.h"
#include "register.h"

#include "raftstore/memory.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum lin_verdict lin_fault_set(struct lin_fault *fault, enum lin_verdict verdict, size_t at,
                               const char *format, ...)
{
    va_list args;
    fault->verdict = verdict;
    fault->at = at;
    va_start(args, format);
    (void)vsnprintf(fault->text, sizeof(fault->text), format, args);
    va_end(args);
    return verdict;
}

static int compare_ops(const void *a, const void *b)
{
    const struct lin_op *left = *(const struct lin_op *const *)a;
    const struct lin_op *right = *(const struct lin_op *const *)b;
    int order = strcmp(left->key, right->key);
    if (order != 0)
        return order;
    return (left->call_ns > right->call_ns) - (left->call_ns < right->call_ns);
}

static bool is_of_log(const struct lin_op *op)
{
    return op->kind == LIN_APPEND || op->kind == LIN_READ;
}

static enum lin_verdict check_key(const struct lin_key *key, uint64_t steps,
                                  struct lin_fault *fault)
{
    bool log = is_of_log(key->ops[0]);
    for (size_t i = 1; i < key->count; i++) {
        if (is_of_log(key->ops[i]) != log)
            return lin_fault_set(fault, LIN_INVALID, i, "a key is a register or a log, not both");
    }
    return log ? lin_log_check(key, fault) : lin_register_check(key, steps, fault);
}

struct lin_summary lin_check(const struct lin_history *history, uint64_t steps, lin_tell_fn *tell,
                             void *ctx)
{
    struct lin_summary summary = {0};
    const struct lin_op **ops = mem_alloc(history->count * sizeof(*ops));
    for (size_t i = 0; i < history->count; i++)
        ops[i] = &history->ops[i];
    qsort(ops, history->count, sizeof(*ops), compare_ops);

    for (size_t from = 0, to; from < history->count; from = to) {
        to = from + 1;
        while (to < history->count && strcmp(ops[to]->key, ops[from]->key) == 0)
            to++;
        struct lin_key key = {.name = ops[from]->key, .ops = ops + from, .count = to - from};
        struct lin_fault fault;
        enum lin_verdict verdict = check_key(&key, steps, &fault);
        summary.keys++;
        summary.invalid += verdict == LIN_INVALID;
        summary.undecided += verdict == LIN_UNDECIDED;
        if (verdict != LIN_VALID)
            tell(ctx, &key, &fault);
    }
    free(ops);
    return summary;
}
