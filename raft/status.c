#include <string.h>

#include "raft/node.h"

const char *raft_role_name(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER:
        return "follower";
    case RAFT_CANDIDATE:
        return "candidate";
    case RAFT_LEADER:
        return "leader";
    case RAFT_PRE_CANDIDATE:
        return "pre-candidate";
    }
    return "unknown";
}

int raft_node_status(const struct raft_node *node, struct raft_status *ret_status)
{
    const struct raft *r = &node->raft;
    // Looking does not change the log.
    struct raft_log *log = (struct raft_log *)&r->log;
    log->error = 0;
    memset(ret_status, 0, sizeof(*ret_status));
    ret_status->id = r->id;
    ret_status->hard_state = raft_node_hard_state(node);
    ret_status->leader = r->leader;
    ret_status->role = r->role;
    ret_status->applied = r->log.applied;
    ret_status->first_index = raft_log_first_index(log);
    ret_status->last_index = raft_log_last_index(log);
    ret_status->transferee = r->transferee;
    ret_status->learner = r->is_learner;
    ret_status->conf = r->tracker.conf;
    if (r->role == RAFT_LEADER) {
        ret_status->peer_count = r->tracker.count;
        for (uint32_t i = 0; i < r->tracker.count; i++) {
            raft_progress_event_fields(r, &r->tracker.progress[i], &ret_status->peers[i]);
        }
    }
    return log->error;
}
