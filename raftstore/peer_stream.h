/* The receiving end of a peer's raft messages: one call of TinyKv/Raft.
 *
 * A peer names its cluster, itself and whom it means to reach in the metadata
 * (transport.h), before its first message; a stream that comes from or was meant
 * for somebody else is refused with FAILED_PRECONDITION. Each message is unpacked
 * and handed to the server's `deliver`. A message that does not parse ends the
 * stream with INVALID_ARGUMENT.
 */
#ifndef KEELFS_RAFTSTORE_PEER_STREAM_H
#define KEELFS_RAFTSTORE_PEER_STREAM_H

#define PEER_STREAM_METHOD "/tinykvpb.TinyKv/Raft"

struct rpc_server;

/* Has gRPC wait for one stream, and for the next when it comes. */
void peer_stream_expect(struct rpc_server *server, void *handle);

/* Ends all open streams. */
void peer_stream_cancel_all(struct rpc_server *server);

#endif
