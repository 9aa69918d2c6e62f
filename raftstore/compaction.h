/* Where the leader cuts the log.
 *
 * A log over its limit in entries or bytes is cut to half of it, so that a member
 * that was away for a moment still finds what it missed. What a live member still
 * lacks is kept beyond that, up to the whole limit in bytes and twice the limit
 * in entries; past it that member gets a snapshot.
 */
#ifndef KEELFS_RAFTSTORE_COMPACTION_H
#define KEELFS_RAFTSTORE_COMPACTION_H

#include "raftstore/log_size.h"

#include <stdint.h>

struct compaction_limits {
    uint64_t count;
    uint64_t bytes;
};

/* The index up to which the log is to be cut, or 0 for not now. `needed`: the lowest
 * index that every live member is known to have. */
uint64_t compaction_choose(const struct compaction_limits *limits, const struct log_size *size,
                           uint64_t truncated, uint64_t applied, uint64_t needed);

#endif
