#ifndef KEEL_RAFT_EVENT_H
#define KEEL_RAFT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/conf.h"
#include "raft/message.h"

// What the node tells about itself while it works: the log hook.
//
// The core formats nothing. It hands the hook an event with typed fields; the
// hook drops it, counts it, or has it put into words by raft_event_format().

enum raft_log_level { RAFT_LOG_DEBUG, RAFT_LOG_INFO, RAFT_LOG_WARN, RAFT_LOG_ERROR };

// Columns: kind, level, the words for it (a field's name in braces stands for its value).
#define RAFT_EVENTS(X)                                                                             \
    X(NODE_STARTED, INFO,                                                                          \
      "node {node} starts: term {term}, commit {commit}, applied {applied}, "                      \
      "log ends at {last_term}/{last_index}, members {conf}")                                      \
    X(CONF_SWITCHED, INFO, "node {node} now uses the configuration {conf}")                        \
    X(BECAME_FOLLOWER, INFO, "node {node} is a follower in term {term}")                           \
    X(BECAME_PRE_CANDIDATE, INFO, "node {node} asks for pre-votes in term {term}")                 \
    X(BECAME_CANDIDATE, INFO, "node {node} is a candidate in term {term}")                         \
    X(BECAME_LEADER, INFO, "node {node} leads term {term}")                                        \
    X(ELECTION_ALREADY_LEADER, DEBUG, "node {node} leads already, no election")                    \
    X(ELECTION_UNPROMOTABLE, WARN, "node {node} may not lead, no election")                        \
    X(ELECTION_CONF_PENDING, WARN,                                                                 \
      "node {node} has an unapplied configuration change in "                                      \
      "term {term}, no election")                                                                  \
    X(ELECTION_STARTED, INFO, "node {node} opens an election, last term {term}")                   \
    X(VOTE_REQUESTED, INFO,                                                                        \
      "node {node} sends {message} to {peer} in term {term}, own log ends "                        \
      "at {last_term}/{last_index}")                                                               \
    X(VOTE_GAINED, INFO, "node {node} has a yes ({message}) of {peer} in term {term}")             \
    X(VOTE_DENIED, INFO, "node {node} has a no ({message}) of {peer} in term {term}")              \
    X(VOTE_COUNTED, INFO, "node {node} counts {granted} yes and {rejected} no ({message})")        \
    X(VOTE_IN_LEASE, INFO,                                                                         \
      "node {node} passes over {message} of {peer} in term {term}: its "                           \
      "leader's lease has {ticks} ticks left")                                                     \
    X(VOTE_CAST, INFO,                                                                             \
      "node {node} answers yes to {message} of {peer} in term {term}: log "                        \
      "{log_term}/{index}, own {last_term}/{last_index}")                                          \
    X(VOTE_REFUSED, INFO,                                                                          \
      "node {node} answers no to {message} of {peer} in term {term}: log "                         \
      "{log_term}/{index}, own {last_term}/{last_index}, voted for {vote}")                        \
    X(TERM_HIGHER, INFO,                                                                           \
      "node {node} in term {term} gets {message} of term {peer_term} from "                        \
      "{peer}")                                                                                    \
    X(TERM_LOWER, INFO,                                                                            \
      "node {node} in term {term} drops {message} of term {peer_term} from "                       \
      "{peer}")                                                                                    \
    X(APPEND_DONE_STALE, INFO,                                                                     \
      "node {node} in term {term} leaves its log unstable: {message} is "                          \
      "of term {peer_term}")                                                                       \
    X(QUORUM_LOST, WARN, "node {node} steps down: no quorum answered in time")                     \
    X(PROPOSAL_IN_TRANSFER, DEBUG,                                                                 \
      "node {node} drops a proposal in term {term}: leadership is "                                \
      "moving to {peer}")                                                                          \
    X(PROPOSAL_OVER_LIMIT, WARN, "node {node} drops a proposal: too many uncommitted bytes")       \
    X(PROPOSAL_NO_LEADER, INFO, "node {node} drops a proposal: no leader in term {term}")          \
    X(PROPOSAL_NOT_FORWARDED, INFO,                                                                \
      "node {node} drops a proposal in term {term}: it may not "                                   \
      "forward to {peer}")                                                                         \
    X(CHANGE_REFUSED, INFO,                                                                        \
      "node {node} turns the configuration change {change} into an empty "                         \
      "entry at {conf}: {reason}")                                                                 \
    X(PEER_UNKNOWN, DEBUG, "node {node} knows no member {peer}")                                   \
    X(PEER_REJECTED, DEBUG,                                                                        \
      "node {node}: {peer} has no match at {index}, suggests "                                     \
      "{log_term}/{hint}")                                                                         \
    X(PEER_DECREASED, DEBUG, "node {node} goes back for {peer}: {progress}")                       \
    X(PEER_RECOVERED, DEBUG, "node {node}: {peer} caught up past its snapshot: {progress}")        \
    X(PEER_UNREACHABLE, DEBUG, "node {node} cannot reach {peer}: {progress}")                      \
    X(PEER_PAUSED, DEBUG, "node {node} holds appends to {peer}: {progress}")                       \
    X(SNAPSHOT_PEER_INACTIVE, DEBUG, "node {node} keeps its snapshot back: {peer} is silent")      \
    X(SNAPSHOT_NOT_READY, DEBUG, "node {node} has no snapshot for {peer} yet")                     \
    X(SNAPSHOT_SENT, DEBUG,                                                                        \
      "node {node} sends snapshot {log_term}/{index} to {peer}; its log "                          \
      "starts at {first_index}, commit {commit}: {progress}")                                      \
    X(SNAPSHOT_SUCCEEDED, DEBUG, "node {node}: the snapshot reached {peer}: {progress}")           \
    X(SNAPSHOT_FAILED, DEBUG, "node {node}: the snapshot did not reach {peer}: {progress}")        \
    X(SNAPSHOT_ACCEPTED, INFO, "node {node} took snapshot {log_term}/{index}, commit {commit}")    \
    X(SNAPSHOT_IGNORED, INFO,                                                                      \
      "node {node} passes over snapshot {log_term}/{index}, commit "                               \
      "{commit}")                                                                                  \
    X(SNAPSHOT_FAST_FORWARD, INFO,                                                                 \
      "node {node} has {log_term}/{index} of the snapshot in its "                                 \
      "log: commit {commit}, log ends at {last_term}/{last_index}")                                \
    X(SNAPSHOT_RESTORED, INFO,                                                                     \
      "node {node} restarts its log at {log_term}/{index}, commit "                                \
      "{commit}")                                                                                  \
    X(SNAPSHOT_NOT_FOLLOWER, WARN, "node {node} got a snapshot while not a follower")              \
    X(SNAPSHOT_NOT_MEMBER, WARN, "node {node} is not in the snapshot's configuration {conf}")      \
    X(LOG_REPLACED, INFO,                                                                          \
      "log: commit {commit}, applied {applied}, applying {applying}, "                             \
      "unstable from {offset}, in progress to {in_progress}, {count} "                             \
      "entries, gives way to snapshot {log_term}/{index}")                                         \
    X(LOG_CONFLICT, INFO,                                                                          \
      "log: the entry at {index} of term {log_term} gives way to term "                            \
      "{peer_term}")                                                                               \
    X(UNSTABLE_REPLACED, INFO, "log: unstable entries restart at {index}")                         \
    X(UNSTABLE_TRUNCATED, INFO, "log: unstable entries from {index} on give way")                  \
    X(STABLE_MISSING, INFO, "log: the entry written at {index} is no longer unstable")             \
    X(STABLE_IS_SNAPSHOT, INFO, "log: the entry written at {index} is the unstable snapshot's")    \
    X(STABLE_MISMATCH, INFO,                                                                       \
      "log: the entry written at {index} is of term {log_term}, the "                              \
      "unstable one of term {peer_term}")                                                          \
    X(APPEND_REJECTED, DEBUG,                                                                      \
      "node {node} has {last_term}/{index}, no match for "                                         \
      "{log_term}/{index} of {peer}")                                                              \
    X(TRANSFER_TO_LEARNER, DEBUG, "node {node}: {peer} is a learner and cannot lead")              \
    X(TRANSFER_RUNNING, INFO, "node {node} in term {term} moves leadership to {peer} already")     \
    X(TRANSFER_REPLACED, INFO, "node {node} in term {term} gives up moving leadership to {peer}")  \
    X(TRANSFER_TO_SELF, DEBUG, "node {node} leads already, nothing to move")                       \
    X(TRANSFER_STARTED, INFO, "node {node} in term {term} moves leadership to {peer}")             \
    X(TRANSFER_READY, INFO, "node {node} tells {peer} to campaign, its log is complete")           \
    X(TRANSFER_CAUGHT_UP, INFO, "node {node} tells {peer} to campaign, its log became complete")   \
    X(TRANSFER_NO_LEADER, INFO, "node {node} has no leader in term {term} to move leadership")     \
    X(TIMEOUT_NOW_OBEYED, INFO, "node {node} in term {term} campaigns at the request of {peer}")   \
    X(TIMEOUT_NOW_IGNORED, DEBUG, "node {node} in term {term} campaigns already, asked by {peer}") \
    X(READ_NO_LEADER, INFO, "node {node} drops a read: no leader in term {term}")                  \
    X(FORGET_REFUSED, ERROR, "node {node} keeps its leader: reads rely on the lease")              \
    X(LEADER_FORGOTTEN, INFO, "node {node} forgets leader {peer} of term {term}")                  \
    X(AUTO_LEAVE_STARTED, INFO, "node {node} proposes to leave the joint configuration {conf}")    \
    X(AUTO_LEAVE_DELAYED, DEBUG, "node {node} cannot leave the joint configuration {conf} yet")

