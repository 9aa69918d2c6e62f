/* keelfspb.KeelFs/Status: what a node knows of itself and its cluster. Answered
 * by the node alone, so that it works when the cluster does not. */
#ifndef KEELFS_RAFTSTORE_SERVICE_STATUS_H
#define KEELFS_RAFTSTORE_SERVICE_STATUS_H

#include "raftstore/rpc_call.h"

extern const struct rpc_method service_status_method;

#endif
