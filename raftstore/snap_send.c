#include "raftstore/failpoint.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_identity.h"
#include "raftstore/snap_chunk.h"
#include "raftstore/snap_runner.h"
#include "raftstore/snap_runner_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define MS_PER_S 1000u

/* One snapshot to one store: one call, with a channel of its own. The snap thread's,
 * from `on_begin` until the last of its batches has ended. */
struct snap_send {
    struct snap_runner *runner;
    char address[STORE_ADDRESS_MAX + 1];
    struct wire_envelope envelope;
    struct raft_message message;
    struct snap_id id;
    struct snapshot_meta meta;
    bool has_files; /* holds a reference to them */
    uint64_t start_ns;

    grpc_channel *channel;
    grpc_call *call;
    unsigned batches;
    bool connected;
    bool over; /* the call has its status: nothing more is sent */
    bool succeeded;

    /* What has been read: the files before `cf`, and `offset` bytes of that one. */
    size_t cf; /* CF_COUNT: all */
    int fd;    /* -1: not open */
    uint64_t offset;
    uint64_t read_bytes;
    grpc_byte_buffer *next;    /* read ahead; NULL: all is sent or being sent */
    size_t next_size;          /* of its payload */
    grpc_byte_buffer *sending; /* NULL: no chunk is on its way */
    bool half_closed;

    struct snap_event on_begin;
    struct snap_event on_connected;
    struct snap_event on_answered;
    struct snap_event on_sent;
    struct snap_event on_half_closed;
    struct snap_event on_ended;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_byte_buffer *answer;
    grpc_status_code status;
    grpc_slice reason;
};

/* ---- life ---- */

/* The report comes last: whoever gets it may send again at once. */
static void send_end(struct snap_send *send)
{
    struct snap_runner *runner = send->runner;
    uint64_t to_store = send->envelope.to_store;
    bool succeeded = send->succeeded;
    if (send->fd >= 0)
        (void)close(send->fd);
    if (send->has_files)
        snap_files_unref(runner->config.files, &send->id);
    grpc_byte_buffer_destroy(send->next);
    grpc_byte_buffer_destroy(send->sending);
    grpc_byte_buffer_destroy(send->answer);
    grpc_metadata_array_destroy(&send->initial_metadata);
    grpc_metadata_array_destroy(&send->trailing_metadata);
    grpc_slice_unref(send->reason);
    if (send->call != NULL)
        grpc_call_unref(send->call);
    if (send->channel != NULL)
        grpc_channel_destroy(send->channel);
    raft_message_release(&send->message);
    for (size_t i = 0; i < SNAP_SENDS_MAX; i++) {
        if (runner->sends[i] == send)
            runner->sends[i] = NULL;
    }
    free(send);
    pthread_mutex_lock(&runner->lock);
    runner->send_count--;
    pthread_mutex_unlock(&runner->lock);
    runner->config.sent(runner->config.ctx, to_store, succeeded);
}

static void log_failure(const struct snap_send *send, const char *words)
{
    log_warn("sending the snapshot at index %" PRIu64 " to store %" PRIu64
             " at %s failed after %" PRIu64 " of %" PRIu64 " bytes: %s",
             send->id.index, send->envelope.to_store, send->address, send->read_bytes,
             send->meta.total_bytes, words);
}

static void start(struct snap_send *send, const grpc_op *op, struct snap_event *event)
{
    send->batches++;
    snap_event_start(event, send->call, op, 1);
}

/* Each event of gRPC ends with this. */
static void batch_ended(struct snap_send *send)
{
    assert(send->batches > 0);
    if (--send->batches == 0)
        send_end(send);
}

/* For a reason of our own. The status that follows has it. */
static void give_up(struct snap_send *send, const char *words)
{
    send->over = true;
    grpc_call_cancel_with_status(send->call, GRPC_STATUS_ABORTED, words, NULL);
}

void snap_send_cancel(struct snap_send *send)
{
    give_up(send, ke_text(KE_SHUTDOWN));
}

