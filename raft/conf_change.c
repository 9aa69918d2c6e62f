#include "raft/conf.h"

#include <assert.h>
#include <string.h>

#include "raft/error.h"
#include "raft/varint.h"

// The v1 form is eraftpb.ConfChange, so that other readers of the protocol
// understand single changes. The v2 form is a message of
//   transition = 1, changes = 2 (repeated: type = 1, node = 2), context = 3.
enum { V1_TYPE = 1, V1_NODE = 2, V1_CONTEXT = 3 };
enum { V2_TRANSITION = 1, V2_CHANGE = 2, V2_CONTEXT = 3 };
enum { SINGLE_TYPE = 1, SINGLE_NODE = 2 };

// Two fields, one byte of key each, a small type and a 64-bit id.
#define SINGLE_BYTES_MAX 32

static void put_single(struct raft_wire_writer *w, const struct raft_conf_change_single *single)
{
    if (single->type != RAFT_CONF_ADD_NODE) {
        raft_wire_put_varint(w, SINGLE_TYPE, (uint64_t)single->type);
    }
    raft_wire_put_varint(w, SINGLE_NODE, single->node);
}

static void write_v1(struct raft_wire_writer *w, const struct raft_conf_change *change)
{
    static_assert((int)V1_TYPE == (int)SINGLE_TYPE && (int)V1_NODE == (int)SINGLE_NODE,
                  "one writer serves both");
    put_single(w, &change->changes[0]);
    if (change->context_size > 0) {
        raft_wire_put_bytes(w, V1_CONTEXT, change->context, change->context_size);
    }
}

static void write_v2(struct raft_wire_writer *w, const struct raft_conf_change *change)
{
    if (change->transition != RAFT_CONF_AUTO) {
        raft_wire_put_varint(w, V2_TRANSITION, (uint64_t)change->transition);
    }
    for (uint32_t i = 0; i < change->change_count; i++) {
        uint8_t bytes[SINGLE_BYTES_MAX];
        struct raft_wire_writer inner = {.at = bytes};
        put_single(&inner, &change->changes[i]);
        assert(inner.length <= sizeof(bytes));
        raft_wire_put_bytes(w, V2_CHANGE, bytes, inner.length);
    }
    if (change->context_size > 0) {
        raft_wire_put_bytes(w, V2_CONTEXT, change->context, change->context_size);
    }
}

int raft_conf_change_encode(const struct raft_conf_change *change, struct raft_entry **ret_entry)
{
    if (change->change_count > RAFT_CONF_CHANGES_MAX ||
        change->context_size > RAFT_ENTRY_SIZE_MAX / 2 ||
        (change->v1 && (change->change_count != 1 || change->transition != RAFT_CONF_AUTO))) {
        return RAFT_E_INVALID;
    }
    void (*write)(struct raft_wire_writer *, const struct raft_conf_change *) =
        change->v1 ? write_v1 : write_v2;
    struct raft_wire_writer count = {.at = NULL};
    write(&count, change);
    struct raft_entry *entry = raft_entry_alloc(
        change->v1 ? RAFT_ENTRY_CONF_CHANGE : RAFT_ENTRY_CONF_CHANGE_V2, count.length);
    if (entry == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    struct raft_wire_writer real = {.at = entry->data};
    if (count.length > 0) {
        write(&real, change);
    }
    assert(real.length == count.length);
    *ret_entry = entry;
    return 0;
}

// One field of a single change; the two forms number type and node alike.
static bool take_single_field(const struct raft_wire_field *field,
                              struct raft_conf_change_single *single)
{
    if (field->number == SINGLE_TYPE) {
        if (field->type != RAFT_WIRE_VARINT || field->value > RAFT_CONF_UPDATE_NODE) {
            return false;
        }
        single->type = (enum raft_conf_change_type)field->value;
    } else if (field->number == SINGLE_NODE) {
        if (field->type != RAFT_WIRE_VARINT) {
            return false;
        }
        single->node = field->value;
    }
    return true;
}

static bool take_context(const struct raft_wire_field *field, struct raft_conf_change *change)
{
    if (field->type != RAFT_WIRE_BYTES) {
        return false;
    }
    change->context = field->data;
    change->context_size = field->size;
    return true;
}

static bool read_v1(struct raft_wire_reader *r, struct raft_conf_change *change)
{
    change->v1 = true;
    change->change_count = 1;
    struct raft_wire_field field;
    while (raft_wire_next(r, &field)) {
        bool good = field.number == V1_CONTEXT ? take_context(&field, change)
                                               : take_single_field(&field, &change->changes[0]);
        if (!good) {
            return false;
        }
    }
    return !r->bad;
}

static bool take_change(const struct raft_wire_field *outer, struct raft_conf_change *change)
{
    if (outer->type != RAFT_WIRE_BYTES || change->change_count == RAFT_CONF_CHANGES_MAX) {
        return false;
    }
    struct raft_conf_change_single *single = &change->changes[change->change_count++];
    struct raft_wire_reader r = {.at = outer->data, .end = outer->data + outer->size};
    struct raft_wire_field field;
    while (raft_wire_next(&r, &field)) {
        if (!take_single_field(&field, single)) {
            return false;
        }
    }
    return !r.bad;
}

static bool read_v2(struct raft_wire_reader *r, struct raft_conf_change *change)
{
    struct raft_wire_field field;
    while (raft_wire_next(r, &field)) {
        bool good = true;
        if (field.number == V2_TRANSITION) {
            good = field.type == RAFT_WIRE_VARINT && field.value <= RAFT_CONF_JOINT_EXPLICIT;
            change->transition = (enum raft_conf_transition)field.value;
        } else if (field.number == V2_CHANGE) {
            good = take_change(&field, change);
        } else if (field.number == V2_CONTEXT) {
            good = take_context(&field, change);
        }
        if (!good) {
            return false;
        }
    }
    return !r->bad;
}

int raft_conf_change_decode(const struct raft_entry *entry, struct raft_conf_change *ret_change)
{
    struct raft_conf_change change;
    memset(&change, 0, sizeof(change));
    struct raft_wire_reader r = {.at = entry->data, .end = entry->data + entry->size};
    bool good = false;
    if (entry->type == RAFT_ENTRY_CONF_CHANGE) {
        good = read_v1(&r, &change);
    } else if (entry->type == RAFT_ENTRY_CONF_CHANGE_V2) {
        good = read_v2(&r, &change);
    }
    if (!good) {
        return RAFT_E_INVALID;
    }
    *ret_change = change;
    return 0;
}

bool raft_conf_change_leaves_joint(const struct raft_conf_change *change)
{
    return change->change_count == 0 && change->transition == RAFT_CONF_AUTO;
}
