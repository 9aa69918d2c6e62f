/* Appends that carry nothing but a new commit index wait a moment for company.
 *
 * The core tells every member at once when the commit index moves. Most of the
 * time nobody over there waits for it, and the next append, a fraction of a
 * millisecond later, says it too: half of all messages under a single writer
 * are such notes and their answers. So a note is kept until it is superseded,
 * or the raft thread has been idle for HOLDBACK_MS. A member that has forwarded
 * a proposal does wait, and is told at once. A lost note would do no harm
 * either: heartbeats carry the commit index.
 *
 * Owned by the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_HOLDBACK_H
#define KEELFS_RAFTSTORE_HOLDBACK_H

#include "raft/raft.h"
#include "raftstore/states.h"

#include <stdbool.h>
#include <stdint.h>

#define HOLDBACK_MS 2

struct holdback {
    size_t count;
    struct holdback_member {
        uint64_t peer_id;
        bool holds;
        struct raft_message note; /* when it holds */
        uint64_t commit_sent;     /* highest commit index sent to it */
        bool has_proposed;        /* since the last append here */
        uint64_t waits_for;       /* a proposal of its own is at or before this index */
    } members[STORE_MEMBERS_MAX];
};

void holdback_init(struct holdback *holdback);
void holdback_release(struct holdback *holdback);

/* The members are these now. */
void holdback_set_members(struct holdback *holdback, const struct region *region);

/* A forwarded proposal of this peer has been stepped. */
void holdback_proposal(struct holdback *holdback, uint64_t peer_id);
/* Entries up to `last_index` go into the log: proposals stepped so far are among
 * them. */
void holdback_append(struct holdback *holdback, uint64_t last_index);

/* Whether `message` is kept (and taken) instead of being sent now. Any append that
 * goes out drops what is kept for its receiver. */
bool holdback_keep(struct holdback *holdback, struct raft_message *message);

/* Something is kept. */
bool holdback_is_pending(const struct holdback *holdback);
/* The next one that is kept, moved to `*ret_note`; false when there is none. */
bool holdback_next(struct holdback *holdback, struct raft_message *ret_note);

#endif
