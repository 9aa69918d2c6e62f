/* What the kernel keeps of the answers of this mount, so that it is known what to take
 * back when something changes: see docs/decisions/0009-read-leases.md.
 *
 * All is known by the keys of touch.h. An answer goes like this, on any thread:
 *
 *     given_begin()                 which state the key is in
 *     store_current_until()         the lease, and nothing in flight
 *     the look at the store
 *     given_name(), given_attr()    noted, unless the key was touched meanwhile
 *     the answer                    with timeouts for what was noted, else without
 *
 * and a change like this, on the raft thread, when its keys are in flight already:
 *
 *     given_touch()                 the key is in another state from here on; was it given?
 *     given_take()                  the inodes whose attributes were
 *
 * So a change either finds what was noted, or what was to be noted finds the change.
 *
 * Names are dropped all together (the epoch of the kernel), so a name that comes and
 * goes would cost all others: a name is given only when it was asked for before, since
 * it was changed last.
 */
#ifndef KEELFS_FS_GIVEN_H
#define KEELFS_FS_GIVEN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* States of keys; a power of two. Keys that share one cost a needless drop. */
#define GIVEN_STATES (1u << 17)
/* Attributes that the kernel may have at a time. */
#define GIVEN_ATTRS_MAX 16384u
#define GIVEN_BUCKETS   (GIVEN_ATTRS_MAX / 2)
/* Nothing is given for longer. */
#define GIVEN_LIFE_NS 1000000000ull
/* Inodes that given_take() returns at most. */
#define GIVEN_TAKE_MAX 256u

struct given_attr {
    uint64_t key;
    uint64_t id;
    uint64_t until_ns;
    uint32_t next;  /* in its bucket, or among the free ones */
    uint32_t older; /* by the time they end */
    uint32_t newer;
};

struct given {
    _Atomic uint64_t *states;    /* each: how often it was touched, a generation, and more */
    _Atomic uint64_t everything; /* how often all was touched */
    _Atomic uint64_t generation; /* of names; one more when all are dropped */

    pthread_mutex_t lock; /* guards the rest */
    struct given_attr *attrs;
    uint32_t *buckets;
    uint32_t free;
    uint32_t oldest;
    uint32_t newest;
};

/* Of one look. */
struct given_look {
    uint64_t key;
    uint64_t state;
    uint64_t everything;
    uint64_t generation;
    uint64_t begun_ns; /* clock_ns() */
    uint64_t life_ns;  /* nothing of it is kept past this time */
};

void given_init(struct given *given);
void given_release(struct given *given);

/* `key` without the mark of names. */
struct given_look given_begin(struct given *given, uint64_t key);

/* Whether the name may be given with a timeout; it is noted then. */
bool given_name(struct given *given, const struct given_look *look);
/* The same for the attributes of inode `id`; false also when there are too many. */
bool given_attr(struct given *given, const struct given_look *look, uint64_t id);

/* Whether the names that the kernel has must be dropped; they are taken to be from
 * here on. */
bool given_touch(struct given *given, const uint64_t *keys, size_t count);

/* The inodes whose attributes were given under `key`, TOUCH_EVERYTHING: any; they count
 * as dropped. Returns how many; when that is GIVEN_TAKE_MAX there may be more. */
size_t given_take(struct given *given, uint64_t key, uint64_t ids[GIVEN_TAKE_MAX]);

#endif
