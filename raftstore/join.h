/* How a new node becomes a member: it asks a member it was told of, and is told who
 * it is and who the others are (keelfspb.KeelFs/Join). */
#ifndef KEELFS_RAFTSTORE_JOIN_H
#define KEELFS_RAFTSTORE_JOIN_H

#include "raftstore/err.h"
#include "raftstore/store.h"

#include <stddef.h>
#include <stdint.h>

/* So long a joiner goes on asking when nobody answers or no leader is known. */
#define JOIN_PATIENCE_MS 30000

struct join_answer {
    uint64_t cluster_id;
    uint64_t store_id;
    uint64_t region_id;
    size_t store_count;
    struct store_member stores[STORE_MEMBERS_MAX];
};

/* Asks the members in `config->join` one after another, follows them to the leader. Asking
 * again with the same `data_id` gives the same answer. `address` is where this node
 * will be reached. KE_WIPED, KE_INVALID, ... as the cluster has it, KE_TIMEOUT when
 * nobody could say. */
int join_ask(const struct store_config *config, const char *address, uint64_t data_id,
             struct join_answer *ret_answer, struct err *e);

#endif
