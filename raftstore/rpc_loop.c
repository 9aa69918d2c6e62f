#include "raftstore/rpc_loop.h"

#include "raftstore/memory.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_queue.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct rpc_loop {
    grpc_completion_queue *queue;
    pthread_t thread;

    pthread_mutex_t attend_lock; /* held while `attend` is called; guards it */
    rpc_attend_fn *attend;
    void *attend_ctx;

    pthread_mutex_t wake_lock; /* guards what follows; taken after attend_lock */
    struct rpc_wake wake;
    struct rpc_event on_wake;
    bool wake_posted;
};

static uint64_t loop_attend(struct rpc_loop *loop)
{
    pthread_mutex_lock(&loop->attend_lock);
    uint64_t next_ns = loop->attend != NULL ? loop->attend(loop->attend_ctx) : UINT64_MAX;
    pthread_mutex_unlock(&loop->attend_lock);
    return next_ns;
}

static void *loop_run(void *arg)
{
    struct rpc_loop *loop = arg;
    uint64_t next_ns;
    do {
        next_ns = loop_attend(loop);
    } while (rpc_queue_serve(loop->queue, next_ns));
    return NULL;
}

static void on_wake(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct rpc_loop *loop = RPC_EVENT_OWNER(event, struct rpc_loop, on_wake);
    pthread_mutex_lock(&loop->wake_lock);
    loop->wake_posted = false;
    pthread_mutex_unlock(&loop->wake_lock);
}

struct rpc_loop *rpc_loop_start(void)
{
    struct rpc_loop *loop = mem_zalloc(sizeof(*loop));
    rpc_base_init();
    loop->queue = grpc_completion_queue_create_for_next(NULL);
    pthread_mutex_init(&loop->attend_lock, NULL);
    pthread_mutex_init(&loop->wake_lock, NULL);
    rpc_wake_init(&loop->wake, loop->queue);
    loop->on_wake.run = on_wake;
    thread_start(&loop->thread, "grpc", loop_run, loop);
    return loop;
}

void rpc_loop_stop(struct rpc_loop *loop)
{
    if (loop == NULL)
        return;
    assert(loop->attend == NULL);
    grpc_completion_queue_shutdown(loop->queue);
    pthread_join(loop->thread, NULL);
    rpc_wake_release(&loop->wake);
    grpc_completion_queue_destroy(loop->queue);
    pthread_mutex_destroy(&loop->wake_lock);
    pthread_mutex_destroy(&loop->attend_lock);
    free(loop);
    rpc_base_shutdown();
}

grpc_completion_queue *rpc_loop_queue(struct rpc_loop *loop)
{
    return loop->queue;
}

void rpc_loop_attend(struct rpc_loop *loop, rpc_attend_fn *attend, void *ctx)
{
    pthread_mutex_lock(&loop->attend_lock);
    assert(attend == NULL || loop->attend == NULL);
    loop->attend = attend;
    loop->attend_ctx = ctx;
    pthread_mutex_unlock(&loop->attend_lock);
}

void rpc_loop_wake(struct rpc_loop *loop)
{
    pthread_mutex_lock(&loop->wake_lock);
    if (!loop->wake_posted) {
        loop->wake_posted = true;
        rpc_wake_post(&loop->wake, &loop->on_wake);
    }
    pthread_mutex_unlock(&loop->wake_lock);
}
