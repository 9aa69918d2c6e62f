#include "raftstore/wire.h"

#include "raft/alloc.h"
#include "raft/varint.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <string.h>

/* Field numbers of raft_serverpb.proto, metapb.proto and eraftpb.proto. The
 * code generated from them is not used here: it copies the bytes of each entry
 * twice on the way in and once more on the way out. */
enum { RAFT_MESSAGE_REGION_ID = 1, RAFT_MESSAGE_FROM_PEER, RAFT_MESSAGE_TO_PEER };
enum { RAFT_MESSAGE_MESSAGE = 4, RAFT_MESSAGE_EPOCH, RAFT_MESSAGE_FLAGS = 20 };
enum { RAFT_MESSAGE_LEASE = 21 };
enum { LEASE_STAMP = 1, LEASE_ECHO, LEASE_WANT_TIME, LEASE_WANT_LIFE };
enum { LEASE_GRANT_TIME = 5, LEASE_GRANT_LIFE, LEASE_GRANT_DURATION, LEASE_GRANT_COMMIT };
enum { PEER_ID = 1, PEER_STORE_ID };
enum { EPOCH_CONF_VER = 1, EPOCH_VERSION };
enum { MESSAGE_TYPE = 1, MESSAGE_TO, MESSAGE_FROM, MESSAGE_TERM, MESSAGE_LOG_TERM, MESSAGE_INDEX };
enum { MESSAGE_ENTRIES = 7, MESSAGE_COMMIT, MESSAGE_SNAPSHOT, MESSAGE_REJECT };
enum { MESSAGE_REJECT_HINT = 11, MESSAGE_CONTEXT };
enum { ENTRY_TYPE = 1, ENTRY_TERM, ENTRY_INDEX, ENTRY_DATA };
enum { SNAPSHOT_DATA = 1, SNAPSHOT_METADATA };
enum { METADATA_CONF_STATE = 1, METADATA_INDEX, METADATA_TERM };
enum { CONF_NODES = 1, CONF_LEARNERS = 20, CONF_OUTGOING, CONF_LEARNERS_NEXT, CONF_AUTO_LEAVE };

#define VARINT_BYTES_MAX 10

/* eraftpb.MessageType of the types that travel between peers. */
#define WIRE_TYPES(X)                                                                              \
    X(PROPOSE, 2)                                                                                  \
    X(APPEND, 3)                                                                                   \
    X(APPEND_RESPONSE, 4)                                                                          \
    X(REQUEST_VOTE, 5)                                                                             \
    X(REQUEST_VOTE_RESPONSE, 6)                                                                    \
    X(SNAPSHOT, 7)                                                                                 \
    X(HEARTBEAT, 8)                                                                                \
    X(HEARTBEAT_RESPONSE, 9)                                                                       \
    X(TRANSFER_LEADER, 11)                                                                         \
    X(TIMEOUT_NOW, 12)                                                                             \
    X(READ_INDEX, 15)                                                                              \
    X(READ_INDEX_RESPONSE, 16)                                                                     \
    X(PRE_VOTE, 17)                                                                                \
    X(PRE_VOTE_RESPONSE, 18)

/* 0 (MsgHup, which is local) for a type that does not travel. */
static uint64_t wire_type(enum raft_message_type type)
{
    switch (type) {
#define X(name, number)                                                                            \
    case RAFT_MESSAGE_##name:                                                                      \
        return (number);
        WIRE_TYPES(X)
#undef X
    default:
        return 0;
    }
}

static bool wire_type_parse(uint64_t value, enum raft_message_type *ret_type)
{
    switch (value) {
#define X(name, number)                                                                            \
    case (number):                                                                                 \
        *ret_type = RAFT_MESSAGE_##name;                                                           \
        return true;
        WIRE_TYPES(X)
#undef X
    default:
        return false;
    }
}

/* ---- writing; a writer without a buffer counts ---- */

static void put_field(struct raft_wire_writer *w, uint32_t field, uint64_t value)
{
    if (value != 0)
        raft_wire_put_varint(w, field, value);
}

static void put_varint(struct raft_wire_writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7, w->length++) {
        if (w->at != NULL)
            w->at[w->length] = (uint8_t)(value | 0x80);
    }
    if (w->at != NULL)
        w->at[w->length] = (uint8_t)value;
    w->length++;
}

/* Key and length of an embedded message; the caller writes its `size` bytes. */
static void put_prefix(struct raft_wire_writer *w, uint32_t field, size_t size)
{
    put_varint(w, (uint64_t)field << 3 | RAFT_WIRE_BYTES);
    put_varint(w, size);
}

