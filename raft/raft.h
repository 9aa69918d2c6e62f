#ifndef KEEL_RAFT_RAFT_H
#define KEEL_RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/conf.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/event.h"
#include "raft/message.h"
#include "raft/storage.h"

// One member of a Raft group as a state machine: ticks and messages in, a Ready
// out. It does no I/O, knows no clock, starts no thread and has no globals. A
// node and everything it hands out belong to the one thread that calls it,
// except entries and snapshots, which are immutable and counted atomically.
//
// The application owns the loop:
//
//     on a timer:           raft_node_tick(node);
//     on a peer's message:  raft_node_step(node, &m); raft_message_release(&m);
//     on a client's write:  raft_node_propose(node, &entry, 1);
//     on a client's read:   raft_node_read_index(node, id, sizeof(id));
//
//     while (raft_node_has_ready(node)) {
//         struct raft_ready rd;
//         raft_node_ready(node, &rd);
//         send(rd.messages);                              // may overlap the write
//         write(rd.snapshot, rd.entries, rd.hard_state);  // fsync if must_sync or a snapshot
//         send(rd.persisted_messages);                    // only now
//         apply(rd.snapshot, rd.committed_entries);
//         raft_node_advance(node);
//     }
//
// The order inside the loop is the safety of the whole: acknowledgements and
// votes are promises about the disk, so they are in persisted_messages and leave
// after the write. A leader counts its own log at advance, not before.
//
// For each committed entry of a CONF_CHANGE type the application decodes it and
// calls raft_node_apply_conf_change(), also for changes it turns down (with
// every node id of the change set to 0).
//
// Asynchronous storage writes (raft_config.async_storage_writes). Log write and
// apply overlap with further rounds; raft_node_advance() is not used. rd.messages
// then also holds work for the process itself:
//   STORAGE_APPEND to RAFT_APPEND_WORKER: write m.snapshot, m.entries, and when
//     term, vote and commit are not all zero this hard state. If m.responses is
//     not empty, fsync, then deliver each: to this node (to == own id) through
//     raft_node_step(), to others over the network. If it is empty the write
//     need not be durable yet.
//   STORAGE_APPLY to RAFT_APPLY_WORKER: apply m.entries, then deliver the
//     responses to this node. Configuration changes are still announced by
//     raft_node_apply_conf_change(), before the response is stepped.
// Work for one worker is done in the order it came out, none of it dropped; the
// two workers are independent of each other. The application may fold several
// STORAGE_APPENDs into one write and one fsync, then deliver all their responses
// in order. In this mode rd.entries, rd.snapshot, rd.hard_state and
// rd.committed_entries repeat what those messages carry.
//
// Memory. Pointers in a Ready are borrowed: valid until raft_node_advance(), in
// asynchronous mode until the next raft_node_ready(). A message is taken out of
// the array with raft_message_move(); what is left there the node releases.
// Entries and snapshots are kept longer by taking a reference.
//
// Compaction. The application drops entries from the front of the log when its own
// durable state covers them, and never any that it has not applied. What slow
// members still lack (raft_status.peers) is worth keeping: past it they need a
// snapshot.
//
// Failure. Each function returns 0 or a negative RAFT_E_*. Out of memory and a
// failing storage come out as errors too; the node then stands as if a message
// had been lost, and Raft copes with lost messages.
//
// Sections: "paper" is Ongaro and Ousterhout, In Search of an Understandable
// Consensus Algorithm; "dissertation" is Ongaro, Consensus: Bridging Theory and
// Practice.

struct raft_node;

enum raft_role { RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER, RAFT_PRE_CANDIDATE };
const char *raft_role_name(enum raft_role role); // "follower", ...

// Limits that are not configurable.
#define RAFT_READS_MAX    4096  // reads that wait for a quorum, or for the first commit of a term
#define RAFT_MESSAGES_MAX 65536 // messages between two calls of raft_node_ready()
#define RAFT_UNSTABLE_MAX (1u << 20) // entries handed to the storage or waiting for it
#define RAFT_INFLIGHT_MAX 65536      // upper bound of max_inflight_messages
#define RAFT_TICKS_MAX    (1 << 20)  // upper bound of both tick settings
#define RAFT_NO_LIMIT     UINT64_MAX

