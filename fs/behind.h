/* Calls that come right behind one that has timed out.
 *
 * The kernel lets one thread at a time create in a directory or look up one name,
 * keeps the others waiting without a word to us, and asks twice for a name that it
 * has cached; and a program goes on to its next file. Without a majority each of
 * these would wait for the operation timeout in its turn: the last of twenty `ls`
 * for minutes. So once a wait has timed out while there is no leader, processes that
 * were there before do not wait again for a moment. One that was started since has
 * waited for nothing yet.
 *
 * Any thread; no lock.
 */
#ifndef KEELFS_FS_BEHIND_H
#define KEELFS_FS_BEHIND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* All that the kernel kept waiting has come within this. */
#define BEHIND_AGE_NS 500000000ull

/* All zeros to begin with. */
struct behind {
    _Atomic uint64_t last_ns; /* when a wait timed out, of clock_ns(); 0: none has */
};

/* A wait has timed out. */
void behind_note(struct behind *behind);

/* Whether one has just now; cheap. */
bool behind_is_likely(const struct behind *behind);
/* Whether the process of thread `tid` was there already. */
bool behind_was_there(const struct behind *behind, pid_t tid);

#endif
