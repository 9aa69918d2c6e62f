/* The call of keelfspb.KeelFs that asks for, or changes, what the volume may hold. Any
 * node takes it. */
#ifndef KEELFS_RAFTSTORE_SERVICE_QUOTA_H
#define KEELFS_RAFTSTORE_SERVICE_QUOTA_H

#include "raftstore/rpc_call.h"

/* Answers with what is in force behind a read point, or after the change. */
extern const struct rpc_method service_quota;

#endif
