/* Ends operations that nobody answers: the promise that every call returns.
 *
 * A thread of its own, so that the promise holds while the raft thread waits
 * for a disk that hangs or the apply thread is busy. Finished operations are
 * dropped at the next sweep.
 */
#ifndef KEELFS_RAFTSTORE_DEADLINE_H
#define KEELFS_RAFTSTORE_DEADLINE_H

#include "raftstore/op.h"

/* How late a deadline can be noticed. */
#define DEADLINE_SWEEP_MS 20

struct deadlines;

struct deadlines *deadlines_new(void);

/* Watches `op`, taking a reference. Any thread. */
void deadlines_add(struct deadlines *deadlines, struct op *op);

/* Ends what is left with KE_SHUTDOWN and stops the thread. NULL is fine. */
void deadlines_free(struct deadlines *deadlines);

#endif
