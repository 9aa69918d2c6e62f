#ifndef KEEL_TESTS_RAFT_SCRIPTS_D_CLUSTER_H
#define KEEL_TESTS_RAFT_SCRIPTS_D_CLUSTER_H

#include "format.h"
#include "raft/memory_storage.h"
#include "raft/raft.h"
#include "text.h"

// The nodes of an interaction script, what they have stored and applied, and the
// messages between them. cluster.c does what a command asks, interaction.c reads
// the commands.

#define CLUSTER_NODES_MAX 16

enum { LOG_NONE = 5 }; // above the core's levels: total silence; 4 is "FATAL"

struct queue {
    struct raft_message *items;
    size_t count;
    size_t capacity;
};

struct member {
    struct raft_node *node;
    struct raft_memory_storage *storage;
    struct raft_config config;
    struct queue append_work; // STORAGE_APPEND
    struct queue apply_work;  // STORAGE_APPLY
    // The state machine appends every payload to one string. This is the
    // snapshot after the last applied entry.
    struct raft_snapshot *applied;
};

struct cluster {
    struct member members[CLUSTER_NODES_MAX];
    size_t count;
    struct queue wire;
    struct text *out;
    int level;
};

void queue_push(struct queue *q, struct raft_message *m); // takes the contents
// Takes the first one out; false when there is none.
bool queue_pop(struct queue *q, struct raft_message *m);
void queue_release(struct queue *q);

// Output that silence swallows.
void cluster_say(struct cluster *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Runs `work` and indents what it says.
void cluster_indent(struct cluster *c, int (*work)(struct cluster *c, size_t at), size_t at);

// Each returns 0 or a raft error, which the command's answer names.
int cluster_add(struct cluster *c, const struct raft_config *config,
                struct raft_snapshot *snapshot);
int cluster_ready(struct cluster *c, size_t at);
int cluster_append_work(struct cluster *c, size_t at);
int cluster_apply_work(struct cluster *c, size_t at);
int cluster_stabilize(struct cluster *c, const size_t *nodes, size_t count);
int cluster_raft_log(struct cluster *c, size_t at);
// How many messages of the type (-1: any) went to node `to`.
size_t cluster_deliver(struct cluster *c, uint64_t to, int type, bool drop);
const char *cluster_error_text(int error);

#endif