/* ---- chunks ---- */

static void set_next(struct snap_send *send, grpc_slice *slices, size_t count, size_t size)
{
    send->next = grpc_raw_byte_buffer_create(slices, count);
    send->next_size = size;
    for (size_t i = 0; i < count; i++)
        grpc_slice_unref(slices[i]);
}

static void make_message_chunk(struct snap_send *send)
{
    uint8_t *bytes, head[SNAP_CHUNK_HEAD_MAX];
    size_t size;
    wire_pack_message(&send->envelope, &send->message, &bytes, &size);
    size_t head_size = snap_chunk_message_head(head, size);
    grpc_slice slices[] = {
        grpc_slice_from_copied_buffer((const char *)head, head_size),
        grpc_slice_new_with_user_data(bytes, size, free, bytes),
    };
    set_next(send, slices, sizeof(slices) / sizeof(slices[0]), size);
}

static int open_file(struct snap_send *send, struct err *e)
{
    char path[PATH_MAX];
    snap_files_path(send->runner->config.files, &send->id, (enum engine_cf)send->cf, false, path);
    send->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (send->fd < 0)
        return err_set(e, KE_IO, "cannot open %s: %s", path, strerror(errno));
    send->offset = 0;
    return 0;
}

static int read_file(struct snap_send *send, uint8_t *out, size_t size, struct err *e)
{
    for (size_t done = 0; done < size;) {
        ssize_t count =
            pread(send->fd, out + done, size - done, (off_t)(send->offset + (uint64_t)done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return err_set(e, KE_IO, "cannot read a snapshot file: %s", strerror(errno));
        if (count == 0)
            return err_set(e, KE_CORRUPT, "a snapshot file is shorter than it was");
        done += (size_t)count;
    }
    return 0;
}

static void make_data_chunk(struct snap_send *send, grpc_slice payload)
{
    size_t size = GRPC_SLICE_LENGTH(payload);
    uint8_t head[SNAP_CHUNK_HEAD_MAX], tail[SNAP_CHUNK_TAIL_MAX];
    size_t head_size = snap_chunk_data_head(head, size);
    size_t tail_size = snap_chunk_data_tail(tail, XXH32(GRPC_SLICE_START_PTR(payload), size, 0));
    grpc_slice slices[] = {
        grpc_slice_from_copied_buffer((const char *)head, head_size),
        payload,
        grpc_slice_from_copied_buffer((const char *)tail, tail_size),
    };
    set_next(send, slices, sizeof(slices) / sizeof(slices[0]), size);
}

/* The next piece of the files as a chunk; no chunk when all has been read. */
static int read_ahead(struct snap_send *send, struct err *e)
{
    assert(send->next == NULL);
    while (send->cf < CF_COUNT && send->meta.files[send->cf].size == 0)
        send->cf++;
    if (send->cf == CF_COUNT)
        return 0;
    int rc = send->fd < 0 ? open_file(send, e) : 0;
    if (rc != 0)
        return rc;
    uint64_t left = send->meta.files[send->cf].size - send->offset;
    size_t size = left < SNAP_CHUNK_SIZE ? (size_t)left : SNAP_CHUNK_SIZE;
    grpc_slice payload = grpc_slice_malloc(size);
    rc = read_file(send, GRPC_SLICE_START_PTR(payload), size, e);
    if (rc != 0) {
        grpc_slice_unref(payload);
        return rc;
    }
    make_data_chunk(send, payload);
    send->offset += size;
    send->read_bytes += size;
    if (size == left) {
        (void)close(send->fd);
        send->fd = -1;
        send->cf++;
    }
    return 0;
}

/* ---- sending ---- */

static void half_close(struct snap_send *send)
{
    send->half_closed = true;
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    start(send, &op, &send->on_half_closed);
}

static void send_next(struct snap_send *send, uint64_t now_ns)
{
    send->sending = send->next;
    send->next = NULL;
    snap_rate_take(&send->runner->rate, now_ns, send->next_size);
    send->runner->turn++;
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = send->sending};
    start(send, &op, &send->on_sent);
    struct err e;
    if (read_ahead(send, &e) != 0)
        give_up(send, e.text);
}

uint64_t snap_send_attend(struct snap_send *send, uint64_t now_ns)
{
    if (send->over || !send->connected || send->sending != NULL || send->half_closed)
        return UINT64_MAX;
    if (send->next == NULL) {
        half_close(send);
        return UINT64_MAX;
    }
    uint64_t wait_ns = snap_rate_wait_ns(&send->runner->rate, now_ns);
    if (wait_ns > 0)
        return wait_ns;
    send_next(send, now_ns);
    return UINT64_MAX;
}

/* ---- events ---- */

static void on_connected(struct snap_event *event, bool ok)
{
    struct snap_send *send = SNAP_EVENT_OWNER(event, struct snap_send, on_connected);
    send->connected = ok;
    batch_ended(send);
}

static void on_answered(struct snap_event *event, bool ok)
{
    (void)ok; /* the status says it */
    batch_ended(SNAP_EVENT_OWNER(event, struct snap_send, on_answered));
}

static void on_sent(struct snap_event *event, bool ok)
{
    struct snap_send *send = SNAP_EVENT_OWNER(event, struct snap_send, on_sent);
    grpc_byte_buffer_destroy(send->sending);
    send->sending = NULL;
    /* After a failure only the status comes; it says why. */
    send->connected = send->connected && ok;
    FAILPOINT(snap_send_chunk);
    batch_ended(send);
}

static void on_half_closed(struct snap_event *event, bool ok)
{
    (void)ok;
    batch_ended(SNAP_EVENT_OWNER(event, struct snap_send, on_half_closed));
}

/* The end of the call, always: answered, refused, broken, too late or cancelled. */
static void on_ended(struct snap_event *event, bool ok)
{
    (void)ok;
    struct snap_send *send = SNAP_EVENT_OWNER(event, struct snap_send, on_ended);
    send->succeeded = send->status == GRPC_STATUS_OK;
    send->over = true;
    FAILPOINT(snap_send_end);
    if (send->succeeded) {
        char speed[SNAP_SPEED_TEXT_MAX];
        log_info("sent the snapshot at index %" PRIu64 " to store %" PRIu64 " at %s: %s",
                 send->id.index, send->envelope.to_store, send->address,
                 snap_speed_text(send->meta.total_bytes, send->start_ns, speed));
    } else {
        char *words = grpc_slice_to_c_string(send->reason);
        log_failure(send, words);
        gpr_free(words);
    }
    batch_ended(send);
}

/* ---- start ---- */

static gpr_timespec deadline_of(const struct snap_send *send)
{
    /* Sends share the rate; half of a share is leeway. */
    uint64_t rate = send->runner->rate.bytes / SNAP_SENDS_MAX / 2;
    uint64_t slowest = rate > 0 && rate < SNAP_SLOWEST_BYTES ? rate : SNAP_SLOWEST_BYTES;
    uint64_t ms = SNAP_DEADLINE_MS + send->meta.total_bytes / slowest * MS_PER_S;
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis((int64_t)ms, GPR_TIMESPAN));
}

