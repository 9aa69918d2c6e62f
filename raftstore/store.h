/* A node's store: its Raft group, its data and its threads.
 *
 * One store a data directory. store_open() checks the directory and recovers;
 * store_start() starts the threads and the network. Commands and read barriers
 * are asynchronous (op.h); data is then read from store_tree(). Any thread may
 * call what is below, except where noted.
 */
#ifndef KEELFS_RAFTSTORE_STORE_H
#define KEELFS_RAFTSTORE_STORE_H

#include "raftstore/command.h"
#include "raftstore/err.h"
#include "raftstore/op.h"
#include "raftstore/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Voters and learners together; of voters at most STORE_VOTERS_MAX. */
#define STORE_MEMBERS_MAX 16
#define STORE_VOTERS_MAX  9
#define STORE_NAME_MAX    63
#define STORE_ADDRESS_MAX 255

/* Where a cluster of one listens unless told otherwise. */
#define STORE_LISTEN_DEFAULT "127.0.0.1:20160"

struct store_member {
    uint64_t id;
    char name[STORE_NAME_MAX + 1];
    char address[STORE_ADDRESS_MAX + 1]; /* host:port */
    /* Names the data directory that it has; 0: it has not been seen yet. */
    uint64_t data_id;
    bool promote;      /* a learner that becomes a voter when it has caught up */
    uint64_t replaces; /* a learner: the store whose place it takes then, or 0 */
};

struct store_config {
    const char *data_dir; /* made when missing */
    const char *name;     /* this member's */
    /* host:port to bind. NULL: the member's address, which of a new cluster of
     * one is STORE_LISTEN_DEFAULT. */
    const char *listen;
    /* The members of a new cluster, as "n1=host:port,n2=host:port". NULL: a
     * cluster of this node alone. Read only when the data directory
     * is empty; must be the same text, in any order, on every node. */
    const char *initial_members;
    /* Members to ask for admission, as "host:port,host:port". Read only when the
     * data directory is empty; not together with `initial_members`. */
    const char *join;
    bool join_as_learner; /* do not ask to be promoted */
    /* Where others reach this member, host:port. NULL: what it listens on. When it
     * differs from what the cluster has on record, the record is changed. */
    const char *advertise;
    uint32_t tick_ms;         /* 0: 50 */
    uint32_t heartbeat_ticks; /* 0: 2 */
    uint32_t election_ticks;  /* 0: 10 */
    uint32_t op_timeout_ms;   /* 0: 5000; of operations that come by RPC */
    /* When the log has more applied entries or more bytes than this, it is cut. */
    uint64_t log_gc_count_limit;  /* 0: STORE_LOG_GC_COUNT */
    uint64_t log_gc_bytes_limit;  /* 0: STORE_LOG_GC_BYTES */
    uint64_t snapshot_rate_bytes; /* a second, of all that are sent; 0: STORE_SNAPSHOT_RATE */
};

#define STORE_LOG_GC_COUNT  128000u
#define STORE_LOG_GC_BYTES  (256u << 20)
#define STORE_SNAPSHOT_RATE (512u << 20)

/* What one applied command changed, for whoever caches the namespace. */
struct change {
    enum change_kind {
        CHANGE_CREATED,
        CHANGE_CONTENT, /* content or attributes */
        CHANGE_REMOVED,
        CHANGE_RENAMED,   /* `path` became `to`; of a directory, all below it too */
        CHANGE_EXCHANGED, /* `path` became `to` and `to` became `path`; id is of the first */
        /* Anything may have changed: a snapshot replaced the data. Comes alone,
         * with no path or id. */
        CHANGE_EVERYTHING,
    } kind;
    const char *path;
    const char *to;
    enum file_type type; /* of the object */
    uint64_t id;
    uint64_t version; /* of the object, or of the volume; never less than of the last change */
    uint32_t nlink;   /* names that are left */
    /* Of an object that lost its last name: what it was, for those who have it open; of
     * many at a time not all extended attributes. Else NULL. */
    const struct attr *last;
    const struct change_xattr *last_xattrs;
    const char *last_target; /* of a symbolic link, else "" */
};

/* An extended attribute. The name is not NUL-terminated. */
struct change_xattr {
    const struct change_xattr *next;
    const void *name;
    size_t name_size;
    const void *value;
    size_t value_size;
};

/* Called on the apply thread after the changes are visible to readers and
 * before any `done` of their commands. Must not block. */
typedef void store_observer_fn(void *ctx, const struct change *changes, size_t count);

struct store;

int store_open(const struct store_config *config, struct store **ret_store, struct err *e);

/* At most one observer, before store_start(). */
void store_set_observer(struct store *store, store_observer_fn *observer, void *ctx);

/* Told once, on a thread of the store, when this node can serve no longer though
 * nothing is broken: it was removed from the cluster (KE_REMOVED), or the cluster
 * knows it by another data directory (KE_WIPED). `why` has the sentence for the
 * operator. Everything fails with that code from then on; the callee should have
 * the process end. Must not block, and not close the store. At most one, before
 * store_start(). */
typedef void store_gone_fn(void *ctx, const struct err *why);
void store_set_gone(struct store *store, store_gone_fn *gone, void *ctx);

/* Binds the port and starts every thread. */
int store_start(struct store *store, struct err *e);

/* Ends every pending operation with KE_SHUTDOWN, stops the threads, closes.
 * NULL is fine; a store that was never started too. */
void store_close(struct store *store);

/* Proposes `*cmd`, taken and nulled. `op->done` gets the result once this node
 * has applied the command, so that what is read here afterwards includes it. A
 * lost leader or message is retried under the same request id until the op's
 * deadline. KE_TOO_LARGE, KE_BUSY come through `done` too. */
