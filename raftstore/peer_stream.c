#include "raftstore/peer_stream.h"

#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_identity.h"
#include "raftstore/rpc_server_private.h"
#include "raftstore/rpc_status.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <inttypes.h>
#include <stdlib.h>

/* Open streams at one time: every member's, and those that a restart or a broken
 * connection has left behind. */
#define STREAMS_MAX 128

/* From the request until its last event. All events come on the loop's thread, one
 * after another; the two that the stream does not ask for itself, `on_closed` and
 * `on_dropped`, at any time. */
struct peer_stream {
    struct rpc_server *server;
    void *handle;
    atomic_uint batches; /* under way; the last one to end frees the stream */

    bool listed;  /* the list is the server's, guarded by its lock, as is */
    bool dropped; /* by peer_stream_drop() */
    struct peer_stream *prev;
    struct peer_stream *next;

    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message; /* received; at the end, the reply */
    int cancelled;
    bool finished; /* the status is on its way; nothing is taken any more */
    struct transport_identity from;
    struct rpc_event on_request;
    struct rpc_event on_closed;
    struct rpc_event on_dropped;
    struct rpc_event on_message;
    struct rpc_event on_finished;
};

/* ---- life ---- */

static int list_add(struct peer_stream *stream, struct err *e)
{
    struct rpc_server *server = stream->server;
    int rc = 0;
    pthread_mutex_lock(&server->lock);
    if (atomic_load(&server->stopping)) {
        rc = err_set(e, KE_SHUTDOWN, "%s", ke_text(KE_SHUTDOWN));
    } else if (server->stream_count == STREAMS_MAX) {
        rc = err_set(e, KE_BUSY, "too many open streams");
    } else {
        server->stream_count++;
        stream->listed = true;
        stream->next = server->streams;
        if (stream->next != NULL)
            stream->next->prev = stream;
        server->streams = stream;
    }
    pthread_mutex_unlock(&server->lock);
    return rc;
}

static void list_remove(struct peer_stream *stream)
{
    struct rpc_server *server = stream->server;
    pthread_mutex_lock(&server->lock);
    if (stream->listed) {
        server->stream_count--;
        if (stream->prev != NULL)
            stream->prev->next = stream->next;
        else
            server->streams = stream->next;
        if (stream->next != NULL)
            stream->next->prev = stream->prev;
    }
    pthread_mutex_unlock(&server->lock);
}

static void stream_free(struct peer_stream *stream)
{
    struct rpc_server *server = stream->server;
    grpc_byte_buffer_destroy(stream->message);
    grpc_metadata_array_destroy(&stream->metadata);
    if (stream->call != NULL)
        grpc_call_unref(stream->call);
    free(stream);
    rpc_server_object_removed(server);
}

static void stream_start(struct peer_stream *stream, const grpc_op *ops, size_t count,
                         struct rpc_event *event)
{
    atomic_fetch_add(&stream->batches, 1);
    rpc_queue_start(stream->call, ops, count, event);
}

/* Each event ends with this. */
static void stream_batch_ended(struct peer_stream *stream)
{
    if (atomic_fetch_sub(&stream->batches, 1) != 1)
        return;
    list_remove(stream);
    stream_free(stream);
}

/* From outside of the stream's events: false when the last one has ended. */
static bool stream_hold(struct peer_stream *stream)
{
    unsigned batches = atomic_load(&stream->batches);
    while (batches > 0) {
        if (atomic_compare_exchange_weak(&stream->batches, &batches, batches + 1))
            return true;
    }
    return false;
}

void peer_stream_drop(struct rpc_server *server, uint64_t store_id)
{
    pthread_mutex_lock(&server->lock);
    for (struct peer_stream *stream = server->streams; stream != NULL; stream = stream->next) {
        if (stream->from.store_id != store_id || stream->dropped || !stream_hold(stream))
            continue;
        stream->dropped = true;
        /* A batch without operations: nothing but its event, on the loop's thread. */
        rpc_queue_start(stream->call, NULL, 0, &stream->on_dropped);
    }
    pthread_mutex_unlock(&server->lock);
}

void peer_stream_cancel_all(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct peer_stream *stream = server->streams; stream != NULL; stream = stream->next)
        grpc_call_cancel_with_status(stream->call, GRPC_STATUS_UNAVAILABLE, ke_text(KE_SHUTDOWN),
                                     NULL);
    pthread_mutex_unlock(&server->lock);
}

/* ---- the end ---- */

static void on_finished(struct rpc_event *event, bool ok)
{
    (void)ok;
    stream_batch_ended(RPC_EVENT_OWNER(event, struct peer_stream, on_finished));
}

static void stream_fail(struct peer_stream *stream, bool accepted, const struct err *e)
{
    stream->finished = true;
    grpc_slice words = grpc_slice_from_copied_string(e->text);
    grpc_metadata code = rpc_identity_code(e->code);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.trailing_metadata_count = 1,
                                          .trailing_metadata = &code,
                                          .status = (grpc_status_code)rpc_status_from_code(e->code),
                                          .status_details = &words}},
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
    };
    stream_start(stream, ops, accepted ? 1 : 2, &stream->on_finished);
    grpc_slice_unref(code.value);
    grpc_slice_unref(words);
}

