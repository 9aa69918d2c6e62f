/* The bytes of a raft_serverpb.SnapshotChunk, written around what it carries and
 * read in place: the code generated from the .proto would copy each megabyte once
 * more on either side. Plain functions. */
#ifndef KEELFS_RAFTSTORE_SNAP_CHUNK_H
#define KEELFS_RAFTSTORE_SNAP_CHUNK_H

#include "raftstore/err.h"

#include <stddef.h>
#include <stdint.h>

#define SNAP_CHUNK_HEAD_MAX 11
#define SNAP_CHUNK_TAIL_MAX 6

/* What stands before `size` bytes of a packed RaftMessage, or of data, and behind the
 * latter. Return how many bytes of `out` they wrote. */
size_t snap_chunk_message_head(uint8_t out[SNAP_CHUNK_HEAD_MAX], size_t size);
size_t snap_chunk_data_head(uint8_t out[SNAP_CHUNK_HEAD_MAX], size_t size);
size_t snap_chunk_data_tail(uint8_t out[SNAP_CHUNK_TAIL_MAX], uint32_t checksum);

/* One of the two has a size; both point into what was read. */
struct snap_chunk {
    const uint8_t *message;
    size_t message_size;
    const uint8_t *data;
    size_t data_size;
};
/* KE_INVALID: no SnapshotChunk, or one with both parts or none; KE_CORRUPT: the
 * checksum is wrong. */
int snap_chunk_read(const uint8_t *bytes, size_t size, struct snap_chunk *ret_chunk, struct err *e);

#endif
