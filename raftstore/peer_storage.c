#include "raftstore/peer_storage.h"

#include "raftstore/entry_cache.h"
#include "raftstore/failpoint.h"
#include "raftstore/keys.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct peer_storage {
    struct engine *raft;
    struct engine *kv;
    uint64_t region_id;
    struct membership membership;   /* at open */
    struct apply_state apply_state; /* at open */
    struct raft_hard_state hard_state;
    uint64_t truncated_index;
    uint64_t truncated_term;
    uint64_t last_index;
    uint64_t last_term;
    struct log_size size;
    struct entry_cache cache;
    struct engine_batch *batch; /* reused by every append */
    uint8_t *scratch;           /* one packed entry */
    size_t scratch_size;

    struct snap_files *files;
    void (*build)(void *ctx);
    void *build_ctx;
    bool building;
    unsigned tries;                 /* of the build under way */
    uint64_t outdated;              /* snapshots must not be older */
    struct raft_snapshot *snapshot; /* READY: with a reference to its files */
};

static uint64_t peer_storage_first_index(const struct peer_storage *storage)
{
    return storage->truncated_index + 1;
}

/* --- struct raft_storage --- */

static int peer_storage_get_entry(struct peer_storage *storage, uint64_t index,
                                  struct raft_entry **ret_entry)
{
    struct raft_entry *cached = entry_cache_get(&storage->cache, index);
    if (cached != NULL) {
        *ret_entry = raft_entry_ref(cached);
        return 0;
    }
    struct key key = key_raft_log(storage->region_id, index);
    uint8_t *value;
    size_t size;
    int rc = engine_get(storage->raft, NULL, CF_DEFAULT, key_bytes(&key), &value, &size);
    if (rc == 0) {
        rc = wire_unpack_entry(value, size, ret_entry);
        free(value);
    }
    return rc == 0 ? 0 : RAFT_E_STORAGE;
}

static int storage_initial_state(void *ctx, struct raft_hard_state *ret_hard,
                                 struct raft_conf_state *ret_conf)
{
    struct peer_storage *storage = ctx;
    *ret_hard = storage->hard_state;
    membership_conf_state(&storage->membership, ret_conf);
    return 0;
}

static int storage_entries(void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                           struct raft_entry **entries, size_t *ret_count)
{
    struct peer_storage *storage = ctx;
    if (lo < peer_storage_first_index(storage))
        return RAFT_E_COMPACTED;
    if (hi > storage->last_index + 1)
        return RAFT_E_UNAVAILABLE;
    uint64_t bytes = 0;
    size_t count = 0;
    for (uint64_t index = lo; index < hi; index++) {
        int rc = peer_storage_get_entry(storage, index, &entries[count]);
        if (rc != 0) {
            while (count > 0)
                raft_entry_unref(entries[--count]);
            return rc;
        }
        bytes += raft_entry_encoded_size(entries[count]);
        if (count > 0 && bytes > max_bytes) {
            raft_entry_unref(entries[count]);
            break;
        }
        count++;
    }
    *ret_count = count;
    return 0;
}

static int storage_term(void *ctx, uint64_t index, uint64_t *ret_term)
{
    struct peer_storage *storage = ctx;
    if (index < storage->truncated_index)
        return RAFT_E_COMPACTED;
    if (index > storage->last_index)
        return RAFT_E_UNAVAILABLE;
    if (index == storage->truncated_index) {
        *ret_term = storage->truncated_term;
        return 0;
    }
    if (index == storage->last_index) {
        *ret_term = storage->last_term;
        return 0;
    }
    struct raft_entry *entry;
    int rc = peer_storage_get_entry(storage, index, &entry);
    if (rc != 0)
        return rc;
    *ret_term = entry->term;
    raft_entry_unref(entry);
    return 0;
}

static int storage_first_index(void *ctx, uint64_t *ret_index)
{
    *ret_index = peer_storage_first_index(ctx);
    return 0;
}

static int storage_last_index(void *ctx, uint64_t *ret_index)
{
    *ret_index = ((struct peer_storage *)ctx)->last_index;
    return 0;
}

/* --- snapshots --- */