void store_propose(struct store *store, struct command **cmd, struct op *op);

/* A linearizable read point: `done` is called with code 0 when everything that
 * was acknowledged anywhere before this call is applied here. */
void store_barrier(struct store *store, struct op *op);

/* --- read leases: docs/decisions/0009-read-leases.md --- */

/* Until when (clock_ns()) what is applied here is all there is to see of the objects
 * with these keys (touch.h): the lease of this node is alive and nothing that
 * touches them is on its way. 0: it may not be; use store_barrier(), and let nobody cache what
 * is read then. Look at the data after this call, not before. Never blocks; each
 * call also says that this node reads, so that it asks for a lease. */
uint64_t store_current_until(struct store *store, const uint64_t *keys, size_t count);

/* Told on the raft thread, before this node acknowledges them, what entries on their way
 * are going to change: caches must not hold it any more when this returns, and
 * must not be filled with it but by what store_current_until() allows. Must not block. At
 * most one, before store_start(). */
typedef void store_invalidate_fn(void *ctx, const uint64_t *keys, size_t count);
void store_set_invalidate(struct store *store, store_invalidate_fn *invalidate, void *ctx);

/* Lives as long as the store. */
struct tree *store_tree(struct store *store);

/* --- members --- */

enum member_change_kind {
    MEMBER_ADD,         /* name, address: a learner that is promoted by itself */
    MEMBER_ADD_LEARNER, /* name, address: stays a learner */
    MEMBER_PROMOTE,     /* name */
    MEMBER_REMOVE,      /* name */
    MEMBER_REPLACE,     /* old_name; name and address of the learner that takes its place */
    MEMBER_SET_ADDRESS, /* name, address */
    MEMBER_JOIN,        /* name, address, data_id; `promote` unless it is known already */
};

/* A change of members, by the leader alone. Embedded by the caller, who sets the
 * first part; `op.done` is called when the change is in force: `error.code` is the
 * result's, with a sentence. KE_NOT_LEADER leaves the leader's address, "" when
 * unknown, in `leader_address`. After KE_TIMEOUT it may have happened or not. */
struct member_op {
    struct op op;
    enum member_change_kind kind;
    char name[STORE_NAME_MAX + 1];
    char address[STORE_ADDRESS_MAX + 1];
    char old_name[STORE_NAME_MAX + 1];
    uint64_t data_id;
    bool promote;

    struct err error;
    char leader_address[STORE_ADDRESS_MAX + 1];
    uint64_t store_id; /* of the member that was changed */
};
void store_change_members(struct store *store, struct member_op *op);

/* Moves the leadership to member `name`, or with "" to the one that is furthest.
 * Done when another node leads; `name` is then whose. */
void store_transfer_leader(struct store *store, struct member_op *op);

/* The members on record, as they are here. */
void store_members(struct store *store, struct store_member *members, size_t *ret_count);

/* --- what happened --- */

struct event_log;

/* The latest elections, leaders, snapshots and changes of members; lives as long as the
 * store. */
struct event_log *store_events(struct store *store);

/* --- the check that all replicas are equal --- */

/* Has every node hash its data behind one entry of the log. On success the result's
 * `index` names it. */
void store_start_check(struct store *store, struct op *op);
/* This node's hash at that index; false when it is not known (yet, or any more). */
bool store_check_result(struct store *store, uint64_t index, uint64_t *ret_hash);

struct store_member_status {
    struct store_member member;
    uint32_t role; /* MEMBER_* bits */
    bool is_leader;
    bool active;          /* heard of within an election timeout */
    uint64_t match_index; /* known on the leader only, as is */
    const char *progress; /* "probe", "replicate", "snapshot", "" */
};

/* The numbers are those of metapb.PeerRole. */
#define MEMBER_VOTER          1u
#define MEMBER_VOTER_OUTGOING 2u
#define MEMBER_LEARNER        4u
#define MEMBER_LEARNER_NEXT   8u

/* What has happened on this node since it started. */
struct store_counters {
    uint64_t proposals;   /* commands of this node that were taken */
    uint64_t reads;       /* read barriers */
    uint64_t read_rounds; /* questions to the leader that they took */
    uint64_t leader_changes;
    uint64_t snapshots_sent;
    uint64_t snapshots_failed; /* to be sent */
    uint64_t snapshots_installed;
    uint64_t lease_renewals; /* that put off the end of this node's lease */
    uint64_t lease_refusals; /* messages of a leader to who asked for a lease and got none */
};

struct store_status {
    uint64_t cluster_id;
    uint64_t store_id;
    uint64_t region_id;
    char name[STORE_NAME_MAX + 1];
    const char *role;   /* "leader", "follower", "candidate", "pre-candidate", "learner" */
    uint64_t leader_id; /* 0: none known */
    uint64_t term;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t first_index;
    uint64_t last_index;
    uint64_t log_bytes; /* about */
    uint64_t revision;
    bool no_space; /* the cluster accepts nothing that takes space */
    struct store_counters counters;
    uint64_t lease_until_ns; /* clock_ns() of the end of this node's read lease; 0: none */
    /* Known on the leader only: members that hold one, itself not counted, and entries that
     * a majority has and is waiting for them with. */
    size_t lease_holders;
    uint64_t lease_held_back;
    size_t member_count;
    struct store_member_status members[STORE_MEMBERS_MAX];
};

/* Never waits for the raft thread: at most one tick old. */
void store_status(struct store *store, struct store_status *ret_status);

#endif
