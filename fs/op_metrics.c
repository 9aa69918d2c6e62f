#include "fs/op_metrics.h"

#include <assert.h>

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

const uint64_t op_metrics_bounds_ns[OP_BOUNDS] = {
    50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,   2500 * US, 5 * MS,    10 * MS,
    25 * MS, 50 * MS,  100 * MS, 250 * MS, 500 * MS, 1 * S,     2500 * MS, 5 * S,
};

static void count(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

void op_metrics_add(struct op_metrics *metrics, uint32_t opcode, uint64_t elapsed_ns, int error)
{
    assert(opcode < OP_CODES);
    struct op_metric *op = &metrics->ops[opcode];
    unsigned i = 0;

    while (i < OP_BOUNDS && elapsed_ns > op_metrics_bounds_ns[i])
        i++;
    count(&op->buckets[i], 1);
    count(&op->sum_ns, elapsed_ns);
    if (error != 0)
        count(&op->failed, 1);
}
