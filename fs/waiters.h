/* Operations that wait for something inside this process: for the end of a
 * publish, for memory.
 *
 * What they wait for comes in rounds. Who must wait notes the round under the
 * lock, prepares its op without it, and then adds the op for that round: when
 * the round has ended meanwhile, the op is finished at once. Finishing is never
 * done under the lock, since `done` looks at the same things again.
 *
 * Whoever embeds the list guards it with a lock of its own.
 */
#ifndef KEELFS_FS_WAITERS_H
#define KEELFS_FS_WAITERS_H

#include "raftstore/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct waiters {
    struct op **ops;
    size_t count;
    size_t capacity;
    uint64_t round; /* how many have ended */
};

/* Under the lock. False: that round is over; call op_finish() without the lock.
 * True: took a reference. */
bool waiters_add(struct waiters *waiters, uint64_t round, struct op *op);

/* Under the lock: ends the round; its ops go to `ret_ended`. */
void waiters_end_round(struct waiters *waiters, struct waiters *ret_ended);

/* Under the lock: an ended round goes to `all`, to be finished with others. */
void waiters_move(struct waiters *ended, struct waiters *all);

/* Without the lock: finishes the ops of an ended round with code 0. */
void waiters_finish(struct waiters *ended);
/* The same with a failure. */
void waiters_fail(struct waiters *ended, int code);
/* Lets go of ops without finishing them: somebody else does, or nobody waits. */
void waiters_drop(struct waiters *waiters);

#endif
