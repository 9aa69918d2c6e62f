#include "replica.h"

#include "raftstore/keys.h"
#include "raftstore/memory.h"
#include "raftstore/snapshot_hash.h"
#include "raftstore/usage_row.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REPLICA_HARD_TERM 9
#define OLD_LOG_ENTRIES   20

static struct bytes text(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

/* --- open and close --- */

static void built(void *ctx, struct raft_snapshot *snapshot, const struct err *e)
{
    struct replica *r = ctx;

    pthread_mutex_lock(&r->lock);
    raft_snapshot_unref(r->snapshot);
    r->snapshot = snapshot;
    if (snapshot == NULL) {
        r->error = *e;
    }
    r->build_count++;
    pthread_cond_broadcast(&r->built);
    pthread_mutex_unlock(&r->lock);
}

static struct engine *open_engine(struct replica *r, const char *name, enum engine_kind kind)
{
    char path[SCRATCH_PATH_MAX + 8];
    struct engine *engine = NULL;
    struct err e = {0};

    (void)snprintf(path, sizeof path, "%s/%s", r->dir, name);
    cr_assert_eq(engine_open(path, kind, &engine, &e), 0, "%s", e.text);
    return engine;
}

void replica_open(struct replica *r, const struct snap_id *keep)
{
    struct region_worker_config config;
    struct err e = {0};

    r->raft = open_engine(r, "raft", ENGINE_RAFT);
    r->kv = open_engine(r, "kv", ENGINE_KV);
    r->tree = tree_new(r->kv);
    cr_assert_eq(snap_files_open(r->dir, keep, &r->files, &e), 0, "%s", e.text);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->built, NULL);
    r->build_count = 0;
    r->snapshot = NULL;
    config = (struct region_worker_config){
        .raft = r->raft,
        .kv = r->kv,
        .tree = r->tree,
        .files = r->files,
        .built = built,
        .ctx = r,
    };
    r->worker = region_worker_start(&config);
}

void replica_close(struct replica *r)
{
    region_worker_stop(r->worker);
    raft_snapshot_unref(r->snapshot);
    snap_files_close(r->files);
    tree_free(r->tree);
    engine_close(r->kv);
    engine_close(r->raft);
    (void)pthread_cond_destroy(&r->built);
    (void)pthread_mutex_destroy(&r->lock);
}

static void put_own_rows(struct replica *r, uint64_t id)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct store_ident ident = {.cluster_id = 77, .store_id = id, .data_id = 88, .name = "own"};
    struct raft_local_state local = {
        .hard_state = {.term = 3, .vote = 2, .commit = OLD_LOG_ENTRIES},
        .last_index = OLD_LOG_ENTRIES,
        .last_term = 3,
    };
    struct apply_state state = {.applied_index = OLD_LOG_ENTRIES, .applied_term = 3};
    struct membership membership;

    replica_membership(id, &membership);
    store_ident_save(r->kv, batch, &ident);
    apply_state_save(r->kv, batch, REPLICA_REGION, &state);
    region_save(r->kv, batch, PEER_NORMAL, &membership.region, NULL);
    membership_save(r->kv, batch, &membership);
    engine_write(r->kv, batch, true);
    engine_batch_clear(batch);
    for (uint64_t i = 1; i <= OLD_LOG_ENTRIES; i++) {
        struct key key = key_raft_log(REPLICA_REGION, i);

        engine_batch_put(batch, r->raft, CF_DEFAULT, key_bytes(&key), text("entry"));
    }
    raft_local_state_save(r->raft, batch, REPLICA_REGION, &local);
    engine_write(r->raft, batch, true);
    engine_batch_free(batch);
}

void replica_make(struct replica *r, uint64_t id)
{
    memset(r, 0, sizeof *r);
    scratch_make(r->dir);
    replica_open(r, NULL);
    put_own_rows(r, id);
}

void replica_remove(struct replica *r)
{
    scratch_remove(r->dir);
}

/* --- data --- */

static void write_row(struct replica *r, enum engine_cf cf, struct bytes key, struct bytes value)
{
    struct engine_batch *batch = engine_batch_new(false);

    engine_batch_put(batch, r->kv, cf, key, value);
    engine_write(r->kv, batch, false);
    engine_batch_free(batch);
}

void replica_put(struct replica *r, enum engine_cf cf, const char *key, const char *value)
{
    write_row(r, cf, text(key), text(value));
}

void replica_delete(struct replica *r, enum engine_cf cf, const char *key)
{
    struct engine_batch *batch = engine_batch_new(false);

    engine_batch_delete(batch, r->kv, cf, text(key));
    engine_write(r->kv, batch, false);
    engine_batch_free(batch);
}

