/* What entries of this node's log are going to change and are not known to have changed: for
 * each key of touch.h the last such entry.
 *
 * A table of fixed size without the keys themselves: keys that fall on the same slot
 * count as one, which costs a wait and nothing else, and nothing is ever too much for it.
 * Nothing is taken out either: an entry that is applied is in flight no more. The raft
 * thread writes; any thread may ask.
 *
 * The order that makes it right: an entry is marked before it is acknowledged, and so
 * before anybody is told that it happened; who asks looks at the data afterwards.
 */
#ifndef KEELFS_RAFTSTORE_IN_FLIGHT_H
#define KEELFS_RAFTSTORE_IN_FLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A power of two. */
#define IN_FLIGHT_SLOTS 16384

struct in_flight {
    atomic_uint_least64_t everything; /* of the last entry that may change anything */
    atomic_uint_least64_t slots[IN_FLIGHT_SLOTS];
};

/* --- the raft thread --- */

/* The entry at `index` changes what these keys stand for. */
void in_flight_mark(struct in_flight *flight, const uint64_t *keys, size_t count, uint64_t index);
/* What is in the log from `index` on is not any more: others take its place, or none. */
void in_flight_cut(struct in_flight *flight, uint64_t index);

/* --- any thread --- */

/* Whether an entry behind `applied` changes one of them. */
bool in_flight_has(const struct in_flight *flight, const uint64_t *keys, size_t count,
                   uint64_t applied);

#endif