/* Two numbers as fields 1 and 2 of an embedded message: a Peer, a RegionEpoch. */
static void put_pair(struct raft_wire_writer *w, uint32_t field, uint64_t first, uint64_t second)
{
    struct raft_wire_writer count = {.at = NULL};
    put_field(&count, 1, first);
    put_field(&count, 2, second);
    put_prefix(w, field, count.length);
    put_field(w, 1, first);
    put_field(w, 2, second);
}

size_t wire_entry_size(const struct raft_entry *entry)
{
    return (size_t)raft_entry_encoded_size(entry);
}

void wire_pack_entry(const struct raft_entry *entry, uint8_t *out)
{
    struct raft_wire_writer w = {.at = out};
    put_field(&w, ENTRY_TYPE, (uint64_t)entry->type);
    raft_wire_put_varint(&w, ENTRY_TERM, entry->term);
    raft_wire_put_varint(&w, ENTRY_INDEX, entry->index);
    if (entry->size > 0)
        raft_wire_put_bytes(&w, ENTRY_DATA, entry->data, entry->size);
    assert(w.length == wire_entry_size(entry));
}

static void put_id_set(struct raft_wire_writer *w, uint32_t field, const struct raft_id_set *set)
{
    for (uint32_t i = 0; i < set->count; i++)
        raft_wire_put_varint(w, field, set->ids[i]);
}

static void put_conf_state(struct raft_wire_writer *w, const struct raft_conf_state *conf)
{
    put_id_set(w, CONF_NODES, &conf->voters);
    put_id_set(w, CONF_LEARNERS, &conf->learners);
    put_id_set(w, CONF_OUTGOING, &conf->voters_outgoing);
    put_id_set(w, CONF_LEARNERS_NEXT, &conf->learners_next);
    put_field(w, CONF_AUTO_LEAVE, conf->auto_leave);
}

static void put_snapshot_metadata(struct raft_wire_writer *w, const struct raft_snapshot *snapshot)
{
    struct raft_wire_writer count = {.at = NULL};
    put_conf_state(&count, &snapshot->conf);
    put_prefix(w, METADATA_CONF_STATE, count.length);
    put_conf_state(w, &snapshot->conf);
    put_field(w, METADATA_INDEX, snapshot->index);
    put_field(w, METADATA_TERM, snapshot->term);
}

static void put_snapshot(struct raft_wire_writer *w, const struct raft_snapshot *snapshot)
{
    struct raft_wire_writer count = {.at = NULL};
    put_snapshot_metadata(&count, snapshot);
    if (snapshot->size > 0)
        raft_wire_put_bytes(w, SNAPSHOT_DATA, snapshot->data, snapshot->size);
    put_prefix(w, SNAPSHOT_METADATA, count.length);
    put_snapshot_metadata(w, snapshot);
}

static void put_entries(struct raft_wire_writer *w, const struct raft_message *m)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        size_t size = wire_entry_size(m->entries[i]);
        put_prefix(w, MESSAGE_ENTRIES, size);
        if (w->at != NULL)
            wire_pack_entry(m->entries[i], w->at + w->length);
        w->length += size;
    }
}

static void put_message(struct raft_wire_writer *w, const struct raft_message *m)
{
    put_field(w, MESSAGE_TYPE, wire_type(m->type));
    put_field(w, MESSAGE_TO, m->to);
    put_field(w, MESSAGE_FROM, m->from);
    put_field(w, MESSAGE_TERM, m->term);
    put_field(w, MESSAGE_LOG_TERM, m->log_term);
    put_field(w, MESSAGE_INDEX, m->index);
    put_entries(w, m);
    put_field(w, MESSAGE_COMMIT, m->commit);
    if (m->snapshot != NULL) {
        struct raft_wire_writer count = {.at = NULL};
        put_snapshot(&count, m->snapshot);
        put_prefix(w, MESSAGE_SNAPSHOT, count.length);
        put_snapshot(w, m->snapshot);
    }
    put_field(w, MESSAGE_REJECT, m->reject);
    put_field(w, MESSAGE_REJECT_HINT, m->reject_hint);
    if (m->context_size > 0)
        raft_wire_put_bytes(w, MESSAGE_CONTEXT, m->context, m->context_size);
}

