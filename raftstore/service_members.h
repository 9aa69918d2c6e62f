/* The calls of keelfspb.KeelFs that change who belongs to the cluster.
 *
 * Only the leader takes them. Another node answers with `not_leader` and the
 * leader's address, "" when it knows none: that is an answer, not an error, and
 * the caller asks there. A change that is refused is an error with a sentence.
 */
#ifndef KEELFS_RAFTSTORE_SERVICE_MEMBERS_H
#define KEELFS_RAFTSTORE_SERVICE_MEMBERS_H

#include "raftstore/rpc_call.h"

/* Answers when the change is in force; a member that was added still catches up. */
extern const struct rpc_method service_change_members;
/* Answers when another node leads. */
extern const struct rpc_method service_transfer_leader;
/* A new node asks to be let in: who it is, and who the others are. */
extern const struct rpc_method service_join;

#endif