static void on_dropped(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct peer_stream *stream = RPC_EVENT_OWNER(event, struct peer_stream, on_dropped);
    if (!stream->finished) {
        struct err e;
        err_set(&e, KE_REMOVED, "store %" PRIu64 " was removed from the cluster",
                stream->from.store_id);
        stream_fail(stream, true, &e);
    }
    stream_batch_ended(stream);
}

/* The peer has nothing more to say; it is told that all arrived. */
static void stream_answer(struct peer_stream *stream)
{
    stream->finished = true;
    stream->message = rpc_buffer_copy(NULL, 0); /* a raft_serverpb.Done */
    grpc_slice words = grpc_empty_slice();
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = stream->message},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = GRPC_STATUS_OK, .status_details = &words}},
    };
    stream_start(stream, ops, 2, &stream->on_finished);
}

/* ---- messages ---- */

static int take_message(struct peer_stream *stream, struct err *e)
{
    grpc_slice body = rpc_buffer_read(stream->message);
    grpc_byte_buffer_destroy(stream->message);
    stream->message = NULL;
    struct wire_envelope envelope;
    struct raft_message message;
    int rc = wire_unpack_message(GRPC_SLICE_START_PTR(body), GRPC_SLICE_LENGTH(body), &envelope,
                                 &message, e);
    grpc_slice_unref(body);
    if (rc != 0)
        return rc;
    rc = rpc_identity_check_envelope(stream->server, &stream->from, &envelope, e);
    if (rc != 0) {
        raft_message_release(&message);
        return rc;
    }
    const struct rpc_server_config *config = &stream->server->config;
    config->deliver(config->ctx, &envelope, &message);
    return 0;
}

static void receive_next(struct peer_stream *stream)
{
    grpc_op op = {
        .op = GRPC_OP_RECV_MESSAGE,
        .data.recv_message.recv_message = &stream->message,
    };
    stream_start(stream, &op, 1, &stream->on_message);
}

static void on_message(struct rpc_event *event, bool ok)
{
    struct peer_stream *stream = RPC_EVENT_OWNER(event, struct peer_stream, on_message);
    struct err e;
    /* !ok: the stream is broken, there is nobody to answer. */
    ok = ok && !stream->finished;
    if (ok && stream->message == NULL) {
        stream_answer(stream);
    } else if (ok && take_message(stream, &e) != 0) {
        log_warn("stream of store %" PRIu64 ": %s", stream->from.store_id, e.text);
        stream_fail(stream, true, &e);
    } else if (ok) {
        receive_next(stream);
    }
    stream_batch_ended(stream);
}

/* ---- the start ---- */

static void on_closed(struct rpc_event *event, bool ok)
{
    (void)ok;
    stream_batch_ended(RPC_EVENT_OWNER(event, struct peer_stream, on_closed));
}

static void accept_stream(struct peer_stream *stream)
{
    grpc_metadata own = rpc_identity_accepts(stream->server->config.store_id);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = 1, .metadata = &own}},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->message},
    };
    stream_start(stream, ops, 2, &stream->on_message);
    grpc_slice_unref(own.value);
}

static int check_stream(struct peer_stream *stream, struct err *e)
{
    const struct rpc_server_config *config = &stream->server->config;
    int rc = rpc_identity_check(stream->server, &stream->metadata, &stream->from, e);
    if (rc == 0)
        rc = list_add(stream, e);
    /* In this order, so that whoever is removed after this answer is found listed. */
    if (rc == 0)
        rc = config->admit(config->ctx, &stream->from, e);
    return rc;
}

static void on_request(struct rpc_event *event, bool ok)
{
    struct peer_stream *stream = RPC_EVENT_OWNER(event, struct peer_stream, on_request);
    if (!ok) {
        /* The server shuts down; there is no call. */
        stream->call = NULL;
        stream_batch_ended(stream);
        return;
    }
    peer_stream_expect(stream->server, stream->handle);
    grpc_op close = {
        .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
        .data.recv_close_on_server.cancelled = &stream->cancelled,
    };
    stream_start(stream, &close, 1, &stream->on_closed);
    struct err e;
    if (check_stream(stream, &e) != 0) {
        rpc_server_log_refusal(stream->server, &e);
        stream_fail(stream, false, &e);
    } else {
        accept_stream(stream);
    }
    stream_batch_ended(stream);
}

void peer_stream_expect(struct rpc_server *server, void *handle)
{
    if (atomic_load(&server->stopping))
        return;
    struct peer_stream *stream = mem_zalloc(sizeof(*stream));
    stream->server = server;
    stream->handle = handle;
    atomic_init(&stream->batches, 1);
    stream->on_request.run = on_request;
    stream->on_closed.run = on_closed;
    stream->on_dropped.run = on_dropped;
    stream->on_message.run = on_message;
    stream->on_finished.run = on_finished;
    grpc_metadata_array_init(&stream->metadata);
    rpc_server_object_added(server);
    rpc_queue_announce(&stream->on_request);
    grpc_call_error rc = grpc_server_request_registered_call(
        server->server, handle, &stream->call, &stream->deadline, &stream->metadata, NULL,
        server->queue, server->queue, &stream->on_request);
    assert(rc == GRPC_CALL_OK);
}
