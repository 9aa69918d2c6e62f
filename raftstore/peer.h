/* One peer of a region: the Raft core and everything around it on this store.
 *
 * Drives the core in its asynchronous mode: what a Ready asks for is sent to
 * other members first, then written with one fsync, then acknowledged; committed
 * entries go to the apply thread. A snapshot that the core has accepted is
 * installed before anything else comes out of it. Owned by the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_PEER_H
#define KEELFS_RAFTSTORE_PEER_H

#include "raftstore/apply.h"
#include "raftstore/compaction.h"
#include "raftstore/disk_watch.h"
#include "raftstore/lease_reads.h"
#include "raftstore/membership.h"
#include "raftstore/op.h"
#include "raftstore/peer_storage.h"
#include "raftstore/snap_files.h"
#include "raftstore/store.h"
#include "raftstore/transport.h"
#include "raftstore/wire.h"

struct peer;

/* What a peer needs of the store around it. Called on the raft thread; none may
 * block. */
struct peer_store_ops {
    /* Sends a SNAPSHOT message with its files; peer_snapshot_sent() follows. */
    void (*send_snapshot)(void *ctx, const struct wire_envelope *envelope,
                          const struct raft_message *message);
    /* Who the members are now. */
    void (*members_changed)(void *ctx, const struct membership *membership);
    /* How a store has introduced itself last; false when it has not. */
    bool (*introduced)(void *ctx, uint64_t store_id, uint64_t *ret_data_id, char *ret_address);
    /* This node can serve no longer: KE_REMOVED or KE_WIPED. Once. */
    void (*gone)(void *ctx, int code);
    /* The log is cut here. */
    void (*log_cut)(void *ctx, uint64_t index);
    /* The disk is nearly full: now and then, while it is. */
    void (*disk_is_low)(void *ctx);
};

struct peer_config {
    uint64_t incarnation;
    uint32_t tick_ms;
    uint32_t heartbeat_ticks;
    uint32_t election_ticks;
    struct compaction_limits gc;
    struct transport_identity identity;
    /* All borrowed. */
    struct peer_storage *storage;
    struct apply *apply;
    struct transport *transport;
    struct snap_files *snap_files;
    struct disk_watch *disk;
    struct lease_reads *lease_reads;
    store_invalidate_fn *invalidate; /* may be NULL */
    void *invalidate_ctx;
    struct event_log *events;
    const struct peer_store_ops *store;
    void *store_ctx;
};

int peer_new(const struct peer_config *config, struct peer **ret_peer, struct err *e);
void peer_free(struct peer *peer);

/* A command of this node: `*cmd` is taken. */
void peer_propose(struct peer *peer, struct op *op, struct command **cmd);
void peer_barrier(struct peer *peer, struct op *op);

/* A change of members, a transfer of the leadership. Takes a reference. */
void peer_change_members(struct peer *peer, struct member_op *op);
void peer_transfer_leader(struct peer *peer, struct member_op *op);

/* A message from another store; borrowed. Ignored when it is not meant for this peer. */
void peer_step(struct peer *peer, const struct wire_envelope *envelope,
               const struct raft_message *message);
/* The same for a SNAPSHOT message, whose files are here. Takes over the reference to
 * them. */
void peer_snapshot_arrived(struct peer *peer, const struct wire_envelope *envelope,
                           const struct raft_message *message);

/* From the apply thread. */
void peer_applied(struct peer *peer, const struct apply_report *report);

/* From the region thread and the snap thread. */
void peer_snapshot_built(struct peer *peer, struct raft_snapshot *snapshot, const struct err *why);
void peer_snapshot_sent(struct peer *peer, uint64_t store_id, bool succeeded);

/* The cluster has no place for this node: KE_REMOVED, KE_WIPED. */
void peer_refused(struct peer *peer, int code);

/* Messages to that store do not arrive. */
void peer_unreachable(struct peer *peer, uint64_t store_id);

void peer_tick(struct peer *peer);

/* Does all the work that the calls above have made possible. */
void peer_drive(struct peer *peer);

/* While others are on their way into the log, commands wait for so long at most, and go
 * together: peer_drive() is to be called then. */
#define PEER_COMPANY_MS 2
bool peer_awaits_company(const struct peer *peer);

/* Whether messages are kept back that peer_send_held() would send; to be called
 * when there was nothing to do for HOLDBACK_MS, and at every tick. */
bool peer_has_held(const struct peer *peer);
void peer_send_held(struct peer *peer);
/* Nothing in the log waits for an acknowledgement. */
bool peer_is_settled(const struct peer *peer);

/* The Raft part of a status. */
void peer_status(struct peer *peer, struct store_status *status);

#endif
