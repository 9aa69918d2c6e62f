/* The row key_usage(): struct tree_usage as four big-endian numbers: files, bytes, and
 * the quota of each. Part of the replicated state; a missing row is an empty volume. */
#ifndef KEELFS_RAFTSTORE_USAGE_ROW_H
#define KEELFS_RAFTSTORE_USAGE_ROW_H

#include "raftstore/engine.h"
#include "raftstore/tree.h"

#include <stdint.h>

#define USAGE_ROW_SIZE 32

void usage_row_pack(const struct tree_usage *usage, uint8_t out[USAGE_ROW_SIZE]);

/* 0 or KE_CORRUPT. */
int usage_row_unpack(struct bytes row, struct tree_usage *ret_usage);

#endif
