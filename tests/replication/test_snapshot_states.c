/* When a snapshot is built, kept, built again and given up; and what a log looks like
 * once it is cut or replaced. */
#include "raftstore/bootstrap.h"
#include "raftstore/peer_storage.h"
#include "raftstore/snapshot.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMOVE_FDS_MAX 16
#define LAST_INDEX     50

static char dir[64];
static struct engine *raft;
static struct engine *kv;
static struct peer_storage *storage;
static struct snap_files *files;
static struct raft_storage interface;
static unsigned builds;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void count_build(void *ctx)
{
    (void)ctx;
    builds++;
}

static void append(uint64_t first, uint64_t last)
{
    struct raft_message message;
    struct raft_entry *entries[LAST_INDEX];
    size_t count = 0;
    for (uint64_t index = first; index <= last; index++) {
        entries[count] = raft_entry_alloc(RAFT_ENTRY_NORMAL, 100);
        entries[count]->index = index;
        entries[count++]->term = 6;
    }
    raft_message_init(&message, RAFT_MESSAGE_STORAGE_APPEND);
    cr_assert_eq(raft_message_set_entries(&message, entries, count), 0);
    message.term = 6;
    message.vote = 1;
    message.commit = last;
    peer_storage_append(storage, &message, true);
    raft_message_release(&message);
    for (size_t i = 0; i < count; i++)
        raft_entry_unref(entries[i]);
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/keelfs-replication-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    char path[96];
    struct store_ident ident;
    snprintf(path, sizeof(path), "%s/raft", dir);
    cr_assert_eq(engine_open(path, ENGINE_RAFT, &raft, NULL), 0);
    snprintf(path, sizeof(path), "%s/kv", dir);
    cr_assert_eq(engine_open(path, ENGINE_KV, &kv, NULL), 0);
    struct store_config config = {.data_dir = dir, .name = "n1"};
    cr_assert_eq(bootstrap_store(&config, raft, kv, &ident, NULL), 0);
    cr_assert_eq(peer_storage_open(raft, kv, FIRST_REGION_ID, &storage, NULL), 0);
    cr_assert_eq(snap_files_open(dir, NULL, &files, NULL), 0);
    peer_storage_set_snapshots(storage, files, count_build, NULL);
    interface = peer_storage_interface(storage);
    append(6, LAST_INDEX);
}

static void teardown(void)
{
    peer_storage_free(storage);
    snap_files_close(files);
    engine_close(kv);
    engine_close(raft);
    nftw(dir, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS);
}

TestSuite(snapshot_states, .init = setup, .fini = teardown);

static int ask(uint64_t *ret_index)
{
    struct raft_snapshot *snapshot = NULL;
    int rc = interface.ops->snapshot(interface.ctx, &snapshot);
    if (rc == 0)
        *ret_index = snapshot->index;
    raft_snapshot_unref(snapshot);
    return rc;
}

static struct snap_id id_of(uint64_t index)
{
    return (struct snap_id){
        .kind = SNAP_GENERATED, .region_id = FIRST_REGION_ID, .term = 6, .index = index};
}

/* What the region worker would hand in: of a volume without a row. */
static void hand_in(uint64_t index)
{
    struct snapshot_meta meta = {
        .index = index, .term = 6, .membership = *peer_storage_membership(storage)};
    for (size_t i = 0; i < CF_COUNT; i++)
        meta.files[i].cf = (enum engine_cf)i;
    struct snap_id id = id_of(index);
    cr_assert(snap_files_begin(files, &id));
    cr_assert_eq(snap_files_commit(files, &id, &meta, NULL), 0);
    peer_storage_snapshot_built(storage, snapshot_pack(&meta), NULL);
}

static bool has_files(uint64_t index)
{
    struct snap_id id = id_of(index);
    bool has = snap_files_ref(files, &id);
    if (has)
        snap_files_unref(files, &id);
    return has;
}

Test(snapshot_states, one_is_built_when_the_core_asks_and_kept_for_the_next_time)
{
    uint64_t index;
    cr_assert_eq(builds, 0);
    cr_assert_eq(ask(&index), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE);
    cr_assert_eq(ask(&index), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE);
    cr_assert_eq(builds, 1);
    hand_in(20);
    cr_assert_eq(ask(&index), 0);
    cr_assert_eq(index, 20);
    cr_assert_eq(ask(&index), 0);
    cr_assert_eq(builds, 1);
}

