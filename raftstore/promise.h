/* What a member promises a leader whose messages it echoes: to vote for nobody for a while.
 * docs/decisions/0009-read-leases.md: the leader's right to grant leases rests on it.
 *
 * The core keeps quiet for an election timeout after it has heard its leader; but a stray
 * message of a higher term makes it forget that leader, and vote at once. Pure bookkeeping,
 * by the node's own clock. Owned by the raft thread. Zeroed, nothing is promised.
 */
#ifndef KEELFS_RAFTSTORE_PROMISE_H
#define KEELFS_RAFTSTORE_PROMISE_H

#include <stdbool.h>
#include <stdint.h>

struct promise {
    /* The newest stamp, and whose it is. */
    uint64_t from;
    uint64_t term;
    uint64_t stamp;
    uint64_t since;          /* when the first of that term was heard */
    uint64_t until;          /* the longest that was promised */
    uint64_t handed_over_in; /* the last term whose leader told this node to campaign */
};

/* An append or a heartbeat of `from` was stepped that came with `stamp`; 0: with none. From
 * `now` on nobody gets a vote for `duration_ns`. */
void promise_heard(struct promise *promise, uint64_t from, uint64_t term, uint64_t stamp,
                   uint64_t now, uint64_t duration_ns);
/* Led itself until now, and promised as much as the others. */
void promise_extend(struct promise *promise, uint64_t until);

/* The leader of `term` has told this node to campaign, whatever others promised. */
void promise_handed_over(struct promise *promise, uint64_t term);

/* This node leads in `term`: the member that holds no lease, since it led in the term before.
 * What it answered from itself is over, since this node was elected by those who promised it
 * their patience; and what it was granted before it led, since that was `duration_ns` ago. 0:
 * none is known. */
uint64_t promise_leaseless(const struct promise *promise, uint64_t term, uint64_t now,
                           uint64_t duration_ns);

/* The stamp that goes with a message of `term` to `to`; 0: none. */
uint64_t promise_echo(const struct promise *promise, uint64_t to, uint64_t term);
/* Whether a candidate may not be answered. */
bool promise_forbids(const struct promise *promise, uint64_t now);

#endif
