#include "raftstore/failpoint.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_identity.h"
#include "raftstore/rpc_server_private.h"
#include "raftstore/rpc_status.h"
#include "raftstore/snap_chunk.h"
#include "raftstore/snap_runner.h"
#include "raftstore/snap_runner_private.h"
#include "raftstore/snap_writer.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One call of TinyKv/Snapshot. The loop's thread takes it in or refuses it; one that
 * was taken in belongs to the snap thread from `on_begin` until the last of its
 * batches has ended. */
struct snap_receive {
    struct rpc_server *server;
    struct snap_runner *runner;
    void *handle;
    struct rpc_event on_request;
    struct rpc_event on_refused;

    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    struct transport_identity from;
    unsigned batches;
    int cancelled;
    grpc_byte_buffer *message; /* the chunk that came last */
    grpc_byte_buffer *answer;
    bool finished; /* the status is on its way, or nobody waits for it */
    struct snap_event on_begin;
    struct snap_event on_accepted;
    struct snap_event on_chunk;
    struct snap_event on_closed;
    struct snap_event on_finished;

    /* From the first chunk on. */
    struct wire_envelope envelope;
    struct raft_message raft;
    bool writing; /* `writer` has begun and not ended */
    struct snap_writer writer;
    uint64_t start_ns;
};

/* ---- life ---- */

static void receive_free(struct snap_receive *receive)
{
    struct rpc_server *server = receive->server;
    assert(!receive->writing);
    raft_message_release(&receive->raft);
    grpc_byte_buffer_destroy(receive->message);
    grpc_byte_buffer_destroy(receive->answer);
    grpc_metadata_array_destroy(&receive->metadata);
    if (receive->call != NULL)
        grpc_call_unref(receive->call);
    free(receive);
    rpc_server_object_removed(server);
}

static void start(struct snap_receive *receive, const grpc_op *ops, size_t count,
                  struct snap_event *event)
{
    receive->batches++;
    snap_event_start(event, receive->call, ops, count);
}

/* Each event of gRPC on the snap thread ends with this. */
static void batch_ended(struct snap_receive *receive)
{
    assert(receive->batches > 0);
    if (--receive->batches > 0)
        return;
    struct snap_runner *runner = receive->runner;
    for (size_t i = 0; i < SNAP_RECEIVES_MAX; i++) {
        if (runner->receives[i] == receive)
            runner->receives[i] = NULL;
    }
    receive_free(receive);
    pthread_mutex_lock(&runner->lock);
    runner->receive_count--;
    pthread_mutex_unlock(&runner->lock);
}

/* ---- the end ---- */

/* What has come is of no use. */
static void drop_files(struct snap_receive *receive)
{
    if (receive->writing)
        snap_writer_abort(&receive->writer);
    receive->writing = false;
}

static void log_failure(const struct snap_receive *receive, const char *words)
{
    if (receive->raft.snapshot == NULL)
        log_warn("a snapshot from store %" PRIu64 ": %s", receive->from.store_id, words);
    else
        log_warn("receiving the snapshot at index %" PRIu64 " from store %" PRIu64
                 " failed after %" PRIu64 " of %" PRIu64 " bytes: %s",
                 receive->raft.snapshot->index, receive->from.store_id, receive->writer.taken,
                 receive->writer.meta.total_bytes, words);
}

static void fail(struct snap_receive *receive, const struct err *e)
{
    receive->finished = true;
    log_failure(receive, e->text);
    drop_files(receive);
    grpc_slice words = grpc_slice_from_copied_string(e->text);
    grpc_metadata code = rpc_identity_code(e->code);
    grpc_op op = {
        .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
        .data.send_status_from_server = {.trailing_metadata_count = 1,
                                         .trailing_metadata = &code,
                                         .status = (grpc_status_code)rpc_status_from_code(e->code),
                                         .status_details = &words}};
    start(receive, &op, 1, &receive->on_finished);
    grpc_slice_unref(code.value);
    grpc_slice_unref(words);
}

static void answer_done(struct snap_receive *receive)
{
    receive->finished = true;
    receive->answer = rpc_buffer_copy(NULL, 0); /* a raft_serverpb.Done */
    grpc_slice words = grpc_empty_slice();
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = receive->answer},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.status = GRPC_STATUS_OK, .status_details = &words}},
    };
    start(receive, ops, 2, &receive->on_finished);
}

static void on_finished(struct snap_event *event, bool ok)
{
    (void)ok; /* the sender is gone: it asks again */
    batch_ended(SNAP_EVENT_OWNER(event, struct snap_receive, on_finished));
}

/* The sender has its answer, or is gone. */
static void on_closed(struct snap_event *event, bool ok)
{
    (void)ok;
    struct snap_receive *receive = SNAP_EVENT_OWNER(event, struct snap_receive, on_closed);
    if (!receive->finished) {
        receive->finished = true;
        log_failure(receive, "the call was ended");
        drop_files(receive);
    }
    batch_ended(receive);
}

