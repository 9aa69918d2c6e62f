#include "raftstore/snap_chunk.h"

#include "raft/varint.h"

#include <assert.h>
#include <xxhash.h>

enum { CHUNK_MESSAGE = 1, CHUNK_DATA = 2, CHUNK_CHECKSUM = 20 };

#define FIXED32_SIZE 4

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

static size_t put_head(uint8_t *out, uint32_t field, size_t size)
{
    size_t used = put_varint(out, (uint64_t)field << 3 | RAFT_WIRE_BYTES);
    used += put_varint(out + used, size);
    assert(used <= SNAP_CHUNK_HEAD_MAX);
    return used;
}

size_t snap_chunk_message_head(uint8_t out[SNAP_CHUNK_HEAD_MAX], size_t size)
{
    return put_head(out, CHUNK_MESSAGE, size);
}

size_t snap_chunk_data_head(uint8_t out[SNAP_CHUNK_HEAD_MAX], size_t size)
{
    return put_head(out, CHUNK_DATA, size);
}

size_t snap_chunk_data_tail(uint8_t out[SNAP_CHUNK_TAIL_MAX], uint32_t checksum)
{
    size_t used = put_varint(out, (uint64_t)CHUNK_CHECKSUM << 3 | RAFT_WIRE_FIXED32);
    for (unsigned i = 0; i < FIXED32_SIZE; i++)
        out[used++] = (uint8_t)(checksum >> (8 * i));
    assert(used == SNAP_CHUNK_TAIL_MAX);
    return used;
}

/* The reader skips fields of a fixed width; this one it has just passed. */
static uint32_t fixed32_before(const uint8_t *at)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < FIXED32_SIZE; i++)
        value |= (uint32_t)at[(int)i - FIXED32_SIZE] << (8 * i);
    return value;
}

int snap_chunk_read(const uint8_t *bytes, size_t size, struct snap_chunk *ret_chunk, struct err *e)
{
    struct raft_wire_reader r = {.at = bytes, .end = bytes + size};
    struct raft_wire_field field;
    struct snap_chunk chunk = {0};
    uint32_t checksum = 0;
    while (raft_wire_next(&r, &field)) {
        if (field.number == CHUNK_MESSAGE && field.type == RAFT_WIRE_BYTES) {
            chunk.message = field.data;
            chunk.message_size = field.size;
        } else if (field.number == CHUNK_DATA && field.type == RAFT_WIRE_BYTES) {
            chunk.data = field.data;
            chunk.data_size = field.size;
        } else if (field.number == CHUNK_CHECKSUM && field.type == RAFT_WIRE_FIXED32) {
            checksum = fixed32_before(r.at);
        }
    }
    if (r.bad || (chunk.message_size == 0) == (chunk.data_size == 0))
        return err_set(e, KE_INVALID, "message does not parse as raft_serverpb.SnapshotChunk");
    if (chunk.data_size > 0 && XXH32(chunk.data, chunk.data_size, 0) != checksum)
        return err_set(e, KE_CORRUPT, "a snapshot chunk was damaged on its way");
    *ret_chunk = chunk;
    return 0;
}
