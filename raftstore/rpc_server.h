/* The node's gRPC server: tinykvpb.TinyKv for clients and peers, and
 * keelfspb.KeelFs for keelctl. Unknown methods are answered UNIMPLEMENTED.
 *
 * A request that is refused, for what it says or because there are too many, is
 * answered with a gRPC status and a sentence (rpc_status.h). One whose caller
 * goes away is cancelled in the store. The owner starts and stops; `deliver` runs
 * on the server's threads.
 */
#ifndef KEELFS_RAFTSTORE_RPC_SERVER_H
#define KEELFS_RAFTSTORE_RPC_SERVER_H

#include "raftstore/err.h"
#include "raftstore/rpc_loop.h"
#include "raftstore/store.h"
#include "raftstore/transport.h"
#include "raftstore/wire.h"

#include <stdint.h>

struct rpc_server;

struct rpc_server_config {
    struct rpc_loop *loop; /* borrowed; runs everything */
    const char *listen;    /* host:port */
    uint64_t cluster_id;
    uint64_t store_id;
    uint64_t region_id;
    uint32_t op_timeout_ms;
    struct store *store;
    /* Whether streams of that store are welcome: 0, or KE_REMOVED, KE_WIPED with words,
     * which the other side is told. Must not block. */
    int (*admit)(void *ctx, const struct transport_identity *from, struct err *e);
    /* Takes the calls of TinyKv/Snapshot; NULL: they are not served. */
    struct snap_runner *snap_runner;
    /* A message from a peer whose stream passed the checks; `*message` is taken
     * (raft_message_release) whatever happens. Must not block. */
    void (*deliver)(void *ctx, const struct wire_envelope *envelope, struct raft_message *message);
    void *ctx;
};

/* Binds and serves. KE_IO when the address cannot be bound, saying which. */
int rpc_server_start(const struct rpc_server_config *config, struct rpc_server **ret_server,
                     struct err *e);
/* The port that was bound: of use when `listen` left the choice to the system with
 * port 0. */
int rpc_server_port(const struct rpc_server *server);
/* Ends the streams of a store with KE_REMOVED: it is no member any more. */
void rpc_server_drop_store(struct rpc_server *server, uint64_t store_id);
/* No new calls; those under way are answered or cancelled. First half of the end:
 * call before the store's threads stop. */
void rpc_server_stop(struct rpc_server *server);
/* Frees; after rpc_server_stop() and after every op has ended. NULL is fine. */
void rpc_server_free(struct rpc_server *server);

#endif
