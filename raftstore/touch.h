/* What a command changes, as keys that every node can compare without unpacking it:
 * see docs/decisions/0009-read-leases.md.
 *
 * A key is a hash of a path; equal keys of different paths cost a wait and nothing
 * else. Its lowest bit is no part of the hash: set when the name itself comes, goes or
 * becomes another object's, and clear when only content or attributes change, as those
 * of a directory do when names in it come or go.
 */
#ifndef KEELFS_RAFTSTORE_TOUCH_H
#define KEELFS_RAFTSTORE_TOUCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Anything may change: a directory with all below it gets another path. */
#define TOUCH_EVERYTHING 1u
#define TOUCH_NAMES      1u
/* The key of no object. */
#define TOUCH_NOTHING 0u

/* The key of the object at `path` ("" is the root), neither of those above, the lowest bit clear.
 * The same on every node. */
uint64_t touch_key(const char *path, size_t size);

static inline bool touch_is_everything(uint64_t key)
{
    return key == TOUCH_EVERYTHING;
}

static inline bool touch_changes_names(uint64_t key)
{
    return (key & TOUCH_NAMES) != 0;
}

/* Without the mark. */
static inline uint64_t touch_object(uint64_t key)
{
    return key & ~(uint64_t)TOUCH_NAMES;
}

#endif
