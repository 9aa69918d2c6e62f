/* Our codes as gRPC status codes, and back: the one place. */
#ifndef KEELFS_RAFTSTORE_RPC_STATUS_H
#define KEELFS_RAFTSTORE_RPC_STATUS_H

/* The grpc_status_code for a KE_* code; 0 for 0. */
int rpc_status_from_code(int code);

/* The KE_* code a client sees for a grpc_status_code; 0 for 0. */
int rpc_status_to_code(int status);

#endif
