/* Read barriers waiting for an index that is safe to read at.
 *
 * All that wait go into one ReadIndex round; those that arrive while it is under
 * way wait for the next. A round is asked again when the leader changes or
 * nothing comes back. Owned by the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_READS_H
#define KEELFS_RAFTSTORE_READS_H

#include "raftstore/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Barriers waiting on one node. */
#define READS_WAITING_MAX 16384

/* What identifies a round in the cluster. */
#define READS_CONTEXT_SIZE 24

/* A growing list of ops, each with a reference. */
struct op_list {
    struct op **ops;
    size_t count;
    size_t capacity;
};
void op_list_add(struct op_list *list, struct op *op); /* takes the caller's reference */
void op_list_sweep(struct op_list *list);              /* drops the ops that have ended */
void op_list_release(struct op_list *list);

struct reads {
    uint64_t store_id;
    uint64_t incarnation;
    uint64_t round; /* of the one under way */
    bool asked;     /* a round is under way */
    uint64_t asked_tick;
    struct op_list current; /* in the round under way */
    struct op_list waiting; /* for the next */
};

void reads_init(struct reads *reads, uint64_t store_id, uint64_t incarnation);
void reads_release(struct reads *reads);

/* Takes a reference. False when too many wait. */
bool reads_add(struct reads *reads, struct op *op);

/* Whether a round should be asked for now; fills in its context. The caller asks
 * raft and calls reads_asked() when raft took it. */
bool reads_next_round(struct reads *reads, uint8_t context[READS_CONTEXT_SIZE]);
void reads_asked(struct reads *reads, uint64_t tick);

/* The answer to a round: moves its ops to `*ret_ops` (empty before). False when
 * it is not the answer to the round under way. */
bool reads_answered(struct reads *reads, const uint8_t *context, size_t size,
                    struct op_list *ret_ops);

/* The round under way will not be answered: ask again. */
void reads_ask_again(struct reads *reads);
/* Once a tick: gives up on a round older than `patience`, drops what has ended. */
void reads_tick(struct reads *reads, uint64_t tick, uint64_t patience);

#endif