static struct snap_id peer_storage_snap_id(const struct peer_storage *storage,
                                           const struct raft_snapshot *snapshot)
{
    return (struct snap_id){.kind = SNAP_GENERATED,
                            .region_id = storage->region_id,
                            .term = snapshot->term,
                            .index = snapshot->index};
}

static void peer_storage_drop_snapshot(struct peer_storage *storage)
{
    if (storage->snapshot == NULL)
        return;
    struct snap_id id = peer_storage_snap_id(storage, storage->snapshot);
    snap_files_unref(storage->files, &id);
    raft_snapshot_unref(storage->snapshot);
    storage->snapshot = NULL;
}

static bool peer_storage_is_overtaken(const struct peer_storage *storage,
                                      const struct raft_snapshot *snapshot)
{
    return snapshot->index < storage->truncated_index || snapshot->index < storage->outdated;
}

static void peer_storage_start_build(struct peer_storage *storage)
{
    storage->building = true;
    storage->tries++;
    storage->build(storage->build_ctx);
}

static int storage_snapshot(void *ctx, struct raft_snapshot **ret_snapshot)
{
    struct peer_storage *storage = ctx;
    if (storage->snapshot != NULL && peer_storage_is_overtaken(storage, storage->snapshot))
        peer_storage_drop_snapshot(storage);
    if (storage->snapshot != NULL) {
        *ret_snapshot = raft_snapshot_ref(storage->snapshot);
        return 0;
    }
    if (!storage->building && storage->build != NULL) {
        storage->tries = 0;
        peer_storage_start_build(storage);
    }
    return RAFT_E_SNAPSHOT_TEMPORARILY_UNAVAILABLE;
}

void peer_storage_set_snapshots(struct peer_storage *storage, struct snap_files *files,
                                void (*build)(void *ctx), void *ctx)
{
    storage->files = files;
    storage->build = build;
    storage->build_ctx = ctx;
}

void peer_storage_snapshot_built(struct peer_storage *storage, struct raft_snapshot *snapshot,
                                 const struct err *why)
{
    assert(storage->building);
    storage->building = false;
    if (snapshot == NULL) {
        log_error("no snapshot of region %llu: %s", (unsigned long long)storage->region_id,
                  why->text);
        return;
    }
    peer_storage_drop_snapshot(storage);
    storage->snapshot = snapshot;
    if (!peer_storage_is_overtaken(storage, snapshot))
        return;
    peer_storage_drop_snapshot(storage);
    if (storage->tries < PEER_STORAGE_SNAPSHOT_TRIES)
        peer_storage_start_build(storage);
    else
        log_error("no snapshot of region %llu: the log was cut past it %d times in a row; raise "
                  "the log GC limits",
                  (unsigned long long)storage->region_id, PEER_STORAGE_SNAPSHOT_TRIES);
}

void peer_storage_outdate_snapshots(struct peer_storage *storage, uint64_t index)
{
    storage->outdated = index;
}

static const struct raft_storage_ops storage_ops = {
    .initial_state = storage_initial_state,
    .entries = storage_entries,
    .term = storage_term,
    .first_index = storage_first_index,
    .last_index = storage_last_index,
    .snapshot = storage_snapshot,
};

struct raft_storage peer_storage_interface(struct peer_storage *storage)
{
    return (struct raft_storage){.ops = &storage_ops, .ctx = storage};
}

/* --- open --- */

/* The rows of the log are exactly [first, last]: a hole means that the disk lost
 * something that was acknowledged. */
