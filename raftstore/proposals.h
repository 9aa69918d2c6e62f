/* This node's own commands on their way through the log.
 *
 * Each gets a sequence number of the session and stays here until this node has
 * applied it, or nobody waits for it any more. Until then it can be sent again,
 * under the same number: the session table lets only the first copy apply.
 * Owned by the raft thread.
 *
 *     UNSENT --packed into an entry, taken by raft--> SENT --applied--> gone
 *        ^------------ leader changed, or no sign of it in time ---'
 */
#ifndef KEELFS_RAFTSTORE_PROPOSALS_H
#define KEELFS_RAFTSTORE_PROPOSALS_H

#include "raft/raft.h"
#include "raftstore/command.h"
#include "raftstore/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Commands are packed into one entry up to these; a larger one goes alone. */
#define PROPOSALS_ENTRY_BYTES_MAX    (1u << 20)
#define PROPOSALS_ENTRY_COMMANDS_MAX 1024

/* The data of one entry: a command of the largest size, or many small ones, and
 * what is around them. */
#define PROPOSALS_PACKED_MAX (COMMAND_BYTES_MAX + PROPOSALS_ENTRY_BYTES_MAX)

/* Bytes of commands held; past it new ones are refused. */
#define PROPOSALS_BYTES_MAX (256u << 20)

struct proposals;

struct proposals *proposals_new(uint64_t store_id, uint64_t incarnation);
void proposals_free(struct proposals *proposals);

/* Takes a reference to `op`, and `*cmd`. False, taking nothing, when the session's
 * window or the memory for it is full. */
bool proposals_add(struct proposals *proposals, struct op *op, struct command **cmd,
                   uint64_t *ret_seq);

bool proposals_has_unsent(const struct proposals *proposals);
/* More commands are sent and not yet applied than wait to be sent. */
bool proposals_most_are_sent(const struct proposals *proposals);

/* The next unsent commands as one entry, with what they may change (touch_list.h), without
 * marking them; NULL when there are none. The caller proposes it, then calls proposals_mark_sent().
 */
struct raft_entry *proposals_pack(struct proposals *proposals);
/* What the last proposals_pack() packed was taken at `tick`. */
void proposals_mark_sent(struct proposals *proposals, uint64_t tick);

/* `seq` is applied. */
void proposals_complete(struct proposals *proposals, uint64_t seq);

/* Everything that was sent goes again: another leader may not have it. */
void proposals_resend_all(struct proposals *proposals);
/* Once a tick: drops what has ended otherwise (deadline, cancelled). */
void proposals_tick(struct proposals *proposals);
/* Once a tick where another node leads: what was sent `patience` ticks ago goes
 * again, and again after twice that, and so on. A slow cluster must not be made
 * slower by copies. */
void proposals_resend_silent(struct proposals *proposals, uint64_t tick, uint64_t patience);

#endif
