/* The raft thread: owns every peer of the store, turns its mailbox and the clock
 * into calls of peer.h, and publishes the status.
 *
 * One turn takes everything that has arrived, so that what waited while the last
 * write was synced shares the next one.
 */
#ifndef KEELFS_RAFTSTORE_RAFT_WORKER_H
#define KEELFS_RAFTSTORE_RAFT_WORKER_H

#include "raftstore/command.h"
#include "raftstore/op.h"
#include "raftstore/peer.h"
#include "raftstore/store.h"
#include "raftstore/wire.h"

#include <stdbool.h>

/* Waiting for the thread; past these, clients are refused and messages of
 * other members dropped. */
#define RAFT_WORKER_MAILS_MAX         65536
#define RAFT_WORKER_COMMAND_BYTES_MAX (64u << 20)
#define RAFT_WORKER_MESSAGE_BYTES_MAX (64u << 20)

/* A thread that was stopped for long (a suspended machine) takes up the clock
 * where it is instead of running through every tick it missed. */
#define RAFT_WORKER_TICKS_BEHIND_MAX 3

struct raft_worker;

/* Ids and name of `status` are kept as given; the rest is filled in as things go. */
struct raft_worker *raft_worker_new(uint32_t tick_ms, const struct store_status *status);
/* NULL is fine; stopped or never started. Ends what still waits with KE_SHUTDOWN. */
void raft_worker_free(struct raft_worker *worker);

/* On the raft thread: makes the status of now visible before somebody is told of what
 * changed it. */
void raft_worker_publish(struct raft_worker *worker);

/* `*peer` is taken. */
void raft_worker_start(struct raft_worker *worker, struct peer **peer);
void raft_worker_stop(struct raft_worker *worker);

/* --- any thread --- */

/* `*cmd` is taken. */
void raft_worker_propose(struct raft_worker *worker, struct op *op, struct command **cmd);
void raft_worker_barrier(struct raft_worker *worker, struct op *op);
/* `*message` is taken. */
void raft_worker_deliver(struct raft_worker *worker, const struct wire_envelope *envelope,
                         struct raft_message *message);
/* The same for a SNAPSHOT, with the reference to its files. False, taking nothing, when
 * there is no room. */
bool raft_worker_snapshot_arrived(struct raft_worker *worker, const struct wire_envelope *envelope,
                                  struct raft_message *message);
void raft_worker_unreachable(struct raft_worker *worker, uint64_t store_id);
/* KE_REMOVED, KE_WIPED. */
void raft_worker_refused(struct raft_worker *worker, int code);
void raft_worker_snapshot_sent(struct raft_worker *worker, uint64_t store_id, bool succeeded);
/* Takes the snapshot. */
void raft_worker_snapshot_built(struct raft_worker *worker, struct raft_snapshot *snapshot,
                                const struct err *why);
/* apply_report_fn; `ctx` is the worker. */
void raft_worker_applied(void *ctx, const struct apply_report *report);
void raft_worker_change_members(struct raft_worker *worker, struct member_op *op);
void raft_worker_transfer_leader(struct raft_worker *worker, struct member_op *op);
void raft_worker_status(struct raft_worker *worker, struct store_status *ret_status);

#endif
