/* The parts of a peer: peer.c (messages and the ready loop), peer_members.c (who
 * belongs to the cluster), peer_lease.c (read leases), peer_snapshots.c (sending them),
 * peer_upkeep.c (log GC and room on the disk) and peer_status.c. */
#ifndef KEELFS_RAFTSTORE_PEER_PRIVATE_H
#define KEELFS_RAFTSTORE_PEER_PRIVATE_H

#include "raftstore/grants.h"
#include "raftstore/holdback.h"
#include "raftstore/lease.h"
#include "raftstore/peer.h"
#include "raftstore/promise.h"
#include "raftstore/proposals.h"
#include "raftstore/reads.h"
#include "raftstore/touch_list.h"

/* What was heard from another store last. */
struct peer_contact {
    uint64_t store_id; /* 0: none */
    uint64_t tick;
    uint32_t flags; /* WIRE_FLAG_* */
};

/* A snapshot to a store failed. The core hears so when it may send the next one: a
 * receiver without room would else get it ten times a second. */
struct peer_send_failure {
    uint64_t store_id; /* 0: free */
    unsigned count;    /* in a row */
    bool due;          /* the core has not heard of the last one */
    uint64_t due_tick;
};

/* One request at a time.
 *
 *     change:    WAITING --the one before is done--> PROPOSED --committed--> APPLIED
 *                --the configuration is simple--> ended
 *     transfer:  TRANSFER --another leader--> ended
 */
enum peer_request_state { REQUEST_WAITING, REQUEST_PROPOSED, REQUEST_APPLIED, REQUEST_TRANSFER };
struct peer_request {
    struct member_op *op; /* NULL: none */
    enum peer_request_state state;
    uint64_t request_id; /* of a change */
    uint64_t target;     /* of a transfer */
    uint64_t since_tick;
};

/* Read leases: this node's own, and as the leader those of the others. */
struct peer_lease {
    struct lease held;
    struct grants grants;
    /* Somebody reads here: entries are marked as in flight. */
    bool watches;
    uint64_t published;    /* what readers see */
    uint64_t cached_until; /* the latest that they ever saw */
    struct promise promise;
    uint64_t last_index;    /* the end of the log as it was written last */
    uint64_t members_index; /* no change of members behind it */
    uint64_t limit;         /* on commit, as the core has it */
    struct touch_list keys; /* of what is being written */
};

struct peer {
    struct peer_config config;
    uint64_t peer_id;
    struct membership membership;
    struct raft_node *node;
    struct proposals *proposals;
    struct reads reads;
    struct holdback holdback;
    struct peer_lease lease;
    uint64_t tick;
    uint64_t leader; /* peer id, RAFT_NONE when unknown */
    struct peer_contact contacts[STORE_MEMBERS_MAX];
    uint64_t company_ns; /* commands wait for company since then; 0: none do */
    /* The core refused; not again before something has changed. */
    bool proposals_held;
    bool reads_held;

    /* Membership. */
    bool admitted;       /* the cluster has this data directory on record */
    uint64_t removed_at; /* the entry that removed this node; 0: none */
    uint64_t leave_tick; /* it is applied: when this node goes at the latest; 0: not yet */
    int gone;            /* KE_REMOVED or KE_WIPED: serves no longer */
    bool gone_told;      /* the store has been told so */
    struct peer_request request;
    uint64_t next_request_id;
    uint64_t change_barrier;   /* as the leader: no change before this is applied */
    uint64_t caught_up_commit; /* who has this much is ready to be promoted */

    /* A snapshot that the core has taken, until it is in place. */
    bool installing;
    struct raft_message install_append;
    bool has_arrived; /* a snapshot's files, which the core may take or not */
    struct snap_id arrived;
    struct peer_send_failure send_failures[STORE_MEMBERS_MAX];

    struct store_counters counters;

    /* Upkeep. */
    enum disk_room room;
    bool no_space;         /* what the leader says, or is */
    struct op *compact_op; /* of the last CompactLog proposed, or NULL */
    uint64_t compact_tick; /* when it was */
};

/* The core fails only where this process cannot go on. */
void peer_check(const struct peer *peer, int rc, const char *what);

static inline bool peer_is_leader(const struct peer *peer)
{
    return peer->leader == peer->peer_id;
}

/* For the events: "n2". */
const char *peer_member_name(const struct peer *peer, uint64_t store_id);

/* NULL: nothing was heard. */
struct peer_contact *peer_find_contact(struct peer *peer, uint64_t store_id);
/* Whether the leader's data directory is on record, so that it accepts commands. */
bool peer_leader_is_admitted(struct peer *peer);

/* --- peer_members.c --- */

void peer_members_init(struct peer *peer);
/* The entry is committed: works out what it makes of the members and tells the core.
 * False: nothing changes. */
bool peer_members_entry(struct peer *peer, const struct raft_entry *entry);
/* The members came with a snapshot. */
void peer_members_replace(struct peer *peer, const struct membership *membership, uint64_t index);
void peer_members_tick(struct peer *peer);
void peer_members_leader_changed(struct peer *peer);
void peer_members_release(struct peer *peer);

/* --- peer_lease.c --- */

void peer_lease_init(struct peer *peer);
void peer_lease_release(struct peer *peer);
/* What goes with a message, as it leaves. */
void peer_lease_fill(struct peer *peer, const struct raft_message *message,
                     struct wire_lease *note);
/* A message has been stepped. */
void peer_lease_stepped(struct peer *peer, const struct wire_envelope *envelope,
                        const struct raft_message *message);
/* Whether a promise forbids to answer a candidate. */
bool peer_lease_declines(const struct peer *peer, const struct raft_message *message);
/* Before anything else of that Ready. */
void peer_lease_role(struct peer *peer, const struct raft_ready *ready);
/* Entries are about to be written; a snapshot is about to replace all. */
void peer_lease_append(struct peer *peer, const struct raft_message *append);
void peer_lease_install(struct peer *peer, uint64_t index);
void peer_lease_applied(struct peer *peer);
void peer_lease_members_changed(struct peer *peer);
/* An acknowledgement may have come: the limit on commit is what it should be. */
void peer_lease_refresh(struct peer *peer);
/* Somebody is about to read. */
void peer_lease_wake(struct peer *peer);
/* This node serves no longer. */
void peer_lease_drop(struct peer *peer);
void peer_lease_tick(struct peer *peer);
void peer_lease_status(const struct peer *peer, struct store_status *status);

/* --- peer_snapshots.c --- */

void peer_snapshots_tick(struct peer *peer);
void peer_send_snapshot(struct peer *peer, const struct wire_envelope *envelope,
                        const struct raft_message *message);

/* --- peer_upkeep.c --- */

void peer_upkeep_tick(struct peer *peer);
void peer_upkeep_release(struct peer *peer);
/* Heard of within an election timeout. */
bool peer_is_live(struct peer *peer, uint64_t store_id);
/* Flags for what goes out. */
uint32_t peer_upkeep_flags(const struct peer *peer);

#endif
