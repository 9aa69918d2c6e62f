#include "raftstore/rpc_call.h"

#include "raftstore/memory.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_server_private.h"
#include "raftstore/rpc_status.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

/* Unary calls under way, and the bytes of their requests and replies. */
#define CALLS_MAX      8192
#define CALL_BYTES_MAX (256u << 20)

struct rpc_call *rpc_call_of_op(struct op *op)
{
    return (struct rpc_call *)(void *)((char *)op - offsetof(struct rpc_call, op));
}

const struct rpc_server_config *rpc_call_config(const struct rpc_call *call)
{
    return &call->server->config;
}

/* ---- life ---- */

/* Counts `size` bytes that live as long as the call; the first time the call
 * itself. False when that is too much: then the call ends with an error. */
static bool charge(struct rpc_call *call, size_t size)
{
    struct rpc_server *server = call->server;
    size_t calls = call->charged ? 0 : atomic_fetch_add(&server->calls, 1) + 1;
    size_t bytes = atomic_fetch_add(&server->call_bytes, size) + size;
    call->charged = true;
    call->charged_bytes += size;
    return calls <= CALLS_MAX && bytes <= CALL_BYTES_MAX;
}

static void call_free(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    if (call->charged) {
        atomic_fetch_sub(&server->calls, 1);
        atomic_fetch_sub(&server->call_bytes, call->charged_bytes);
    }
    if (call->request != NULL)
        protobuf_c_message_free_unpacked(call->request, NULL);
    if (call->view != NULL)
        tree_view_unref(call->view);
    grpc_byte_buffer_destroy(call->payload);
    grpc_metadata_array_destroy(&call->metadata);
    if (call->call != NULL)
        grpc_call_unref(call->call);
    free(call);
    rpc_server_object_removed(server);
}

static void release(struct op *op)
{
    call_free(rpc_call_of_op(op));
}

static void unexpected_done(struct op *op, const struct op_result *result)
{
    (void)op;
    (void)result;
    assert(!"the op of a service that starts none");
}

/* ---- the answer ---- */

static void on_replied(struct rpc_event *event, bool ok)
{
    (void)ok; /* the client is gone: it does not need the answer any more */
    struct rpc_call *call = RPC_EVENT_OWNER(event, struct rpc_call, on_replied);
    op_unref(&call->op);
}

/* Sends status and, with OK, the message, which is taken. */
static void finish(struct rpc_call *call, grpc_status_code status, const char *words,
                   grpc_byte_buffer *message)
{
    grpc_slice details = grpc_slice_from_copied_string(words);
    grpc_op ops[3] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = status, .status_details = &details}}};
    size_t count = 2;
    if (message != NULL)
        ops[count++] =
            (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message};
    op_ref(&call->op);
    rpc_queue_start(call->call, ops, count, &call->on_replied);
    grpc_slice_unref(details);
}

static int busy(struct err *e)
{
    return err_set(e, KE_BUSY, "too many calls under way");
}

/* A reply this small is not counted, and so never refused: what answers a change
 * always is, and must not say "busy" when the change has happened. */
#define REPLY_UNCOUNTED_MAX 4096

static void finish_with(struct rpc_call *call, grpc_slice slice)
{
    size_t size = GRPC_SLICE_LENGTH(slice);
    struct err e;
    if (size <= REPLY_UNCOUNTED_MAX || charge(call, size)) {
        /* The request has been read; its buffer is where the reply is kept. */
        grpc_byte_buffer_destroy(call->payload);
        call->payload = grpc_raw_byte_buffer_create(&slice, 1);
        finish(call, GRPC_STATUS_OK, "", call->payload);
    } else {
        busy(&e);
        rpc_call_fail(call, &e);
    }
    grpc_slice_unref(slice);
}

void rpc_call_reply(struct rpc_call *call, const ProtobufCMessage *response)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(response));
    protobuf_c_message_pack(response, GRPC_SLICE_START_PTR(slice));
    finish_with(call, slice);
}

void rpc_call_reply_packed(struct rpc_call *call, uint8_t **bytes, size_t size)
{
    grpc_slice slice = grpc_slice_new_with_user_data(*bytes, size, free, *bytes);
    *bytes = NULL;
    finish_with(call, slice);
}

void rpc_call_fail(struct rpc_call *call, const struct err *e)
{
    assert(e->code < 0);
    finish(call, (grpc_status_code)rpc_status_from_code(e->code), e->text, NULL);
}

