/* gRPC completion queues: what runs when a batch of operations has ended.
 *
 * Everything that gRPC is asked to do names a `struct rpc_event`, embedded in the
 * object it is about; the thread that serves the queue calls its `run` once.
 * The object must live until then. Queues are of the NEXT kind: nothing happens
 * on one that no thread serves.
 */
#ifndef KEELFS_RAFTSTORE_RPC_QUEUE_H
#define KEELFS_RAFTSTORE_RPC_QUEUE_H

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stddef.h>

struct rpc_event {
    /* `ok` is false when the operations failed: the peer is gone, the call is
     * cancelled, or the server is shutting down. */
    void (*run)(struct rpc_event *event, bool ok);
};

/* The object of type `type` whose member `member` is `event`. */
#define RPC_EVENT_OWNER(event, type, member)                                                       \
    ((type *)(void *)((char *)(event)-offsetof(type, member)))

/* To be called before `event` is handed to gRPC by any other way than
 * rpc_queue_start(): tells the thread sanitizer, which cannot see inside gRPC,
 * that what happened before comes before `run`. */
void rpc_queue_announce(struct rpc_event *event);

/* Starts a batch on a call of this queue; misuse is an assert. Calls for one
 * `call` are serialised by the caller. */
void rpc_queue_start(grpc_call *call, const grpc_op *ops, size_t count, struct rpc_event *event);

/* The same for a batch that as a rule has ended when the call returns: then its event
 * is not put on the queue, where it would wake the thread that serves it, but comes
 * back, for the caller to run once it holds no lock. It can be another event that
 * ended meanwhile, of a call on the same connection; NULL: all are or will be on
 * `queue`, which is the call's. */
struct rpc_ended {
    struct rpc_event *event;
    bool ok;
};
struct rpc_ended rpc_queue_start_here(grpc_completion_queue *queue, grpc_call *call,
                                      const grpc_op *ops, size_t count, struct rpc_event *event);

/* Waits for one event until `deadline_ns` (clock_ns(); UINT64_MAX: no deadline)
 * and runs it. False when the queue is shut down and empty. */
bool rpc_queue_serve(grpc_completion_queue *queue, uint64_t deadline_ns);

/* A way to have an event run on a queue's thread at once. */
struct rpc_wake {
    grpc_channel *channel;
    grpc_call *call;
};
void rpc_wake_init(struct rpc_wake *wake, grpc_completion_queue *queue);
void rpc_wake_release(struct rpc_wake *wake);
/* Calls are serialised by the caller. */
void rpc_wake_post(struct rpc_wake *wake, struct rpc_event *event);

#endif