void snap_receive_cancel(struct snap_receive *receive)
{
    grpc_call_cancel_with_status(receive->call, GRPC_STATUS_UNAVAILABLE, ke_text(KE_SHUTDOWN),
                                 NULL);
}

/* ---- chunks ---- */

static int check_message(const struct snap_receive *receive, struct err *e)
{
    const struct wire_envelope *envelope = &receive->envelope;
    int rc = rpc_identity_check_envelope(receive->server, &receive->from, envelope, e);
    if (rc != 0)
        return rc;
    if (receive->raft.type != RAFT_MESSAGE_SNAPSHOT || receive->raft.snapshot == NULL)
        return err_set(e, KE_INVALID, "the raft message has no snapshot");
    uint64_t region_id = receive->server->config.region_id;
    if (envelope->region_id != region_id)
        return err_set(e, KE_MISMATCH,
                       "a snapshot of region %" PRIu64 ", but this is region %" PRIu64,
                       envelope->region_id, region_id);
    return 0;
}

static int take_message(struct snap_receive *receive, const struct snap_chunk *chunk, struct err *e)
{
    if (chunk->message_size == 0)
        return err_set(e, KE_INVALID, "the first snapshot chunk has no raft message");
    struct snapshot_meta meta;
    int rc = wire_unpack_message(chunk->message, chunk->message_size, &receive->envelope,
                                 &receive->raft, e);
    if (rc == 0)
        rc = check_message(receive, e);
    if (rc == 0)
        rc = snapshot_unpack(receive->raft.snapshot, &meta, e);
    if (rc != 0)
        return rc;
    struct snap_id id = {.kind = SNAP_RECEIVED,
                         .region_id = receive->envelope.region_id,
                         .term = meta.term,
                         .index = meta.index};
    rc = snap_writer_begin(&receive->writer, receive->runner->config.files, &id, &meta, e);
    if (rc != 0)
        return rc;
    receive->writing = true;
    log_info("receiving the snapshot at index %" PRIu64 " of %" PRIu64 " bytes from store %" PRIu64,
             meta.index, meta.total_bytes, receive->from.store_id);
    FAILPOINT(snap_receive_begin);
    return 0;
}

static int take_chunk(struct snap_receive *receive, grpc_slice body, struct err *e)
{
    struct snap_chunk chunk;
    int rc = snap_chunk_read(GRPC_SLICE_START_PTR(body), GRPC_SLICE_LENGTH(body), &chunk, e);
    if (rc != 0)
        return rc;
    if (!receive->writing)
        return take_message(receive, &chunk, e);
    if (chunk.data_size == 0)
        return err_set(e, KE_INVALID, "a second raft message in one snapshot");
    rc = snap_writer_put(&receive->writer, chunk.data, chunk.data_size, e);
    FAILPOINT(snap_receive_chunk);
    return rc;
}

/* All is here: makes it durable and hands it over. */
static int take_end(struct snap_receive *receive, struct err *e)
{
    if (!receive->writing)
        return err_set(e, KE_INVALID, "the call carries no snapshot");
    int rc = snap_writer_commit(&receive->writer, e);
    if (rc != 0)
        return rc;
    receive->writing = false;
    FAILPOINT(snap_receive_synced);
    char speed[SNAP_SPEED_TEXT_MAX];
    log_info("received the snapshot at index %" PRIu64 " from store %" PRIu64 ": %s",
             receive->writer.id.index, receive->from.store_id,
             snap_speed_text(receive->writer.taken, receive->start_ns, speed));
    const struct snap_runner_config *config = &receive->runner->config;
    config->deliver(config->ctx, &receive->envelope, &receive->raft);
    FAILPOINT(snap_receive_end);
    return 0;
}

static void receive_next(struct snap_receive *receive)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &receive->message};
    start(receive, &op, 1, &receive->on_chunk);
}

static void on_chunk(struct snap_event *event, bool ok)
{
    struct snap_receive *receive = SNAP_EVENT_OWNER(event, struct snap_receive, on_chunk);
    grpc_byte_buffer *message = receive->message;
    receive->message = NULL;
    struct err e;
    int rc = 0;
    /* !ok: the stream is broken, and `on_closed` says so. */
    if (ok && !receive->finished && message != NULL) {
        /* The next one travels while this one is written. */
        receive_next(receive);
        grpc_slice body = rpc_buffer_read(message);
        rc = take_chunk(receive, body, &e);
        grpc_slice_unref(body);
    } else if (ok && !receive->finished) {
        rc = take_end(receive, &e);
        if (rc == 0)
            answer_done(receive);
    }
    grpc_byte_buffer_destroy(message);
    if (rc != 0)
        fail(receive, &e);
    batch_ended(receive);
}

/* ---- the start ---- */

static void on_accepted(struct snap_event *event, bool ok)
{
    (void)ok;
    batch_ended(SNAP_EVENT_OWNER(event, struct snap_receive, on_accepted));
}

static void take_place(struct snap_receive *receive)
{
    struct snap_receive **place = receive->runner->receives;
    while (*place != NULL)
        place++;
    assert(place < receive->runner->receives + SNAP_RECEIVES_MAX);
    *place = receive;
}