static void start_connect(struct snap_send *send)
{
    struct rpc_identity identity;
    rpc_identity_init(&identity, &send->runner->config.identity, send->envelope.to_store);
    grpc_op op = {
        .op = GRPC_OP_SEND_INITIAL_METADATA,
        .data.send_initial_metadata = {.count = RPC_IDENTITY_ITEMS, .metadata = identity.items},
    };
    start(send, &op, &send->on_connected);
    rpc_identity_release(&identity);
}

static void start_call(struct snap_send *send)
{
    struct rpc_args args;
    rpc_args_init_bulk(&args);
    send->channel = rpc_channel_new(send->address, &args);
    send->call = grpc_channel_create_call(
        send->channel, NULL, GRPC_PROPAGATE_DEFAULTS, rpc_loop_queue(send->runner->config.loop),
        grpc_slice_from_static_string(SNAP_METHOD), NULL, deadline_of(send), NULL);
    assert(send->call != NULL);
    /* The status comes in a batch of its own: it completes whatever the others do. */
    grpc_op status = {
        .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
        .data.recv_status_on_client = {.trailing_metadata = &send->trailing_metadata,
                                       .status = &send->status,
                                       .status_details = &send->reason},
    };
    start(send, &status, &send->on_ended);
    start_connect(send);
    grpc_op answer[] = {
        {.op = GRPC_OP_RECV_INITIAL_METADATA,
         .data.recv_initial_metadata.recv_initial_metadata = &send->initial_metadata},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &send->answer},
    };
    send->batches++;
    snap_event_start(&send->on_answered, send->call, answer, 2);
}