enum raft_read_mode {
    // A round of heartbeats proves the leadership for each batch of reads
    // (dissertation 6.4). Needs no clock.
    RAFT_READ_SAFE,
    // The leader answers from the lease that check_quorum gives it (6.4.1).
    // Right only while clocks tick at nearly the same rate everywhere.
    RAFT_READ_LEASE,
};

struct raft_config {
    uint64_t id; // of this node; not 0, not a worker's

    // A follower that hears nothing for a random time of more than election_ticks and
    // less than 2*election_ticks campaigns; a leader sends a heartbeat every
    // heartbeat_ticks. 0 < heartbeat_ticks < election_ticks.
    int election_ticks;
    int heartbeat_ticks;

    struct raft_storage storage; // borrowed for the life of the node
    // On restart: the last index the application has applied for good. Entries up
    // to it are not handed out again. 0: start after the storage's snapshot.
    uint64_t applied;

    bool async_storage_writes;

    // Bytes of encoded entries. 0 in max_message_bytes: one entry per message.
    uint64_t max_message_bytes;
    // Handed out for apply and not yet acknowledged; 0: same as max_message_bytes.
    uint64_t max_applying_bytes;
    // Payload bytes the leader holds uncommitted before it drops proposals; 0: no limit.
    uint64_t max_uncommitted_bytes;
    // Appends on their way to one member. Messages: 1..RAFT_INFLIGHT_MAX.
    uint32_t max_inflight_messages;
    uint64_t max_inflight_bytes; // 0: no limit; else >= max_message_bytes

    // A leader that no quorum answered for election_ticks steps down, and a
    // follower that has heard from its leader within that time ignores
    // candidates (dissertation 6.2 and 4.2.3).
    bool check_quorum;
    // After a start ignore candidates for election_ticks too: a lease granted just
    // before the restart is forgotten otherwise. Only with check_quorum; without it
    // RAFT_READ_LEASE is right only in a group whose members never restart.
    bool lease_on_start;
    bool pre_vote;                 // ask before raising the term (dissertation 9.6)
    enum raft_read_mode read_mode; // RAFT_READ_LEASE requires check_quorum
    bool step_down_on_removal;     // a leader that is removed or demoted stops leading
    bool disable_proposal_forwarding;
    // Append configuration changes unchecked; for applications that serialise them themselves.
    bool disable_conf_change_validation;

    uint64_t random_seed; // different on every node; equal seeds give equal runs

    struct raft_log_hook log;
};

// Sensible values for everything but id, storage, applied and random_seed.
void raft_config_init(struct raft_config *config);

// A node that continues from what the storage holds, as a follower. Term, vote,
// commit and members come from the storage; a fresh storage means term 0. A new
// group is bootstrapped by giving each member's storage the same snapshot
// metadata or log start (index > 0) with the members in it.
// RAFT_E_INVALID: the config; RAFT_E_CORRUPT: commit or applied outside the log,
// or a configuration that cannot be.
int raft_node_new(const struct raft_config *config, struct raft_node **ret_node);
void raft_node_free(struct raft_node *node); // NULL is fine

// One tick of the clock.
int raft_node_tick(struct raft_node *node);

// Start an election now. RAFT_E_LEASE: under RAFT_READ_LEASE not while the
// leader that was last heard may still answer reads.
int raft_node_campaign(struct raft_node *node);

// Propose entries, to be appended one after another, all or none. On success the
// node has taken them and the pointers are NULL; on failure they are the
// caller's still. Success is not a commit: watch for the entry in
// committed_entries. A follower forwards to the leader.
// RAFT_E_PROPOSAL_DROPPED: no leader, no forwarding, a transfer is going on, not
// a member any more, or over max_uncommitted_bytes. RAFT_E_TOO_MANY: over
// RAFT_MESSAGE_ENTRIES_MAX entries or RAFT_UNSTABLE_MAX.
int raft_node_propose(struct raft_node *node, struct raft_entry **entries, size_t count);

// Propose a change of members (dissertation 4). When it may not be appended now,
// an empty entry is, and the log hook says why.
int raft_node_propose_conf_change(struct raft_node *node, const struct raft_conf_change *change);