static void on_begin(struct snap_event *event, bool ok)
{
    (void)ok;
    struct snap_receive *receive = SNAP_EVENT_OWNER(event, struct snap_receive, on_begin);
    receive->start_ns = clock_ns();
    take_place(receive);
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                     .data.recv_close_on_server.cancelled = &receive->cancelled};
    start(receive, &close, 1, &receive->on_closed);
    grpc_metadata own = rpc_identity_accepts(receive->server->config.store_id);
    grpc_op accept = {.op = GRPC_OP_SEND_INITIAL_METADATA,
                      .data.send_initial_metadata = {.count = 1, .metadata = &own}};
    start(receive, &accept, 1, &receive->on_accepted);
    grpc_slice_unref(own.value);
    receive_next(receive);
}

/* ---- on the loop's thread ---- */

static void on_refused(struct rpc_event *event, bool ok)
{
    (void)ok;
    receive_free(RPC_EVENT_OWNER(event, struct snap_receive, on_refused));
}

static void refuse(struct snap_receive *receive, const struct err *e)
{
    grpc_slice words = grpc_slice_from_copied_string(e->text);
    grpc_metadata code = rpc_identity_code(e->code);
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
         .data.send_status_from_server = {.trailing_metadata_count = 1,
                                          .trailing_metadata = &code,
                                          .status = (grpc_status_code)rpc_status_from_code(e->code),
                                          .status_details = &words}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
         .data.recv_close_on_server.cancelled = &receive->cancelled},
    };
    rpc_queue_start(receive->call, ops, sizeof(ops) / sizeof(ops[0]), &receive->on_refused);
    grpc_slice_unref(code.value);
    grpc_slice_unref(words);
}

static int check_call(struct snap_receive *receive, struct err *e)
{
    const struct rpc_server_config *config = &receive->server->config;
    int rc = rpc_identity_check(receive->server, &receive->metadata, &receive->from, e);
    if (rc == 0)
        rc = config->admit(config->ctx, &receive->from, e);
    if (rc != 0)
        return rc;
    /* gRPC ends the call at the sender's deadline on this side too: so it is the sender
     * who bounds how long a place is taken. */
    gpr_timespec never = gpr_inf_future(receive->deadline.clock_type);
    if (gpr_time_cmp(receive->deadline, never) == 0)
        return err_set(e, KE_INVALID, "a snapshot needs a deadline");
    return 0;
}

/* To the snap thread, if it has a place. */
static int hand_over(struct snap_receive *receive, struct err *e)
{
    struct snap_runner *runner = receive->runner;
    int rc = 0;
    pthread_mutex_lock(&runner->lock);
    if (runner->stopping) {
        rc = err_set(e, KE_SHUTDOWN, "%s", ke_text(KE_SHUTDOWN));
    } else if (runner->receive_count == SNAP_RECEIVES_MAX) {
        rc = err_set(e, KE_BUSY, "too many snapshots are being received");
    } else {
        runner->receive_count++;
        snap_event_post(&receive->on_begin);
    }
    pthread_mutex_unlock(&runner->lock);
    return rc;
}

static void on_request(struct rpc_event *event, bool ok)
{
    struct snap_receive *receive = RPC_EVENT_OWNER(event, struct snap_receive, on_request);
    if (!ok) {
        /* The server shuts down; there is no call. */
        receive->call = NULL;
        receive_free(receive);
        return;
    }
    snap_receive_expect(receive->server, receive->handle);
    struct err e;
    int rc = check_call(receive, &e);
    if (rc == 0)
        rc = hand_over(receive, &e);
    if (rc != 0) {
        rpc_server_log_refusal(receive->server, &e);
        refuse(receive, &e);
    }
}

static struct snap_receive *receive_new(struct rpc_server *server, void *handle)
{
    struct snap_receive *receive = mem_zalloc(sizeof(*receive));
    struct snap_runner *runner = server->config.snap_runner;
    receive->server = server;
    receive->runner = runner;
    receive->handle = handle;
    receive->on_request.run = on_request;
    receive->on_refused.run = on_refused;
    raft_message_init(&receive->raft, RAFT_MESSAGE_SNAPSHOT);
    grpc_metadata_array_init(&receive->metadata);
    snap_event_init(&receive->on_begin, runner, on_begin);
    snap_event_init(&receive->on_accepted, runner, on_accepted);
    snap_event_init(&receive->on_chunk, runner, on_chunk);
    snap_event_init(&receive->on_closed, runner, on_closed);
    snap_event_init(&receive->on_finished, runner, on_finished);
    return receive;
}

void snap_receive_expect(struct rpc_server *server, void *handle)
{
    if (atomic_load(&server->stopping))
        return;
    struct snap_receive *receive = receive_new(server, handle);
    rpc_server_object_added(server);
    rpc_queue_announce(&receive->on_request);
    grpc_call_error rc = grpc_server_request_registered_call(
        server->server, handle, &receive->call, &receive->deadline, &receive->metadata, NULL,
        server->queue, server->queue, &receive->on_request);
    assert(rc == GRPC_CALL_OK);
}
