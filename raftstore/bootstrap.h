/* The identity of a data directory: made once, checked at every start. */
#ifndef KEELFS_RAFTSTORE_BOOTSTRAP_H
#define KEELFS_RAFTSTORE_BOOTSTRAP_H

#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/states.h"
#include "raftstore/store.h"

/* The one region of a cluster. */
#define FIRST_REGION_ID 1

/* A fresh pair of engines gets an identity: that of a founder of a new cluster, with
 * the first region that `config` describes, or when it names members to ask, the one
 * they give (this waits for their answer, see join.h). A pair that has an identity is
 * checked against `config`: KE_MISMATCH when it belongs to another member or cluster,
 * KE_REMOVED when it was a member once. Counts this start. On success `*ret_ident`
 * is durable. Crash-safe: the identity is written last. */
int bootstrap_store(const struct store_config *config, struct engine *raft, struct engine *kv,
                    struct store_ident *ret_ident, struct err *e);

/* For a cluster or a data directory; never 0. */
int bootstrap_random_id(uint64_t *ret_id, struct err *e);

#endif
