#include "raftstore/deadline.h"

#include "raftstore/err.h"
#include "raftstore/memory.h"
#include "raftstore/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct deadlines {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct op *added; /* guarded by lock */
    bool stopping;    /* guarded by lock */
    bool idle;        /* guarded by lock: nothing to watch, asleep until woken */
    pthread_t thread;
    struct op *watched; /* the thread's own */
};

/* Unlinks what has ended or is past its deadline; returns what is left. */
static struct op *deadlines_sweep(struct op *list, uint64_t now_ns)
{
    struct op *kept = NULL;
    while (list != NULL) {
        struct op *op = list;
        list = op->deadline_next;
        if (!op_is_claimed(op) && op->deadline_ns > now_ns) {
            op->deadline_next = kept;
            kept = op;
            continue;
        }
        op->deadline_next = NULL;
        op_fail(op, KE_TIMEOUT);
        op_unref(op);
    }
    return kept;
}

static struct op *deadlines_concat(struct op *list, struct op *more)
{
    while (more != NULL) {
        struct op *op = more;
        more = op->deadline_next;
        op->deadline_next = list;
        list = op;
    }
    return list;
}

static void *deadlines_run(void *arg)
{
    struct deadlines *deadlines = arg;
    pthread_mutex_lock(&deadlines->lock);
    while (!deadlines->stopping) {
        if (deadlines->watched == NULL && deadlines->added == NULL) {
            deadlines->idle = true;
            pthread_cond_wait(&deadlines->wake, &deadlines->lock);
            deadlines->idle = false;
            continue;
        }
        thread_cond_wait_ms(&deadlines->wake, &deadlines->lock, DEADLINE_SWEEP_MS);
        struct op *added = deadlines->added;
        deadlines->added = NULL;
        pthread_mutex_unlock(&deadlines->lock);
        deadlines->watched =
            deadlines_sweep(deadlines_concat(deadlines->watched, added), clock_ns());
        pthread_mutex_lock(&deadlines->lock);
    }
    pthread_mutex_unlock(&deadlines->lock);
    return NULL;
}

struct deadlines *deadlines_new(void)
{
    struct deadlines *deadlines = mem_zalloc(sizeof(*deadlines));
    pthread_mutex_init(&deadlines->lock, NULL);
    thread_cond_init(&deadlines->wake);
    thread_start(&deadlines->thread, "deadline", deadlines_run, deadlines);
    return deadlines;
}

void deadlines_add(struct deadlines *deadlines, struct op *op)
{
    op_ref(op);
    pthread_mutex_lock(&deadlines->lock);
    op->deadline_next = deadlines->added;
    deadlines->added = op;
    if (deadlines->idle)
        pthread_cond_signal(&deadlines->wake);
    pthread_mutex_unlock(&deadlines->lock);
}

void deadlines_free(struct deadlines *deadlines)
{
    if (deadlines == NULL)
        return;
    pthread_mutex_lock(&deadlines->lock);
    deadlines->stopping = true;
    pthread_cond_signal(&deadlines->wake);
    pthread_mutex_unlock(&deadlines->lock);
    pthread_join(deadlines->thread, NULL);

    struct op *op = deadlines_concat(deadlines->watched, deadlines->added);
    while (op != NULL) {
        struct op *next = op->deadline_next;
        op_fail(op, KE_SHUTDOWN);
        op_unref(op);
        op = next;
    }
    pthread_cond_destroy(&deadlines->wake);
    pthread_mutex_destroy(&deadlines->lock);
    free(deadlines);
}
