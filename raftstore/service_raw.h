/* The calls of tinykvpb.TinyKv that clients make. */
#ifndef KEELFS_RAFTSTORE_SERVICE_RAW_H
#define KEELFS_RAFTSTORE_SERVICE_RAW_H

#include "raftstore/rpc_call.h"

/* The value of a key, or not_found: an empty value is a key that exists. */
extern const struct rpc_method service_raw_get;
/* Makes or replaces a key and, in "default", its missing parent directories. */
extern const struct rpc_method service_raw_put;
/* Removes a key; one that is absent is no error. */
extern const struct rpc_method service_raw_delete;
/* Up to `limit` pairs from `start_key` on, in byte order, from one moment. */
extern const struct rpc_method service_raw_scan;

#endif
