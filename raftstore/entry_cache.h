/* The tail of the log in memory, so that appends to followers and apply need no
 * read from disk. A window of consecutive indices, bounded in bytes and number;
 * the oldest go first. Owned by the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_ENTRY_CACHE_H
#define KEELFS_RAFTSTORE_ENTRY_CACHE_H

#include "raft/raft.h"

#include <stddef.h>
#include <stdint.h>

#define ENTRY_CACHE_BYTES_MAX   (32u << 20)
#define ENTRY_CACHE_ENTRIES_MAX 16384 /* a power of two */

struct entry_cache {
    struct raft_entry **slots;
    uint64_t first; /* index of the oldest entry; meaningless when empty */
    size_t count;
    uint64_t bytes;
};

void entry_cache_init(struct entry_cache *cache);
void entry_cache_release(struct entry_cache *cache);

/* Adds the entry (by reference), dropping what the cache has from its index on
 * first. An entry that does not follow on empties the cache. */
void entry_cache_append(struct entry_cache *cache, struct raft_entry *entry);

/* Forgets everything. */
void entry_cache_clear(struct entry_cache *cache);

/* Borrowed; NULL when it is not held. */
struct raft_entry *entry_cache_get(const struct entry_cache *cache, uint64_t index);

#endif
