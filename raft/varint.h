#ifndef KEEL_RAFT_VARINT_H
#define KEEL_RAFT_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The few pieces of the protobuf wire format that configuration changes need.
// A reader or writer that runs out of room or meets nonsense turns `bad` and
// stays so; callers check once at the end.

enum { RAFT_WIRE_VARINT = 0, RAFT_WIRE_FIXED64 = 1, RAFT_WIRE_BYTES = 2, RAFT_WIRE_FIXED32 = 5 };

static inline uint64_t raft_varint_size(uint64_t value)
{
    uint64_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

struct raft_wire_writer {
    uint8_t *at; // NULL: count only
    size_t length;
};

void raft_wire_put_varint(struct raft_wire_writer *w, uint32_t field, uint64_t value);
void raft_wire_put_bytes(struct raft_wire_writer *w, uint32_t field, const void *data, size_t size);

struct raft_wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

struct raft_wire_field {
    uint32_t number;
    uint32_t type;
    uint64_t value;      // RAFT_WIRE_VARINT
    const uint8_t *data; // RAFT_WIRE_BYTES
    size_t size;
};

// false at the end or when the reader has turned bad. Fixed-width fields come
// with neither value nor data: nothing here uses them.
bool raft_wire_next(struct raft_wire_reader *r, struct raft_wire_field *ret_field);

#endif
