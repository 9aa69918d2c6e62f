/* A number that replicas compare: equal data gives equal hashes. */
#ifndef KEELFS_RAFTSTORE_SNAPSHOT_HASH_H
#define KEELFS_RAFTSTORE_SNAPSHOT_HASH_H

#include "raftstore/err.h"
#include "raftstore/snapshot_rows.h"

#include <stdint.h>

/* XXH3_64 over all rows of all column families with their lengths: a function of the
 * data alone, whatever files it lies in. Reads every block, so that damage shows,
 * which ends the process. Errors are those of snapshot_rows_walk(). */
int snapshot_hash(const struct snapshot_rows *rows, uint64_t *ret_hash, struct err *e);

#endif
