/* What a raw client asks for: pairs of a column family. In `default` the pairs
 * are the regular files. */
#include "raftstore/executor_run.h"
#include "raftstore/keys.h"

#include <string.h>

/* Of a file that a put makes. */
#define MADE_FILE_MODE 0644

static struct bytes as_bytes(ProtobufCBinaryData data)
{
    return (struct bytes){.data = data.data, .size = data.len};
}

/* The key of a plain pair: any bytes. */
static int check_plain_key(ProtobufCBinaryData key)
{
    if (key.len == 0) {
        return KE_INVALID;
    }
    return key.len > PATH_BYTES_MAX ? KE_NAME_TOO_LONG : 0;
}

/* --- put --- */

static int put_plain(struct run *run, enum engine_cf cf, const RaftCmdpb__PutRequest *put)
{
    int code = check_plain_key(put->key);

    if (code == 0) {
        run_put(run, cf, as_bytes(put->key), as_bytes(put->value));
    }
    return code;
}

static int make_file(struct run *run, const char *path, ProtobufCBinaryData value)
{
    struct attr_row row = {.attr = {.type = FILE_REGULAR,
                                    .mode = MADE_FILE_MODE,
                                    .uid = run->uid,
                                    .gid = run->gid,
                                    .size = value.len}};
    struct parent parent;
    struct attr empty;
    int code = run_make_parents(run, path, &parent);

    if (code != 0) {
        return code;
    }
    run_add(run, path, &parent, 0, &row);
    empty = row.attr;
    empty.size = 0;
    run_replace_content(run, &empty, value.data, value.len);
    run_answer(run, &row);
    return 0;
}

static int replace_file(struct run *run, const char *path, struct attr_row *row,
                        ProtobufCBinaryData value)
{
    run_replace_content(run, &row->attr, value.data, value.len);
    run_drop_capability(run, &row->attr);
    row->attr.mtime_ns = run->time_ns;
    row->attr.ctime_ns = run->time_ns;
    run_change(run, path, row);
    run_answer(run, row);
    return 0;
}

int run_raw_put(struct run *run, const RaftCmdpb__PutRequest *put)
{
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    enum engine_cf cf;
    int code = key_parse_cf(put->cf, &cf);

    if (code != 0) {
        return code;
    }
    if (cf != CF_DEFAULT) {
        return put_plain(run, cf, put);
    }
    code = run_take_path(put->key, path);
    if (code != 0) {
        return code;
    }
    if (!run_find(run, path, &row)) {
        return make_file(run, path, put->value);
    }
    if (row.attr.type != FILE_REGULAR) {
        return row.attr.type == FILE_DIRECTORY ? KE_IS_DIR : KE_NOT_REGULAR;
    }
    return replace_file(run, path, &row, put->value);
}

/* --- delete --- */

static int delete_file(struct run *run, const char *path)
{
    struct attr_row row;
    struct parent parent;
    int code;

    if (!run_find(run, path, &row)) {
        return 0;
    }
    if (row.attr.type != FILE_REGULAR) {
        return row.attr.type == FILE_DIRECTORY ? KE_IS_DIR : KE_NOT_REGULAR;
    }
    code = run_find_parent(run, path, &parent);
    if (code != 0) {
        return code;
    }
    run_erase(run, path, &row);
    run_touch_parent(run, &parent);
    run_answer(run, &row);
    return 0;
}

int run_raw_delete(struct run *run, const RaftCmdpb__DeleteRequest *delete)
{
    char path[PATH_BYTES_MAX + 1];
    enum engine_cf cf;
    int code = key_parse_cf(delete->cf, &cf);

    if (code == 0) {
        code = cf == CF_DEFAULT ? run_take_path(delete->key, path) : check_plain_key(delete->key);
    }
    if (code != 0) {
        return code;
    }
    if (cf == CF_DEFAULT) {
        return delete_file(run, path);
    }
    run_delete(run, cf, as_bytes(delete->key));
    return 0;
}
