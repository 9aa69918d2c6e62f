/* The thread that runs what gRPC has completed: one for everything of a process.
 *
 * gRPC lets one thread at a time wait for all connections of the process. With
 * a second queue and thread, the two hand that role to each other at each event:
 * two thread switches a message for nothing. Handlers do not block, so one
 * thread is enough.
 */
#ifndef KEELFS_RAFTSTORE_RPC_LOOP_H
#define KEELFS_RAFTSTORE_RPC_LOOP_H

#include <grpc/grpc.h>
#include <stdint.h>

struct rpc_loop;

/* Starts gRPC and the thread. */
struct rpc_loop *rpc_loop_start(void);
/* Everything that was started on the queue must have ended or be ending by itself:
 * waits for that. NULL is fine. */
void rpc_loop_stop(struct rpc_loop *loop);

/* Where to start calls and servers (rpc_queue.h). */
grpc_completion_queue *rpc_loop_queue(struct rpc_loop *loop);

/* Has the thread call `attend` now and then: between events, and no later than the
 * time (clock_ns()) that it returned last; UINT64_MAX: only when there is an
 * event. One at a time; NULL ends it, and on return it is not being called. */
typedef uint64_t rpc_attend_fn(void *ctx);
void rpc_loop_attend(struct rpc_loop *loop, rpc_attend_fn *attend, void *ctx);

/* Has `attend` called soon. Any thread. */
void rpc_loop_wake(struct rpc_loop *loop);

#endif