Test(snapshot_states, one_that_the_log_was_cut_past_is_dropped_with_its_files)
{
    uint64_t index;
    ask(&index);
    hand_in(20);
    peer_storage_compact(storage, 21, 6);
    cr_assert_eq(ask(&index), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE);
    cr_assert_eq(builds, 2);
    cr_assert_not(has_files(20));
}

Test(snapshot_states, one_at_the_cut_itself_is_of_use)
{
    uint64_t index;
    ask(&index);
    peer_storage_compact(storage, 20, 6);
    hand_in(20);
    cr_assert_eq(ask(&index), 0);
    cr_assert_eq(index, 20);
}

Test(snapshot_states, one_from_before_a_change_of_members_is_of_no_use)
{
    uint64_t index;
    ask(&index);
    hand_in(20);
    peer_storage_outdate_snapshots(storage, 30);
    cr_assert_eq(ask(&index), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE);
    hand_in(30);
    cr_assert_eq(ask(&index), 0);
    cr_assert_eq(index, 30);
}

Test(snapshot_states, builds_that_are_overtaken_again_and_again_are_given_up_until_asked_anew)
{
    uint64_t index;
    ask(&index);
    for (unsigned i = 1; i <= PEER_STORAGE_SNAPSHOT_TRIES; i++) {
        cr_assert_eq(builds, i);
        peer_storage_compact(storage, 20 + i, 6);
        hand_in(19 + i);
        cr_assert_not(has_files(19 + i));
    }
    cr_assert_eq(builds, PEER_STORAGE_SNAPSHOT_TRIES);
    cr_assert_eq(ask(&index), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE);
    cr_assert_eq(builds, PEER_STORAGE_SNAPSHOT_TRIES + 1);
    hand_in(LAST_INDEX);
    cr_assert_eq(ask(&index), 0);
}

Test(snapshot_states, a_build_that_failed_is_begun_again_when_the_core_asks)
{
    uint64_t index;
    struct err why = {0};
    err_set(&why, KE_IO, "the disk is full");
    ask(&index);
    peer_storage_snapshot_built(storage, NULL, &why);
    cr_assert_eq(builds, 1);
    cr_assert_eq(ask(&index), RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE);
    cr_assert_eq(builds, 2);
}

Test(snapshot_states, what_is_cut_is_compacted_and_the_rest_still_there)
{
    uint64_t first, term;
    struct raft_entry *entry;
    size_t count;
    peer_storage_compact(storage, 20, 6);
    cr_assert_eq(interface.ops->first_index(interface.ctx, &first), 0);
    cr_assert_eq(first, 21);
    cr_assert_eq(interface.ops->term(interface.ctx, 20, &term), 0);
    cr_assert_eq(interface.ops->term(interface.ctx, 19, &term), RAFT_E_COMPACTED);
    cr_assert_eq(interface.ops->entries(interface.ctx, 20, 21, 1000, &entry, &count),
                 RAFT_E_COMPACTED);
    cr_assert_eq(interface.ops->entries(interface.ctx, 21, 22, 1000, &entry, &count), 0);
    cr_assert_eq(entry->index, 21);
    raft_entry_unref(entry);
}

Test(snapshot_states, a_snapshot_leaves_an_empty_log_behind_it)
{
    struct raft_message append_message;
    struct raft_local_state local;
    uint64_t first, last, term;
    raft_message_init(&append_message, RAFT_MESSAGE_STORAGE_APPEND);
    append_message.snapshot = raft_snapshot_alloc(0);
    append_message.snapshot->index = 100;
    append_message.snapshot->term = 9;
    append_message.term = 9;
    peer_storage_install(storage, &append_message, &local);
    cr_assert_eq(local.last_index, 100);
    cr_assert_eq(local.last_term, 9);
    cr_assert_eq(local.hard_state.term, 9);
    cr_assert_eq(local.hard_state.commit, 100);
    interface.ops->first_index(interface.ctx, &first);
    interface.ops->last_index(interface.ctx, &last);
    cr_assert_eq(first, 101);
    cr_assert_eq(last, 100);
    cr_assert_eq(interface.ops->term(interface.ctx, 100, &term), 0);
    cr_assert_eq(term, 9);
    cr_assert_eq(interface.ops->term(interface.ctx, 50, &term), RAFT_E_COMPACTED);
    raft_message_release(&append_message);
}
