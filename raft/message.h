#ifndef KEEL_RAFT_MESSAGE_H
#define KEEL_RAFT_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/conf.h"
#include "raft/entry.h"

// What the members say to each other, and what the node says to the two storage
// workers of its own process.
//
// A struct raft_message is embedded, never allocated by itself. It owns one
// reference to each of its entries and to its snapshot, the array that holds the
// entries, and its responses. raft_message_move() hands all of that over without
// touching a counter: the usual way to take a message out of a Ready.

#define RAFT_NONE UINT64_C(0) // no node: no leader, no vote
// The addresses of the storage workers in asynchronous mode (see raft.h).
#define RAFT_APPEND_WORKER UINT64_MAX
#define RAFT_APPLY_WORKER  (UINT64_MAX - 1)

// Largest context of a message or a read, in bytes.
#define RAFT_CONTEXT_MAX 32

// Most entries in one message; longer runs go out in several.
#define RAFT_MESSAGE_ENTRIES_MAX 4096

// Columns: name, is it purely local (never from the network), is it the answer
// to an earlier message. The numbers are not those of eraftpb.MessageType.
#define RAFT_MESSAGE_TYPES(X)                                                                      \
    X(HUP, 1, 0)                     /* local: start an election */                                \
    X(BEAT, 1, 0)                    /* local: send heartbeats */                                  \
    X(PROPOSE, 0, 0)                 /* append entries; followers forward it */                    \
    X(APPEND, 0, 0)                  /* entries follow (index, log_term) */                        \
    X(APPEND_RESPONSE, 0, 1)         /* index: matched, or rejected with a hint */                 \
    X(REQUEST_VOTE, 0, 0)            /* (index, log_term): the candidate's last entry */           \
    X(REQUEST_VOTE_RESPONSE, 0, 1)   /* */                                                         \
    X(SNAPSHOT, 0, 0)                /* replaces the log up to the snapshot's index */             \
    X(HEARTBEAT, 0, 0)               /* commit, and a context that the answer returns */           \
    X(HEARTBEAT_RESPONSE, 0, 1)      /* */                                                         \
    X(UNREACHABLE, 1, 1)             /* local: sending to `from` failed */                         \
    X(SNAP_STATUS, 1, 0)             /* local: sending a snapshot to `from` ended */               \
    X(CHECK_QUORUM, 1, 0)            /* local: step down unless a quorum was heard */              \
    X(TRANSFER_LEADER, 0, 0)         /* make `from` the leader */                                  \
    X(TIMEOUT_NOW, 0, 0)             /* campaign at once */                                        \
    X(READ_INDEX, 0, 0)              /* context: the read; followers forward it */                 \
    X(READ_INDEX_RESPONSE, 0, 1)     /* index: apply this far, then read */                        \
    X(PRE_VOTE, 0, 0)                /* would you vote for me at `term`? */                        \
    X(PRE_VOTE_RESPONSE, 0, 1)       /* */                                                         \
    X(STORAGE_APPEND, 1, 0)          /* to the append worker */                                    \
    X(STORAGE_APPEND_RESPONSE, 1, 1) /* from the append worker */                                  \
    X(STORAGE_APPLY, 1, 0)           /* to the apply worker */                                     \
    X(STORAGE_APPLY_RESPONSE, 1, 1)  /* from the apply worker */                                   \
    X(FORGET_LEADER, 0, 0)           /* follower: act as though no leader was known */

enum raft_message_type {
#define X(name, local, response) RAFT_MESSAGE_##name,
    RAFT_MESSAGE_TYPES(X)
#undef X
};
#define X(name, local, response) +1
enum { RAFT_MESSAGE_TYPE_COUNT = RAFT_MESSAGE_TYPES(X) };
#undef X

// "APPEND" for RAFT_MESSAGE_APPEND; "UNKNOWN" for a number that is no type.
const char *raft_message_type_name(enum raft_message_type type);
bool raft_message_is_local(enum raft_message_type type);
bool raft_message_is_response(enum raft_message_type type);
// Is `id` one of the two storage workers?
bool raft_is_worker(uint64_t id);

// The state of the application up to `index`: reference counted, immutable once
// handed over, data in the same allocation. What data holds is the application's.
struct raft_snapshot {
    atomic_uint refs;
    uint64_t index;
    uint64_t term;
    struct raft_conf_state conf;
    size_t size;
    uint8_t data[];
};

// A zeroed snapshot with room for `size` bytes and one reference; NULL when memory is short.
struct raft_snapshot *raft_snapshot_alloc(size_t size);
struct raft_snapshot *raft_snapshot_ref(struct raft_snapshot *snapshot);
void raft_snapshot_unref(struct raft_snapshot *snapshot); // NULL is fine

// Over the network go all fields but vote and responses; the context of any type
// of message may be in use.
struct raft_message {
    enum raft_message_type type;
    bool reject;
    uint8_t context_size; // bytes used of context
    uint8_t context[RAFT_CONTEXT_MAX];
    uint64_t to;
    uint64_t from;
    uint64_t term;     // 0: local, or forwarded (PROPOSE, READ_INDEX)
    uint64_t log_term; // term of the entry at index
    uint64_t index;
    uint64_t commit;
    uint64_t vote; // STORAGE_APPEND only: with term and commit the hard state to write
    uint64_t reject_hint;
    struct raft_entry **entries; // entry_count long, one reference each
    size_t entry_count;
    struct raft_snapshot *snapshot; // or NULL
    // STORAGE_APPEND, STORAGE_APPLY: deliver these when the work is done.
    struct raft_message *responses;
    size_t response_count;
};

// The context of a campaign that the leader itself asked for; it overrides leases.
#define RAFT_TRANSFER_CONTEXT "transfer"
bool raft_message_is_transfer_campaign(const struct raft_message *m);

// An empty message of this type. Nothing to release yet.
void raft_message_init(struct raft_message *m, enum raft_message_type type);
// Drops everything the message owns and leaves it empty. Safe on a released message.
void raft_message_release(struct raft_message *m);
// `to` becomes what `from` was, `from` becomes empty. `to` is not released first.
void raft_message_move(struct raft_message *to, struct raft_message *from);
// `to` becomes a second message with its own references. `to` is not released
// first; it is untouched when this fails with RAFT_E_NO_MEMORY.
int raft_message_copy(struct raft_message *to, const struct raft_message *from);
// Fills in the entries: copies the array, takes one more reference to each.
// The message must have none yet. RAFT_E_NO_MEMORY leaves it so.
int raft_message_set_entries(struct raft_message *m, struct raft_entry *const *entries,
                             size_t count);

#endif