static void put_lease_fields(struct raft_wire_writer *w, const struct wire_lease *lease)
{
    put_field(w, LEASE_STAMP, lease->stamp);
    put_field(w, LEASE_ECHO, lease->echo);
    put_field(w, LEASE_WANT_TIME, lease->want.time);
    put_field(w, LEASE_WANT_LIFE, lease->want.life);
    put_field(w, LEASE_GRANT_TIME, lease->grant.want.time);
    put_field(w, LEASE_GRANT_LIFE, lease->grant.want.life);
    put_field(w, LEASE_GRANT_DURATION, lease->grant.duration_ns);
    put_field(w, LEASE_GRANT_COMMIT, lease->grant.commit);
}

static void put_lease(struct raft_wire_writer *w, const struct wire_lease *lease)
{
    struct raft_wire_writer count = {.at = NULL};
    put_lease_fields(&count, lease);
    if (count.length == 0)
        return;
    put_prefix(w, RAFT_MESSAGE_LEASE, count.length);
    put_lease_fields(w, lease);
}

static void put_raft_message(struct raft_wire_writer *w, const struct wire_envelope *envelope,
                             const struct raft_message *m, size_t message_size)
{
    put_field(w, RAFT_MESSAGE_REGION_ID, envelope->region_id);
    put_pair(w, RAFT_MESSAGE_FROM_PEER, envelope->from_peer, envelope->from_store);
    put_pair(w, RAFT_MESSAGE_TO_PEER, envelope->to_peer, envelope->to_store);
    put_pair(w, RAFT_MESSAGE_EPOCH, envelope->conf_ver, envelope->version);
    put_field(w, RAFT_MESSAGE_FLAGS, envelope->flags);
    put_lease(w, &envelope->lease);
    /* Last, and never missing: what was cut short does not parse. */
    put_prefix(w, RAFT_MESSAGE_MESSAGE, message_size);
    if (w->at != NULL)
        put_message(w, m);
    else
        w->length += message_size;
}

void wire_pack_message(const struct wire_envelope *envelope, const struct raft_message *message,
                       uint8_t **ret_bytes, size_t *ret_size)
{
    assert(wire_type(message->type) != 0);
    struct raft_wire_writer inner = {.at = NULL};
    put_message(&inner, message);
    struct raft_wire_writer outer = {.at = NULL};
    put_raft_message(&outer, envelope, message, inner.length);

    struct raft_wire_writer w = {.at = mem_alloc(outer.length)};
    put_raft_message(&w, envelope, message, inner.length);
    assert(w.length == outer.length);
    *ret_bytes = w.at;
    *ret_size = w.length;
}

/* ---- reading; a reader that meets nonsense turns bad ---- */

static bool is_number(const struct raft_wire_field *field, uint32_t number)
{
    return field->number == number && field->type == RAFT_WIRE_VARINT;
}

static bool is_bytes(const struct raft_wire_field *field, uint32_t number)
{
    return field->number == number && field->type == RAFT_WIRE_BYTES;
}

static struct raft_wire_reader reader_of(const struct raft_wire_field *field)
{
    return (struct raft_wire_reader){.at = field->data, .end = field->data + field->size};
}

static bool get_pair(const struct raft_wire_field *outer, uint64_t *ret_first, uint64_t *ret_second)
{
    struct raft_wire_reader r = reader_of(outer);
    struct raft_wire_field field;
    while (raft_wire_next(&r, &field)) {
        if (is_number(&field, 1))
            *ret_first = field.value;
        else if (is_number(&field, 2))
            *ret_second = field.value;
    }
    return !r.bad;
}

static struct raft_entry *entry_alloc(enum raft_entry_type type, size_t size)
{
    struct raft_entry *entry = raft_entry_alloc(type, size);
    if (entry == NULL)
        log_fatal("out of memory: a log entry of %zu bytes", size);
    return entry;
}

int wire_unpack_entry(const uint8_t *bytes, size_t size, struct raft_entry **ret_entry)
{
    struct raft_wire_reader r = {.at = bytes, .end = bytes + size};
    struct raft_wire_field field, data = {.size = 0};
    uint64_t type = RAFT_ENTRY_NORMAL, term = 0, index = 0;
    while (raft_wire_next(&r, &field)) {
        if (is_number(&field, ENTRY_TYPE))
            type = field.value;
        else if (is_number(&field, ENTRY_TERM))
            term = field.value;
        else if (is_number(&field, ENTRY_INDEX))
            index = field.value;
        else if (is_bytes(&field, ENTRY_DATA))
            data = field;
    }
    if (r.bad || type > RAFT_ENTRY_CONF_CHANGE_V2 || data.size > RAFT_ENTRY_SIZE_MAX)
        return KE_INVALID;

    struct raft_entry *entry = entry_alloc((enum raft_entry_type)type, data.size);
    entry->term = term;
    entry->index = index;
    if (data.size > 0)
        memcpy(entry->data, data.data, data.size);
    *ret_entry = entry;
    return 0;
}

