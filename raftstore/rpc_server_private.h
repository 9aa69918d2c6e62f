/* Inside the gRPC server: what its parts share. */
#ifndef KEELFS_RAFTSTORE_RPC_SERVER_PRIVATE_H
#define KEELFS_RAFTSTORE_RPC_SERVER_PRIVATE_H

#include "raftstore/rpc_queue.h"
#include "raftstore/rpc_server.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct peer_stream;

struct rpc_server {
    struct rpc_server_config config;
    grpc_server *server;
    grpc_completion_queue *queue;
    int port;
    struct rpc_event on_shutdown;

    atomic_bool stopping;
    /* Unary calls under way, and the bytes of their requests and replies. */
    atomic_size_t calls;
    atomic_size_t call_bytes;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    /* Calls, streams and posted requests: whatever gRPC still has an event for. */
    size_t objects;
    bool shut_down; /* gRPC has let go of all connections */
    struct peer_stream *streams;
    size_t stream_count;
    char refused[ERR_TEXT_MAX]; /* why the last stream was; logged when it changes */
};

void rpc_server_object_added(struct rpc_server *server);
void rpc_server_object_removed(struct rpc_server *server);
/* A refused peer tries again for ever: it is worth one line. */
void rpc_server_log_refusal(struct rpc_server *server, const struct err *e);

#endif