void replica_put_session(struct replica *r, uint64_t store_id, const char *value)
{
    struct key key = key_session(REPLICA_REGION, store_id);

    write_row(r, CF_META, key_bytes(&key), text(value));
}

void replica_put_usage(struct replica *r, uint64_t files, uint64_t bytes)
{
    struct tree_usage usage = {.files = files, .bytes = bytes};
    struct key key = key_usage();
    uint8_t row[USAGE_ROW_SIZE];

    usage_row_pack(&usage, row);
    write_row(r, CF_META, key_bytes(&key), (struct bytes){.data = row, .size = sizeof row});
}

void replica_scribble(struct replica *r, uint64_t *seed, unsigned count)
{
    static const enum engine_cf cfs[] = {CF_DEFAULT, CF_ATTR, CF_LOCK, CF_WRITE};
    struct engine_batch *batch = engine_batch_new(false);

    for (unsigned i = 0; i < count; i++) {
        for (size_t k = 0; k < sizeof cfs / sizeof cfs[0]; k++) {
            char key[32];
            char value[256];

            (void)snprintf(key, sizeof key, "k%05u", scratch_random(seed, 10000));
            (void)snprintf(value, sizeof value, "%0*u", 1 + (int)scratch_random(seed, 200),
                           scratch_random(seed, 1000000));
            if (scratch_random(seed, 4) == 0) {
                engine_batch_delete(batch, r->kv, cfs[k], text(key));
            } else {
                engine_batch_put(batch, r->kv, cfs[k], text(key), text(value));
            }
        }
    }
    engine_write(r->kv, batch, false);
    engine_batch_free(batch);
}

bool replica_has(struct replica *r, enum engine_cf cf, const char *key)
{
    uint8_t *value = NULL;
    size_t size;
    int code = engine_get(r->kv, NULL, cf, text(key), &value, &size);

    free(value);
    cr_assert(code == 0 || code == KE_NOT_FOUND);
    return code == 0;
}

uint64_t replica_hash(struct replica *r)
{
    struct snapshot_rows rows = {
        .kv = r->kv, .snapshot = engine_snapshot_new(r->kv), .region_id = REPLICA_REGION};
    struct err e = {0};
    uint64_t hash = 0;

    cr_assert_eq(snapshot_hash(&rows, &hash, &e), 0, "%s", e.text);
    engine_snapshot_free(r->kv, rows.snapshot);
    return hash;
}

/* --- snapshots --- */

void replica_membership(uint64_t id, struct membership *ret_membership)
{
    *ret_membership = (struct membership){
        .region = {.id = REPLICA_REGION,
                   .conf_ver = 3,
                   .version = 1,
                   .next_store_id = 9,
                   .peer_count = 3},
        .store_count = 3,
    };
    for (uint64_t i = 0; i < 3; i++) {
        struct store_member *store = &ret_membership->stores[i];

        ret_membership->region.peers[i] =
            (struct region_peer){.peer_id = 2 + 2 * i, .store_id = 2 + 2 * i, .role = MEMBER_VOTER};
        store->id = 2 + 2 * i;
        store->data_id = 100 * id + i;
        (void)snprintf(store->name, sizeof store->name, "n%d-%d", (int)id, (int)i);
        (void)snprintf(store->address, sizeof store->address, "host%d:%d", (int)i, (int)id);
    }
}

struct region_image replica_image(struct replica *r, uint64_t index)
{
    struct region_image image = {
        .snapshot = engine_snapshot_new(r->kv),
        .state = {.applied_index = index,
                  .applied_term = REPLICA_TERM,
                  .truncated_index = 2,
                  .truncated_term = 1,
                  .revision = 10 * index},
    };

    replica_membership(5, &image.membership);
    return image;
}

