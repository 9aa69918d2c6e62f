#include "raftstore/peer_stream.h"

#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_server_private.h"
#include "raftstore/rpc_status.h"
#include "raftstore/transport.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Open streams at one time: every member's, and those that a restart or a broken
 * connection has left behind. */
#define STREAMS_MAX 128

#define ID_TEXT_MAX 24

/* From the request until its last event. A stream's events come one after
 * another, except `on_closed`, which may come at any time. */
struct peer_stream {
    struct rpc_server *server;
    void *handle;
    atomic_uint batches; /* under way; the last one to end frees the stream */

    bool listed; /* the list is the server's, guarded by its lock */
    struct peer_stream *prev;
    struct peer_stream *next;

    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message; /* received; at the end, the reply */
    int cancelled;
    uint64_t from_store;
    struct rpc_event on_request;
    struct rpc_event on_closed;
    struct rpc_event on_message;
    struct rpc_event on_finished;
};

/* ---- life ---- */

static bool list_add(struct peer_stream *stream, struct err *e)
{
    struct rpc_server *server = stream->server;
    pthread_mutex_lock(&server->lock);
    if (atomic_load(&server->stopping)) {
        err_set(e, KE_SHUTDOWN, "%s", ke_text(KE_SHUTDOWN));
    } else if (server->stream_count == STREAMS_MAX) {
        err_set(e, KE_BUSY, "too many open streams");
    } else {
        server->stream_count++;
        stream->listed = true;
        stream->next = server->streams;
        if (stream->next != NULL)
            stream->next->prev = stream;
        server->streams = stream;
    }
    bool listed = stream->listed;
    pthread_mutex_unlock(&server->lock);
    return listed;
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
    grpc_slice words = grpc_slice_from_copied_string(e->text);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = (grpc_status_code)rpc_status_from_code(e->code),
                                          .status_details = &words}},
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
    };
    stream_start(stream, ops, accepted ? 1 : 2, &stream->on_finished);
    grpc_slice_unref(words);
}

/* The peer has nothing more to say; it is told that all arrived. */
static void stream_answer(struct peer_stream *stream)
{
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

static int check_envelope(const struct peer_stream *stream, const struct wire_envelope *envelope,
                          struct err *e)
{
    uint64_t own = stream->server->config.store_id;
    if (envelope->from_store == stream->from_store && envelope->to_store == own)
        return 0;
    return err_set(e, KE_MISMATCH,
                   "a message from store %" PRIu64 " to store %" PRIu64
                   " on the stream of store %" PRIu64 " to store %" PRIu64,
                   envelope->from_store, envelope->to_store, stream->from_store, own);
}

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
    rc = check_envelope(stream, &envelope, e);
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
    if (ok && stream->message == NULL) {
        stream_answer(stream);
    } else if (ok && take_message(stream, &e) != 0) {
        log_warn("stream of store %" PRIu64 ": %s", stream->from_store, e.text);
        stream_fail(stream, true, &e);
    } else if (ok) {
        receive_next(stream);
    }
    stream_batch_ended(stream);
}

/* ---- the start ---- */

/* The number under `key`, or false. */
static bool metadata_id(const grpc_metadata_array *metadata, const char *key, uint64_t *ret_id)
{
    for (size_t i = 0; i < metadata->count; i++) {
        if (grpc_slice_str_cmp(metadata->metadata[i].key, key) != 0)
            continue;
        char text[ID_TEXT_MAX] = "";
        size_t size = GRPC_SLICE_LENGTH(metadata->metadata[i].value);
        if (size == 0 || size >= sizeof(text))
            return false;
        memcpy(text, GRPC_SLICE_START_PTR(metadata->metadata[i].value), size);
        char *end;
        *ret_id = strtoull(text, &end, 10);
        return *end == '\0' && text[0] >= '0' && text[0] <= '9';
    }
    return false;
}

static int check_metadata(struct peer_stream *stream, struct err *e)
{
    const struct rpc_server_config *config = &stream->server->config;
    uint64_t cluster, to;
    if (!metadata_id(&stream->metadata, TRANSPORT_METADATA_CLUSTER, &cluster) ||
        !metadata_id(&stream->metadata, TRANSPORT_METADATA_STORE, &stream->from_store) ||
        !metadata_id(&stream->metadata, TRANSPORT_METADATA_TO, &to))
        return err_set(e, KE_MISMATCH,
                       "the stream does not name its cluster and stores (metadata %s, %s, %s)",
                       TRANSPORT_METADATA_CLUSTER, TRANSPORT_METADATA_STORE, TRANSPORT_METADATA_TO);
    if (cluster != config->cluster_id)
        return err_set(e, KE_MISMATCH,
                       "wrong cluster id %016" PRIx64 ": this store belongs to cluster %016" PRIx64,
                       cluster, config->cluster_id);
    if (to != config->store_id)
        return err_set(e, KE_MISMATCH, "wrong store id %" PRIu64 ": this is store %" PRIu64, to,
                       config->store_id);
    if (stream->from_store == config->store_id)
        return err_set(e, KE_MISMATCH,
                       "the sender calls itself store %" PRIu64 ", but so is this one called",
                       stream->from_store);
    return 0;
}

static void on_closed(struct rpc_event *event, bool ok)
{
    (void)ok;
    stream_batch_ended(RPC_EVENT_OWNER(event, struct peer_stream, on_closed));
}

static void accept_stream(struct peer_stream *stream)
{
    char text[ID_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%" PRIu64, stream->server->config.store_id);
    grpc_metadata own = {.key = grpc_slice_from_static_string(TRANSPORT_METADATA_STORE),
                         .value = grpc_slice_from_copied_string(text)};
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA,
         .data.send_initial_metadata = {.count = 1, .metadata = &own}},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->message},
    };
    stream_start(stream, ops, 2, &stream->on_message);
    grpc_slice_unref(own.value);
}

/* A refused peer tries again for ever; it is worth one line. */
static void log_refusal(struct rpc_server *server, const struct err *e)
{
    pthread_mutex_lock(&server->lock);
    bool known = strcmp(server->refused, e->text) == 0;
    (void)snprintf(server->refused, sizeof(server->refused), "%s", e->text);
    pthread_mutex_unlock(&server->lock);
    if (!known)
        log_warn("a peer's stream is refused: %s", e->text);
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
    if (check_metadata(stream, &e) != 0) {
        log_refusal(stream->server, &e);
        stream_fail(stream, false, &e);
    } else if (!list_add(stream, &e)) {
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
