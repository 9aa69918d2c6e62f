#include "raftstore/op.h"

#include <assert.h>
#include <stddef.h>
#include <time.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

uint64_t clock_ns(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_BOOTTIME, &ts);
    assert(rc == 0);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void op_init(struct op *op, uint32_t timeout_ms, op_done_fn *done, op_release_fn *release)
{
    assert(done != NULL);
    atomic_init(&op->refs, 1);
    atomic_init(&op->claimed, false);
    op->deadline_ns = clock_ns() + timeout_ms * NS_PER_MS;
    op->done = done;
    op->release = release;
    op->deadline_next = NULL;
}

void op_ref(struct op *op)
{
    int before = atomic_fetch_add_explicit(&op->refs, 1, memory_order_relaxed);
    assert(before > 0);
}

void op_unref(struct op *op)
{
    int before = atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1 && op->release != NULL)
        op->release(op);
}

static bool op_claim(struct op *op)
{
    return !atomic_exchange_explicit(&op->claimed, true, memory_order_acq_rel);
}

bool op_cancel(struct op *op)
{
    return op_claim(op);
}

void op_finish(struct op *op, const struct op_result *result)
{
    if (op_claim(op))
        op->done(op, result);
}

void op_fail(struct op *op, int code)
{
    assert(code < 0);
    struct op_result result = {.code = code};
    op_finish(op, &result);
}

bool op_is_claimed(const struct op *op)
{
    return atomic_load_explicit(&op->claimed, memory_order_acquire);
}
