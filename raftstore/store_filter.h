/* For tests that break the network inside a process: decides which raft messages
 * and snapshots arrive at a store. */
#ifndef KEELFS_RAFTSTORE_STORE_FILTER_H
#define KEELFS_RAFTSTORE_STORE_FILTER_H

#include "raftstore/store.h"

#include <stdbool.h>
#include <stdint.h>

/* False: the message is lost. Any thread. */
typedef bool store_filter_fn(void *ctx, uint64_t from_store, uint64_t to_store);

/* At most one, before store_start(). */
void store_set_filter(struct store *store, store_filter_fn *filter, void *ctx);

#endif
