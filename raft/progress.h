#ifndef KEEL_RAFT_PROGRESS_H
#define KEEL_RAFT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/event.h"
#include "raft/inflights.h"
#include "raft/quorum.h"

// How far one member's log is known to agree with the leader's, and what may be
// sent to it next. Kept for every member; meaningful while leading.
//
//            an append is matched                    the log lacks `next`
//   PROBE ------------------------> REPLICATE     any ------------------> SNAPSHOT
//     ^                                |                                     |
//     |  rejected, unreachable         |     reported done or failed         |
//     +--------------------------------+-------------------------------------+
//
// A match that the log reaches leads from SNAPSHOT straight to REPLICATE.
// Invariant: match < next.

struct raft_progress {
    uint64_t id;
    uint64_t match;
    uint64_t next;
    uint64_t sent_commit; // highest commit index on its way to the member
    uint64_t pending_snapshot;
    uint64_t read_acked; // newest read its heartbeat responses confirmed (read_only.h)
    uint64_t lease_tick; // newest heartbeat it answered, by the tick it was sent; 0: none
    struct raft_inflights inflights;
    enum raft_progress_state state;
    enum raft_vote vote;
    bool recent_active;
    bool flow_paused; // one append is out, wait for an answer or a heartbeat's
    bool learner;
};

void raft_progress_become_probe(struct raft_progress *p);
void raft_progress_become_replicate(struct raft_progress *p);
void raft_progress_become_snapshot(struct raft_progress *p, uint64_t snapshot_index);

// `count` entries from `next` on have been sent. In REPLICATE room in inflights was reserved.
void raft_progress_sent(struct raft_progress *p, uint64_t count, uint64_t bytes,
                        const struct raft_inflight_limits *limits);

// Could telling the member this commit index move its own?
bool raft_progress_wants_commit(const struct raft_progress *p, uint64_t commit);

// It matches up to `index`. false: old news.
bool raft_progress_matched(struct raft_progress *p, uint64_t index);

// It rejected an append after `rejected` and suggests `hint`. false: old news.
bool raft_progress_rejected(struct raft_progress *p, uint64_t rejected, uint64_t hint);

bool raft_progress_is_paused(const struct raft_progress *p);

void raft_progress_describe(const struct raft_progress *p,
                            const struct raft_inflight_limits *limits,
                            struct raft_peer_status *ret_status);

#endif
