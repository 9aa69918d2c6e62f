#include "raftstore/rpc_base.h"

#include "raftstore/log.h"
#include "raftstore/wire.h"

#include <assert.h>
#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A peer that stopped is found after the sum of the first two: a ping is sent
 * when nothing came for the first, its answer is awaited for the second. */
#define PEER_KEEPALIVE_MS         500
#define PEER_KEEPALIVE_TIMEOUT_MS 1000
/* The same for a transfer whose pings wait behind megabytes of its own, on a link that
 * may be slow. */
#define BULK_KEEPALIVE_MS         2000
#define BULK_KEEPALIVE_TIMEOUT_MS 8000
/* Clients are met less often and may be far away; this only ends connections
 * whose other side is gone without a word. */
#define CLIENT_KEEPALIVE_MS         10000
#define CLIENT_KEEPALIVE_TIMEOUT_MS 10000

/* gRPC's own attempts to connect. The second is also how long one may take. */
#define RECONNECT_INITIAL_MS 100
#define RECONNECT_MIN_MS     500
#define RECONNECT_MAX_MS     500
/* A name that did not resolve, or led to the wrong place, is looked up again. */
#define RESOLVE_INTERVAL_MS 1000

/* A tool tries once and tells its user. */
#define CLIENT_CONNECT_MS 2000

/* Where the words of a failed bind go: gRPC says them in its log only. */
#define BIND_WORDS_MAX 1024
static _Thread_local char *bind_words;

static void on_library_log(gpr_log_func_args *args)
{
    if (bind_words != NULL)
        (void)snprintf(bind_words, BIND_WORDS_MAX, "%s", args->message);
    else if (args->severity == GPR_LOG_SEVERITY_ERROR)
        log_error("grpc: %s", args->message);
    else
        log_debug("grpc: %s", args->message);
}

static void set_library_log(void)
{
    gpr_set_log_function(on_library_log);
}

void rpc_base_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_library_log);
    grpc_init();
}

void rpc_base_shutdown(void)
{
    grpc_shutdown();
}

static void args_add(struct rpc_args *args, const char *key, int value)
{
    assert(args->list.num_args < RPC_ARGS_MAX);
    /* The library does not write through the key. */
    union {
        const char *in;
        char *out;
    } name = {.in = key};
    args->items[args->list.num_args++] =
        (grpc_arg){.type = GRPC_ARG_INTEGER, .key = name.out, .value.integer = value};
}

static void args_init(struct rpc_args *args, int keepalive_ms, int keepalive_timeout_ms)
{
    args->list = (grpc_channel_args){.num_args = 0, .args = args->items};
    args_add(args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, WIRE_MESSAGE_MAX);
    args_add(args, GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
    args_add(args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_ms);
    args_add(args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    args_add(args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    /* Introspection that nothing reads, on the way of every call. */
    args_add(args, GRPC_ARG_ENABLE_CHANNELZ, 0);
}

void rpc_args_init_server(struct rpc_args *args)
{
    args_init(args, CLIENT_KEEPALIVE_MS, CLIENT_KEEPALIVE_TIMEOUT_MS);
    /* Peers ping more often than the library finds polite. */
    args_add(args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, PEER_KEEPALIVE_MS / 2);
    args_add(args, GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    /* Two servers on one port would share its clients, silently. */
    args_add(args, GRPC_ARG_ALLOW_REUSEPORT, 0);
}

static void args_init_channel(struct rpc_args *args, int keepalive_ms, int keepalive_timeout_ms)
{
    args_init(args, keepalive_ms, keepalive_timeout_ms);
    args_add(args, GRPC_ARG_ENABLE_RETRIES, 0);
    args_add(args, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    args_add(args, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_INITIAL_MS);
    args_add(args, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS);
}

static void args_init_peer(struct rpc_args *args, int keepalive_ms, int keepalive_timeout_ms)
{
    args_init_channel(args, keepalive_ms, keepalive_timeout_ms);
    args_add(args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, RECONNECT_MIN_MS);
    args_add(args, GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, RESOLVE_INTERVAL_MS);
    /* Channels with equal arguments share a connection otherwise. */
    args_add(args, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
}

void rpc_args_init_peer(struct rpc_args *args)
{
    args_init_peer(args, PEER_KEEPALIVE_MS, PEER_KEEPALIVE_TIMEOUT_MS);
}

void rpc_args_init_bulk(struct rpc_args *args)
{
    args_init_peer(args, BULK_KEEPALIVE_MS, BULK_KEEPALIVE_TIMEOUT_MS);
}

void rpc_args_init_client(struct rpc_args *args)
{
    args_init_channel(args, CLIENT_KEEPALIVE_MS, CLIENT_KEEPALIVE_TIMEOUT_MS);
    args_add(args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CLIENT_CONNECT_MS);
}

grpc_channel *rpc_channel_new(const char *endpoint, const struct rpc_args *args)
{
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(endpoint, credentials, &args->list);
    grpc_channel_credentials_release(credentials);
    assert(channel != NULL);
    return channel;
}

static int bind_error(const char *address, const char *words, struct err *e)
{
    static const struct {
        int number;
        const char *text;
    } reasons[] = {
        {EADDRINUSE, "another process listens there already"},
        {EADDRNOTAVAIL, "this machine has no such address"},
        {EACCES, "this user may not listen there"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strstr(words, strerror(reasons[i].number)) != NULL)
            return err_set(e, KE_IO, "cannot listen on %s: %s", address, reasons[i].text);
    }
    return err_set(e, KE_IO, "cannot listen on %s: no usable host:port", address);
}

int rpc_server_bind(grpc_server *server, const char *address, int *ret_port, struct err *e)
{
    char words[BIND_WORDS_MAX] = "";
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    /* The name is resolved and the socket bound in this thread. */
    bind_words = words;
    int port = grpc_server_add_http2_port(server, address, credentials);
    bind_words = NULL;
    grpc_server_credentials_release(credentials);
    if (port <= 0)
        return bind_error(address, words, e);
    *ret_port = port;
    return 0;
}

grpc_byte_buffer *rpc_buffer_take(uint8_t **bytes, size_t size)
{
    grpc_slice slice = grpc_slice_new_with_user_data(*bytes, size, free, *bytes);
    *bytes = NULL;
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

grpc_byte_buffer *rpc_buffer_copy(const void *bytes, size_t size)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, size);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

grpc_slice rpc_buffer_read(grpc_byte_buffer *buffer)
{
    grpc_byte_buffer_reader reader;
    int ok = grpc_byte_buffer_reader_init(&reader, buffer);
    assert(ok);
    grpc_slice slice;
    if (buffer->data.raw.slice_buffer.count == 1) {
        ok = grpc_byte_buffer_reader_next(&reader, &slice);
        assert(ok);
    } else {
        slice = grpc_byte_buffer_reader_readall(&reader);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return slice;
}
