#include "raftstore/transport.h"

#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/rpc_base.h"
#include "raftstore/rpc_identity.h"
#include "raftstore/rpc_queue.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRANSPORT_METHOD    "/tinykvpb.TinyKv/Raft"
#define TRANSPORT_PEERS_MAX RAFT_MEMBERS_MAX
/* Of these, stores that are known only because they called here. */
#define TRANSPORT_LEARNED_MAX STORE_MEMBERS_MAX

/* Wait before a stream is opened again: doubles from the first to the second. */
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 500
#define NS_PER_MS    1000000ull

#define REASON_TEXT_MAX 256

/* Messages on their way, oldest first: a ring of packed messages. */
struct send_queue {
    grpc_byte_buffer *slots[TRANSPORT_QUEUE_MESSAGES_MAX];
    size_t head;
    size_t count;
    size_t bytes;
};

/* One call to a peer, from its first batch to the end of its last. A stream that
 * ended is never used again: the peer gets a new one. All fields are guarded by
 * the peer's lock; gRPC writes the results it was given before `run`. */
struct stream {
    struct transport_peer *peer;
    grpc_call *call;
    unsigned batches; /* under way; the last one to end frees the stream */
    bool connected;   /* has a connection: messages may be sent */

    struct rpc_event on_connected;
    struct rpc_event on_accepted;
    struct rpc_event on_answered;
    struct rpc_event on_sent;
    struct rpc_event on_ended;

    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_byte_buffer *answer;
    grpc_byte_buffer *sending; /* NULL: no message is being sent */
    grpc_status_code status;
    grpc_slice reason;
};

struct transport_peer {
    struct transport *transport;
    uint64_t store_id;
    /* Held by the table, by each stream, and by whoever uses the peer at the moment.
     * The last one frees it. */
    atomic_uint refs;
    bool learned; /* guarded by the transport's lock */

    pthread_mutex_t lock; /* guards what follows */
    char *address;
    grpc_channel *channel;
    struct stream *stream; /* NULL: none; opened again at `retry_ns` */
    struct send_queue queue;
    uint64_t retry_ns;
    unsigned failures; /* in a row */
    bool unreachable;  /* to be reported */
    int refused;       /* the code, to be reported; 0: none */
    bool closing;
    char reason[REASON_TEXT_MAX]; /* the failure logged last; "" after a success */
};

struct transport {
    struct transport_config config;

    pthread_mutex_t lock; /* guards what follows; taken before a peer's */
    struct transport_peer *peers[TRANSPORT_PEERS_MAX];
    size_t peer_count;
    size_t learned_count; /* of these */
    size_t alive_count;   /* these and those that were removed and are ending */
    pthread_cond_t peer_ended;
};

/* ---- the queue ---- */

static bool send_queue_fits(const struct send_queue *queue, size_t size)
{
    return queue->count < TRANSPORT_QUEUE_MESSAGES_MAX &&
           queue->bytes + size <= TRANSPORT_QUEUE_BYTES_MAX;
}

static void send_queue_push(struct send_queue *queue, grpc_byte_buffer *message)
{
    queue->slots[(queue->head + queue->count) % TRANSPORT_QUEUE_MESSAGES_MAX] = message;
    queue->count++;
    queue->bytes += grpc_byte_buffer_length(message);
}

static grpc_byte_buffer *send_queue_pop(struct send_queue *queue)
{
    assert(queue->count > 0);
    grpc_byte_buffer *message = queue->slots[queue->head];
    queue->head = (queue->head + 1) % TRANSPORT_QUEUE_MESSAGES_MAX;
    queue->count--;
    queue->bytes -= grpc_byte_buffer_length(message);
    return message;
}

static void send_queue_clear(struct send_queue *queue)
{
    while (queue->count > 0)
        grpc_byte_buffer_destroy(send_queue_pop(queue));
}

/* ---- life of a peer ---- */

