/* How a store introduces itself to another: the metadata that opens every call
 * between stores (transport.h), and the code that a refusal carries in its trailing
 * metadata. Plain functions, for any thread. */
#ifndef KEELFS_RAFTSTORE_RPC_IDENTITY_H
#define KEELFS_RAFTSTORE_RPC_IDENTITY_H

#include "raftstore/err.h"
#include "raftstore/transport.h"
#include "raftstore/wire.h"

#include <grpc/grpc.h>
#include <stdint.h>

struct rpc_server;

/* ---- of the caller ---- */

#define RPC_IDENTITY_ITEMS 6
/* To be sent as initial metadata, then released. */
struct rpc_identity {
    grpc_metadata items[RPC_IDENTITY_ITEMS];
};
void rpc_identity_init(struct rpc_identity *identity, const struct transport_identity *from,
                       uint64_t to_store);
void rpc_identity_release(struct rpc_identity *identity);

/* The KE_* code in the trailing metadata of a refusal; 0: none. */
int rpc_identity_refusal(const grpc_metadata_array *trailing);

/* ---- of the server ---- */

/* Whether the caller says all that it has to, and means this store: 0 or KE_MISMATCH.
 * Who may come in is for rpc_server_config.admit to say. */
int rpc_identity_check(const struct rpc_server *server, const grpc_metadata_array *metadata,
                       struct transport_identity *ret_from, struct err *e);

/* Whether a message belongs on the caller's stream: 0 or KE_MISMATCH. */
int rpc_identity_check_envelope(const struct rpc_server *server,
                                const struct transport_identity *from,
                                const struct wire_envelope *envelope, struct err *e);

/* An item of trailing metadata; the caller unrefs its value. */
grpc_metadata rpc_identity_code(int code);
/* An item of initial metadata by which a server says that it has taken the call; the
 * caller unrefs its value. */
grpc_metadata rpc_identity_accepts(uint64_t store_id);

#endif