static int peer_storage_check_log(struct peer_storage *storage, struct err *e)
{
    uint64_t region_id = storage->region_id;
    uint64_t expected = peer_storage_first_index(storage);
    struct key from = key_raft_log(region_id, expected);
    struct key to = key_raft_log(region_id, UINT64_MAX);
    struct engine_iterator *it =
        engine_iterator_new(storage->raft, NULL, NULL, CF_DEFAULT, key_bytes(&to));
    engine_iterator_seek(it, key_bytes(&from));
    bool gap = false;
    for (; engine_iterator_valid(it) && !gap; engine_iterator_next(it)) {
        struct key want = key_raft_log(region_id, expected);
        struct bytes have = engine_iterator_key(it);
        gap = have.size != want.size || memcmp(have.data, want.data, want.size) != 0;
        if (!gap) {
            log_size_append(&storage->size, expected, engine_iterator_value(it).size);
            expected++;
        }
    }
    int rc = engine_iterator_status(it);
    engine_iterator_free(it);
    if (rc != 0)
        return err_set(e, rc, "the raft log cannot be read: %s", ke_text(rc));
    if (gap || expected != storage->last_index + 1)
        return err_set(e, KE_CORRUPT,
                       "the raft log should reach index %llu but ends or breaks at %llu",
                       (unsigned long long)storage->last_index, (unsigned long long)expected - 1);
    return 0;
}

static int peer_storage_check_states(struct peer_storage *storage, struct err *e)
{
    const struct apply_state *apply = &storage->apply_state;
    if (apply->applied_index > storage->last_index)
        return err_set(
            e, KE_CORRUPT, "the data has applied index %llu but the raft log ends at %llu",
            (unsigned long long)apply->applied_index, (unsigned long long)storage->last_index);
    uint64_t term;
    if (storage_term(storage, apply->applied_index, &term) != 0)
        return err_set(e, KE_CORRUPT, "raft log entry %llu cannot be read",
                       (unsigned long long)apply->applied_index);
    if (term != apply->applied_term)
        return err_set(e, KE_CORRUPT,
                       "raft log entry %llu is of term %llu but the data applied one of term %llu",
                       (unsigned long long)apply->applied_index, (unsigned long long)term,
                       (unsigned long long)apply->applied_term);
    if (storage->hard_state.commit > storage->last_index)
        return err_set(e, KE_CORRUPT, "commit index %llu is past the end of the raft log, %llu",
                       (unsigned long long)storage->hard_state.commit,
                       (unsigned long long)storage->last_index);
    /* Commit is written without fsync, so kv may know of more. */
    if (storage->hard_state.commit < apply->applied_index)
        storage->hard_state.commit = apply->applied_index;
    return 0;
}

int peer_storage_open(struct engine *raft, struct engine *kv, uint64_t region_id,
                      struct peer_storage **ret_storage, struct err *e)
{
    struct peer_storage *storage = mem_zalloc(sizeof(*storage));
    storage->raft = raft;
    storage->kv = kv;
    storage->region_id = region_id;
    entry_cache_init(&storage->cache);
    storage->batch = engine_batch_new(false);
    int rc = membership_load(kv, region_id, &storage->membership, e);
    if (rc == 0)
        rc = apply_state_load(kv, region_id, &storage->apply_state, e);
    struct raft_local_state local;
    if (rc == 0)
        rc = raft_local_state_load(raft, region_id, &local, e);
    if (rc == 0) {
        storage->truncated_index = storage->apply_state.truncated_index;
        storage->truncated_term = storage->apply_state.truncated_term;
        storage->hard_state = local.hard_state;
        storage->last_index = local.last_index;
        storage->last_term = local.last_term;
        log_size_init(&storage->size, storage->truncated_index);
        rc = peer_storage_check_log(storage, e);
    }
    if (rc == 0)
        rc = peer_storage_check_states(storage, e);
    if (rc != 0) {
        peer_storage_free(storage);
        return rc;
    }
    *ret_storage = storage;
    return 0;
}

void peer_storage_free(struct peer_storage *storage)
{
    if (storage == NULL)
        return;
    peer_storage_drop_snapshot(storage);
    engine_batch_free(storage->batch);
    entry_cache_release(&storage->cache);
    free(storage->scratch);
    free(storage);
}

const struct membership *peer_storage_membership(const struct peer_storage *storage)
{
    return &storage->membership;
}

const struct apply_state *peer_storage_apply_state(const struct peer_storage *storage)
{
    return &storage->apply_state;
}

uint64_t peer_storage_truncated_index(const struct peer_storage *storage)
{
    return storage->truncated_index;
}

const struct log_size *peer_storage_log_size(const struct peer_storage *storage)
{
    return &storage->size;
}