static struct transport_peer *peer_new(struct transport *transport, uint64_t store_id)
{
    struct transport_peer *peer = mem_zalloc(sizeof(*peer));
    peer->transport = transport;
    peer->store_id = store_id;
    atomic_init(&peer->refs, 1);
    pthread_mutex_init(&peer->lock, NULL);
    return peer;
}

static void peer_ref(struct transport_peer *peer)
{
    atomic_fetch_add(&peer->refs, 1);
}

/* Without any lock. */
static void peer_unref(struct transport_peer *peer)
{
    if (atomic_fetch_sub(&peer->refs, 1) != 1)
        return;
    struct transport *transport = peer->transport;
    assert(peer->stream == NULL && peer->queue.count == 0);
    grpc_channel_destroy(peer->channel);
    pthread_mutex_destroy(&peer->lock);
    free(peer->address);
    free(peer);
    pthread_mutex_lock(&transport->lock);
    transport->alive_count--;
    pthread_cond_signal(&transport->peer_ended);
    pthread_mutex_unlock(&transport->lock);
}

/* ---- one stream ---- */

static void stream_start(struct stream *stream, const grpc_op *op, struct rpc_event *event)
{
    stream->batches++;
    rpc_queue_start(stream->call, op, 1, event);
}

/* Each event handler ends with this. The peer's lock is held, and released. */
static void stream_batch_ended(struct stream *stream)
{
    struct transport_peer *peer = stream->peer;
    assert(stream->batches > 0);
    bool ended = --stream->batches == 0;
    pthread_mutex_unlock(&peer->lock);
    if (!ended)
        return;
    grpc_call_unref(stream->call);
    grpc_metadata_array_destroy(&stream->initial_metadata);
    grpc_metadata_array_destroy(&stream->trailing_metadata);
    grpc_byte_buffer_destroy(stream->answer);
    grpc_slice_unref(stream->reason);
    free(stream);
    peer_unref(peer);
}

/* Whether there is a message to send, and none under way; it is taken from the queue
 * then. All but the last of a burst only fill gRPC's buffer: one system call sends
 * them together. */
static bool stream_next_op(struct stream *stream, grpc_op *ret_op)
{
    struct send_queue *queue = &stream->peer->queue;
    bool current = stream->peer->stream == stream;
    if (!current || !stream->connected || stream->sending != NULL || queue->count == 0)
        return false;
    stream->sending = send_queue_pop(queue);
    *ret_op = (grpc_op){
        .op = GRPC_OP_SEND_MESSAGE,
        .flags = queue->count > 0 ? GRPC_WRITE_BUFFER_HINT : 0,
        .data.send_message.send_message = stream->sending,
    };
    return true;
}

static void stream_send_next(struct stream *stream)
{
    grpc_op op;
    if (stream_next_op(stream, &op))
        stream_start(stream, &op, &stream->on_sent);
}

/* The same from outside of the loop's thread, which is not woken when the message has
 * left at once. */
static struct rpc_ended stream_send_here(struct stream *stream)
{
    grpc_op op;
    if (!stream_next_op(stream, &op))
        return (struct rpc_ended){0};
    stream->batches++;
    return rpc_queue_start_here(rpc_loop_queue(stream->peer->transport->config.loop), stream->call,
                                &op, 1, &stream->on_sent);
}

static void on_connected(struct rpc_event *event, bool ok)
{
    struct stream *stream = RPC_EVENT_OWNER(event, struct stream, on_connected);
    struct transport_peer *peer = stream->peer;
    pthread_mutex_lock(&peer->lock);
    stream->connected = ok;
    stream_send_next(stream);
    stream_batch_ended(stream);
}

static bool metadata_has(const grpc_metadata_array *metadata, const char *key)
{
    for (size_t i = 0; i < metadata->count; i++) {
        if (grpc_slice_str_cmp(metadata->metadata[i].key, key) == 0)
            return true;
    }
    return false;
}