static int prepare(struct snap_send *send, struct err *e)
{
    int rc = snapshot_unpack(send->message.snapshot, &send->meta, e);
    if (rc != 0)
        return rc;
    send->has_files = snap_files_ref(send->runner->config.files, &send->id);
    if (!send->has_files)
        return err_set(e, KE_NOT_FOUND, "its files are gone");
    make_message_chunk(send);
    return 0;
}

static void take_place(struct snap_send *send)
{
    struct snap_send **place = send->runner->sends;
    while (*place != NULL)
        place++;
    assert(place < send->runner->sends + SNAP_SENDS_MAX);
    *place = send;
}

static void on_begin(struct snap_event *event, bool ok)
{
    (void)ok;
    struct snap_send *send = SNAP_EVENT_OWNER(event, struct snap_send, on_begin);
    struct err e;
    send->start_ns = clock_ns();
    if (prepare(send, &e) != 0) {
        log_failure(send, e.text);
        send_end(send);
        return;
    }
    log_info("sending the snapshot at index %" PRIu64 " of %" PRIu64 " bytes to store %" PRIu64
             " at %s",
             send->id.index, send->meta.total_bytes, send->envelope.to_store, send->address);
    take_place(send);
    start_call(send);
}

static struct snap_send *send_new(struct snap_runner *runner, const char *address,
                                  const struct wire_envelope *envelope,
                                  const struct raft_message *message)
{
    struct snap_send *send = mem_zalloc(sizeof(*send));
    send->runner = runner;
    send->envelope = *envelope;
    send->fd = -1;
    send->reason = grpc_empty_slice();
    send->id = (struct snap_id){.kind = SNAP_GENERATED,
                                .region_id = envelope->region_id,
                                .term = message->snapshot->term,
                                .index = message->snapshot->index};
    assert(strlen(address) <= STORE_ADDRESS_MAX);
    memcpy(send->address, address, strlen(address) + 1);
    if (raft_message_copy(&send->message, message) != 0)
        log_fatal("out of memory: a snapshot message");
    grpc_metadata_array_init(&send->initial_metadata);
    grpc_metadata_array_init(&send->trailing_metadata);
    snap_event_init(&send->on_begin, runner, on_begin);
    snap_event_init(&send->on_connected, runner, on_connected);
    snap_event_init(&send->on_answered, runner, on_answered);
    snap_event_init(&send->on_sent, runner, on_sent);
    snap_event_init(&send->on_half_closed, runner, on_half_closed);
    snap_event_init(&send->on_ended, runner, on_ended);
    return send;
}

void snap_runner_send(struct snap_runner *runner, const char *address,
                      const struct wire_envelope *envelope, const struct raft_message *message)
{
    assert(message->type == RAFT_MESSAGE_SNAPSHOT && message->snapshot != NULL);
    pthread_mutex_lock(&runner->lock);
    bool taken = !runner->stopping && runner->send_count < SNAP_SENDS_MAX;
    if (taken) {
        runner->send_count++;
        snap_event_post(&send_new(runner, address, envelope, message)->on_begin);
    }
    pthread_mutex_unlock(&runner->lock);
    if (!taken)
        runner->config.sent(runner->config.ctx, envelope->to_store, false);
}
