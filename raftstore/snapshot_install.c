#include "raftstore/snapshot_install.h"

#include "raftstore/failpoint.h"
#include "raftstore/keys.h"
#include "raftstore/region_worker.h"
#include "raftstore/snapshot_hash.h"

#include <limits.h>

static uint64_t region_id(const struct snapshot_install *what)
{
    return what->meta->membership.region.id;
}

/* --- the steps --- */

static void mark_applying(const struct snapshot_install *what)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct raft_snapshot *packed = snapshot_pack(what->meta);
    struct applying applying = {
        .index = packed->index,
        .term = packed->term,
        .data = packed->data,
        .size = packed->size,
    };

    region_save(what->kv, batch, PEER_APPLYING, &what->meta->membership.region, &applying);
    engine_write(what->kv, batch, true);
    raft_snapshot_unref(packed);
    engine_batch_free(batch);
    FAILPOINT(snap_apply_marked);
}

static void replace_log(const struct snapshot_install *what)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct key from = key_raft_log(region_id(what), 0);
    struct key to = key_raft_log(region_id(what), UINT64_MAX);

    engine_batch_delete_range(batch, what->raft, CF_DEFAULT, key_bytes(&from), key_bytes(&to));
    raft_local_state_save(what->raft, batch, region_id(what), what->local);
    engine_write(what->raft, batch, true);
    engine_batch_free(batch);
    FAILPOINT(snap_apply_log);
}

struct clearing {
    struct engine *kv;
    struct engine_batch *batch;
    enum engine_cf cf;
};

/* A range without rows is left alone: tables then go straight to the last level,
 * where nobody has to merge them with a deletion of nothing. */
static void clear_range(void *ctx, struct bytes from, struct bytes to)
{
    struct clearing *clearing = ctx;
    struct engine_iterator *it = engine_iterator_new(clearing->kv, NULL, NULL, clearing->cf, to);

    engine_iterator_seek(it, from);
    if (engine_iterator_valid(it) || engine_iterator_status(it) != 0) {
        engine_batch_delete_range(clearing->batch, clearing->kv, clearing->cf, from, to);
    }
    engine_iterator_free(it);
}

/* Not synced: until the last step all of it is done again after a crash. */
static void clear_rows(const struct snapshot_install *what)
{
    struct clearing clearing = {.kv = what->kv, .batch = engine_batch_new(false)};

    for (int cf = 0; cf < CF_COUNT; cf++) {
        clearing.cf = (enum engine_cf)cf;
        snapshot_each_range(clearing.cf, region_id(what), clear_range, &clearing);
    }
    engine_write(what->kv, clearing.batch, false);
    engine_batch_free(clearing.batch);
    FAILPOINT(snap_apply_cleared);
}

static struct snap_id received_id(const struct snapshot_meta *meta)
{
    return (struct snap_id){
        .kind = SNAP_RECEIVED,
        .region_id = meta->membership.region.id,
        .term = meta->term,
        .index = meta->index,
    };
}

static int ingest_tables(const struct snapshot_install *what, struct err *e)
{
    struct snap_id id = received_id(what->meta);
    char path[PATH_MAX];

    for (int cf = 0; cf < CF_COUNT; cf++) {
        const struct snapshot_file *file = &what->meta->files[cf];
        int code;

        if (file->size == 0) {
            continue;
        }
        snap_files_path(what->files, &id, file->cf, false, path);
        code = engine_ingest(what->kv, file->cf, path, e);
        if (code != 0) {
            return code;
        }
        FAILPOINT(snap_apply_table);
    }
    FAILPOINT(snap_apply_ingested);
    return 0;
}

static int read_back(const struct snapshot_install *what, struct err *e)
{
    struct snapshot_rows rows = {
        .kv = what->kv,
        .snapshot = engine_snapshot_new(what->kv),
        .region_id = region_id(what),
    };
    uint64_t hash;
    int code = snapshot_hash(&rows, &hash, e);

    engine_snapshot_free(what->kv, rows.snapshot);
    return code;
}

static void mark_normal(const struct snapshot_install *what)
{
    const struct snapshot_meta *meta = what->meta;
    struct engine_batch *batch = engine_batch_new(false);
    struct apply_state state = {
        .applied_index = meta->index,
        .applied_term = meta->term,
        .truncated_index = meta->index,
        .truncated_term = meta->term,
        .revision = meta->revision,
    };

    apply_state_save(what->kv, batch, region_id(what), &state);
    membership_save(what->kv, batch, &meta->membership);
    region_save(what->kv, batch, PEER_NORMAL, &meta->membership.region, NULL);
    engine_write(what->kv, batch, true);
    engine_batch_free(batch);
    FAILPOINT(snap_apply_normal);
}

int snapshot_install(const struct snapshot_install *what, struct err *e)
{
    int code;

    mark_applying(what);
    replace_log(what);
    if (what->tree != NULL) {
        tree_hold(what->tree);
    }
    clear_rows(what);
    code = ingest_tables(what, e);
    if (code == 0 && what->read_back) {
        code = read_back(what, e);
    }
    if (code != 0) {
        return code;
    }
    mark_normal(what);
    if (what->tree != NULL) {
        tree_release_hold(what->tree);
    }
    return 0;
}

/* --- after a crash --- */

/* The crash may have come before the log's step, whose hard state is lost then. It
 * was never acted upon: nothing is sent before it is durable. So a term of the
 * snapshot's last entry that is new to this node has no vote of its own. */
static int resume_local_state(struct engine *raft, const struct snapshot_meta *meta,
                              struct raft_local_state *ret_local, struct err *e)
{
    int code = raft_local_state_load(raft, meta->membership.region.id, ret_local, e);

    if (code != 0) {
        return code;
    }
    if (ret_local->hard_state.term < meta->term) {
        ret_local->hard_state.term = meta->term;
        ret_local->hard_state.vote = 0;
    }
    if (ret_local->hard_state.commit < meta->index) {
        ret_local->hard_state.commit = meta->index;
    }
    ret_local->last_index = meta->index;
    ret_local->last_term = meta->term;
    return 0;
}

int snapshot_resume(struct engine *raft, struct engine *kv, struct snap_files *files,
                    const struct snapshot_meta *meta, struct err *e)
{
    struct snap_id id = received_id(meta);
    struct raft_local_state local;
    struct snapshot_install what = {
        .raft = raft,
        .kv = kv,
        .files = files,
        .meta = meta,
        .local = &local,
        .read_back = true,
    };
    int code = snap_files_verify_sizes(files, &id, meta, e);

    if (code == 0) {
        code = resume_local_state(raft, meta, &local, e);
    }
    if (code == 0) {
        code = snapshot_install(&what, e);
    }
    if (code != 0) {
        return err_wrap(e, code, "the snapshot that was being applied cannot be applied");
    }
    return 0;
}
