/* One peer of a region: the Raft core and everything around it on this store.
 *
 * Drives the core in its asynchronous mode: what a Ready asks for is sent to
 * other members first, then written with one fsync, then acknowledged; committed
 * entries go to the apply thread. Owned by the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_PEER_H
#define KEELFS_RAFTSTORE_PEER_H

#include "raftstore/apply.h"
#include "raftstore/op.h"
#include "raftstore/peer_storage.h"
#include "raftstore/store.h"
#include "raftstore/transport.h"
#include "raftstore/wire.h"

struct peer;

struct peer_config {
    uint64_t store_id;
    uint64_t incarnation;
    uint32_t heartbeat_ticks;
    uint32_t election_ticks;
    /* All borrowed. */
    struct peer_storage *storage;
    struct apply *apply;
    struct transport *transport;
};

int peer_new(const struct peer_config *config, struct peer **ret_peer, struct err *e);
void peer_free(struct peer *peer);

/* A command of this node: `*cmd` is taken. */
void peer_propose(struct peer *peer, struct op *op, struct command **cmd);
void peer_barrier(struct peer *peer, struct op *op);

/* A message from another member; borrowed. Ignored when it is not meant for this peer. */
void peer_step(struct peer *peer, const struct wire_envelope *envelope,
               const struct raft_message *message);

/* From the apply thread: the STORAGE_APPLY `message` (or NULL) is done, and so are
 * these commands of this session. */
void peer_applied(struct peer *peer, const struct raft_message *message, const uint64_t *seqs,
                  size_t seq_count);

/* Messages to that store do not arrive. */
void peer_unreachable(struct peer *peer, uint64_t store_id);

void peer_tick(struct peer *peer);

/* Does all the work that the calls above have made possible. */
void peer_drive(struct peer *peer);

/* Whether messages are kept back that peer_send_held() would send; to be called
 * when there was nothing to do for HOLDBACK_MS, and at every tick. */
bool peer_has_held(const struct peer *peer);
void peer_send_held(struct peer *peer);

/* The Raft part of a status: all but names and addresses. */
void peer_status(struct peer *peer, struct store_status *status);

#endif
