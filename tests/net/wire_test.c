/* Messages and entries as bytes, checked against the code that protoc-c makes. */
#include "raftstore/wire.h"

#include "inbox.h"

#include "eraftpb.pb-c.h"
#include "raft_serverpb.pb-c.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct wire_envelope sample_envelope = {
    .region_id = 1,
    .from_peer = 2,
    .from_store = UINT64_MAX,
    .to_peer = 3,
    .to_store = 300,
    .conf_ver = 4,
    .version = 5,
    .flags = WIRE_FLAG_ADMITTED | WIRE_FLAG_NO_SPACE,
};

/* Every field set. */
static void make_sample(struct raft_message *m)
{
    struct wire_envelope ignored;
    inbox_make_message(1000, 3, 200, m, &ignored);
    m->type = RAFT_MESSAGE_APPEND;
    m->commit = UINT64_MAX;
    m->reject = true;
    m->reject_hint = 77;
    m->context_size = RAFT_CONTEXT_MAX;
    memset(m->context, 0xc5, RAFT_CONTEXT_MAX);
    m->entries[1]->type = RAFT_ENTRY_CONF_CHANGE;
    m->entries[2]->type = RAFT_ENTRY_CONF_CHANGE_V2;
    m->snapshot = raft_snapshot_alloc(10);
    memset(m->snapshot->data, 0x5a, 10);
    m->snapshot->index = 900;
    m->snapshot->term = 4;
    m->snapshot->conf.auto_leave = true;
    for (uint64_t id = 1; id <= 3; id++) {
        raft_id_set_add(&m->snapshot->conf.voters, id * 1000);
        raft_id_set_add(&m->snapshot->conf.voters_outgoing, id);
    }
    raft_id_set_add(&m->snapshot->conf.learners, 9);
    raft_id_set_add(&m->snapshot->conf.learners_next, 10);
}

static void expect_equal(const struct raft_message *a, const struct raft_message *b)
{
    cr_assert_eq(a->type, b->type);
    cr_assert_eq(a->to, b->to);
    cr_assert_eq(a->from, b->from);
    cr_assert_eq(a->term, b->term);
    cr_assert_eq(a->log_term, b->log_term);
    cr_assert_eq(a->index, b->index);
    cr_assert_eq(a->commit, b->commit);
    cr_assert_eq(a->reject, b->reject);
    cr_assert_eq(a->reject_hint, b->reject_hint);
    cr_assert_eq(a->context_size, b->context_size);
    cr_assert_eq(memcmp(a->context, b->context, a->context_size), 0);
    cr_assert_eq(a->entry_count, b->entry_count);
    for (size_t i = 0; i < a->entry_count; i++) {
        cr_assert_eq(a->entries[i]->type, b->entries[i]->type);
        cr_assert_eq(a->entries[i]->term, b->entries[i]->term);
        cr_assert_eq(a->entries[i]->index, b->entries[i]->index);
        cr_assert_eq(a->entries[i]->size, b->entries[i]->size);
        cr_assert_eq(memcmp(a->entries[i]->data, b->entries[i]->data, a->entries[i]->size), 0);
    }
    cr_assert_eq(a->snapshot == NULL, b->snapshot == NULL);
    if (a->snapshot == NULL)
        return;
    cr_assert_eq(a->snapshot->index, b->snapshot->index);
    cr_assert_eq(a->snapshot->term, b->snapshot->term);
    cr_assert_eq(a->snapshot->size, b->snapshot->size);
    cr_assert_eq(memcmp(a->snapshot->data, b->snapshot->data, a->snapshot->size), 0);
    cr_assert(raft_conf_state_equal(&a->snapshot->conf, &b->snapshot->conf));
}

static void expect_equal_envelopes(const struct wire_envelope *a, const struct wire_envelope *b)
{
    cr_assert_eq(a->region_id, b->region_id);
    cr_assert_eq(a->from_peer, b->from_peer);
    cr_assert_eq(a->from_store, b->from_store);
    cr_assert_eq(a->to_peer, b->to_peer);
    cr_assert_eq(a->to_store, b->to_store);
    cr_assert_eq(a->conf_ver, b->conf_ver);
    cr_assert_eq(a->version, b->version);
    cr_assert_eq(a->flags, b->flags);
}

static void expect_round_trip(struct raft_message *m)
{
    uint8_t *bytes;
    size_t size;
    wire_pack_message(&sample_envelope, m, &bytes, &size);
    struct raft_message back;
    struct wire_envelope envelope;
    struct err e;
    cr_assert_eq(wire_unpack_message(bytes, size, &envelope, &back, &e), 0, "%s", e.text);
    expect_equal_envelopes(&envelope, &sample_envelope);
    expect_equal(m, &back);
    raft_message_release(&back);
    free(bytes);
}

Test(wire, a_message_with_every_field_comes_back_as_it_was)
{
    struct raft_message m;
    make_sample(&m);
    expect_round_trip(&m);
    raft_message_release(&m);
}