/* A repeated number comes one by one or packed, as the sender likes. */
static bool get_ids(const struct raft_wire_field *field, struct raft_id_set *set)
{
    if (field->type == RAFT_WIRE_VARINT)
        return raft_id_set_add(set, field->value);
    if (field->type != RAFT_WIRE_BYTES)
        return false;
    for (size_t at = 0; at < field->size;) {
        uint64_t value = 0;
        bool more = true;
        for (unsigned i = 0; more; i++, at++) {
            if (i == VARINT_BYTES_MAX || at == field->size)
                return false;
            value |= (uint64_t)(field->data[at] & 0x7f) << (7 * i);
            more = (field->data[at] & 0x80) != 0;
        }
        if (!raft_id_set_add(set, value))
            return false;
    }
    return true;
}

static bool get_conf_state(const struct raft_wire_field *outer, struct raft_conf_state *conf)
{
    struct raft_wire_reader r = reader_of(outer);
    struct raft_wire_field field;
    bool ok = true;
    while (ok && raft_wire_next(&r, &field)) {
        if (field.number == CONF_NODES)
            ok = get_ids(&field, &conf->voters);
        else if (field.number == CONF_LEARNERS)
            ok = get_ids(&field, &conf->learners);
        else if (field.number == CONF_OUTGOING)
            ok = get_ids(&field, &conf->voters_outgoing);
        else if (field.number == CONF_LEARNERS_NEXT)
            ok = get_ids(&field, &conf->learners_next);
        else if (is_number(&field, CONF_AUTO_LEAVE))
            conf->auto_leave = field.value != 0;
    }
    return ok && !r.bad;
}

static bool get_snapshot_metadata(const struct raft_wire_field *outer,
                                  struct raft_snapshot *snapshot)
{
    struct raft_wire_reader r = reader_of(outer);
    struct raft_wire_field field;
    while (raft_wire_next(&r, &field)) {
        if (is_bytes(&field, METADATA_CONF_STATE) && !get_conf_state(&field, &snapshot->conf))
            return false;
        if (is_number(&field, METADATA_INDEX))
            snapshot->index = field.value;
        else if (is_number(&field, METADATA_TERM))
            snapshot->term = field.value;
    }
    return !r.bad;
}

static bool get_snapshot(const struct raft_wire_field *outer, struct raft_message *m)
{
    struct raft_wire_reader r = reader_of(outer);
    struct raft_wire_field field, data = {.size = 0}, metadata = {.size = 0};
    while (raft_wire_next(&r, &field)) {
        if (is_bytes(&field, SNAPSHOT_DATA))
            data = field;
        else if (is_bytes(&field, SNAPSHOT_METADATA))
            metadata = field;
    }
    if (r.bad || metadata.size == 0 || m->snapshot != NULL)
        return false;
    m->snapshot = raft_snapshot_alloc(data.size);
    if (m->snapshot == NULL)
        log_fatal("out of memory: a snapshot of %zu bytes", data.size);
    if (data.size > 0)
        memcpy(m->snapshot->data, data.data, data.size);
    return get_snapshot_metadata(&metadata, m->snapshot);
}

static bool get_context(const struct raft_wire_field *field, struct raft_message *m)
{
    if (field->size > RAFT_CONTEXT_MAX)
        return false;
    if (field->size > 0)
        memcpy(m->context, field->data, field->size);
    m->context_size = (uint8_t)field->size;
    return true;
}

/* Room for the entries, counted first so that the array is made once. */
static bool alloc_entries(struct raft_wire_reader r, struct raft_message *m)
{
    struct raft_wire_field field;
    size_t count = 0;
    while (raft_wire_next(&r, &field))
        count += is_bytes(&field, MESSAGE_ENTRIES);
    if (r.bad || count > RAFT_MESSAGE_ENTRIES_MAX)
        return false;
    if (count == 0)
        return true;
    /* Freed by raft_message_release(). */
    m->entries = raft_mem_alloc(count * sizeof(struct raft_entry *));
    if (m->entries == NULL)
        log_fatal("out of memory: a message of %zu entries", count);
    return true;
}

