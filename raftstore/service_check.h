/* The calls of keelfspb.KeelFs that compare the replicas: one has every node hash
 * its data behind the same entry of the log, the other asks a node for its hash. */
#ifndef KEELFS_RAFTSTORE_SERVICE_CHECK_H
#define KEELFS_RAFTSTORE_SERVICE_CHECK_H

#include "raftstore/rpc_call.h"

extern const struct rpc_method service_start_check;
/* Answers at once, with what this node knows. */
extern const struct rpc_method service_check_result;

#endif
