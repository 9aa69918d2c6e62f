#include "raft/storage.h"

bool raft_hard_state_equal(const struct raft_hard_state *a, const struct raft_hard_state *b)
{
    return a->term == b->term && a->vote == b->vote && a->commit == b->commit;
}

bool raft_hard_state_is_empty(const struct raft_hard_state *state)
{
    return state->term == 0 && state->vote == 0 && state->commit == 0;
}