static bool get_message_field(const struct raft_wire_field *field, struct raft_message *m)
{
    if (is_bytes(field, MESSAGE_ENTRIES)) {
        if (wire_unpack_entry(field->data, field->size, &m->entries[m->entry_count]) != 0)
            return false;
        m->entry_count++;
        return true;
    }
    if (is_bytes(field, MESSAGE_SNAPSHOT))
        return get_snapshot(field, m);
    if (is_bytes(field, MESSAGE_CONTEXT))
        return get_context(field, m);
    if (is_number(field, MESSAGE_TYPE))
        return wire_type_parse(field->value, &m->type);
    if (is_number(field, MESSAGE_TO))
        m->to = field->value;
    else if (is_number(field, MESSAGE_FROM))
        m->from = field->value;
    else if (is_number(field, MESSAGE_TERM))
        m->term = field->value;
    else if (is_number(field, MESSAGE_LOG_TERM))
        m->log_term = field->value;
    else if (is_number(field, MESSAGE_INDEX))
        m->index = field->value;
    else if (is_number(field, MESSAGE_COMMIT))
        m->commit = field->value;
    else if (is_number(field, MESSAGE_REJECT))
        m->reject = field->value != 0;
    else if (is_number(field, MESSAGE_REJECT_HINT))
        m->reject_hint = field->value;
    return true;
}

static bool get_message(const struct raft_wire_field *outer, struct raft_message *m)
{
    struct raft_wire_reader r = reader_of(outer);
    if (!alloc_entries(r, m))
        return false;
    struct raft_wire_field field;
    while (raft_wire_next(&r, &field)) {
        if (!get_message_field(&field, m))
            return false;
    }
    return !r.bad;
}

static bool get_lease(const struct raft_wire_field *outer, struct wire_lease *lease)
{
    struct raft_wire_reader r = reader_of(outer);
    struct raft_wire_field field;
    while (raft_wire_next(&r, &field)) {
        if (is_number(&field, LEASE_STAMP))
            lease->stamp = field.value;
        else if (is_number(&field, LEASE_ECHO))
            lease->echo = field.value;
        else if (is_number(&field, LEASE_WANT_TIME))
            lease->want.time = field.value;
        else if (is_number(&field, LEASE_WANT_LIFE))
            lease->want.life = field.value;
        else if (is_number(&field, LEASE_GRANT_TIME))
            lease->grant.want.time = field.value;
        else if (is_number(&field, LEASE_GRANT_LIFE))
            lease->grant.want.life = field.value;
        else if (is_number(&field, LEASE_GRANT_DURATION))
            lease->grant.duration_ns = field.value;
        else if (is_number(&field, LEASE_GRANT_COMMIT))
            lease->grant.commit = field.value;
    }
    return !r.bad;
}

static bool get_raft_message(struct raft_wire_reader *r, struct wire_envelope *envelope,
                             struct raft_message *m)
{
    struct raft_wire_field field, message = {.size = 0};
    bool ok = true;
    while (ok && raft_wire_next(r, &field)) {
        if (is_number(&field, RAFT_MESSAGE_REGION_ID))
            envelope->region_id = field.value;
        else if (is_bytes(&field, RAFT_MESSAGE_FROM_PEER))
            ok = get_pair(&field, &envelope->from_peer, &envelope->from_store);
        else if (is_bytes(&field, RAFT_MESSAGE_TO_PEER))
            ok = get_pair(&field, &envelope->to_peer, &envelope->to_store);
        else if (is_bytes(&field, RAFT_MESSAGE_EPOCH))
            ok = get_pair(&field, &envelope->conf_ver, &envelope->version);
        else if (is_bytes(&field, RAFT_MESSAGE_MESSAGE))
            message = field;
        else if (is_number(&field, RAFT_MESSAGE_FLAGS))
            envelope->flags = (uint32_t)field.value;
        else if (is_bytes(&field, RAFT_MESSAGE_LEASE))
            ok = get_lease(&field, &envelope->lease);
    }
    return ok && !r->bad && message.size > 0 && get_message(&message, m);
}

int wire_unpack_message(const uint8_t *bytes, size_t size, struct wire_envelope *ret_envelope,
                        struct raft_message *ret_message, struct err *e)
{
    struct raft_wire_reader r = {.at = bytes, .end = bytes + size};
    struct wire_envelope envelope = {0};
    struct raft_message m;
    /* The type 0 is MsgHup, so a message that names none stays local. */
    raft_message_init(&m, RAFT_MESSAGE_HUP);
    if (!get_raft_message(&r, &envelope, &m)) {
        raft_message_release(&m);
        return err_set(e, KE_INVALID, "message does not parse as raft_serverpb.RaftMessage");
    }
    if (raft_message_is_local(m.type)) {
        raft_message_release(&m);
        return err_set(e, KE_INVALID, "the raft message is of no type that travels between peers");
    }
    *ret_envelope = envelope;
    raft_message_move(ret_message, &m);
    return 0;
}
