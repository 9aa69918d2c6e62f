/* What our gRPC servers and clients have in common: start and end of the
 * library, the settings of connections, and messages as bytes. */
#ifndef KEELFS_RAFTSTORE_RPC_BASE_H
#define KEELFS_RAFTSTORE_RPC_BASE_H

#include "raftstore/err.h"

#include <grpc/grpc.h>
#include <stddef.h>
#include <stdint.h>

/* Counted; every rpc_base_init() has its rpc_base_shutdown(). gRPC does not
 * survive fork(): daemonize before. Its own log lines go to log.h. */
void rpc_base_init(void);
void rpc_base_shutdown(void);

/* Settings of a channel or server under construction. */
#define RPC_ARGS_MAX 24
struct rpc_args {
    grpc_arg items[RPC_ARGS_MAX];
    grpc_channel_args list;
};

/* A server for peers and clients. */
void rpc_args_init_server(struct rpc_args *args);
/* A connection to a peer: one of its own, watched closely. */
void rpc_args_init_peer(struct rpc_args *args);
/* A connection to a peer for one large transfer. */
void rpc_args_init_bulk(struct rpc_args *args);
/* A connection of a tool. */
void rpc_args_init_client(struct rpc_args *args);

/* A channel without encryption. Connects when first used. */
grpc_channel *rpc_channel_new(const char *endpoint, const struct rpc_args *args);

/* Binds `server` to `address`; `*ret_port` is the port, chosen by the system when
 * the address says 0. KE_IO with one sentence on what is wrong with the address. */
int rpc_server_bind(grpc_server *server, const char *address, int *ret_port, struct err *e);

/* `bytes` is malloc'ed, taken and nulled; nothing is copied. */
grpc_byte_buffer *rpc_buffer_take(uint8_t **bytes, size_t size);
grpc_byte_buffer *rpc_buffer_copy(const void *bytes, size_t size);

/* A received message in one piece, without a copy where gRPC has it in one. The
 * caller unrefs the slice; it does not need `buffer` any more. */
grpc_slice rpc_buffer_read(grpc_byte_buffer *buffer);

#endif
