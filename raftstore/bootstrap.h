/* The identity of a data directory: made once, checked at every start. */
#ifndef KEELFS_RAFTSTORE_BOOTSTRAP_H
#define KEELFS_RAFTSTORE_BOOTSTRAP_H

#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/states.h"
#include "raftstore/store.h"

/* The one region of a cluster. */
#define FIRST_REGION_ID 1

/* A fresh pair of engines gets the identity and the first region that `config`
 * describes; one that has an identity is checked against it: KE_MISMATCH when
 * it belongs to another member or cluster. Counts this start. On success
 * `*ret_ident` is durable. Crash-safe: the identity is written last. */
int bootstrap_store(const struct store_config *config, struct engine *raft, struct engine *kv,
                    struct store_ident *ret_ident, struct err *e);

#endif