// Put a committed change into force and learn the resulting configuration, which
// the application keeps with its state. Entries that a snapshot has overtaken,
// those up to its index, the application skips once it has taken in the snapshot.
// RAFT_E_CONF_CHANGE: it does not follow from the current one, for nobody: the
// application goes on as if it had not been there.
int raft_node_apply_conf_change(struct raft_node *node, const struct raft_conf_change *change,
                                struct raft_conf_state *ret_conf);

// Handle a message from a peer, or a response from a storage worker. `m` is
// borrowed: entries are kept by reference, the caller still releases it. The
// transport has made sure that m->from is who sent it.
// RAFT_E_INVALID, RAFT_E_LOCAL_MESSAGE, RAFT_E_PEER_NOT_FOUND: not handled.
int raft_node_step(struct raft_node *node, const struct raft_message *m);

// Ask for an index that is safe to read at: rd.read_states will have it with the
// same context (1 to RAFT_CONTEXT_MAX bytes); once applied that far the read is
// linearizable. May be lost like any message (leader change): ask again.
// RAFT_E_NO_LEADER: lost for sure. RAFT_E_TOO_MANY: RAFT_READS_MAX are waiting.
int raft_node_read_index(struct raft_node *node, const void *context, size_t size);

// Make `peer` the leader (dissertation 3.10). Gives up after election_ticks.
int raft_node_transfer_leader(struct raft_node *node, uint64_t peer);

// A follower that knows its leader is gone: vote and pre-vote freely at once.
int raft_node_forget_leader(struct raft_node *node);

// The last message to `peer` did not get there.
int raft_node_report_unreachable(struct raft_node *node, uint64_t peer);
// The stream of a snapshot to `peer` ended. Each SNAPSHOT message must be
// followed by exactly one of these.
int raft_node_report_snapshot(struct raft_node *node, uint64_t peer, bool succeeded);

// While leading, never commit past `index`, though a quorum has it; RAFT_NO_LIMIT
// lifts it, as does any change of role or term. Lets a layer above hold back a commit for
// members that must have seen it.
int raft_node_limit_commit(struct raft_node *node, uint64_t index);

struct raft_read_state {
    uint64_t index;
    uint8_t context_size;
    uint8_t context[RAFT_CONTEXT_MAX];
};

struct raft_ready {
    bool soft_state_changed; // leader or role differ from the last Ready
    uint64_t leader;         // RAFT_NONE when unknown
    enum raft_role role;

    bool hard_state_changed; // hard_state is to be written
    struct raft_hard_state hard_state;

    struct raft_entry *const *entries; // to be written, replacing what the log has from there on
    size_t entry_count;
    struct raft_snapshot *snapshot; // to be written and applied, or NULL; comes without entries

    struct raft_entry *const *committed_entries; // to be applied, in order
    size_t committed_count;

    struct raft_message *messages; // to be sent at any time
    size_t message_count;
    struct raft_message *persisted_messages; // to be sent after the write; plain mode only
    size_t persisted_count;

    const struct raft_read_state *read_states;
    size_t read_state_count;

    // Entries, term or vote have changed: the write must be durable before
    // persisted_messages leave and advance is called. False when only the commit
    // index moved. A snapshot is made durable in any case.
    bool must_sync;
};

bool raft_node_has_ready(const struct raft_node *node);

// What is to be done now. In plain mode each call must be followed by
// raft_node_advance() before the next; ticks, messages and proposals may come in
// between. On failure nothing was handed out.
int raft_node_ready(struct raft_node *node, struct raft_ready *ret_ready);

// Plain mode: everything in the last Ready is written and applied.
int raft_node_advance(struct raft_node *node);

struct raft_status {
    uint64_t id;
    struct raft_hard_state hard_state;
    uint64_t leader;
    enum raft_role role;
    uint64_t applied;
    uint64_t first_index;
    uint64_t last_index;
    uint64_t transferee; // RAFT_NONE unless leadership is being moved
    bool learner;
    struct raft_conf_state conf;
    // Leader only: every member, itself included, by ascending id.
    uint32_t peer_count;
    struct raft_peer_status peers[RAFT_MEMBERS_MAX];
};

int raft_node_status(const struct raft_node *node, struct raft_status *ret_status);

#endif
