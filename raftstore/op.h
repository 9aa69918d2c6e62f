/* One asynchronous operation on the store: a proposal or a read barrier.
 *
 * The caller embeds `struct op` in its own request, fills it with op_init() and
 * hands it to store_propose() or store_barrier(). Exactly one of these happens:
 *   - `done` is called once, from any thread, possibly before the call returns;
 *   - op_cancel() returned true, and `done` is never called.
 * `done` must not block: it runs on the apply thread for most operations.
 *
 * An op is reference counted, since an interrupt, the deadline and the apply
 * thread may meet. op_init() gives the caller one reference; the store takes
 * its own. `release` frees the request that embeds the op when the last one
 * goes.
 */
#ifndef KEELFS_RAFTSTORE_OP_H
#define KEELFS_RAFTSTORE_OP_H

#include "raftstore/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct op;

struct op_result {
    int code; /* 0 or KE_*; of KE_TIMEOUT and KE_SHUTDOWN the outcome is unknown */
    /* After a proposal that applied: what the path of its last request is now.
     * Of a removed path: what it was. */
    bool has_attr;
    struct attr attr;
    uint64_t index; /* of the log entry, after a proposal that applied */
};

typedef void op_done_fn(struct op *op, const struct op_result *result);
typedef void op_release_fn(struct op *op);

struct op {
    atomic_int refs;
    atomic_bool claimed;  /* whoever sets it first ends the operation */
    uint64_t deadline_ns; /* of clock_ns() */
    op_done_fn *done;
    op_release_fn *release;
    struct op *deadline_next; /* owned by the deadline list */
};

/* `timeout_ms` from now. `release` may be NULL (static storage). */
void op_init(struct op *op, uint32_t timeout_ms, op_done_fn *done, op_release_fn *release);
void op_ref(struct op *op);
void op_unref(struct op *op);

/* Ends the operation without a call of `done`. False: it has ended already, or
 * `done` is being called. The command may still apply. */
bool op_cancel(struct op *op);

/* For the store: ends the operation with a call of `done`, once. */
void op_finish(struct op *op, const struct op_result *result);
void op_fail(struct op *op, int code);
/* Whether it has ended, so that work for it can be dropped. */
bool op_is_claimed(const struct op *op);

/* Nanoseconds of CLOCK_BOOTTIME. */
uint64_t clock_ns(void);

#endif