Test(wire, a_snapshot_message_with_much_data_comes_back_as_it_was)
{
    struct raft_message m;
    raft_message_init(&m, RAFT_MESSAGE_SNAPSHOT);
    m.from = 2;
    m.to = 1;
    m.term = 6;
    const size_t size = 1u << 16;
    m.snapshot = raft_snapshot_alloc(size);
    for (size_t i = 0; i < size; i++)
        m.snapshot->data[i] = (uint8_t)(i * 7);
    m.snapshot->index = 1ull << 40;
    m.snapshot->term = 6;
    for (uint64_t id = 1; id <= RAFT_MEMBERS_MAX; id++)
        cr_assert(raft_id_set_add(&m.snapshot->conf.voters, id));
    expect_round_trip(&m);
    raft_message_release(&m);
}

Test(wire, every_type_that_travels_comes_back_and_no_other_does)
{
    unsigned travelling = 0;
    for (int type = 0; type < RAFT_MESSAGE_TYPE_COUNT; type++) {
        /* A local order of the application, not of a peer. */
        if (raft_message_is_local((enum raft_message_type)type) ||
            type == RAFT_MESSAGE_FORGET_LEADER)
            continue;
        struct raft_message m;
        raft_message_init(&m, (enum raft_message_type)type);
        m.from = 1;
        m.to = 2;
        expect_round_trip(&m);
        travelling++;
    }
    cr_assert_eq(travelling, 14);
}

Test(wire, the_bytes_are_what_the_generated_code_reads)
{
    struct raft_message m;
    make_sample(&m);
    uint8_t *bytes;
    size_t size;
    wire_pack_message(&sample_envelope, &m, &bytes, &size);
    RaftServerpb__RaftMessage *read = raft_serverpb__raft_message__unpack(NULL, size, bytes);
    cr_assert_not_null(read);
    cr_assert_eq(read->region_id, 1);
    cr_assert_eq(read->from_peer->store_id, UINT64_MAX);
    cr_assert_eq(read->to_peer->id, 3);
    cr_assert_eq(read->region_epoch->version, 5);
    cr_assert_eq(read->flags,
                 RAFT_SERVERPB__PEER_FLAG__Admitted | RAFT_SERVERPB__PEER_FLAG__NoSpace);
    Eraftpb__Message *message = read->message;
    cr_assert_eq(message->msg_type, ERAFTPB__MESSAGE_TYPE__MsgAppend);
    cr_assert_eq(message->n_entries, 3);
    cr_assert_eq(message->entries[1]->entry_type, ERAFTPB__ENTRY_TYPE__EntryConfChange);
    cr_assert_eq(message->entries[2]->entry_type, ERAFTPB__ENTRY_TYPE__EntryConfChangeV2);
    cr_assert_eq(message->entries[2]->index, 1003);
    cr_assert_eq(message->entries[2]->data.len, 200);
    cr_assert_eq(message->commit, UINT64_MAX);
    cr_assert(message->reject);
    cr_assert_eq(message->context.len, RAFT_CONTEXT_MAX);
    Eraftpb__ConfState *conf = message->snapshot->metadata->conf_state;
    cr_assert_eq(conf->n_nodes, 3);
    cr_assert_eq(conf->nodes[2], 3000);
    cr_assert_eq(conf->learners_next[0], 10);
    raft_serverpb__raft_message__free_unpacked(read, NULL);
    free(bytes);
    raft_message_release(&m);
}

/* TinyKV's own code packs repeated numbers; ours does not. */
Test(wire, packed_numbers_of_other_writers_are_read)
{
    static const uint8_t bytes[] = {
        0x22, 0x11,                   /* message */
        0x08, 0x07,                   /* MsgSnapshot */
        0x4a, 0x0d,                   /* snapshot */
        0x12, 0x0b,                   /* metadata */
        0x0a, 0x05,                   /* conf_state */
        0x0a, 0x03, 0x01, 0x80, 0x02, /* nodes 1 and 256, packed */
        0x10, 0x09, 0x18, 0x05,       /* index 9, term 5 */
    };
    struct raft_message m;
    struct wire_envelope envelope;
    struct err e;
    cr_assert_eq(wire_unpack_message(bytes, sizeof(bytes), &envelope, &m, &e), 0, "%s", e.text);
    cr_assert_eq(m.snapshot->conf.voters.count, 2);
    cr_assert_eq(m.snapshot->conf.voters.ids[1], 256);
    cr_assert_eq(m.snapshot->index, 9);
    raft_message_release(&m);
}

