#include "raftstore/rpc_server.h"

#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/peer_stream.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_call.h"
#include "raftstore/rpc_server_private.h"
#include "raftstore/service_check.h"
#include "raftstore/service_members.h"
#include "raftstore/service_quota.h"
#include "raftstore/service_raw.h"
#include "raftstore/service_status.h"
#include "raftstore/snap_runner.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests that wait at gRPC for a call of one method; each is posted again as
 * soon as it is used. More calls than this at one moment wait inside gRPC. */
#define UNARY_POSTED     64
#define STREAMS_POSTED   4
#define SNAPSHOTS_POSTED 1
/* Calls under way get so long to end by themselves at a stop. */
#define STOP_GRACE_MS 300

static const struct rpc_method *const unary_methods[] = {
    &service_raw_get,       &service_raw_put,        &service_raw_delete,      &service_raw_scan,
    &service_status_method, &service_change_members, &service_transfer_leader, &service_join,
    &service_start_check,   &service_check_result,   &service_quota,
};
#define UNARY_METHOD_COUNT (sizeof(unary_methods) / sizeof(unary_methods[0]))

void rpc_server_object_added(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->objects++;
    pthread_mutex_unlock(&server->lock);
}

/* Under the lock to the end: once the count is seen to be zero, the server goes. */
void rpc_server_object_removed(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    assert(server->objects > 0);
    if (--server->objects == 0)
        pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void rpc_server_log_refusal(struct rpc_server *server, const struct err *e)
{
    pthread_mutex_lock(&server->lock);
    bool known = strcmp(server->refused, e->text) == 0;
    (void)snprintf(server->refused, sizeof(server->refused), "%s", e->text);
    pthread_mutex_unlock(&server->lock);
    if (!known)
        log_warn("a peer is refused: %s", e->text);
}

/* ---- methods that are not ours ---- */

struct unknown_call {
    struct rpc_server *server;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    int cancelled;
    struct rpc_event on_request;
    struct rpc_event on_finished;
};

static void unknown_call_expect(struct rpc_server *server);

static void unknown_call_free(struct unknown_call *unknown)
{
    struct rpc_server *server = unknown->server;
    grpc_call_details_destroy(&unknown->details);
    grpc_metadata_array_destroy(&unknown->metadata);
    if (unknown->call != NULL)
        grpc_call_unref(unknown->call);
    free(unknown);
    rpc_server_object_removed(server);
}

static void on_unknown_finished(struct rpc_event *event, bool ok)
{
    (void)ok;
    unknown_call_free(RPC_EVENT_OWNER(event, struct unknown_call, on_finished));
}

static void on_unknown_request(struct rpc_event *event, bool ok)
{
    struct unknown_call *unknown = RPC_EVENT_OWNER(event, struct unknown_call, on_request);
    if (!ok) {
        unknown->call = NULL;
        unknown_call_free(unknown);
        return;
    }
    unknown_call_expect(unknown->server);
    grpc_slice words = grpc_slice_from_static_string("keelfs does not serve this method");
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = GRPC_STATUS_UNIMPLEMENTED,
                                          .status_details = &words}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
         .data.recv_close_on_server.cancelled = &unknown->cancelled},
    };
    rpc_queue_start(unknown->call, ops, sizeof(ops) / sizeof(ops[0]), &unknown->on_finished);
}

/* A call of a method that nobody asked for would wait for ever. */
static void unknown_call_expect(struct rpc_server *server)
{
    if (atomic_load(&server->stopping))
        return;
    struct unknown_call *unknown = mem_zalloc(sizeof(*unknown));
    unknown->server = server;
    unknown->on_request.run = on_unknown_request;
    unknown->on_finished.run = on_unknown_finished;
    grpc_call_details_init(&unknown->details);
    grpc_metadata_array_init(&unknown->metadata);
    rpc_server_object_added(server);
    rpc_queue_announce(&unknown->on_request);
    grpc_call_error rc = grpc_server_request_call(server->server, &unknown->call, &unknown->details,
                                                  &unknown->metadata, server->queue, server->queue,
                                                  &unknown->on_request);
    assert(rc == GRPC_CALL_OK);
}

/* ---- start ---- */

static void *register_method(struct rpc_server *server, const char *name,
                             grpc_server_register_method_payload_handling handling)
{
    void *handle = grpc_server_register_method(server->server, name, NULL, handling, 0);
    assert(handle != NULL);
    return handle;
}