/* A receiver that took the stream names itself; one that refuses does not. */
static void on_accepted(struct rpc_event *event, bool ok)
{
    struct stream *stream = RPC_EVENT_OWNER(event, struct stream, on_accepted);
    struct transport_peer *peer = stream->peer;
    pthread_mutex_lock(&peer->lock);
    bool current = peer->stream == stream;
    if (ok && current && metadata_has(&stream->initial_metadata, TRANSPORT_METADATA_STORE)) {
        log_info("connected to store %" PRIu64 " at %s", peer->store_id, peer->address);
        peer->failures = 0;
        peer->reason[0] = '\0';
    }
    stream_batch_ended(stream);
}

static void on_answered(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct stream *stream = RPC_EVENT_OWNER(event, struct stream, on_answered);
    struct transport_peer *peer = stream->peer;
    pthread_mutex_lock(&peer->lock);
    stream_batch_ended(stream);
}

static void on_sent(struct rpc_event *event, bool ok)
{
    struct stream *stream = RPC_EVENT_OWNER(event, struct stream, on_sent);
    struct transport_peer *peer = stream->peer;
    pthread_mutex_lock(&peer->lock);
    grpc_byte_buffer_destroy(stream->sending);
    stream->sending = NULL;
    /* After a failure only the status comes; it says why. */
    stream->connected = stream->connected && ok;
    stream_send_next(stream);
    stream_batch_ended(stream);
}

/* Once a reason, not once a try. */
static void peer_log_failure(struct transport_peer *peer, const struct stream *stream)
{
    char *text = grpc_slice_to_c_string(stream->reason);
    if (strncmp(text, peer->reason, REASON_TEXT_MAX - 1) != 0) {
        (void)snprintf(peer->reason, REASON_TEXT_MAX, "%s", text);
        if (stream->status == GRPC_STATUS_UNAVAILABLE)
            log_warn("no connection to store %" PRIu64 " at %s: %s; trying again", peer->store_id,
                     peer->address, peer->reason);
        else
            log_error("store %" PRIu64 " at %s refuses messages: %s", peer->store_id, peer->address,
                      peer->reason);
    }
    gpr_free(text);
}

static void peer_schedule_retry(struct transport_peer *peer)
{
    uint64_t wait_ms = RETRY_MIN_MS;
    for (unsigned i = 0; i < peer->failures && wait_ms < RETRY_MAX_MS; i++)
        wait_ms *= 2;
    peer->failures++;
    peer->retry_ns = clock_ns() + (wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS) * NS_PER_MS;
}

/* The end of the call, always: refused, broken, answered or cancelled. */
static void on_ended(struct rpc_event *event, bool ok)
{
    (void)ok;
    struct stream *stream = RPC_EVENT_OWNER(event, struct stream, on_ended);
    struct transport_peer *peer = stream->peer;
    pthread_mutex_lock(&peer->lock);
    if (peer->stream == stream) {
        peer->stream = NULL;
        send_queue_clear(&peer->queue);
        if (!peer->closing) {
            int code = rpc_identity_refusal(&stream->trailing_metadata);
            peer_log_failure(peer, stream);
            peer_schedule_retry(peer);
            peer->unreachable = true;
            peer->refused = code == KE_REMOVED || code == KE_WIPED ? code : 0;
        }
    }
    stream_batch_ended(stream);
}

