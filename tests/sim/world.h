#ifndef KEEL_TESTS_SIM_WORLD_H
#define KEEL_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "raft/fault.h"
#include "raft/memory_storage.h"
#include "raft/raft.h"

// A whole cluster in one thread, from one seed: raft nodes, their disks, the
// network between them, the clients, and everything that goes wrong.
//
// Time is counted in steps; a node's clock ticks every STEPS_PER_TICK of them.
// In each step messages arrive, disks and apply workers finish work, and each
// node gets a chance to handle its Ready. Which of them when is drawn from the
// one random state, so that the same seed gives the same run, to the byte.
//
// What is checked, all the time: check.h. The parts: world.c the steps, member.c
// a node with its disk, network.c, client.c reads and writes, trouble.c what goes
// wrong, check.c.

#define MEMBERS_MAX      7
#define STEPS_PER_TICK   4
#define TROUBLE_STEPS    1600
#define HEALING_TICKS    1500 // after the trouble: until then all must be well, backlogs and all
#define INDEX_MAX        4096 // of a log in one run
#define TERM_MAX         4096
#define SLOW_DISK_STEPS  300
#define FIRST_INDEX      5 // of the snapshot every group starts from
#define OPS_MAX          1024
#define WIRE_MAX         8192
#define WORK_MAX         256
#define FAILURE_TEXT_MAX 256

struct random {
    uint64_t state;
};
uint64_t random_below(struct random *r, uint64_t bound);
bool random_chance(struct random *r, unsigned per_mille);

// How bad this run is; drawn from the seed.
struct weather {
    unsigned loss; // per mille of messages, and so on
    unsigned duplicate;
    unsigned delay_max; // steps
    unsigned disk_max;  // steps that a write takes
    uint64_t slow;      // the member whose disk takes much longer; 0: none
    unsigned apply_max;
    unsigned crash;
    unsigned partition;
    unsigned pause;
    unsigned change; // of members
    unsigned transfer;
    unsigned strike; // at whoever leads
    bool single;     // one entry a message
    unsigned compact;
    unsigned write;
    unsigned read;
};

struct work {
    struct raft_message m;
    uint64_t due; // step
};

struct work_queue {
    struct work items[WORK_MAX];
    size_t count;
};

struct world;

struct member {
    struct world *w;
    uint64_t id;
    struct raft_node *node; // NULL: crashed
    struct raft_config config;
    // The storage as the running node sees it, and as a crash leaves it. What is
    // in the one and not yet in the other waits in `unsynced`.
    struct raft_memory_storage *cache;
    struct raft_memory_storage *disk;
    struct work_queue unsynced; // STORAGE_APPEND work that is written, not durable
    struct work_queue append;   // not written yet
    struct work_queue apply;
    struct work_queue inbox; // responses of the own workers, to be stepped
    uint64_t applied;
    uint64_t applied_on_disk;
    bool paused;
    uint64_t resume_at;
    uint64_t missed_ticks;
    uint64_t restart_at;
    // Of this incarnation, for the checks.
    uint64_t seen_commit;
    uint64_t leading_term;
    uint64_t leading_last;
    uint64_t handed_out[INDEX_MAX]; // term of the entry last handed out to be written; 0: none
};

struct packet {
    struct raft_message m;
    uint64_t due;
};

enum op_state { OP_FREE, OP_WAITING, OP_READABLE };

struct op {
    enum op_state state;
    bool read;
    uint64_t id;
    uint64_t at;    // member that serves it
    uint64_t floor; // a completed operation had seen the log up to here before this one began
    uint64_t index; // a read: apply this far first
    uint64_t expires;
};

// What is known of the log that all agree on.
struct history {
    uint64_t committed; // up to here
    uint64_t term[INDEX_MAX];
    uint64_t committed_in[INDEX_MAX];        // term in which it was first seen committed
    uint64_t payload[INDEX_MAX];             // client operation in it, or 0
    struct raft_conf_state *conf[INDEX_MAX]; // after it was applied; NULL: as before
    uint64_t applied;                        // somebody applied up to here
    uint64_t leader_of[TERM_MAX];
    // Every (index, term) ever written, with the term before it: log matching.
    struct {
        uint64_t term;
        uint64_t prev_term;
        uint64_t payload;
        uint64_t type;
    } written[INDEX_MAX][8];
};

struct world {
    struct random random;
    struct weather weather;
    uint64_t seed;
    uint64_t step;
    size_t count; // of members that exist
    bool cut[MEMBERS_MAX + 1][MEMBERS_MAX + 1];
    struct member members[MEMBERS_MAX + 1]; // by id; [0] unused
    struct packet wire[WIRE_MAX];
    size_t wire_count;
    struct op ops[OPS_MAX];
    uint64_t next_op;
    uint64_t floor; // highest position any completed operation has seen
    uint64_t writes_done;
    uint64_t reads_done;
    bool calm; // the trouble is over
    struct history *history;
    FILE *trace; // NULL: none
    bool failed;
    char failure[FAILURE_TEXT_MAX];
};

// One run. true when nothing was violated; else w->failure says what.
struct world *world_new(uint64_t seed, FILE *trace);
bool world_run(struct world *w);
void world_free(struct world *w);

void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_trace(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

// member.c
void member_init(struct world *w, uint64_t id, const struct raft_conf_state *founders);
void member_start(struct member *m);
void member_crash(struct member *m);
void member_release(struct member *m);
void member_tick(struct member *m);
void member_step(struct member *m, const struct raft_message *message);
void member_work(struct member *m);  // finishes what is due
void member_ready(struct member *m); // handles one Ready
void member_compact(struct member *m);
bool member_runs(const struct member *m);
const struct raft_conf_state *world_conf_at(const struct world *w, uint64_t index);

// network.c
void network_send(struct world *w, struct raft_message *m); // takes the contents
void network_deliver(struct world *w);
void network_release(struct world *w);

// client.c
void client_act(struct world *w);
void client_applied(struct member *m, const struct raft_entry *entry);
void client_read_state(struct member *m, const struct raft_read_state *state);
void client_check_reads(struct member *m);
void client_forget(struct member *m); // its operations will never be answered
int client_write(struct world *w, struct member *m, uint64_t *ret_id);

// trouble.c
void trouble_act(struct world *w);
void trouble_end(struct world *w); // everybody up, everything connected
void trouble_pick_weather(struct world *w);
struct member *trouble_leader(struct world *w);
bool trouble_leave_joint(struct world *w);

#endif
