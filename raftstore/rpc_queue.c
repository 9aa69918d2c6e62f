#include "raftstore/rpc_queue.h"

#include "raftstore/op.h"

#include <assert.h>
#include <grpc/support/time.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define SANITIZER_RELEASE(address) __tsan_release(address)
#define SANITIZER_ACQUIRE(address) __tsan_acquire(address)
#else
#define SANITIZER_RELEASE(address) ((void)(address))
#define SANITIZER_ACQUIRE(address) ((void)(address))
#endif

void rpc_queue_announce(struct rpc_event *event)
{
    assert(event->run != NULL);
    SANITIZER_RELEASE(event);
}

void rpc_queue_start(grpc_call *call, const grpc_op *ops, size_t count, struct rpc_event *event)
{
    rpc_queue_announce(event);
    grpc_call_error rc = grpc_call_start_batch(call, ops, count, event, NULL);
    assert(rc == GRPC_CALL_OK);
}

struct rpc_ended rpc_queue_start_here(grpc_completion_queue *queue, grpc_call *call,
                                      const grpc_op *ops, size_t count, struct rpc_event *event)
{
    void *tag;
    int ok;
    grpc_completion_queue_thread_local_cache_init(queue);
    rpc_queue_start(call, ops, count, event);
    if (grpc_completion_queue_thread_local_cache_flush(queue, &tag, &ok) == 0)
        return (struct rpc_ended){0};
    SANITIZER_ACQUIRE(tag);
    return (struct rpc_ended){.event = tag, .ok = ok != 0};
}

static gpr_timespec time_from_ns(uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    uint64_t now_ns = clock_ns();
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos((int64_t)left_ns, GPR_TIMESPAN));
}

bool rpc_queue_serve(grpc_completion_queue *queue, uint64_t deadline_ns)
{
    grpc_event next = grpc_completion_queue_next(queue, time_from_ns(deadline_ns), NULL);
    if (next.type == GRPC_QUEUE_SHUTDOWN)
        return false;
    if (next.type == GRPC_OP_COMPLETE) {
        struct rpc_event *event = next.tag;
        SANITIZER_ACQUIRE(event);
        event->run(event, next.success != 0);
    }
    return true;
}

/* The C core has no timer or event of its own to put on a queue. A batch without
 * operations completes at once, on any call: this one never goes anywhere. */
void rpc_wake_init(struct rpc_wake *wake, grpc_completion_queue *queue)
{
    wake->channel = grpc_lame_client_channel_create("wake", GRPC_STATUS_UNAVAILABLE, "no channel");
    wake->call = grpc_channel_create_call(wake->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                          grpc_slice_from_static_string("/wake"), NULL,
                                          gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    assert(wake->call != NULL);
}

void rpc_wake_release(struct rpc_wake *wake)
{
    grpc_call_unref(wake->call);
    grpc_channel_destroy(wake->channel);
}

void rpc_wake_post(struct rpc_wake *wake, struct rpc_event *event)
{
    rpc_queue_start(wake->call, NULL, 0, event);
}
