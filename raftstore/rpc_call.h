/* One unary call at the server, from its request to its reply.
 *
 * The server takes the call in, unpacks its request and gives it to a service
 * (service_raw.c, service_status.c). The service answers once, with
 * rpc_call_reply() or rpc_call_fail(): at once, or later from the `done` of the
 * call's op. A call whose client goes away is cancelled through that op; then
 * there is nothing to answer.
 *
 * The references of the op are those of the call: gRPC's events hold one each,
 * the store holds its own, and whoever goes on with a call after `serve`
 * returned takes one with op_ref().
 */
#ifndef KEELFS_RAFTSTORE_RPC_CALL_H
#define KEELFS_RAFTSTORE_RPC_CALL_H

#include "raftstore/err.h"
#include "raftstore/op.h"
#include "raftstore/rpc_queue.h"
#include "raftstore/rpc_server.h"
#include "raftstore/tree.h"

#include <grpc/grpc.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rpc_call;

struct rpc_method {
    const char *name; /* "/package.Service/Method" */
    const ProtobufCMessageDescriptor *request;
    /* A request without a single field says something. Otherwise it is refused:
     * gRPC passes on a body whose framing is broken as an empty one. */
    bool may_be_empty;
    void (*serve)(struct rpc_call *call);
    /* The end of the op; NULL for a service that starts none. */
    op_done_fn *done;
};

struct rpc_call {
    struct rpc_server *server;
    const struct rpc_method *method;
    void *handle; /* the method's, at gRPC */

    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    int cancelled;
    struct rpc_event on_request;
    struct rpc_event on_closed;
    struct rpc_event on_replied;
    struct rpc_event on_resumed;

    struct op op;
    ProtobufCMessage *request; /* of the method's type, owned */
    bool charged;              /* counts against the server's limits, with */
    size_t charged_bytes;      /* so many bytes of request and reply */

    /* The service's, between its steps. */
    void (*resume)(struct rpc_call *call);
    struct tree_view *view; /* owned */
};

/* Has gRPC wait for one call of `method`, and for the next when it comes. */
void rpc_call_expect(struct rpc_server *server, const struct rpc_method *method, void *handle);

/* The call that embeds `op`. */
struct rpc_call *rpc_call_of_op(struct op *op);

const struct rpc_server_config *rpc_call_config(const struct rpc_call *call);

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *response);
/* With a message packed already; `*bytes` is taken and nulled. */
void rpc_call_reply_packed(struct rpc_call *call, uint8_t **bytes, size_t size);
/* `e` holds a code and a sentence for the client. */
void rpc_call_fail(struct rpc_call *call, const struct err *e);

/* Runs `resume` on a thread of the server: for what takes too long in `done`. */
void rpc_call_resume(struct rpc_call *call, void (*resume)(struct rpc_call *call));

#endif