static void on_resumed(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct rpc_call *call = RPC_EVENT_OWNER(event, struct rpc_call, on_resumed);
    call->resume(call);
    op_unref(&call->op);
}

void rpc_call_resume(struct rpc_call *call, void (*resume)(struct rpc_call *call))
{
    call->resume = resume;
    op_ref(&call->op);
    /* A batch without operations: nothing but its event. */
    rpc_queue_start(call->call, NULL, 0, &call->on_resumed);
}

/* ---- the request ---- */

/* The client has its answer, or is gone. Then nobody waits for the op. */
static void on_closed(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct rpc_call *call = RPC_EVENT_OWNER(event, struct rpc_call, on_closed);
    if (call->cancelled)
        (void)op_cancel(&call->op);
    op_unref(&call->op);
}

static void watch_close(struct rpc_call *call)
{
    grpc_op op = {
        .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
        .data.recv_close_on_server.cancelled = &call->cancelled,
    };
    op_ref(&call->op);
    rpc_queue_start(call->call, &op, 1, &call->on_closed);
}

/* What is left of the client's own deadline, and never more than the server's. */
static uint32_t timeout_ms(const struct rpc_call *call)
{
    gpr_timespec left = gpr_time_sub(call->deadline, gpr_now(call->deadline.clock_type));
    int32_t left_ms = gpr_time_to_millis(left);
    uint32_t own_ms = call->server->config.op_timeout_ms;
    if (left_ms <= 0)
        return 0;
    return (uint32_t)left_ms < own_ms ? (uint32_t)left_ms : own_ms;
}

static int unpack_body(struct rpc_call *call, grpc_slice body, struct err *e)
{
    const ProtobufCMessageDescriptor *type = call->method->request;
    size_t size = GRPC_SLICE_LENGTH(body);
    if (size == 0 && !call->method->may_be_empty)
        return err_set(e, KE_INVALID, "the request is empty: no %s", type->name);
    if (!charge(call, size))
        return busy(e);
    call->request = protobuf_c_message_unpack(type, NULL, size, GRPC_SLICE_START_PTR(body));
    if (call->request == NULL)
        return err_set(e, KE_INVALID, "request does not parse as %s", type->name);
    return 0;
}

static int unpack(struct rpc_call *call, struct err *e)
{
    if (call->payload == NULL)
        return err_set(e, KE_INVALID, "the call carries no %s", call->method->request->name);
    grpc_slice body = rpc_buffer_read(call->payload);
    int rc = unpack_body(call, body, e);
    grpc_slice_unref(body);
    return rc;
}

static void on_request(struct rpc_event *event, bool ok)
{
    struct rpc_call *call = RPC_EVENT_OWNER(event, struct rpc_call, on_request);
    if (!ok) {
        /* The server shuts down; there is no call. */
        call->call = NULL;
        call_free(call);
        return;
    }
    struct rpc_server *server = call->server;
    rpc_call_expect(server, call->method, call->handle);
    op_done_fn *done = call->method->done != NULL ? call->method->done : unexpected_done;
    op_init(&call->op, timeout_ms(call), done, release);
    watch_close(call);
    struct err e;
    int rc = atomic_load(&server->stopping) ? err_set(&e, KE_SHUTDOWN, "%s", ke_text(KE_SHUTDOWN))
                                            : unpack(call, &e);
    if (rc != 0)
        rpc_call_fail(call, &e);
    else
        call->method->serve(call);
    op_unref(&call->op);
}

void rpc_call_expect(struct rpc_server *server, const struct rpc_method *method, void *handle)
{
    if (atomic_load(&server->stopping))
        return;
    struct rpc_call *call = mem_zalloc(sizeof(*call));
    call->server = server;
    call->method = method;
    call->handle = handle;
    call->on_request.run = on_request;
    call->on_closed.run = on_closed;
    call->on_replied.run = on_replied;
    call->on_resumed.run = on_resumed;
    grpc_metadata_array_init(&call->metadata);
    rpc_server_object_added(server);
    rpc_queue_announce(&call->on_request);
    grpc_call_error rc = grpc_server_request_registered_call(
        server->server, handle, &call->call, &call->deadline, &call->metadata, &call->payload,
        server->queue, server->queue, &call->on_request);
    assert(rc == GRPC_CALL_OK);
}
