// The memory storage, messages, limits, errors and log lines.

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "peers.h"

static struct raft_memory_storage *storage_with(size_t count)
{
    struct raft_memory_storage *s = raft_memory_storage_new();
    for (uint64_t index = 1; index <= count; index++) {
        struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, "0123456789", 10);
        entry->term = 1;
        entry->index = index;
        cr_assert_eq(raft_memory_storage_append(s, &entry, 1), 0);
        raft_entry_unref(entry);
    }
    return s;
}

Test(storage, entries_stop_before_the_limit_but_there_is_at_least_one)
{
    struct raft_memory_storage *s = storage_with(10);
    struct raft_storage i = raft_memory_storage_interface(s);
    struct raft_entry *entries[10];
    static const struct {
        uint64_t max_bytes;
        size_t count;
    } cases[] = {{0, 1}, {16, 1}, {31, 1}, {32, 2}, {UINT64_MAX, 9}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        size_t count;
        cr_assert_eq(i.ops->entries(i.ctx, 1, 10, cases[c].max_bytes, entries, &count), 0);
        cr_assert_eq(count, cases[c].count, "case %zu: %zu", c, count);
        for (size_t e = 0; e < count; e++) {
            raft_entry_unref(entries[e]);
        }
    }
    raft_memory_storage_free(s);
}

Test(storage, compacted_and_missing_entries_are_told_apart)
{
    struct raft_memory_storage *s = storage_with(10);
    struct raft_storage i = raft_memory_storage_interface(s);
    struct raft_entry *entries[10];
    size_t count;
    uint64_t term;
    cr_assert_eq(raft_memory_storage_compact(s, 11), RAFT_E_UNAVAILABLE);
    cr_assert_eq(raft_memory_storage_compact(s, 4), 0);
    cr_assert_eq(raft_memory_storage_compact(s, 4), RAFT_E_COMPACTED);
    cr_assert_eq(i.ops->entries(i.ctx, 4, 6, UINT64_MAX, entries, &count), RAFT_E_COMPACTED);
    cr_assert_eq(i.ops->entries(i.ctx, 9, 12, UINT64_MAX, entries, &count), RAFT_E_UNAVAILABLE);
    cr_assert_eq(i.ops->term(i.ctx, 3, &term), RAFT_E_COMPACTED);
    cr_assert_eq(i.ops->term(i.ctx, 4, &term), 0);
    cr_assert_eq(i.ops->term(i.ctx, 11, &term), RAFT_E_UNAVAILABLE);
    raft_memory_storage_free(s);
}

Test(storage, append_replaces_skips_and_refuses_a_gap)
{
    struct raft_memory_storage *s = storage_with(10);
    struct raft_storage i = raft_memory_storage_interface(s);
    uint64_t last;
    cr_assert_eq(raft_memory_storage_compact(s, 4), 0);
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, NULL, 0);
    entry->index = 4;
    entry->term = 2;
    cr_assert_eq(raft_memory_storage_append(s, &entry, 1), 0);
    i.ops->last_index(i.ctx, &last);
    cr_assert_eq(last, 10);
    entry->index = 6;
    cr_assert_eq(raft_memory_storage_append(s, &entry, 1), 0);
    i.ops->last_index(i.ctx, &last);
    cr_assert_eq(last, 6);
    entry->index = 8;
    cr_assert_eq(raft_memory_storage_append(s, &entry, 1), RAFT_E_INVALID);
    entry->index = 6;
    raft_entry_unref(entry);
    raft_memory_storage_free(s);
}

Test(storage, snapshots_only_move_forward)
{
    struct raft_memory_storage *s = storage_with(10);
    struct raft_storage i = raft_memory_storage_interface(s);
    struct raft_snapshot *got;
    cr_assert_eq(i.ops->snapshot(i.ctx, &got), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE);
    cr_assert_eq(raft_memory_storage_create_snapshot(s, 20, NULL, NULL, 0), RAFT_E_UNAVAILABLE);
    struct raft_conf_state conf = {.auto_leave = false};
    raft_id_set_add(&conf.voters, 1);
    cr_assert_eq(raft_memory_storage_create_snapshot(s, 5, &conf, "state", 5), 0);
    cr_assert_eq(raft_memory_storage_create_snapshot(s, 5, NULL, NULL, 0),
                 RAFT_E_SNAPSHOT_OUT_OF_DATE);
    cr_assert_eq(raft_memory_storage_create_snapshot(s, 7, NULL, "later", 5), 0);
    cr_assert_eq(i.ops->snapshot(i.ctx, &got), 0);
    cr_assert_eq(got->index, 7);
    cr_assert(raft_conf_state_equal(&got->conf, &conf));
    cr_assert_eq(memcmp(got->data, "later", 5), 0);
    cr_assert_eq(raft_memory_storage_apply_snapshot(s, got), RAFT_E_SNAPSHOT_OUT_OF_DATE);
    raft_snapshot_unref(got);
    cr_assert_eq(raft_memory_storage_compact(s, 9), 0);
    cr_assert_eq(i.ops->snapshot(i.ctx, &got), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE,
                 "it would leave a gap to the log");
    raft_memory_storage_free(s);
}