static struct stream *stream_new(struct transport_peer *peer)
{
    struct stream *stream = mem_zalloc(sizeof(*stream));
    stream->peer = peer;
    peer_ref(peer);
    stream->on_connected.run = on_connected;
    stream->on_accepted.run = on_accepted;
    stream->on_answered.run = on_answered;
    stream->on_sent.run = on_sent;
    stream->on_ended.run = on_ended;
    grpc_metadata_array_init(&stream->initial_metadata);
    grpc_metadata_array_init(&stream->trailing_metadata);
    stream->reason = grpc_empty_slice();
    stream->call = grpc_channel_create_call(peer->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                            rpc_loop_queue(peer->transport->config.loop),
                                            grpc_slice_from_static_string(TRANSPORT_METHOD), NULL,
                                            gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    assert(stream->call != NULL);
    return stream;
}

static void stream_start_connect(struct stream *stream)
{
    struct transport_peer *peer = stream->peer;
    struct rpc_identity identity;
    rpc_identity_init(&identity, &peer->transport->config.identity, peer->store_id);
    grpc_op op = {
        .op = GRPC_OP_SEND_INITIAL_METADATA,
        .data.send_initial_metadata = {.count = RPC_IDENTITY_ITEMS, .metadata = identity.items},
    };
    stream_start(stream, &op, &stream->on_connected);
    rpc_identity_release(&identity);
}

/* Under the peer's lock; the peer has no stream. */
static void peer_open_stream(struct transport_peer *peer)
{
    assert(peer->stream == NULL && !peer->closing);
    struct stream *stream = stream_new(peer);
    peer->stream = stream;
    /* The status comes in a batch of its own: it completes whatever the others do. */
    grpc_op status = {
        .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
        .data.recv_status_on_client = {.trailing_metadata = &stream->trailing_metadata,
                                       .status = &stream->status,
                                       .status_details = &stream->reason},
    };
    stream_start(stream, &status, &stream->on_ended);
    stream_start_connect(stream);
    grpc_op accept = {
        .op = GRPC_OP_RECV_INITIAL_METADATA,
        .data.recv_initial_metadata.recv_initial_metadata = &stream->initial_metadata,
    };
    stream_start(stream, &accept, &stream->on_accepted);
    grpc_op answer = {
        .op = GRPC_OP_RECV_MESSAGE,
        .data.recv_message.recv_message = &stream->answer,
    };
    stream_start(stream, &answer, &stream->on_answered);
}

/* The stream, if any, ends by itself; it is no longer the peer's. */
static void peer_drop_stream(struct transport_peer *peer)
{
    if (peer->stream != NULL)
        grpc_call_cancel(peer->stream->call, NULL);
    peer->stream = NULL;
    send_queue_clear(&peer->queue);
}

/* ---- now and then ---- */

/* Opens what is due and reports what was lost. Returns when to come again. */
static uint64_t peer_attend(struct transport_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    if (peer->stream == NULL && !peer->closing && peer->retry_ns <= clock_ns()) {
        /* The waits are ours: those of gRPC are longer, up to minutes before it looks a
         * name up again, and a stream that is opened meanwhile fails or sits through them. */
        grpc_channel_reset_connect_backoff(peer->channel);
        peer_open_stream(peer);
    }
    bool unreachable = peer->unreachable && !peer->closing;
    int refused = !peer->closing ? peer->refused : 0;
    peer->unreachable = false;
    peer->refused = 0;
    bool waits = peer->stream == NULL && !peer->closing;
    uint64_t next_ns = waits ? peer->retry_ns : UINT64_MAX;
    pthread_mutex_unlock(&peer->lock);

    const struct transport_config *config = &peer->transport->config;
    if (unreachable)
        config->unreachable(config->ctx, peer->store_id);
    if (refused != 0)
        config->refused(config->ctx, peer->store_id, refused);
    return next_ns;
}

static uint64_t transport_attend(void *ctx)
{
    struct transport *transport = ctx;
    struct transport_peer *peers[TRANSPORT_PEERS_MAX];
    pthread_mutex_lock(&transport->lock);
    size_t count = transport->peer_count;
    for (size_t i = 0; i < count; i++) {
        peers[i] = transport->peers[i];
        peer_ref(peers[i]);
    }
    pthread_mutex_unlock(&transport->lock);

    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t peer_ns = peer_attend(peers[i]);
        peer_unref(peers[i]);
        next_ns = peer_ns < next_ns ? peer_ns : next_ns;
    }
    return next_ns;
}