enum raft_event_kind {
#define X(kind, level, words) RAFT_EVENT_##kind,
    RAFT_EVENTS(X)
#undef X
};

// How the leader sees one member; also part of the status (raft.h).
enum raft_progress_state {
    RAFT_PROGRESS_PROBE,     // looking for the last common entry, one append at a time
    RAFT_PROGRESS_REPLICATE, // streaming ahead of the answers, within the in-flight limits
    RAFT_PROGRESS_SNAPSHOT,  // a snapshot is on its way, no appends until it arrived
};

struct raft_peer_status {
    uint64_t id;
    uint64_t match; // its log is known to equal the leader's up to here
    uint64_t next;  // the next entry to send
    uint64_t pending_snapshot;
    enum raft_progress_state state;
    uint32_t inflight_count; // appends on their way
    bool inflight_full;
    bool paused;
    bool recent_active; // heard since the last check of the quorum
    bool learner;
};

// Why a configuration change was refused at propose.
enum raft_change_refusal {
    RAFT_CHANGE_PENDING,   // an earlier one, at or before `index`, may be unapplied
    RAFT_CHANGE_IN_JOINT,  // the joint configuration must be left first
    RAFT_CHANGE_NOT_JOINT, // there is no joint configuration to leave
};

// A field is meaningful when the words of the kind name it; else it is zero.
// Everything pointed to is borrowed for the duration of the call.
struct raft_event {
    enum raft_event_kind kind;
    enum raft_log_level level;
    uint64_t node; // 0 in events of the log
    uint64_t term;
    uint64_t peer;
    uint64_t peer_term;
    enum raft_message_type message;
    bool pre_candidate; // TIMEOUT_NOW_IGNORED: which of the two candidate roles
    uint64_t index;
    uint64_t log_term;
    uint64_t hint;
    uint64_t last_index;
    uint64_t last_term;
    uint64_t first_index;
    uint64_t vote;
    uint64_t commit;
    uint64_t applied;
    uint64_t applying;
    uint64_t offset;
    uint64_t in_progress;
    uint64_t count;
    uint64_t granted;
    uint64_t rejected;
    uint64_t ticks;
    enum raft_change_refusal refusal;
    const struct raft_peer_status *progress;
    const struct raft_conf_state *conf;
    const struct raft_conf_change *change;
};

// fn may be NULL: then nothing is composed at all. It must not call into the node.
struct raft_log_hook {
    void (*fn)(void *ctx, const struct raft_event *event);
    void *ctx;
    enum raft_log_level level; // the lowest that is wanted
};

// The event in words, as snprintf: returns the length it has, writes at most
// size-1 bytes and a NUL.
size_t raft_event_format(const struct raft_event *event, char *buf, size_t size);

// A name for status pages: "probe", "replicate", "snapshot".
const char *raft_progress_state_name(enum raft_progress_state state);

#endif
