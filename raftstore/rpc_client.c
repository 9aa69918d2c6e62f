#include "raftstore/rpc_client.h"

#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_queue.h"
#include "raftstore/rpc_status.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <stdbool.h>
#include <stdlib.h>

struct rpc_client {
    char *endpoint;
    grpc_completion_queue *queue;
    grpc_channel *channel;
    size_t calls; /* under way */
};

struct client_call {
    struct rpc_client *client;
    grpc_call *call;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_status_code status;
    grpc_slice message;
    struct rpc_event on_ended;
    rpc_done_fn *done;
    void *ctx;
};

static gpr_timespec time_in_ms(uint32_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

struct rpc_client *rpc_client_new(const char *endpoint)
{
    struct rpc_client *client = mem_zalloc(sizeof(*client));
    client->endpoint = mem_strdup(endpoint);
    rpc_base_init();
    struct rpc_args args;
    rpc_args_init_client(&args);
    client->queue = grpc_completion_queue_create_for_next(NULL);
    client->channel = rpc_channel_new(endpoint, &args);
    return client;
}

void rpc_client_free(struct rpc_client *client)
{
    if (client == NULL)
        return;
    while (client->calls > 0)
        rpc_client_poll(client);
    grpc_channel_destroy(client->channel);
    grpc_completion_queue_shutdown(client->queue);
    while (rpc_queue_serve(client->queue, UINT64_MAX)) {
    }
    grpc_completion_queue_destroy(client->queue);
    free(client->endpoint);
    free(client);
    rpc_base_shutdown();
}

/* ---- connecting ---- */

struct connect_wait {
    struct rpc_event on_changed;
    bool changed;
    bool timed_out;
};

static void on_changed(struct rpc_event *event, bool ok)
{
    struct connect_wait *wait = RPC_EVENT_OWNER(event, struct connect_wait, on_changed);
    wait->changed = true;
    wait->timed_out = !ok;
}

int rpc_client_connect(struct rpc_client *client, uint32_t timeout_ms, struct err *e)
{
    gpr_timespec deadline = time_in_ms(timeout_ms);
    for (;;) {
        grpc_connectivity_state state = grpc_channel_check_connectivity_state(client->channel, 1);
        if (state == GRPC_CHANNEL_READY)
            return 0;
        if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN)
            return err_set(e, KE_SHUTDOWN, "cannot connect to %s", client->endpoint);
        struct connect_wait wait = {.on_changed.run = on_changed};
        rpc_queue_announce(&wait.on_changed);
        grpc_channel_watch_connectivity_state(client->channel, state, deadline, client->queue,
                                              &wait.on_changed);
        while (!wait.changed)
            (void)rpc_queue_serve(client->queue, UINT64_MAX);
        if (wait.timed_out)
            return err_set(e, KE_TIMEOUT, "no answer from %s within %u ms", client->endpoint,
                           timeout_ms);
    }
}

/* ---- calls ---- */

static void report(const struct client_call *call)
{
    char *words = grpc_slice_to_c_string(call->message);
    struct rpc_reply reply = {.status = (int)call->status, .message = words};
    if (call->status == GRPC_STATUS_OK && call->response == NULL) {
        reply.status = GRPC_STATUS_INTERNAL;
        reply.message = "the reply has no message";
    }
    grpc_slice body = grpc_empty_slice();
    if (call->response != NULL)
        body = rpc_buffer_read(call->response);
    reply.data = GRPC_SLICE_START_PTR(body);
    reply.size = GRPC_SLICE_LENGTH(body);
    call->done(call->ctx, &reply);
    grpc_slice_unref(body);
    gpr_free(words);
}

static void on_ended(struct rpc_event *event, bool ok)
{
    (void)ok; /* the status says it better */
    struct client_call *call = RPC_EVENT_OWNER(event, struct client_call, on_ended);
    call->client->calls--;
    report(call);
    grpc_slice_unref(call->message);
    grpc_metadata_array_destroy(&call->initial_metadata);
    grpc_metadata_array_destroy(&call->trailing_metadata);
    grpc_byte_buffer_destroy(call->request);
    grpc_byte_buffer_destroy(call->response);
    grpc_call_unref(call->call);
    free(call);
}

static void start_batch(struct client_call *call)
{
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &call->initial_metadata},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->response},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &call->trailing_metadata,
                                        .status = &call->status,
                                        .status_details = &call->message}},
    };
    rpc_queue_start(call->call, ops, sizeof(ops) / sizeof(ops[0]), &call->on_ended);
}

void rpc_client_start(struct rpc_client *client, const char *method, const void *request,
                      size_t size, uint32_t timeout_ms, rpc_done_fn *done, void *ctx)
{
    struct client_call *call = mem_zalloc(sizeof(*call));
    call->client = client;
    call->done = done;
    call->ctx = ctx;
    call->on_ended.run = on_ended;
    call->message = grpc_empty_slice();
    grpc_metadata_array_init(&call->initial_metadata);
    grpc_metadata_array_init(&call->trailing_metadata);
    call->request = rpc_buffer_copy(request, size);
    call->call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                          client->queue, grpc_slice_from_static_string(method),
                                          NULL, time_in_ms(timeout_ms), NULL);
    assert(call->call != NULL);
    client->calls++;
    start_batch(call);
}

void rpc_client_poll(struct rpc_client *client)
{
    assert(client->calls > 0);
    (void)rpc_queue_serve(client->queue, UINT64_MAX);
}

struct sync_reply {
    bool done;
    int status;
    uint8_t *data;
    size_t size;
    struct err *e;
};

static void on_sync_reply(void *ctx, const struct rpc_reply *reply)
{
    struct sync_reply *sync = ctx;
    sync->done = true;
    sync->status = reply->status;
    if (reply->status == GRPC_STATUS_OK) {
        sync->data = mem_dup(reply->data, reply->size);
        sync->size = reply->size;
    } else {
        err_set(sync->e, rpc_status_to_code(reply->status), "%s", reply->message);
    }
}

int rpc_client_call(struct rpc_client *client, const char *method, const void *request, size_t size,
                    uint32_t timeout_ms, uint8_t **ret_data, size_t *ret_size, struct err *e)
{
    struct sync_reply sync = {.e = e};
    rpc_client_start(client, method, request, size, timeout_ms, on_sync_reply, &sync);
    while (!sync.done)
        rpc_client_poll(client);
    if (sync.status != GRPC_STATUS_OK)
        return rpc_status_to_code(sync.status);
    *ret_data = sync.data;
    *ret_size = sync.size;
    return 0;
}
