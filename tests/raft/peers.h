#ifndef KEEL_TESTS_RAFT_PEERS_H
#define KEEL_TESTS_RAFT_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/memory_storage.h"
#include "raft/raft.h"

// Nodes for tests: one peer alone, whose messages the test reads and makes up,
// or a group with a network between. Plain mode, memory storage.

#define PEERS_MAX   9
#define APPLIED_MAX 4096
#define OUT_MAX     4096

struct peer {
    struct raft_node *node;
    struct raft_memory_storage *storage;
    struct raft_config config;
    struct raft_message out[OUT_MAX]; // sent, not yet delivered or dropped
    size_t out_count;
    uint64_t applied[APPLIED_MAX]; // indexes, in order
    size_t applied_count;
    struct raft_conf_state conf;
    struct raft_read_state reads[64];
    size_t read_count;
    bool hold_advance; // peer_drain() stops before advance: nothing is stable yet
};

// A peer of a group 1..members, at term 0, its log empty, pre_vote and
// check_quorum off. Change config, storage or log, then peer_start().
void peer_prepare(struct peer *p, uint64_t id, size_t members);
// Entries of these terms from index 1 on; hard state with the last of them as
// term unless one is set afterwards.
void peer_load_log(struct peer *p, const uint64_t *terms, size_t count);
void peer_load_hard_state(struct peer *p, uint64_t term, uint64_t vote, uint64_t commit);
void peer_start(struct peer *p);
void peer_stop(struct peer *p); // keeps the storage
void peer_release(struct peer *p);

// Handles every Ready there is: writes, applies, collects messages in out.
void peer_drain(struct peer *p);
void peer_drop_out(struct peer *p);
// The first message of this type in out; NULL when there is none.
const struct raft_message *peer_find_out(const struct peer *p, enum raft_message_type type);
size_t peer_count_out(const struct peer *p, enum raft_message_type type);

struct raft_status peer_status(const struct peer *p);
// Steps m, which is then released, and drains.
int peer_step(struct peer *p, struct raft_message *m);
int peer_propose(struct peer *p, const char *text);
// Ticks until the role changes or `most` ticks are over; returns the ticks.
int peer_tick_until_campaign(struct peer *p, int most);
// Answers of members 2..members to a campaign, all yes.
void peer_win(struct peer *p, size_t members);
uint64_t peer_term_at(struct peer *p, uint64_t index); // 0: not in the storage

struct raft_message msg(enum raft_message_type type, uint64_t from, uint64_t to, uint64_t term);
// An append of consecutive entries of these terms after (log_term, index).
struct raft_message msg_append(uint64_t from, uint64_t to, uint64_t term, uint64_t log_term,
                               uint64_t index, uint64_t commit, const uint64_t *terms,
                               size_t count);

struct group {
    struct peer *peers[PEERS_MAX + 1]; // by id; [0] unused
    size_t count;
    bool cut[PEERS_MAX + 1][PEERS_MAX + 1]; // [from][to]
    // Drops a message when true; NULL: none.
    bool (*drop)(const struct raft_message *m);
};

typedef void group_tweak(struct peer *p);

// Members 1..count, started. `tweak` may be NULL; it sees each peer before its start.
void group_init(struct group *g, size_t count, group_tweak *tweak);
// Makes the peer to be started later by group_start_peer().
void group_release(struct group *g);
void group_isolate(struct group *g, uint64_t id);
void group_heal(struct group *g);
// Until nobody has anything to say.
void group_settle(struct group *g);
void group_elect(struct group *g, uint64_t id);
// Ticks everybody `ticks` times, settling after each.
void group_tick(struct group *g, int ticks);
uint64_t group_leader(const struct group *g); // of the highest term; 0: none

#endif
