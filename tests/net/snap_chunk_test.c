/* Chunks of snapshots as bytes, checked against the code that protoc-c makes. */
#include "raftstore/snap_chunk.h"

#include "raft_serverpb.pb-c.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define DATA_SIZE 70000

static size_t make_chunk(uint8_t *out, const uint8_t *data, size_t size, uint32_t checksum)
{
    size_t used = snap_chunk_data_head(out, size);
    memcpy(out + used, data, size);
    used += size;
    return used + snap_chunk_data_tail(out + used, checksum);
}

/* In a block of its own, so that a read past the end is seen. */
static int read_copy(const uint8_t *bytes, size_t size, struct err *e)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (size > 0)
        memcpy(copy, bytes, size);
    struct snap_chunk chunk;
    int rc = snap_chunk_read(copy, size, &chunk, e);
    free(copy);
    return rc;
}

Test(snap_chunk, a_data_chunk_is_what_the_generated_code_reads_and_comes_back)
{
    static uint8_t data[DATA_SIZE], bytes[DATA_SIZE + 32];
    for (size_t i = 0; i < DATA_SIZE; i++)
        data[i] = (uint8_t)(i * 31);
    static const size_t sizes[] = {1, 127, 128, DATA_SIZE};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t checksum = XXH32(data, sizes[i], 0);
        size_t size = make_chunk(bytes, data, sizes[i], checksum);
        RaftServerpb__SnapshotChunk *read =
            raft_serverpb__snapshot_chunk__unpack(NULL, size, bytes);
        cr_assert_not_null(read);
        cr_assert_null(read->message);
        cr_assert_eq(read->data.len, sizes[i]);
        cr_assert_eq(memcmp(read->data.data, data, sizes[i]), 0);
        cr_assert_eq(read->checksum, checksum);
        raft_serverpb__snapshot_chunk__free_unpacked(read, NULL);

        struct snap_chunk chunk;
        struct err e;
        cr_assert_eq(snap_chunk_read(bytes, size, &chunk, &e), 0, "%s", e.text);
        cr_assert_eq(chunk.message_size, 0);
        cr_assert_eq(chunk.data_size, sizes[i]);
        cr_assert_eq(memcmp(chunk.data, data, sizes[i]), 0);
    }
}

Test(snap_chunk, a_message_chunk_is_what_the_generated_code_reads_and_comes_back)
{
    RaftServerpb__RaftMessage message = RAFT_SERVERPB__RAFT_MESSAGE__INIT;
    message.region_id = 300;
    uint8_t packed[16], bytes[32];
    size_t packed_size = raft_serverpb__raft_message__pack(&message, packed);
    size_t size = snap_chunk_message_head(bytes, packed_size);
    memcpy(bytes + size, packed, packed_size);
    size += packed_size;
    RaftServerpb__SnapshotChunk *read = raft_serverpb__snapshot_chunk__unpack(NULL, size, bytes);
    cr_assert_not_null(read);
    cr_assert_eq(read->message->region_id, 300);
    cr_assert_eq(read->data.len, 0);
    raft_serverpb__snapshot_chunk__free_unpacked(read, NULL);

    struct snap_chunk chunk;
    cr_assert_eq(snap_chunk_read(bytes, size, &chunk, NULL), 0);
    cr_assert_eq(chunk.data_size, 0);
    cr_assert_eq(chunk.message_size, packed_size);
    cr_assert_eq(memcmp(chunk.message, packed, packed_size), 0);
}

Test(snap_chunk, a_changed_bit_anywhere_is_found)
{
    uint8_t data[200], bytes[256];
    memset(data, 0x5a, sizeof(data));
    size_t size = make_chunk(bytes, data, sizeof(data), XXH32(data, sizeof(data), 0));
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = read_copy(bytes, size, NULL);
        cr_assert(rc == KE_CORRUPT || rc == KE_INVALID, "bit %zu: %d", bit, rc);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_eq(read_copy(bytes, size, NULL), 0);
}

Test(snap_chunk, a_chunk_cut_anywhere_is_refused)
{
    uint8_t data[200], bytes[256];
    memset(data, 0x5a, sizeof(data));
    size_t size = make_chunk(bytes, data, sizeof(data), XXH32(data, sizeof(data), 0));
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_neq(read_copy(bytes, cut, NULL), 0, "cut at %zu", cut);
}

Test(snap_chunk, a_chunk_with_both_parts_or_none_is_refused)
{
    static const uint8_t both[] = {0x0a, 0x02, 0x08, 0x01, 0x12, 0x01, 'x'};
    struct err e;
    cr_assert_eq(read_copy(both, sizeof(both), &e), KE_INVALID);
    cr_assert_not_null(strstr(e.text, "raft_serverpb.SnapshotChunk"));
    cr_assert_eq(read_copy(both, 0, &e), KE_INVALID);
}
