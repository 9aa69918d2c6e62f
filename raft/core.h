#ifndef KEEL_RAFT_CORE_H
#define KEEL_RAFT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/hook.h"
#include "raft/log.h"
#include "raft/outbox.h"
#include "raft/raft.h"
#include "raft/read_only.h"
#include "raft/tracker.h"

// The algorithm's state, and what its parts call of one another. The parts:
//   step.c         the rules on terms, common to all roles; then by role
//   role.c         changes of role
//   tick.c         the timers
//   election.c     campaigns and votes
//   replication.c  leader: appends, snapshots and heartbeats out
//   response.c     leader: the answers to them
//   follower.c     follower: appends, snapshots and heartbeats in
//   proposal.c     proposals at the leader and on their way to it
//   reading.c      ReadIndex and the lease
//   membership.c   changes of the configuration
//   transfer.c     handing over leadership
// ready.c and node.c put the public interface around it.
//
// Errors. Handlers do not unwind: a failure of memory or storage is noted in
// log.error, the handler acts as if a message had been lost, and the public call
// returns it. What must not happen by half is reserved before it begins.

struct raft {
    uint64_t id;
    uint64_t term;
    uint64_t vote;
    enum raft_role role;
    uint64_t leader;
    uint64_t transferee;
    bool is_learner;

    struct raft_log log;
    struct raft_tracker tracker;
    // While a received snapshot is not stable: the configuration that the
    // application's state still has. What it applies until then counts here.
    struct raft_conf_state overtaken_conf;
    struct raft_read_only reads;

    struct raft_outbox messages; // may leave at any time
    // Promises about the disk: leave when all that is unstable now is stable. May
    // be addressed to this node itself.
    struct raft_outbox after_append;

    struct raft_read_state *read_states;
    size_t read_state_count;
    size_t read_state_capacity;

    // No configuration change may be proposed until this index is applied.
    uint64_t pending_conf_index;
    uint64_t uncommitted_bytes;
    uint64_t commit_limit;

    uint64_t ticks; // since the start, from 1 on
    int election_elapsed;
    int heartbeat_elapsed;
    int randomized_timeout;
    uint64_t leader_heard_tick; // 0: never
    // A TIMEOUT_NOW is out in this term: its receiver may be elected at any
    // time, whatever followers promised, so the lease is worth nothing.
    bool lease_given_away;
    uint64_t random_state;

    struct raft_config config;
};

enum raft_campaign { RAFT_CAMPAIGN_PRE, RAFT_CAMPAIGN_REAL, RAFT_CAMPAIGN_TRANSFER };

// step.c
int raft_step(struct raft *r, const struct raft_message *m);
// Completes sender and term, and queues. Takes the contents of `m` in any case;
// false when it was dropped, with the error noted.
bool raft_send(struct raft *r, struct raft_message *m);

// role.c
void raft_become_follower(struct raft *r, uint64_t term, uint64_t leader);
void raft_become_pre_candidate(struct raft *r);
void raft_become_candidate(struct raft *r);
// RAFT_E_NO_MEMORY: still what it was.
int raft_become_leader(struct raft *r);

// tick.c
void raft_tick(struct raft *r);

// election.c
bool raft_is_promotable(const struct raft *r);
bool raft_is_in_lease(const struct raft *r);
void raft_hup(struct raft *r, enum raft_campaign kind);
void raft_handle_vote_request(struct raft *r, const struct raft_message *m);
// A refusal says what is committed, see take_commit_hint() in election.c.
void raft_give_commit_hint(struct raft *r, struct raft_message *refusal);
void raft_handle_vote_response(struct raft *r, const struct raft_message *m);

// replication.c
bool raft_maybe_send_append(struct raft *r, struct raft_progress *p, bool send_if_empty);
void raft_broadcast_append(struct raft *r);
void raft_broadcast_heartbeat(struct raft *r);
bool raft_maybe_commit(struct raft *r);
void raft_progress_event_fields(const struct raft *r, const struct raft_progress *p,
                                struct raft_peer_status *ret_status);

// response.c
void raft_handle_append_response(struct raft *r, struct raft_progress *p,
                                 const struct raft_message *m);
void raft_handle_heartbeat_response(struct raft *r, struct raft_progress *p,
                                    const struct raft_message *m);
void raft_handle_snap_status(struct raft *r, struct raft_progress *p, bool failed);
void raft_handle_unreachable(struct raft *r, struct raft_progress *p);
void raft_check_quorum(struct raft *r);

// follower.c
void raft_handle_append(struct raft *r, const struct raft_message *m);
void raft_handle_heartbeat(struct raft *r, const struct raft_message *m);
void raft_handle_snapshot(struct raft *r, const struct raft_message *m);

// proposal.c
int raft_propose(struct raft *r, struct raft_entry *const *entries, size_t count);
// Appends as leader; all or none.
int raft_append_entries(struct raft *r, struct raft_entry *const *entries, size_t count);
void raft_reduce_uncommitted(struct raft *r, uint64_t bytes);

// reading.c
int raft_handle_read_index(struct raft *r, const struct raft_message *m);
int raft_push_read_state(struct raft *r, uint64_t index, const uint8_t *context, uint8_t size);
void raft_release_held_reads(struct raft *r);
void raft_answer_confirmed_reads(struct raft *r);
// The context of a heartbeat, and what its answer proves.
void raft_read_fill_context(const struct raft *r, struct raft_message *heartbeat);
void raft_read_take_context(struct raft *r, struct raft_progress *p, const struct raft_message *m);

// membership.c
int raft_apply_conf_change(struct raft *r, const struct raft_conf_change *change,
                           struct raft_conf_state *ret_conf);
// Works out the tracker for `conf`; RAFT_E_CORRUPT when there is none. Then puts
// it in force; nothing of it may be used afterwards.
int raft_prepare_conf(struct raft *r, const struct raft_conf_state *conf, uint64_t last_index,
                      struct raft_tracker *ret_next);
void raft_switch_conf(struct raft *r, const struct raft_tracker *next);
bool raft_has_unapplied_conf_change(struct raft *r);
void raft_applied_to(struct raft *r, uint64_t index, uint64_t bytes);
void raft_applied_snapshot(struct raft *r, const struct raft_snapshot *snapshot);

// transfer.c
void raft_handle_transfer(struct raft *r, struct raft_progress *p);
void raft_send_timeout_now(struct raft *r, uint64_t to);

#endif
