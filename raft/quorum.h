#ifndef KEEL_RAFT_QUORUM_H
#define KEEL_RAFT_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/conf.h"

// What majorities agree on. A joint configuration is two majorities that must
// both agree (dissertation 4.3). An empty set agrees to everything, so that a
// simple configuration is a joint one with an empty second half.

enum raft_vote { RAFT_VOTE_MISSING, RAFT_VOTE_NO, RAFT_VOTE_YES };

enum raft_vote_result { RAFT_VOTE_PENDING, RAFT_VOTE_LOST, RAFT_VOTE_WON };

// The index that member `id` has acknowledged; false when it has said nothing.
typedef bool raft_acked_fn(const void *ctx, uint64_t id, uint64_t *ret_index);
typedef enum raft_vote raft_vote_fn(const void *ctx, uint64_t id);

// The highest index a majority has acknowledged; UINT64_MAX for an empty set.
uint64_t raft_majority_committed(const struct raft_id_set *set, raft_acked_fn *acked,
                                 const void *ctx);
uint64_t raft_joint_committed(const struct raft_id_set *incoming,
                              const struct raft_id_set *outgoing, raft_acked_fn *acked,
                              const void *ctx);

enum raft_vote_result raft_majority_vote(const struct raft_id_set *set, raft_vote_fn *vote,
                                         const void *ctx);
enum raft_vote_result raft_joint_vote(const struct raft_id_set *incoming,
                                      const struct raft_id_set *outgoing, raft_vote_fn *vote,
                                      const void *ctx);

#endif