static void serve(struct rpc_server *server, void *const *unary_handles, void *stream_handle,
                  void *snapshot_handle)
{
    grpc_server_start(server->server);
    for (size_t i = 0; i < UNARY_METHOD_COUNT; i++) {
        for (unsigned n = 0; n < UNARY_POSTED; n++)
            rpc_call_expect(server, unary_methods[i], unary_handles[i]);
    }
    for (unsigned n = 0; n < STREAMS_POSTED; n++)
        peer_stream_expect(server, stream_handle);
    for (unsigned n = 0; snapshot_handle != NULL && n < SNAPSHOTS_POSTED; n++)
        snap_receive_expect(server, snapshot_handle);
    unknown_call_expect(server);
}

static struct rpc_server *server_new(const struct rpc_server_config *config)
{
    struct rpc_server *server = mem_zalloc(sizeof(*server));
    server->config = *config;
    server->config.listen = NULL; /* borrowed for the start only */
    atomic_init(&server->stopping, false);
    atomic_init(&server->calls, 0);
    atomic_init(&server->call_bytes, 0);
    pthread_mutex_init(&server->lock, NULL);
    thread_cond_init(&server->changed);
    struct rpc_args args;
    rpc_args_init_server(&args);
    server->queue = rpc_loop_queue(config->loop);
    server->server = grpc_server_create(&args.list, NULL);
    grpc_server_register_completion_queue(server->server, server->queue, NULL);
    return server;
}

static void server_destroy(struct rpc_server *server)
{
    grpc_server_destroy(server->server);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

int rpc_server_start(const struct rpc_server_config *config, struct rpc_server **ret_server,
                     struct err *e)
{
    assert(config->deliver != NULL && config->admit != NULL);
    struct rpc_server *server = server_new(config);
    void *unary_handles[UNARY_METHOD_COUNT];
    for (size_t i = 0; i < UNARY_METHOD_COUNT; i++)
        unary_handles[i] = register_method(server, unary_methods[i]->name,
                                           GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER);
    void *stream_handle = register_method(server, PEER_STREAM_METHOD, GRPC_SRM_PAYLOAD_NONE);
    void *snapshot_handle = NULL;
    if (config->snap_runner != NULL)
        snapshot_handle = register_method(server, SNAP_METHOD, GRPC_SRM_PAYLOAD_NONE);
    int rc = rpc_server_bind(server->server, config->listen, &server->port, e);
    if (rc != 0) {
        server_destroy(server);
        return rc;
    }
    serve(server, unary_handles, stream_handle, snapshot_handle);
    *ret_server = server;
    return 0;
}

int rpc_server_port(const struct rpc_server *server)
{
    return server->port;
}

void rpc_server_drop_store(struct rpc_server *server, uint64_t store_id)
{
    peer_stream_drop(server, store_id);
}

/* ---- end ---- */

static void on_shutdown(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct rpc_server *server = RPC_EVENT_OWNER(event, struct rpc_server, on_shutdown);
    pthread_mutex_lock(&server->lock);
    server->shut_down = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void rpc_server_stop(struct rpc_server *server)
{
    assert(!atomic_load(&server->stopping));
    atomic_store(&server->stopping, true);
    server->on_shutdown.run = on_shutdown;
    rpc_queue_announce(&server->on_shutdown);
    grpc_server_shutdown_and_notify(server->server, server->queue, &server->on_shutdown);
    peer_stream_cancel_all(server);

    uint64_t until_ns = clock_ns() + STOP_GRACE_MS * 1000000ull;
    pthread_mutex_lock(&server->lock);
    while (!server->shut_down && clock_ns() < until_ns)
        (void)thread_cond_wait_ms(&server->changed, &server->lock, STOP_GRACE_MS);
    bool shut_down = server->shut_down;
    pthread_mutex_unlock(&server->lock);
    if (!shut_down)
        grpc_server_cancel_all_calls(server->server);
    pthread_mutex_lock(&server->lock);
    while (!server->shut_down)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
}

void rpc_server_free(struct rpc_server *server)
{
    if (server == NULL)
        return;
    assert(atomic_load(&server->stopping));
    /* Every op has ended, so every call is at most waiting for the queue's thread. */
    pthread_mutex_lock(&server->lock);
    while (server->objects > 0)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    server_destroy(server);
}