static int unpack(const uint8_t *bytes, size_t size)
{
    /* In a block of its own, so that a read past the end is seen. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (size > 0)
        memcpy(copy, bytes, size);
    struct raft_message m;
    struct wire_envelope envelope;
    int rc = wire_unpack_message(copy, size, &envelope, &m, NULL);
    if (rc == 0)
        raft_message_release(&m);
    free(copy);
    return rc;
}

Test(wire, a_message_cut_anywhere_is_refused)
{
    struct raft_message m;
    make_sample(&m);
    uint8_t *bytes;
    size_t size;
    wire_pack_message(&sample_envelope, &m, &bytes, &size);
    raft_message_release(&m);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(unpack(bytes, cut), KE_INVALID, "cut at %zu of %zu", cut, size);
    cr_assert_eq(unpack(bytes, size), 0);
    free(bytes);
}

Test(wire, changed_bytes_never_break_the_reader, .timeout = 60)
{
    struct raft_message m;
    make_sample(&m);
    uint8_t *bytes;
    size_t size;
    wire_pack_message(&sample_envelope, &m, &bytes, &size);
    raft_message_release(&m);
    const char *given = getenv("KEELFS_TEST_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 20220;
    cr_log_info("KEELFS_TEST_SEED=%u", seed);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t copy[2048];
        cr_assert_leq(size, sizeof(copy));
        memcpy(copy, bytes, size);
        for (int changes = rand_r(&seed) % 4; changes >= 0; changes--)
            copy[(size_t)rand_r(&seed) % size] = (uint8_t)rand_r(&seed);
        (void)unpack(copy, size);
    }
    free(bytes);
}

Test(wire, too_many_entries_and_too_long_a_context_are_refused)
{
    struct raft_message m;
    struct wire_envelope envelope;
    uint8_t *bytes;
    size_t size;
    inbox_make_message(5, RAFT_MESSAGE_ENTRIES_MAX, 0, &m, &envelope);
    expect_round_trip(&m);
    wire_pack_message(&envelope, &m, &bytes, &size);
    raft_message_release(&m);

    Eraftpb__Entry entry = ERAFTPB__ENTRY__INIT;
    Eraftpb__Entry *entries[RAFT_MESSAGE_ENTRIES_MAX + 1];
    for (size_t i = 0; i <= RAFT_MESSAGE_ENTRIES_MAX; i++)
        entries[i] = &entry;
    Eraftpb__Message message = ERAFTPB__MESSAGE__INIT;
    message.msg_type = ERAFTPB__MESSAGE_TYPE__MsgAppend;
    message.entries = entries;
    message.n_entries = RAFT_MESSAGE_ENTRIES_MAX + 1;
    RaftServerpb__RaftMessage outer = RAFT_SERVERPB__RAFT_MESSAGE__INIT;
    outer.message = &message;
    uint8_t space[3 * RAFT_MESSAGE_ENTRIES_MAX];
    cr_assert_leq(raft_serverpb__raft_message__get_packed_size(&outer), sizeof(space));
    cr_assert_eq(unpack(space, raft_serverpb__raft_message__pack(&outer, space)), KE_INVALID);

    uint8_t context[RAFT_CONTEXT_MAX + 1] = {0};
    message.n_entries = 0;
    message.context = (ProtobufCBinaryData){.data = context, .len = sizeof(context)};
    cr_assert_eq(unpack(space, raft_serverpb__raft_message__pack(&outer, space)), KE_INVALID);
    message.context.len--;
    cr_assert_eq(unpack(space, raft_serverpb__raft_message__pack(&outer, space)), 0);
    free(bytes);
}

Test(wire, a_message_that_must_stay_local_is_refused)
{
    static const int numbers[] = {0, 1, 10, 13, 14, 19, 127, 1 << 20};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        Eraftpb__Message message = ERAFTPB__MESSAGE__INIT;
        message.msg_type = (Eraftpb__MessageType)numbers[i];
        message.term = 9;
        RaftServerpb__RaftMessage outer = RAFT_SERVERPB__RAFT_MESSAGE__INIT;
        outer.message = &message;
        uint8_t space[64];
        cr_assert_eq(unpack(space, raft_serverpb__raft_message__pack(&outer, space)), KE_INVALID,
                     "type %d", numbers[i]);
    }
}

Test(wire, an_entry_row_comes_back_and_its_parts_do_not)
{
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_CONF_CHANGE_V2, "payload", 7);
    entry->term = 5;
    entry->index = 1ull << 40;
    uint8_t bytes[64];
    size_t size = wire_entry_size(entry);
    wire_pack_entry(entry, bytes);
    struct raft_entry *back;
    cr_assert_eq(wire_unpack_entry(bytes, size, &back), 0);
    cr_assert_eq(back->type, RAFT_ENTRY_CONF_CHANGE_V2);
    cr_assert_eq(back->term, 5);
    cr_assert_eq(back->index, 1ull << 40);
    cr_assert_eq(back->size, 7);
    cr_assert_eq(memcmp(back->data, "payload", 7), 0);
    raft_entry_unref(back);
    cr_assert_eq(wire_unpack_entry(bytes, size - 1, &back), KE_INVALID);
    bytes[1] = 3; /* an entry type that nobody knows */
    cr_assert_eq(wire_unpack_entry(bytes, size, &back), KE_INVALID);
    raft_entry_unref(entry);
}
