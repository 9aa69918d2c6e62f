// Configurations, their changes, and how changes are encoded.

#include <criterion/criterion.h>
#include <string.h>

#include "peers.h"
#include "raft/conf.h"

static void check_same(const struct raft_conf_change *a, const struct raft_conf_change *b)
{
    cr_assert_eq(a->v1, b->v1);
    cr_assert_eq(a->transition, b->transition);
    cr_assert_eq(a->change_count, b->change_count);
    for (uint32_t i = 0; i < a->change_count; i++) {
        cr_assert_eq(a->changes[i].type, b->changes[i].type);
        cr_assert_eq(a->changes[i].node, b->changes[i].node);
    }
    cr_assert_eq(a->context_size, b->context_size);
    cr_assert(a->context_size == 0 || memcmp(a->context, b->context, a->context_size) == 0);
}

Test(conf, change_is_read_back_as_it_was_written)
{
    for (int v1 = 0; v1 < 2; v1++) {
        for (uint32_t count = v1 ? 1 : 0; count <= (v1 ? 1 : RAFT_CONF_CHANGES_MAX); count++) {
            struct raft_conf_change change = {.v1 = v1, .change_count = count};
            change.transition = v1 ? RAFT_CONF_AUTO : (enum raft_conf_transition)(count % 3);
            for (uint32_t i = 0; i < count; i++) {
                change.changes[i].type = (enum raft_conf_change_type)(i % 4);
                change.changes[i].node = UINT64_MAX >> (i % 64);
            }
            change.context = (const uint8_t *)"context";
            change.context_size = count % 8;
            struct raft_entry *entry;
            struct raft_conf_change back;
            cr_assert_eq(raft_conf_change_encode(&change, &entry), 0);
            cr_assert_eq(raft_conf_change_decode(entry, &back), 0);
            check_same(&change, &back);
            raft_entry_unref(entry);
        }
    }
}

Test(conf, v1_change_is_an_eraftpb_conf_change)
{
    struct raft_conf_change change = {.v1 = true, .change_count = 1};
    change.changes[0] = (struct raft_conf_change_single){RAFT_CONF_REMOVE_NODE, 3};
    change.context = (const uint8_t *)"ab";
    change.context_size = 2;
    struct raft_entry *entry;
    cr_assert_eq(raft_conf_change_encode(&change, &entry), 0);
    static const uint8_t expected[] = {0x08, 1, 0x10, 3, 0x1a, 2, 'a', 'b'};
    cr_assert_eq(entry->size, sizeof(expected));
    cr_assert_eq(memcmp(entry->data, expected, sizeof(expected)), 0);
    raft_entry_unref(entry);
}

Test(conf, empty_change_has_no_data_and_means_leave_joint)
{
    struct raft_conf_change change = {.v1 = false};
    struct raft_entry *entry;
    cr_assert_eq(raft_conf_change_encode(&change, &entry), 0);
    cr_assert_eq(entry->size, 0);
    cr_assert(raft_conf_change_leaves_joint(&change));
    raft_entry_unref(entry);
}

Test(conf, malformed_changes_are_refused)
{
    static const struct {
        uint8_t data[16];
        size_t size;
        enum raft_entry_type type;
    } cases[] = {
        {{0x08}, 1, RAFT_ENTRY_CONF_CHANGE},                // cut in a field
        {{0x08, 0x80}, 2, RAFT_ENTRY_CONF_CHANGE},          // cut in a number
        {{0x08, 9}, 2, RAFT_ENTRY_CONF_CHANGE},             // no such type
        {{0x0a, 0}, 2, RAFT_ENTRY_CONF_CHANGE},             // bytes for a number
        {{0x12, 0}, 2, RAFT_ENTRY_CONF_CHANGE},             // likewise
        {{0x18, 0}, 2, RAFT_ENTRY_CONF_CHANGE},             // a number for bytes
        {{0x1a, 5, 1}, 3, RAFT_ENTRY_CONF_CHANGE},          // bytes past the end
        {{0x00, 0}, 2, RAFT_ENTRY_CONF_CHANGE},             // field 0
        {{0x0b}, 1, RAFT_ENTRY_CONF_CHANGE},                // a group
        {{0x08, 3}, 2, RAFT_ENTRY_CONF_CHANGE_V2},          // no such transition
        {{0x10, 1}, 2, RAFT_ENTRY_CONF_CHANGE_V2},          // a number for a change
        {{0x12, 2, 0x08, 9}, 4, RAFT_ENTRY_CONF_CHANGE_V2}, // no such type inside
        {{0x12, 1, 0x08}, 3, RAFT_ENTRY_CONF_CHANGE_V2},    // cut inside
        {{0}, 0, RAFT_ENTRY_NORMAL},                        // no change at all
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct raft_entry *entry = raft_entry_new(cases[i].type, cases[i].data, cases[i].size);
        struct raft_conf_change change;
        cr_assert_eq(raft_conf_change_decode(entry, &change), RAFT_E_INVALID, "case %zu", i);
        raft_entry_unref(entry);
    }
}

