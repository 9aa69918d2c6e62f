/* What a peer has written is what it finds after a restart, or it does not start. */
#include "raftstore/bootstrap.h"
#include "raftstore/keys.h"
#include "raftstore/peer_storage.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMOVE_FDS_MAX 16

static char dir[64];
static struct engine *raft;
static struct engine *kv;
static struct peer_storage *storage;
static struct store_ident ident;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void open_engines(void)
{
    char path[96];
    struct err e = {0};
    snprintf(path, sizeof(path), "%s/raft", dir);
    cr_assert_eq(engine_open(path, ENGINE_RAFT, &raft, &e), 0, "%s", e.text);
    snprintf(path, sizeof(path), "%s/kv", dir);
    cr_assert_eq(engine_open(path, ENGINE_KV, &kv, &e), 0, "%s", e.text);
}

static int open_storage(struct err *e)
{
    struct store_config config = {.data_dir = dir, .name = "n1"};
    cr_assert_eq(bootstrap_store(&config, raft, kv, &ident, NULL), 0);
    return peer_storage_open(raft, kv, FIRST_REGION_ID, &storage, e);
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/keelfs-peer-storage-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    open_engines();
    cr_assert_eq(open_storage(NULL), 0);
}

static void close_all(void)
{
    peer_storage_free(storage);
    storage = NULL;
    engine_close(kv);
    engine_close(raft);
}

static void teardown(void)
{
    close_all();
    nftw(dir, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS);
}

static int restart(struct err *e)
{
    close_all();
    open_engines();
    return open_storage(e);
}

/* Entries [first, last] of `term`, and the hard state {term, vote 1, commit}. */
static void append(uint64_t first, uint64_t last, uint64_t term, uint64_t commit)
{
    struct raft_entry *entries[64];
    size_t count = 0;
    for (uint64_t index = first; index <= last; index++) {
        char data[32];
        int size = snprintf(data, sizeof(data), "%llu/%llu", (unsigned long long)term,
                            (unsigned long long)index);
        entries[count] = raft_entry_new(RAFT_ENTRY_NORMAL, data, (size_t)size);
        entries[count]->index = index;
        entries[count]->term = term;
        count++;
    }
    struct raft_message message;
    raft_message_init(&message, RAFT_MESSAGE_STORAGE_APPEND);
    message.term = term;
    message.vote = 1;
    message.commit = commit;
    if (count > 0)
        cr_assert_eq(raft_message_set_entries(&message, entries, count), 0);
    peer_storage_append(storage, &message, true);
    raft_message_release(&message);
    for (size_t i = 0; i < count; i++)
        raft_entry_unref(entries[i]);
}

static uint64_t last_index(void)
{
    struct raft_storage interface = peer_storage_interface(storage);
    uint64_t index;
    cr_assert_eq(interface.ops->last_index(interface.ctx, &index), 0);
    return index;
}

static void expect_entry(uint64_t index, uint64_t term)
{
    struct raft_storage interface = peer_storage_interface(storage);
    struct raft_entry *entry;
    size_t count;
    char expected[32];
    cr_assert_eq(
        interface.ops->entries(interface.ctx, index, index + 1, UINT64_MAX, &entry, &count), 0);
    cr_assert_eq(count, 1);
    snprintf(expected, sizeof(expected), "%llu/%llu", (unsigned long long)term,
             (unsigned long long)index);
    cr_assert_eq(entry->index, index);
    cr_assert_eq(entry->term, term);
    cr_assert_eq(entry->size, strlen(expected));
    cr_assert_eq(memcmp(entry->data, expected, entry->size), 0);
    raft_entry_unref(entry);
}

TestSuite(peer_storage, .init = setup, .fini = teardown);

Test(peer_storage, a_fresh_region_starts_behind_index_and_term_five)
{
    struct raft_storage interface = peer_storage_interface(storage);
    struct raft_hard_state hard;
    struct raft_conf_state conf;
    uint64_t first, term;
    cr_assert_eq(interface.ops->initial_state(interface.ctx, &hard, &conf), 0);
    cr_assert_eq(hard.term, 5);
    cr_assert_eq(hard.vote, 0);
    cr_assert_eq(hard.commit, 5);
    cr_assert_eq(conf.voters.count, 1);
    cr_assert_eq(interface.ops->first_index(interface.ctx, &first), 0);
    cr_assert_eq(first, 6);
    cr_assert_eq(last_index(), 5);
    cr_assert_eq(interface.ops->term(interface.ctx, 5, &term), 0);
    cr_assert_eq(term, 5);
    cr_assert_eq(interface.ops->term(interface.ctx, 4, &term), RAFT_E_COMPACTED);
    cr_assert_eq(interface.ops->term(interface.ctx, 6, &term), RAFT_E_UNAVAILABLE);
}

Test(peer_storage, log_and_hard_state_are_there_after_a_restart)
{
    append(6, 20, 6, 12);
    cr_assert_eq(restart(NULL), 0);
    struct raft_storage interface = peer_storage_interface(storage);
    struct raft_hard_state hard;
    struct raft_conf_state conf;
    cr_assert_eq(interface.ops->initial_state(interface.ctx, &hard, &conf), 0);
    cr_assert_eq(hard.term, 6);
    cr_assert_eq(hard.vote, 1);
    cr_assert_eq(hard.commit, 12);
    cr_assert_eq(last_index(), 20);
    for (uint64_t index = 6; index <= 20; index++)
        expect_entry(index, 6);
}

