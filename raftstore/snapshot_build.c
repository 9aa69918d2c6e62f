#include "raftstore/snapshot_build.h"

#include "raftstore/failpoint.h"
#include "raftstore/snapshot_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* After so many bytes of rows the kernel is told to write. All at the end would keep
 * the disk busy for seconds, and the log's fsync, on which every writer waits,
 * behind it. */
#define WRITE_BEHIND_BYTES (8u << 20)

/* A table that is being written. */
struct table {
    struct engine_table *table;
    const char *path;
    int fd; /* of the same file */
    size_t unwritten_bytes;
};

/* Starts the writing of what is in the page cache, when that of last time is done. */
static int write_behind(struct table *table, struct err *e)
{
    if (sync_file_range(table->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE) !=
        0) {
        return err_set(e, KE_IO, "cannot write table %s: %s", table->path, strerror(errno));
    }
    table->unwritten_bytes = 0;
    return 0;
}

static int put_row(void *ctx, struct bytes key, struct bytes value, struct err *e)
{
    struct table *table = ctx;
    int code = engine_table_put(table->table, key, value, e);

    table->unwritten_bytes += key.size + value.size;
    if (code == 0 && table->unwritten_bytes >= WRITE_BEHIND_BYTES) {
        code = write_behind(table, e);
    }
    return code;
}

static int write_rows(const struct snapshot_rows *rows, enum engine_cf cf, const char *path,
                      uint64_t *ret_size, struct err *e)
{
    struct table table = {.path = path, .fd = -1};
    int code = engine_table_new(path, &table.table, e);

    if (code != 0) {
        return code;
    }
    table.fd = open(path, O_RDWR | O_CLOEXEC);
    if (table.fd < 0) {
        code = err_set(e, KE_IO, "cannot open table %s: %s", path, strerror(errno));
    }
    if (code == 0) {
        code = snapshot_rows_walk(rows, cf, put_row, &table, e);
    }
    if (code == 0) {
        code = engine_table_finish(table.table, ret_size, e);
    }
    if (table.fd >= 0) {
        (void)close(table.fd);
    }
    engine_table_free(table.table);
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