Test(conf, unknown_fields_are_skipped)
{
    static const uint8_t data[] = {0x39, 1, 2, 3, 4, 5, 6, 7, 8, 0x3d, 1, 2, 3, 4, 0x10, 2};
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_CONF_CHANGE, data, sizeof(data));
    struct raft_conf_change change;
    cr_assert_eq(raft_conf_change_decode(entry, &change), 0);
    cr_assert_eq(change.changes[0].node, 2);
    raft_entry_unref(entry);
}

Test(conf, change_that_cannot_be_written_is_refused)
{
    struct raft_entry *entry;
    struct raft_conf_change two = {.v1 = true, .change_count = 2};
    cr_assert_eq(raft_conf_change_encode(&two, &entry), RAFT_E_INVALID);
    struct raft_conf_change many = {.change_count = RAFT_CONF_CHANGES_MAX + 1};
    cr_assert_eq(raft_conf_change_encode(&many, &entry), RAFT_E_INVALID);
}

Test(conf, too_many_members_are_refused)
{
    struct raft_id_set set = {.count = 0};
    for (uint64_t id = 1; id <= RAFT_MEMBERS_MAX; id++) {
        cr_assert(raft_id_set_add(&set, id));
    }
    cr_assert(raft_id_set_add(&set, 1));
    cr_assert_not(raft_id_set_add(&set, RAFT_MEMBERS_MAX + 1));
    struct peer *p = calloc(1, sizeof(*p));
    peer_prepare(p, 1, 1);
    peer_start(p);
    struct raft_conf_state conf;
    for (uint64_t id = 2; id <= RAFT_MEMBERS_MAX + 1; id++) {
        struct raft_conf_change change = {.v1 = true, .change_count = 1};
        change.changes[0] = (struct raft_conf_change_single){
            id % 2 ? RAFT_CONF_ADD_NODE : RAFT_CONF_ADD_LEARNER, id};
        int rc = raft_node_apply_conf_change(p->node, &change, &conf);
        cr_assert_eq(rc, id <= RAFT_MEMBERS_MAX ? 0 : RAFT_E_CONF_CHANGE);
    }
    struct raft_conf_change overlong = {.change_count = RAFT_CONF_CHANGES_MAX + 1};
    cr_assert_eq(raft_node_apply_conf_change(p->node, &overlong, &conf), RAFT_E_CONF_CHANGE);
    peer_release(p);
    free(p);
}

Test(conf, joint_configuration_survives_a_restart)
{
    struct raft_snapshot *s = raft_snapshot_alloc(0);
    s->index = 5;
    s->term = 1;
    for (uint64_t id = 1; id <= 3; id++) {
        raft_id_set_add(&s->conf.voters, id);
        raft_id_set_add(&s->conf.voters_outgoing, id + 2);
    }
    raft_id_set_add(&s->conf.learners, 7);
    raft_id_set_add(&s->conf.learners_next, 5);
    s->conf.auto_leave = true;
    struct raft_memory_storage *storage = raft_memory_storage_new();
    cr_assert_eq(raft_memory_storage_apply_snapshot(storage, s), 0);
    struct raft_config config;
    raft_config_init(&config);
    config.id = 1;
    config.storage = raft_memory_storage_interface(storage);
    struct raft_node *node;
    cr_assert_eq(raft_node_new(&config, &node), 0);
    struct raft_status status;
    cr_assert_eq(raft_node_status(node, &status), 0);
    cr_assert(raft_conf_state_equal(&status.conf, &s->conf));
    raft_node_free(node);
    raft_snapshot_unref(s);
    raft_memory_storage_free(storage);
}

Test(conf, configuration_that_cannot_be_is_refused_at_start)
{
    struct peer *p = calloc(1, sizeof(*p));
    peer_prepare(p, 1, 0);
    struct raft_snapshot *s = raft_snapshot_alloc(0);
    raft_id_set_add(&s->conf.voters, 1);
    raft_id_set_add(&s->conf.voters, 2);
    raft_id_set_add(&s->conf.learners, 2);
    cr_assert_eq(raft_memory_storage_apply_snapshot(p->storage, s), 0);
    raft_snapshot_unref(s);
    p->config.storage = raft_memory_storage_interface(p->storage);
    cr_assert_eq(raft_node_new(&p->config, &p->node), RAFT_E_CORRUPT);
    peer_release(p);
    free(p);
}
