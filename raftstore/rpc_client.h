/* Unary gRPC calls from our tools, many in flight over one connection.
 *
 * Messages are bytes: a client can talk to any gRPC service. A client belongs to
 * one thread; nothing happens outside its calls.
 */
#ifndef KEELFS_RAFTSTORE_RPC_CLIENT_H
#define KEELFS_RAFTSTORE_RPC_CLIENT_H

#include "raftstore/err.h"

#include <stddef.h>
#include <stdint.h>

struct rpc_client;
struct rpc_reply {
    int status; /* grpc_status_code; 0 is OK */
    const char *message;
    const uint8_t *data; /* packed response when OK */
    size_t size;
};
/* The reply is borrowed for the duration of the call. */
typedef void rpc_done_fn(void *ctx, const struct rpc_reply *reply);

/* Calls grpc_init(). `endpoint` is host:port. Connecting happens at the first call. */
struct rpc_client *rpc_client_new(const char *endpoint);
/* Waits for calls under way; NULL is fine. */
void rpc_client_free(struct rpc_client *client);

/* Connects now, so that a server that cannot be reached is told apart from a call
 * whose outcome is unknown: KE_SHUTDOWN when nobody answers, KE_TIMEOUT. */
int rpc_client_connect(struct rpc_client *client, uint32_t timeout_ms, struct err *e);

/* Starts a call; `done` runs inside rpc_client_poll(). `method` is
 * "/package.Service/Method", static. `request` is copied. */
void rpc_client_start(struct rpc_client *client, const char *method, const void *request,
                      size_t size, uint32_t timeout_ms, rpc_done_fn *done, void *ctx);
/* Runs what has completed, waiting for at least one completion. At least one call
 * is under way. */
void rpc_client_poll(struct rpc_client *client);

/* One call, start to end. The reply's bytes are malloc'ed into `*ret_data` (never
 * NULL). Returns 0 or, with the server's words in `e`, the code that
 * rpc_status_to_code() finds for the answer; KE_SHUTDOWN when the server is gone or
 * going. */
int rpc_client_call(struct rpc_client *client, const char *method, const void *request, size_t size,
                    uint32_t timeout_ms, uint8_t **ret_data, size_t *ret_size, struct err *e);

#endif
