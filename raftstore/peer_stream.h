/* The receiving end of a peer's raft messages: one call of TinyKv/Raft.
 *
 * A peer names its cluster, itself, its data directory and whom it means to reach in
 * the metadata (transport.h), before its first message; a stream that was meant for
 * somebody else, or comes from one who is not admitted, is refused with
 * FAILED_PRECONDITION, and its trailing metadata has the code. Each message is unpacked
 * and handed to the server's `deliver`. A message that does not parse ends the
 * stream with INVALID_ARGUMENT.
 */
#ifndef KEELFS_RAFTSTORE_PEER_STREAM_H
#define KEELFS_RAFTSTORE_PEER_STREAM_H

#include <stdint.h>

#define PEER_STREAM_METHOD "/tinykvpb.TinyKv/Raft"

struct rpc_server;

/* Has gRPC wait for one stream, and for the next when it comes. */
void peer_stream_expect(struct rpc_server *server, void *handle);

/* Ends the open streams of a store with KE_REMOVED. */
void peer_stream_drop(struct rpc_server *server, uint64_t store_id);

/* Ends all open streams. */
void peer_stream_cancel_all(struct rpc_server *server);

#endif
