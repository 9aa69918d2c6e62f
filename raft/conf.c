#include "raft/conf.h"

#include <assert.h>
#include <string.h>

bool raft_id_set_has(const struct raft_id_set *set, uint64_t id)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool raft_id_set_add(struct raft_id_set *set, uint64_t id)
{
    if (raft_id_set_has(set, id)) {
        return true;
    }
    if (set->count == RAFT_MEMBERS_MAX) {
        return false;
    }
    uint32_t at = set->count;
    while (at > 0 && set->ids[at - 1] > id) {
        set->ids[at] = set->ids[at - 1];
        at--;
    }
    set->ids[at] = id;
    set->count++;
    return true;
}

void raft_id_set_remove(struct raft_id_set *set, uint64_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->ids[i] != id) {
            set->ids[kept++] = set->ids[i];
        }
    }
    set->count = kept;
}

static bool id_set_equal(const struct raft_id_set *a, const struct raft_id_set *b)
{
    return a->count == b->count && memcmp(a->ids, b->ids, a->count * sizeof(a->ids[0])) == 0;
}

bool raft_conf_state_equal(const struct raft_conf_state *a, const struct raft_conf_state *b)
{
    return id_set_equal(&a->voters, &b->voters) &&
           id_set_equal(&a->voters_outgoing, &b->voters_outgoing) &&
           id_set_equal(&a->learners, &b->learners) &&
           id_set_equal(&a->learners_next, &b->learners_next) && a->auto_leave == b->auto_leave;
}

bool raft_conf_state_has(const struct raft_conf_state *state, uint64_t id)
{
    return raft_id_set_has(&state->voters, id) || raft_id_set_has(&state->voters_outgoing, id) ||
           raft_id_set_has(&state->learners, id) || raft_id_set_has(&state->learners_next, id);
}
