/* Raft messages to other stores: one `tinykvpb.TinyKv/Raft` stream a peer, over
 * a channel of its own, with a bounded queue.
 *
 * Sending never blocks: what does not fit is dropped and reported as
 * unreachable, which Raft is made for. Any thread may call. The callbacks run
 * on the thread of the loop and must not block.
 */
#ifndef KEELFS_RAFTSTORE_TRANSPORT_H
#define KEELFS_RAFTSTORE_TRANSPORT_H

#include "raftstore/err.h"
#include "raftstore/rpc_loop.h"
#include "raftstore/store.h"
#include "raftstore/wire.h"

#include <stdint.h>

/* A peer's queue: past either, messages are dropped. */
#define TRANSPORT_QUEUE_BYTES_MAX    (64u << 20)
#define TRANSPORT_QUEUE_MESSAGES_MAX 4096

/* Metadata that opens a stream, checked by the receiver before any message. */
#define TRANSPORT_METADATA_CLUSTER "keelfs-cluster-id"
#define TRANSPORT_METADATA_STORE   "keelfs-store-id"    /* the sender's */
#define TRANSPORT_METADATA_TO      "keelfs-to-store-id" /* whom it means to reach */
#define TRANSPORT_METADATA_DATA    "keelfs-data-id"     /* the sender's data directory */
#define TRANSPORT_METADATA_ADDRESS "keelfs-address"     /* where the sender is reached */
/* In the trailing metadata of a refusal: a KE_* code. */
#define TRANSPORT_METADATA_CODE "keelfs-code"

/* How a store introduces itself to others. */
struct transport_identity {
    uint64_t cluster_id;
    uint64_t store_id;
    uint64_t data_id;
    char address[STORE_ADDRESS_MAX + 1];
};

struct transport;

struct transport_config {
    struct rpc_loop *loop; /* borrowed; runs the callbacks */
    struct transport_identity identity;
    /* The stream to a store broke or a message to it was dropped. */
    void (*unreachable)(void *ctx, uint64_t store_id);
    /* A store of this cluster refuses this one for good: KE_REMOVED, KE_WIPED. */
    void (*refused)(void *ctx, uint64_t store_id, int code);
    void *ctx;
};

struct transport *transport_new(const struct transport_config *config);
/* Ends all streams. NULL is fine. */
void transport_free(struct transport *transport);

/* Adds a store or changes its address. */
void transport_set_address(struct transport *transport, uint64_t store_id, const char *address);
/* A store has called from there: that is its address unless it has one already, and it is
 * tried at once. A number of strangers is remembered. */
void transport_learn_address(struct transport *transport, uint64_t store_id, const char *address);
/* Ends the stream to a store and forgets it; a report about it may still be on its
 * way. Unknown stores are fine. */
void transport_remove(struct transport *transport, uint64_t store_id);

/* Encodes and queues. The message is borrowed. */
void transport_send(struct transport *transport, uint64_t to_store_id,
                    const struct wire_envelope *envelope, const struct raft_message *message);

#endif