Test(peer_storage, a_tail_that_was_replaced_is_gone_also_after_a_restart)
{
    append(6, 20, 6, 5);
    append(10, 12, 7, 5);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(last_index(), 12);
        expect_entry(9, 6);
        expect_entry(10, 7);
        expect_entry(12, 7);
        struct key stale = key_raft_log(FIRST_REGION_ID, 13);
        uint8_t *value;
        size_t size;
        cr_assert_eq(engine_get(raft, NULL, CF_DEFAULT, key_bytes(&stale), &value, &size),
                     KE_NOT_FOUND);
        cr_assert_eq(restart(NULL), 0);
    }
}

Test(peer_storage, a_range_stops_at_its_bytes_but_has_one_entry)
{
    append(6, 20, 6, 5);
    struct raft_storage interface = peer_storage_interface(storage);
    struct raft_entry *entries[15];
    size_t count;
    cr_assert_eq(interface.ops->entries(interface.ctx, 6, 21, 0, entries, &count), 0);
    cr_assert_eq(count, 1);
    uint64_t one = raft_entry_encoded_size(entries[0]);
    raft_entry_unref(entries[0]);
    cr_assert_eq(interface.ops->entries(interface.ctx, 6, 21, 3 * one, entries, &count), 0);
    cr_assert_eq(count, 3);
    for (size_t i = 0; i < count; i++)
        raft_entry_unref(entries[i]);
    cr_assert_eq(interface.ops->entries(interface.ctx, 5, 8, 100, entries, &count),
                 RAFT_E_COMPACTED);
    cr_assert_eq(interface.ops->entries(interface.ctx, 6, 22, 100, entries, &count),
                 RAFT_E_UNAVAILABLE);
}

static void delete_log_row(uint64_t index)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct key key = key_raft_log(FIRST_REGION_ID, index);
    engine_batch_delete(batch, raft, CF_DEFAULT, key_bytes(&key));
    engine_write(raft, batch, true);
    engine_batch_free(batch);
}

Test(peer_storage, a_hole_in_the_log_stops_the_node)
{
    append(6, 20, 6, 5);
    delete_log_row(9);
    struct err e = {0};
    cr_assert_eq(restart(&e), KE_CORRUPT);
    cr_assert_not_null(strstr(e.text, "breaks at 8"), "%s", e.text);
}

Test(peer_storage, a_log_that_lost_its_end_stops_the_node)
{
    append(6, 20, 6, 5);
    delete_log_row(20);
    struct err e = {0};
    cr_assert_eq(restart(&e), KE_CORRUPT);
    cr_assert_not_null(strstr(e.text, "ends or breaks at 19"), "%s", e.text);
}

static void save_applied(uint64_t index, uint64_t term)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct apply_state state = *peer_storage_apply_state(storage);
    state.applied_index = index;
    state.applied_term = term;
    apply_state_save(kv, batch, FIRST_REGION_ID, &state);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
}

Test(peer_storage, data_ahead_of_the_log_stops_the_node)
{
    append(6, 20, 6, 20);
    save_applied(21, 6);
    struct err e = {0};
    cr_assert_eq(restart(&e), KE_CORRUPT);
    cr_assert_not_null(strstr(e.text, "applied index 21"), "%s", e.text);
}

Test(peer_storage, data_that_applied_another_log_stops_the_node)
{
    append(6, 20, 6, 20);
    save_applied(15, 7);
    struct err e = {0};
    cr_assert_eq(restart(&e), KE_CORRUPT);
    cr_assert_not_null(strstr(e.text, "term 7"), "%s", e.text);
}

Test(peer_storage, a_commit_index_older_than_the_data_is_raised)
{
    append(6, 20, 6, 5);
    save_applied(15, 6);
    cr_assert_eq(restart(NULL), 0);
    struct raft_storage interface = peer_storage_interface(storage);
    struct raft_hard_state hard;
    struct raft_conf_state conf;
    cr_assert_eq(interface.ops->initial_state(interface.ctx, &hard, &conf), 0);
    cr_assert_eq(hard.commit, 15);
}

Test(peer_storage, a_log_whose_data_is_gone_is_not_taken_for_a_new_directory)
{
    append(6, 20, 6, 20);
    close_all();
    char path[96], aside[96];
    snprintf(path, sizeof(path), "%s/kv", dir);
    snprintf(aside, sizeof(aside), "%s/kv-aside", dir);
    cr_assert_eq(rename(path, aside), 0);
    open_engines();
    struct store_config config = {.data_dir = dir, .name = "n1"};
    struct err e = {0};
    cr_assert_eq(bootstrap_store(&config, raft, kv, &ident, &e), KE_CORRUPT);
    cr_assert_not_null(strstr(e.text, "kv directory is missing"), "%s", e.text);

    engine_close(kv);
    engine_close(raft);
    cr_assert_eq(nftw(path, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS), 0);
    cr_assert_eq(rename(aside, path), 0);
    open_engines();
    cr_assert_eq(open_storage(&e), 0, "put back, it must serve again: %s", e.text);
    expect_entry(20, 6);
}

Test(peer_storage, each_start_has_an_incarnation_of_its_own)
{
    uint64_t first = ident.incarnation;
    cr_assert_eq(restart(NULL), 0);
    cr_assert_gt(ident.incarnation, first);
}