void replica_await_built(struct replica *r, unsigned count)
{
    pthread_mutex_lock(&r->lock);
    while (r->build_count < count) {
        pthread_cond_wait(&r->built, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void replica_build(struct replica *r, uint64_t index)
{
    struct region_image image = replica_image(r, index);
    unsigned reports;

    pthread_mutex_lock(&r->lock);
    reports = r->build_count;
    pthread_mutex_unlock(&r->lock);
    region_worker_build(r->worker, &image);
    replica_await_built(r, reports + 1);
}

static void unpack(struct replica *r, struct snapshot_meta *ret_meta)
{
    struct err e = {0};

    cr_assert_not_null(r->snapshot);
    cr_assert_eq(snapshot_unpack(r->snapshot, ret_meta, &e), 0, "%s", e.text);
}

void replica_drop_built(struct replica *r)
{
    struct snapshot_meta meta;
    struct snap_id id;

    unpack(r, &meta);
    id = replica_received_id(&meta);
    id.kind = SNAP_GENERATED;
    snap_files_unref(r->files, &id);
    raft_snapshot_unref(r->snapshot);
    r->snapshot = NULL;
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    char piece[65536];
    size_t size;

    cr_assert(in != NULL && out != NULL);
    while ((size = fread(piece, 1, sizeof piece, in)) > 0) {
        cr_assert_eq(fwrite(piece, 1, size, out), size);
    }
    cr_assert_eq(fclose(out), 0);
    (void)fclose(in);
}

struct snap_id replica_received_id(const struct snapshot_meta *meta)
{
    return (struct snap_id){.kind = SNAP_RECEIVED,
                            .region_id = meta->membership.region.id,
                            .term = meta->term,
                            .index = meta->index};
}

void replica_receive(struct replica *r, struct replica *from, struct snapshot_meta *ret_meta)
{
    char source[PATH_MAX];
    char target[PATH_MAX];
    struct snap_id sent;
    struct snap_id id;
    struct err e = {0};

    unpack(from, ret_meta);
    sent = id = replica_received_id(ret_meta);
    sent.kind = SNAP_GENERATED;
    cr_assert(snap_files_begin(r->files, &id));
    for (int cf = 0; cf < CF_COUNT; cf++) {
        if (ret_meta->files[cf].size > 0) {
            snap_files_path(from->files, &sent, (enum engine_cf)cf, false, source);
            snap_files_path(r->files, &id, (enum engine_cf)cf, true, target);
            copy_file(source, target);
        }
    }
    cr_assert_eq(snap_files_commit(r->files, &id, ret_meta, &e), 0, "%s", e.text);
    cr_assert_eq(snap_files_verify(r->files, &id, ret_meta, &e), 0, "%s", e.text);
}

struct raft_local_state replica_local(const struct snapshot_meta *meta)
{
    return (struct raft_local_state){
        .hard_state = {.term = REPLICA_HARD_TERM, .vote = 4, .commit = meta->index},
        .last_index = meta->index,
        .last_term = meta->term,
    };
}

static void assert_kv_installed(struct replica *r, const struct snapshot_meta *meta)
{
    struct membership membership;
    struct store_ident ident;
    struct apply_state state;
    struct region region;
    struct applying applying;
    enum peer_state peer;
    struct err e = {0};

    cr_assert_eq(region_load(r->kv, REPLICA_REGION, &peer, &region, &applying, &e), 0);
    cr_assert_eq(peer, PEER_NORMAL);
    cr_assert_eq(membership_load(r->kv, REPLICA_REGION, &membership, &e), 0, "%s", e.text);
    cr_assert_eq(membership.store_count, meta->membership.store_count);
    cr_assert_str_eq(membership.stores[0].name, meta->membership.stores[0].name);
    cr_assert_eq(apply_state_load(r->kv, REPLICA_REGION, &state, &e), 0);
    cr_assert_eq(state.applied_index, meta->index);
    cr_assert_eq(state.applied_term, meta->term);
    cr_assert_eq(state.truncated_index, meta->index);
    cr_assert_eq(state.truncated_term, meta->term);
    cr_assert_eq(state.revision, meta->revision);
    cr_assert_eq(store_ident_load(r->kv, &ident, &e), 0);
    cr_assert_eq(ident.data_id, 88);
}

void replica_assert_installed(struct replica *r, const struct snapshot_meta *meta,
                              const struct raft_local_state *local)
{
    struct raft_local_state found;
    struct err e = {0};

    assert_kv_installed(r, meta);
    cr_assert_eq(raft_local_state_load(r->raft, REPLICA_REGION, &found, &e), 0);
    cr_assert_eq(found.hard_state.term, local->hard_state.term);
    cr_assert_eq(found.hard_state.vote, local->hard_state.vote);
    cr_assert_eq(found.hard_state.commit, local->hard_state.commit);
    cr_assert_eq(found.last_index, local->last_index);
    cr_assert_eq(found.last_term, local->last_term);
    for (uint64_t i = 1; i <= OLD_LOG_ENTRIES; i++) {
        struct key key = key_raft_log(REPLICA_REGION, i);
        uint8_t *value;
        size_t size;

        cr_assert_eq(engine_get(r->raft, NULL, CF_DEFAULT, key_bytes(&key), &value, &size),
                     KE_NOT_FOUND);
    }
}