uint64_t peer_storage_term(struct peer_storage *storage, uint64_t index)
{
    uint64_t term;
    return storage_term(storage, index, &term) == 0 ? term : 0;
}

/* --- append --- */

static void peer_storage_put_entry(struct peer_storage *storage, struct raft_entry *entry)
{
    size_t size = wire_entry_size(entry);
    if (size > storage->scratch_size) {
        storage->scratch = mem_realloc(storage->scratch, size);
        storage->scratch_size = size;
    }
    wire_pack_entry(entry, storage->scratch);
    struct key key = key_raft_log(storage->region_id, entry->index);
    engine_batch_put(storage->batch, storage->raft, CF_DEFAULT, key_bytes(&key),
                     (struct bytes){storage->scratch, size});
    entry_cache_append(&storage->cache, entry);
    log_size_append(&storage->size, entry->index, size);
}

/* Entries of an older term that the new ones replace and that will never be
 * committed. */
static void peer_storage_delete_tail(struct peer_storage *storage, uint64_t new_last_index)
{
    for (uint64_t index = new_last_index + 1; index <= storage->last_index; index++) {
        struct key key = key_raft_log(storage->region_id, index);
        engine_batch_delete(storage->batch, storage->raft, CF_DEFAULT, key_bytes(&key));
    }
}

static void peer_storage_take_hard_state(struct peer_storage *storage,
                                         const struct raft_message *append)
{
    if (append->term != 0)
        storage->hard_state = (struct raft_hard_state){
            .term = append->term, .vote = append->vote, .commit = append->commit};
}

static struct raft_local_state peer_storage_local_state(const struct peer_storage *storage)
{
    return (struct raft_local_state){
        .hard_state = storage->hard_state,
        .last_index = storage->last_index,
        .last_term = storage->last_term,
    };
}

/* The batch, with RaftLocalState. */
static void peer_storage_write_state(struct peer_storage *storage, bool has_entries, bool sync)
{
    struct raft_local_state local = peer_storage_local_state(storage);
    raft_local_state_save(storage->raft, storage->batch, storage->region_id, &local);
    if (has_entries)
        FAILPOINT(log_write_before);
    if (!has_entries)
        FAILPOINT(hard_state_write_before);
    engine_write(storage->raft, storage->batch, sync);
    if (has_entries)
        FAILPOINT(log_write_after);
    if (!has_entries)
        FAILPOINT(hard_state_write_after);
    engine_batch_clear(storage->batch);
}

void peer_storage_append(struct peer_storage *storage, const struct raft_message *append, bool sync)
{
    assert(append->type == RAFT_MESSAGE_STORAGE_APPEND);
    assert(append->snapshot == NULL);
    if (append->entry_count > 0) {
        struct raft_entry *last = append->entries[append->entry_count - 1];
        assert(append->entries[0]->index <= storage->last_index + 1);
        for (size_t i = 0; i < append->entry_count; i++)
            peer_storage_put_entry(storage, append->entries[i]);
        peer_storage_delete_tail(storage, last->index);
        storage->last_index = last->index;
        storage->last_term = last->term;
    }
    peer_storage_take_hard_state(storage, append);
    peer_storage_write_state(storage, append->entry_count > 0, sync);
}

void peer_storage_compact(struct peer_storage *storage, uint64_t index, uint64_t term)
{
    assert(index <= storage->last_index);
    if (index <= storage->truncated_index)
        return; /* a snapshot was faster */
    storage->truncated_index = index;
    storage->truncated_term = term;
    log_size_cut(&storage->size, index);
}

void peer_storage_install(struct peer_storage *storage, const struct raft_message *append,
                          struct raft_local_state *ret_local)
{
    const struct raft_snapshot *snapshot = append->snapshot;
    assert(append->entry_count == 0);
    peer_storage_take_hard_state(storage, append);
    if (storage->hard_state.commit < snapshot->index)
        storage->hard_state.commit = snapshot->index;
    storage->truncated_index = storage->last_index = snapshot->index;
    storage->truncated_term = storage->last_term = snapshot->term;
    log_size_init(&storage->size, snapshot->index);
    entry_cache_clear(&storage->cache);
    *ret_local = peer_storage_local_state(storage);
}