/* ---- the interface ---- */

struct transport *transport_new(const struct transport_config *config)
{
    assert(config->unreachable != NULL && config->refused != NULL);
    struct transport *transport = mem_zalloc(sizeof(*transport));
    transport->config = *config;
    pthread_mutex_init(&transport->lock, NULL);
    thread_cond_init(&transport->peer_ended);
    rpc_loop_attend(config->loop, transport_attend, transport);
    return transport;
}

/* The place of a store in the table, or the count. Under the lock. */
static size_t find_place(const struct transport *transport, uint64_t store_id)
{
    size_t place = 0;
    while (place < transport->peer_count && transport->peers[place]->store_id != store_id)
        place++;
    return place;
}

/* With a reference; NULL: no such store. */
static struct transport_peer *find_peer(struct transport *transport, uint64_t store_id)
{
    struct transport_peer *peer = NULL;
    pthread_mutex_lock(&transport->lock);
    size_t place = find_place(transport, store_id);
    if (place < transport->peer_count) {
        peer = transport->peers[place];
        peer_ref(peer);
    }
    pthread_mutex_unlock(&transport->lock);
    return peer;
}

/* Under the lock. */
static struct transport_peer *add_peer(struct transport *transport, uint64_t store_id, bool learned)
{
    assert(transport->peer_count < TRANSPORT_PEERS_MAX);
    struct transport_peer *peer = peer_new(transport, store_id);
    peer->learned = learned;
    transport->learned_count += learned;
    transport->alive_count++;
    transport->peers[transport->peer_count++] = peer;
    return peer;
}

/* Takes one out of the table, and its reference with it. */
static struct transport_peer *take_out(struct transport *transport, size_t place)
{
    struct transport_peer *peer = transport->peers[place];
    transport->learned_count -= peer->learned;
    transport->peers[place] = transport->peers[--transport->peer_count];
    return peer;
}

static void peer_close(struct transport_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->closing = true;
    peer_drop_stream(peer);
    pthread_mutex_unlock(&peer->lock);
    peer_unref(peer);
}

void transport_remove(struct transport *transport, uint64_t store_id)
{
    struct transport_peer *peer = NULL;
    pthread_mutex_lock(&transport->lock);
    size_t place = find_place(transport, store_id);
    if (place < transport->peer_count)
        peer = take_out(transport, place);
    pthread_mutex_unlock(&transport->lock);
    if (peer != NULL)
        peer_close(peer);
}

void transport_free(struct transport *transport)
{
    if (transport == NULL)
        return;
    rpc_loop_attend(transport->config.loop, NULL, NULL);
    while (transport->peer_count > 0)
        peer_close(take_out(transport, 0));
    pthread_mutex_lock(&transport->lock);
    while (transport->alive_count > 0)
        pthread_cond_wait(&transport->peer_ended, &transport->lock);
    pthread_mutex_unlock(&transport->lock);
    pthread_cond_destroy(&transport->peer_ended);
    pthread_mutex_destroy(&transport->lock);
    free(transport);
}

/* Under the peer's lock. */
static void peer_set_address(struct transport_peer *peer, const char *address)
{
    if (peer->address != NULL && strcmp(peer->address, address) == 0)
        return;
    peer_drop_stream(peer);
    if (peer->channel != NULL)
        grpc_channel_destroy(peer->channel);
    free(peer->address);
    peer->address = mem_strdup(address);
    struct rpc_args args;
    rpc_args_init_peer(&args);
    peer->channel = rpc_channel_new(address, &args);
    peer->failures = 0;
    peer->reason[0] = '\0';
    peer_open_stream(peer);
}

