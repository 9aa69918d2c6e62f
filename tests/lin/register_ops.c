#include "register_ops.h"

#include "raftstore/memory.h"

#include <stdlib.h>
#include <string.h>

/* A value that a get has seen. */
struct seen {
    const char *text;
    uint64_t return_ns; /* of the first get that did */
    size_t get;
    size_t writer;
    size_t writers;
};

struct values {
    struct seen *items; /* by text */
    size_t count;
};

static bool writes_value(const struct lin_op *op)
{
    return op->value != NULL && op->kind != LIN_GET &&
           (op->result == LIN_OK || op->result == LIN_UNKNOWN);
}

static bool sees_value(const struct lin_op *op)
{
    return op->kind == LIN_GET && op->result == LIN_OK;
}

static int compare_seen(const void *a, const void *b)
{
    const struct seen *left = a, *right = b;
    int order = strcmp(left->text, right->text);
    if (order != 0)
        return order;
    return (left->return_ns > right->return_ns) - (left->return_ns < right->return_ns);
}

static struct seen *find_value(const struct values *values, const char *text)
{
    size_t low = 0, high = values->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(values->items[middle].text, text);
        if (order == 0)
            return &values->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Of each value that was seen, the get that returned first. */
static void collect_seen(const struct lin_key *key, struct values *values)
{
    size_t count = 0;
    for (size_t i = 0; i < key->count; i++) {
        if (sees_value(key->ops[i]))
            values->items[count++] = (struct seen){
                .text = key->ops[i]->value, .return_ns = key->ops[i]->return_ns, .get = i};
    }
    qsort(values->items, count, sizeof(*values->items), compare_seen);
    for (size_t i = 0; i < count; i++) {
        if (values->count == 0 ||
            strcmp(values->items[values->count - 1].text, values->items[i].text) != 0)
            values->items[values->count++] = values->items[i];
    }
}

static void collect_writers(const struct lin_key *key, struct values *values)
{
    for (size_t i = 0; i < key->count; i++) {
        struct seen *seen =
            writes_value(key->ops[i]) ? find_value(values, key->ops[i]->value) : NULL;
        if (seen != NULL) {
            seen->writer = i;
            seen->writers++;
        }
    }
}

/* A single writer of what was seen has done it, and before it was seen. */
static enum lin_verdict conclude(const struct values *values, struct register_op *ops,
                                 struct lin_fault *fault)
{
    for (size_t i = 0; i < values->count; i++) {
        const struct seen *seen = &values->items[i];
        if (seen->writers == 0)
            return lin_fault_set(fault, LIN_INVALID, seen->get,
                                 "'%.100s' was read, and nobody wrote it", seen->text);
        if (seen->writers > 1)
            continue;
        struct register_op *writer = &ops[seen->writer];
        if (seen->return_ns < writer->call_ns)
            return lin_fault_set(fault, LIN_INVALID, seen->get,
                                 "'%.100s' was read before anybody wrote it", seen->text);
        writer->is_certain = true;
        if (seen->return_ns < writer->return_ns)
            writer->return_ns = seen->return_ns;
    }
    return LIN_VALID;
}

/* The uncertain ones of the same effect, linked in the order of their calls. */
static void link_twins(struct register_op *ops, size_t count, size_t value_count)
{
    size_t slots = (LIN_ENSURE + 1) * (value_count + REGISTER_UNSEEN + 1);
    size_t *last = mem_alloc(slots * sizeof(*last));
    for (size_t i = 0; i < slots; i++)
        last[i] = REGISTER_NO_TWIN;
    for (size_t i = 0; i < count; i++) {
        ops[i].twin = REGISTER_NO_TWIN;
        if (ops[i].is_certain)
            continue;
        size_t *slot =
            &last[(size_t)ops[i].kind * (value_count + REGISTER_UNSEEN + 1) + ops[i].value];
        ops[i].twin = *slot;
        *slot = i;
    }
    free(last);
}

enum lin_verdict register_ops_make(const struct lin_key *key, struct register_op *ops,
                                   struct lin_fault *fault)
{
    struct values values = {.items = mem_alloc(key->count * sizeof(*values.items))};
    collect_seen(key, &values);
    collect_writers(key, &values);
    for (size_t i = 0; i < key->count; i++) {
        const struct lin_op *op = key->ops[i];
        const struct seen *seen = op->value != NULL ? find_value(&values, op->value) : NULL;
        ops[i] = (struct register_op){
            .kind = op->kind,
            .result = op->result,
            .is_certain = op->result != LIN_UNKNOWN,
            .call_ns = op->call_ns,
            .return_ns = op->return_ns,
        };
        if (op->value != NULL)
            ops[i].value = REGISTER_UNSEEN;
        if (seen != NULL)
            ops[i].value = REGISTER_UNSEEN + 1 + (uint32_t)(seen - values.items);
    }
    enum lin_verdict verdict = conclude(&values, ops, fault);
    link_twins(ops, key->count, values.count);
    free(values.items);
    return verdict;
}

static bool get_fits(const struct register_op *op, uint32_t state)
{
    if (op->result == LIN_OK)
        return state == op->value;
    return (op->result == LIN_PRESENT) == (state != REGISTER_ABSENT);
}

bool register_op_looks(const struct register_op *op)
{
    return op->kind == LIN_GET || (op->kind == LIN_CREATE && op->result == LIN_PRESENT) ||
           (op->kind == LIN_REMOVE && op->result == LIN_ABSENT);
}

bool register_op_fits(const struct register_op *op, uint32_t state, uint32_t *ret_state)
{
    bool absent = state == REGISTER_ABSENT;
    *ret_state = state;
    switch (op->kind) {
    case LIN_GET:
        return op->result != LIN_UNKNOWN && get_fits(op, state);
    case LIN_PUT:
        *ret_state = op->value;
        break;
    case LIN_REMOVE:
        *ret_state = REGISTER_ABSENT;
        if (op->result == LIN_ABSENT)
            return absent;
        if (op->result == LIN_PRESENT)
            return !absent;
        break;
    case LIN_CREATE:
        if (op->result == LIN_PRESENT)
            return !absent;
        if (op->result == LIN_OK && !absent)
            return false;
        *ret_state = absent ? op->value : state;
        break;
    case LIN_ENSURE:
        *ret_state = absent ? op->value : state;
        break;
    case LIN_APPEND:
    case LIN_READ:
        return false; /* of logs */
    }
    /* What may be left out is, unless it makes a difference. */
    return op->is_certain || *ret_state != state;
}
