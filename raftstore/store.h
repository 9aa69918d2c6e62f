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

#define STORE_MEMBERS_MAX 9
#define STORE_NAME_MAX    63
#define STORE_ADDRESS_MAX 255

/* Where a cluster of one listens unless told otherwise. */
#define STORE_LISTEN_DEFAULT "127.0.0.1:20160"

struct store_member {
    uint64_t id;
    char name[STORE_NAME_MAX + 1];
    char address[STORE_ADDRESS_MAX + 1]; /* host:port */
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
    uint32_t tick_ms;         /* 0: 50 */
    uint32_t heartbeat_ticks; /* 0: 2 */
    uint32_t election_ticks;  /* 0: 10 */
    uint32_t op_timeout_ms;   /* 0: 5000; of operations that come by RPC */
};

/* What one applied command changed, for whoever caches the namespace. */
struct change {
    enum change_kind {
        CHANGE_CREATED,
        CHANGE_CONTENT, /* content or attributes */
        CHANGE_REMOVED,
        CHANGE_RENAMED, /* `path` became `to`; of a directory, all below it too */
    } kind;
    const char *path;
    const char *to;
    uint64_t id; /* of the file or directory */
    uint64_t version;
};

/* Called on the apply thread after the changes are visible to readers and
 * before any `done` of their commands. Must not block. */
typedef void store_observer_fn(void *ctx, const struct change *changes, size_t count);

struct store;

int store_open(const struct store_config *config, struct store **ret_store, struct err *e);

/* At most one observer, before store_start(). */
void store_set_observer(struct store *store, store_observer_fn *observer, void *ctx);

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

/* Lives as long as the store. */
struct tree *store_tree(struct store *store);

struct store_member_status {
    struct store_member member;
    bool is_leader;
    bool active;          /* heard of within an election timeout */
    uint64_t match_index; /* known on the leader only */
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
    uint64_t revision;
    size_t member_count;
    struct store_member_status members[STORE_MEMBERS_MAX];
};

/* Never waits for the raft thread: at most one tick old. */
void store_status(struct store *store, struct store_status *ret_status);

#endif