void transport_set_address(struct transport *transport, uint64_t store_id, const char *address)
{
    pthread_mutex_lock(&transport->lock);
    size_t place = find_place(transport, store_id);
    struct transport_peer *peer = place < transport->peer_count
                                      ? transport->peers[place]
                                      : add_peer(transport, store_id, false);
    transport->learned_count -= peer->learned;
    peer->learned = false;
    pthread_mutex_lock(&peer->lock);
    peer_set_address(peer, address);
    pthread_mutex_unlock(&peer->lock);
    pthread_mutex_unlock(&transport->lock);
}

/* A store that has called is there: no need to wait for the next try. */
static void peer_try_now(struct transport_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    if (!peer->closing) {
        peer->retry_ns = 0;
        /* It may not listen yet: then the next try comes soon too. */
        peer->failures = 0;
        /* A stream may be open already, and wait for gRPC's own next try. */
        grpc_channel_reset_connect_backoff(peer->channel);
    }
    pthread_mutex_unlock(&peer->lock);
}

void transport_learn_address(struct transport *transport, uint64_t store_id, const char *address)
{
    pthread_mutex_lock(&transport->lock);
    size_t place = find_place(transport, store_id);
    if (place < transport->peer_count) {
        peer_try_now(transport->peers[place]);
    } else if (transport->learned_count < TRANSPORT_LEARNED_MAX) {
        struct transport_peer *peer = add_peer(transport, store_id, true);
        pthread_mutex_lock(&peer->lock);
        peer_set_address(peer, address);
        pthread_mutex_unlock(&peer->lock);
    }
    pthread_mutex_unlock(&transport->lock);
    rpc_loop_wake(transport->config.loop);
}

static bool peer_takes(struct transport_peer *peer, size_t size)
{
    bool open = peer->stream != NULL && peer->stream->connected;
    bool takes = open && send_queue_fits(&peer->queue, size);
    peer->unreachable = peer->unreachable || !takes;
    return takes;
}

/* Whether it is worth packing a message; what is dropped is noted. */
static bool peer_is_open(struct transport_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    bool open = peer_takes(peer, 0);
    pthread_mutex_unlock(&peer->lock);
    return open;
}

/* `*message` is taken and nulled when there is room, else it is noted as dropped. */
static bool peer_send(struct transport_peer *peer, grpc_byte_buffer **message)
{
    struct rpc_ended ended = {0};
    pthread_mutex_lock(&peer->lock);
    bool taken = peer_takes(peer, grpc_byte_buffer_length(*message));
    if (taken) {
        send_queue_push(&peer->queue, *message);
        *message = NULL;
        ended = stream_send_here(peer->stream);
    }
    pthread_mutex_unlock(&peer->lock);
    if (ended.event != NULL)
        ended.event->run(ended.event, ended.ok);
    return taken;
}

static bool pack_and_send(struct transport_peer *peer, const struct wire_envelope *envelope,
                          const struct raft_message *message)
{
    if (!peer_is_open(peer))
        return false;
    uint8_t *bytes;
    size_t size;
    wire_pack_message(envelope, message, &bytes, &size);
    if (size > WIRE_MESSAGE_MAX) {
        /* The receiver would end the stream, and the next try would too. */
        log_error("a message to store %" PRIu64 " has %zu bytes, at most %u can be sent",
                  peer->store_id, size, WIRE_MESSAGE_MAX);
        free(bytes);
        return false;
    }
    grpc_byte_buffer *buffer = rpc_buffer_take(&bytes, size);
    bool taken = peer_send(peer, &buffer);
    grpc_byte_buffer_destroy(buffer);
    return taken;
}

void transport_send(struct transport *transport, uint64_t to_store_id,
                    const struct wire_envelope *envelope, const struct raft_message *message)
{
    struct transport_peer *peer = find_peer(transport, to_store_id);
    if (peer == NULL) {
        log_debug("no address of store %" PRIu64 ": a message to it is dropped", to_store_id);
        return;
    }
    if (!pack_and_send(peer, envelope, message))
        rpc_loop_wake(transport->config.loop);
    peer_unref(peer);
}