Test(message, copy_has_its_own_references)
{
    uint64_t terms[] = {1, 1};
    struct raft_message m = msg_append(1, 2, 1, 0, 0, 0, terms, 2);
    m.snapshot = raft_snapshot_alloc(3);
    m.responses = NULL;
    struct raft_message copy;
    cr_assert_eq(raft_message_copy(&copy, &m), 0);
    cr_assert_eq(copy.entries[1], m.entries[1]);
    cr_assert_eq(atomic_load(&m.entries[1]->refs), 2);
    raft_message_release(&m);
    cr_assert_eq(atomic_load(&copy.entries[1]->refs), 1);
    cr_assert_eq(atomic_load(&copy.snapshot->refs), 1);
    raft_message_release(&copy);
    raft_message_release(&copy);
}

Test(message, names_cover_every_type)
{
    for (int type = 0; type < RAFT_MESSAGE_TYPE_COUNT; type++) {
        cr_assert_str_neq(raft_message_type_name((enum raft_message_type)type), "UNKNOWN");
    }
    cr_assert_str_eq(raft_message_type_name((enum raft_message_type)RAFT_MESSAGE_TYPE_COUNT),
                     "UNKNOWN");
    cr_assert(raft_message_is_local(RAFT_MESSAGE_HUP));
    cr_assert_not(raft_message_is_local(RAFT_MESSAGE_PROPOSE));
}

Test(entry, too_large_an_entry_is_refused)
{
    cr_assert_null(raft_entry_alloc(RAFT_ENTRY_NORMAL, (size_t)RAFT_ENTRY_SIZE_MAX + 1));
    cr_assert_null(raft_snapshot_alloc(SIZE_MAX));
    raft_entry_unref(NULL);
    raft_snapshot_unref(NULL);
    raft_node_free(NULL);
    raft_memory_storage_free(NULL);
}

Test(error, every_error_has_a_text)
{
#define X(name, value, text) cr_assert_str_eq(raft_error_text(RAFT_E_##name), text);
    RAFT_ERRORS(X)
#undef X
    cr_assert_str_eq(raft_error_text(0), "success");
    cr_assert_str_eq(raft_error_text(-999), "unknown error");
}

Test(event, every_kind_is_put_into_words)
{
    struct raft_conf_state conf = {.auto_leave = true};
    struct raft_conf_change change = {.change_count = 2};
    struct raft_peer_status progress = {.match = 7, .next = 9, .paused = true};
    raft_id_set_add(&conf.voters, 1);
    raft_id_set_add(&conf.voters, 2);
    raft_id_set_add(&conf.voters_outgoing, 3);
    raft_id_set_add(&conf.learners, 4);
    raft_id_set_add(&conf.learners_next, 3);
    change.changes[1] = (struct raft_conf_change_single){RAFT_CONF_REMOVE_NODE, 5};
    static const enum raft_event_kind kinds[] = {
#define X(kind, level, words) RAFT_EVENT_##kind,
        RAFT_EVENTS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (int refusal = 0; refusal < 3; refusal++) {
            char text[512];
            struct raft_event e = {.kind = kinds[i],
                                   .node = 1,
                                   .conf = &conf,
                                   .change = &change,
                                   .progress = &progress,
                                   .refusal = (enum raft_change_refusal)refusal};
            size_t length = raft_event_format(&e, text, sizeof(text));
            cr_assert_eq(length, strlen(text));
            cr_assert_null(strchr(text, '{'), "%s", text);
            progress.state = (enum raft_progress_state)refusal;
            change.change_count = refusal == 2 ? 0 : 2;
        }
    }
}

Test(event, a_short_buffer_gets_the_beginning)
{
    char text[8] = "";
    struct raft_event e = {.kind = RAFT_EVENT_BECAME_LEADER, .node = 12, .term = UINT64_MAX};
    size_t length = raft_event_format(&e, text, sizeof(text));
    cr_assert_str_eq(text, "node 12");
    cr_assert_eq(length, strlen("node 12 leads term 18446744073709551615"));
    cr_assert_eq(raft_event_format(&e, NULL, 0), length);
}
