/* How many requests of each kind were answered, with which result, and how long they
 * took: counters that any thread adds to, without a lock.
 *
 * A histogram has fixed bounds (op_metrics_bounds_ns), as Prometheus wants them.
 */
#ifndef KEELFS_FS_OP_METRICS_H
#define KEELFS_FS_OP_METRICS_H

#include "fs/op_record.h"

#include <stdatomic.h>
#include <stdint.h>

#define OP_BOUNDS 16

struct op_metrics {
    struct op_metric {
        atomic_uint_fast64_t buckets[OP_BOUNDS + 1]; /* the last is for what took longer */
        atomic_uint_fast64_t sum_ns;
        atomic_uint_fast64_t failed; /* answered with an error, ENOENT of a lookup too */
    } ops[OP_CODES];
};

/* In ascending order. */
extern const uint64_t op_metrics_bounds_ns[OP_BOUNDS];

/* All zeros is a good start. `error` is 0 or a negative errno. */
void op_metrics_add(struct op_metrics *metrics, uint32_t opcode, uint64_t elapsed_ns, int error);

#endif
