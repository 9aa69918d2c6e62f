#include "raftstore/snapshot_build.h"

#include "raftstore/failpoint.h"
#include "raftstore/snapshot_rows.h"

#include <limits.h>

/* The file is not pushed to the disk: it goes when it has been sent, and with luck before
 * the kernel writes any of it. The disk belongs to the log, on whose fsync every writer
 * waits. */
static int put_row(void *ctx, struct bytes key, struct bytes value, struct err *e)
{
    return engine_table_put(ctx, key, value, e);
}

static int write_rows(const struct snapshot_rows *rows, enum engine_cf cf, const char *path,
                      uint64_t *ret_size, struct err *e)
{
    struct engine_table *table;
    int code = engine_table_new(path, &table, e);

    if (code != 0) {
        return code;
    }
    code = snapshot_rows_walk(rows, cf, put_row, table, e);
    if (code == 0) {
        code = engine_table_finish(table, ret_size, e);
    }
    engine_table_free(table);
    return code;
}

/* The checksum is of what is in the file, not of what was to be written. */
static int build_table(const struct snapshot_rows *rows, const char *path,
                       struct snapshot_file *file, struct err *e)
{
    uint64_t size;
    int code = write_rows(rows, file->cf, path, &file->size, e);

    if (code != 0 || file->size == 0) {
        return code;
    }
    code = snap_files_checksum(path, &size, &file->checksum, e);
    if (code == 0 && size != file->size) {
        code = err_set(e, KE_IO, "table %s was not written whole", path);
    }
    return code;
}

static int build_files(struct snap_files *files, const struct snap_id *id,
                       const struct snapshot_rows *rows, struct snapshot_meta *meta, struct err *e)
{
    char path[PATH_MAX];

    FAILPOINT(snap_build_begin);
    for (int cf = 0; cf < CF_COUNT; cf++) {
        struct snapshot_file *file = &meta->files[cf];
        int code;

        file->cf = (enum engine_cf)cf;
        snap_files_path(files, id, file->cf, true, path);
        code = build_table(rows, path, file, e);
        if (code != 0) {
            return code;
        }
        meta->total_bytes += file->size;
        FAILPOINT(snap_build_table);
    }
    return snap_files_commit(files, id, meta, e);
}

struct snap_id snapshot_build_id(const struct region_image *image)
{
    return (struct snap_id){
        .kind = SNAP_GENERATED,
        .region_id = image->membership.region.id,
        .term = image->state.applied_term,
        .index = image->state.applied_index,
    };
}

int snapshot_build(struct engine *kv, struct snap_files *files, const struct region_image *image,
                   const atomic_uint *interrupts, struct raft_snapshot **ret_snapshot,
                   struct err *e)
{
    struct snap_id id = snapshot_build_id(image);
    struct snapshot_rows rows = {
        .kv = kv,
        .snapshot = image->snapshot,
        .region_id = id.region_id,
        .interrupts = interrupts,
    };
    struct snapshot_meta meta = {
        .index = id.index,
        .term = id.term,
        .revision = image->state.revision,
        .membership = image->membership,
    };
    int code;

    if (!snap_files_begin(files, &id)) {
        return err_set(e, KE_BUSY, "the files of an earlier snapshot are still there");
    }
    code = build_files(files, &id, &rows, &meta, e);
    if (code != 0) {
        snap_files_unref(files, &id);
        return code;
    }
    FAILPOINT(snap_build_end);
    *ret_snapshot = snapshot_pack(&meta);
    return 0;
}
