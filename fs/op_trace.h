/* Every request of the kernel from its arrival to its answer, whoever answers it: for
 * the metrics, the log of operations and the events.
 *
 * Two hooks sit between libfuse and the kernel (init_flags.c): one sees the bytes of each
 * request, one those of each answer. What is under way is kept by the number that the
 * kernel gives it. Requests on the control directory are not traced: a watch would be
 * slow by nature, and a log of operations would be full of its own reads.
 *
 * Any thread; the table has locks of its own, leaves. An answer is told before the kernel
 * has it, so that who got it finds it told.
 */
#ifndef KEELFS_FS_OP_TRACE_H
#define KEELFS_FS_OP_TRACE_H

#include "fs/op_metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Under way at a time; more are not traced. */
#define OP_TRACE_MAX 65536
/* Locks, so that threads seldom meet: a power of two. */
#define OP_TRACE_STRIPES 64

/* An operation that took longer is an event. */
#define OP_TRACE_SLOW_NS 100000000ull

struct fs;
struct op_entry;

struct op_trace {
    struct op_stripe {
        pthread_mutex_t lock; /* guards the next */
        struct op_entry *entries;
    } stripes[OP_TRACE_STRIPES];
    atomic_size_t under_way;
    struct op_metrics metrics;
};

void op_trace_init(struct op_trace *trace);
/* Nothing is answered any more. */
void op_trace_release(struct op_trace *trace);

/* A request has come. */
void op_trace_begin(struct fs *fs, const void *request, size_t size);
/* The one with this number is about to be answered; `error` is 0 or a negative errno. */
void op_trace_end(struct fs *fs, uint64_t unique, int error);

#endif
