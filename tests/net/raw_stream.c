#include "raw_stream.h"

#include "raftstore/memory.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_identity.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 3600000

struct raw_stream {
    grpc_completion_queue *queue;
    grpc_channel *channel;
    grpc_call *call;
    unsigned pending;
    bool sent; /* whether the last send went well */
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_byte_buffer *answer;
    grpc_status_code status;
    grpc_slice words;
};

/* What an event is about, as its tag. */
enum raw_event { RAW_OTHER, RAW_SENT, RAW_STATUS };

static void start(struct raw_stream *stream, const grpc_op *op, enum raw_event event)
{
    static char tags[3];
    stream->pending++;
    grpc_call_error rc = grpc_call_start_batch(stream->call, op, 1, &tags[event], NULL);
    assert(rc == GRPC_CALL_OK);
    /* Serve the queue until it is done, except for what ends with the stream. */
    while (event == RAW_SENT) {
        grpc_event next =
            grpc_completion_queue_next(stream->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        stream->pending--;
        if (next.tag == &tags[RAW_SENT]) {
            stream->sent = next.success != 0;
            break;
        }
    }
}

/* How many items. */
static size_t write_identity(const struct raw_identity *identity, grpc_metadata *items)
{
    const char *texts[RPC_IDENTITY_ITEMS][2] = {{TRANSPORT_METADATA_CLUSTER, identity->cluster},
                                                {TRANSPORT_METADATA_STORE, identity->store},
                                                {TRANSPORT_METADATA_TO, identity->to},
                                                {TRANSPORT_METADATA_DATA, identity->data},
                                                {TRANSPORT_METADATA_ADDRESS, identity->address}};
    size_t count = 0;
    for (size_t i = 0; i < RPC_IDENTITY_ITEMS; i++) {
        if (texts[i][1] != NULL)
            items[count++] = (grpc_metadata){.key = grpc_slice_from_static_string(texts[i][0]),
                                             .value = grpc_slice_from_static_string(texts[i][1])};
    }
    return count;
}

static struct raw_stream *open_until(const char *address, const char *method,
                                     const struct raw_identity *identity, gpr_timespec deadline)
{
    struct raw_stream *stream = mem_zalloc(sizeof(*stream));
    rpc_base_init();
    struct rpc_args args;
    rpc_args_init_client(&args);
    stream->queue = grpc_completion_queue_create_for_next(NULL);
    stream->channel = rpc_channel_new(address, &args);
    stream->words = grpc_empty_slice();
    grpc_metadata_array_init(&stream->initial_metadata);
    grpc_metadata_array_init(&stream->trailing_metadata);
    stream->call =
        grpc_channel_create_call(stream->channel, NULL, GRPC_PROPAGATE_DEFAULTS, stream->queue,
                                 grpc_slice_from_static_string(method), NULL, deadline, NULL);
    grpc_metadata metadata[RPC_IDENTITY_ITEMS];
    size_t count = identity != NULL ? write_identity(identity, metadata) : 0;
    grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                      .data.recv_status_on_client = {
                          .trailing_metadata = &stream->trailing_metadata,
                          .status = &stream->status,
                          .status_details = &stream->words,
                      }};
    start(stream, &status, RAW_STATUS);
    grpc_op open = {.op = GRPC_OP_SEND_INITIAL_METADATA,
                    .data.send_initial_metadata = {.count = count, .metadata = metadata}};
    start(stream, &open, RAW_OTHER);
    grpc_op accept = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                      .data.recv_initial_metadata.recv_initial_metadata =
                          &stream->initial_metadata};
    start(stream, &accept, RAW_OTHER);
    grpc_op answer = {.op = GRPC_OP_RECV_MESSAGE,
                      .data.recv_message.recv_message = &stream->answer};
    start(stream, &answer, RAW_OTHER);
    return stream;
}

struct raw_stream *raw_stream_open(const char *address, const char *method,
                                   const struct raw_identity *identity)
{
    return open_until(address, method, identity,
                      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                   gpr_time_from_millis(DEADLINE_MS, GPR_TIMESPAN)));
}

struct raw_stream *raw_stream_open_endless(const char *address, const char *method,
                                           const struct raw_identity *identity)
{
    return open_until(address, method, identity, gpr_inf_future(GPR_CLOCK_MONOTONIC));
}

bool raw_stream_send(struct raw_stream *stream, const void *bytes, size_t size)
{
    grpc_byte_buffer *buffer = rpc_buffer_copy(bytes, size);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    start(stream, &op, RAW_SENT);
    grpc_byte_buffer_destroy(buffer);
    return stream->sent;
}

void raw_stream_half_close(struct raw_stream *stream)
{
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    start(stream, &op, RAW_OTHER);
}

int raw_stream_end_code(struct raw_stream *stream, char *words, int *ret_code)
{
    for (; stream->pending > 0; stream->pending--)
        (void)grpc_completion_queue_next(stream->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    int status = (int)stream->status;
    *ret_code = rpc_identity_refusal(&stream->trailing_metadata);
    size_t size = GRPC_SLICE_LENGTH(stream->words);
    size = size < RAW_STREAM_WORDS_MAX ? size : RAW_STREAM_WORDS_MAX - 1;
    memcpy(words, GRPC_SLICE_START_PTR(stream->words), size);
    words[size] = '\0';
    grpc_slice_unref(stream->words);
    grpc_byte_buffer_destroy(stream->answer);
    grpc_metadata_array_destroy(&stream->initial_metadata);
    grpc_metadata_array_destroy(&stream->trailing_metadata);
    grpc_call_unref(stream->call);
    grpc_channel_destroy(stream->channel);
    grpc_completion_queue_shutdown(stream->queue);
    while (
        grpc_completion_queue_next(stream->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
        GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(stream->queue);
    free(stream);
    rpc_base_shutdown();
    return status;
}

int raw_stream_end(struct raw_stream *stream, char *words)
{
    int code;
    return raw_stream_end_code(stream, words, &code);
}

void raw_stream_cancel(struct raw_stream *stream)
{
    char words[RAW_STREAM_WORDS_MAX];
    (void)grpc_call_cancel(stream->call, NULL);
    (void)raw_stream_end(stream, words);
}
