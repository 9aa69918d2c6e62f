#include "raft/varint.h"

#include <string.h>

#define VARINT_BYTES_MAX 10

static void put_raw(struct raft_wire_writer *w, uint64_t value)
{
    for (;;) {
        uint8_t byte = (uint8_t)(value & 0x7f);
        value >>= 7;
        if (value != 0) {
            byte |= 0x80;
        }
        if (w->at != NULL) {
            w->at[w->length] = byte;
        }
        w->length++;
        if (value == 0) {
            return;
        }
    }
}

void raft_wire_put_varint(struct raft_wire_writer *w, uint32_t field, uint64_t value)
{
    put_raw(w, (uint64_t)field << 3 | RAFT_WIRE_VARINT);
    put_raw(w, value);
}

void raft_wire_put_bytes(struct raft_wire_writer *w, uint32_t field, const void *data, size_t size)
{
    put_raw(w, (uint64_t)field << 3 | RAFT_WIRE_BYTES);
    put_raw(w, size);
    if (w->at != NULL && size > 0) {
        memcpy(w->at + w->length, data, size);
    }
    w->length += size;
}

static uint64_t get_raw(struct raft_wire_reader *r)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX && r->at < r->end; i++) {
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    r->bad = true;
    return 0;
}

static const uint8_t *get_bytes(struct raft_wire_reader *r, uint64_t size)
{
    if (r->bad || size > (uint64_t)(r->end - r->at)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *data = r->at;
    r->at += size;
    return data;
}

bool raft_wire_next(struct raft_wire_reader *r, struct raft_wire_field *ret_field)
{
    if (r->bad || r->at == r->end) {
        return false;
    }
    uint64_t key = get_raw(r);
    struct raft_wire_field field = {.number = (uint32_t)(key >> 3), .type = (uint32_t)(key & 7)};
    if (field.number == 0) {
        r->bad = true;
    }
    switch (field.type) {
    case RAFT_WIRE_VARINT:
        field.value = get_raw(r);
        break;
    case RAFT_WIRE_BYTES:
        field.size = get_raw(r);
        field.data = get_bytes(r, field.size);
        break;
    case RAFT_WIRE_FIXED64:
        (void)get_bytes(r, 8);
        break;
    case RAFT_WIRE_FIXED32:
        (void)get_bytes(r, 4);
        break;
    default:
        r->bad = true;
    }
    if (r->bad) {
        return false;
    }
    *ret_field = field;
    return true;
}
