#include "raft/quorum.h"
#include "raft/fault.h"

uint64_t raft_majority_committed(const struct raft_id_set *set, raft_acked_fn *acked,
                                 const void *ctx)
{
    uint32_t n = set->count;
    if (n == 0) {
        return UINT64_MAX;
    }
    // Descending order, by insertion: sets are small.
    uint64_t sorted[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < n; i++) {
        uint64_t index = 0;
        if (!acked(ctx, set->ids[i], &index)) {
            index = 0;
        }
        uint32_t at = i;
        while (at > 0 && sorted[at - 1] < index) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = index;
    }
    if (RAFT_FAULT(QUORUM_TOO_SMALL)) {
        return sorted[(n - 1) / 2];
    }
    return sorted[n / 2];
}

uint64_t raft_joint_committed(const struct raft_id_set *incoming,
                              const struct raft_id_set *outgoing, raft_acked_fn *acked,
                              const void *ctx)
{
    uint64_t a = raft_majority_committed(incoming, acked, ctx);
    uint64_t b = raft_majority_committed(outgoing, acked, ctx);
    if (RAFT_FAULT(JOINT_HALF)) {
        return a;
    }
    return a < b ? a : b;
}

enum raft_vote_result raft_majority_vote(const struct raft_id_set *set, raft_vote_fn *vote,
                                         const void *ctx)
{
    if (set->count == 0) {
        return RAFT_VOTE_WON;
    }
    uint32_t yes = 0;
    uint32_t missing = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        enum raft_vote v = vote(ctx, set->ids[i]);
        yes += v == RAFT_VOTE_YES;
        missing += v == RAFT_VOTE_MISSING;
    }
    uint32_t needed = RAFT_FAULT(QUORUM_TOO_SMALL) ? (set->count + 1) / 2 : set->count / 2 + 1;
    if (yes >= needed) {
        return RAFT_VOTE_WON;
    }
    return yes + missing >= needed ? RAFT_VOTE_PENDING : RAFT_VOTE_LOST;
}

enum raft_vote_result raft_joint_vote(const struct raft_id_set *incoming,
                                      const struct raft_id_set *outgoing, raft_vote_fn *vote,
                                      const void *ctx)
{
    enum raft_vote_result a = raft_majority_vote(incoming, vote, ctx);
    enum raft_vote_result b = raft_majority_vote(outgoing, vote, ctx);
    if (a == b || RAFT_FAULT(JOINT_HALF)) {
        return a;
    }
    if (a == RAFT_VOTE_LOST || b == RAFT_VOTE_LOST) {
        return RAFT_VOTE_LOST;
    }
    return RAFT_VOTE_PENDING;
}
