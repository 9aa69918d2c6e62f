#include "raftstore/executor_run.h"
#include "raftstore/keys.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/usage_row.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Mode of directories that a put makes on its way. */
#define MADE_DIRECTORY_MODE 0755

/* --- plain rows --- */

void run_stop_unreadable(int code)
{
    log_fatal("cannot read the data while applying a command: %s; stopping, since this node would "
              "differ from the others",
              ke_text(code));
}

static bool get_stored(struct run *run, enum engine_cf cf, struct bytes key, uint8_t **ret_value,
                       size_t *ret_size)
{
    int code = engine_batch_get(run->batch, run->executor->kv, cf, key, ret_value, ret_size);

    if (code != 0 && code != KE_NOT_FOUND) {
        run_stop_unreadable(code);
    }
    return code == 0;
}

static bool get_attr_row(struct run *run, struct bytes key, uint8_t **ret_value, size_t *ret_size)
{
    struct row_cache *cache = run->executor->known.attr_rows;
    struct bytes value;
    enum row_known known = row_cache_find(cache, key, &value);

    if (known == ROW_THERE) {
        *ret_value = mem_dup(value.data, value.size);
        *ret_size = value.size;
    }
    if (known != ROW_UNKNOWN) {
        return known == ROW_THERE;
    }
    if (!get_stored(run, CF_ATTR, key, ret_value, ret_size)) {
        row_cache_put_absent(cache, key);
        return false;
    }
    row_cache_put(cache, key, (struct bytes){.data = *ret_value, .size = *ret_size});
    return true;
}

bool run_get(struct run *run, enum engine_cf cf, struct bytes key, uint8_t **ret_value,
             size_t *ret_size)
{
    return cf == CF_ATTR ? get_attr_row(run, key, ret_value, ret_size)
                         : get_stored(run, cf, key, ret_value, ret_size);
}

static void prepare_write(struct run *run)
{
    if (!run->wrote) {
        engine_batch_set_save_point(run->batch);
        run->wrote = true;
    }
}

void run_put(struct run *run, enum engine_cf cf, struct bytes key, struct bytes value)
{
    prepare_write(run);
    engine_batch_put(run->batch, run->executor->kv, cf, key, value);
    if (cf == CF_ATTR) {
        row_cache_put(run->executor->known.attr_rows, key, value);
    }
}

void run_delete(struct run *run, enum engine_cf cf, struct bytes key)
{
    prepare_write(run);
    engine_batch_delete(run->batch, run->executor->kv, cf, key);
    if (cf == CF_ATTR) {
        row_cache_put_absent(run->executor->known.attr_rows, key);
    }
}

void run_delete_range(struct run *run, enum engine_cf cf, struct bytes from, struct bytes to)
{
    assert(cf != CF_ATTR); /* its rows are known one by one */
    prepare_write(run);
    engine_batch_delete_range(run->batch, run->executor->kv, cf, from, to);
}

/* --- paths --- */

int run_take_path(ProtobufCBinaryData bytes, char *out)
{
    int code = path_check(bytes.data, bytes.len, NULL);

    if (code == 0) {
        memcpy(out, bytes.data, bytes.len);
        out[bytes.len] = '\0';
    }
    return code;
}

int run_take_path_or_root(ProtobufCBinaryData bytes, char *out)
{
    if (bytes.len == 0) {
        out[0] = '\0';
        return 0;
    }
    return run_take_path(bytes, out);
}

/* --- rows of attributes --- */

bool run_find_home(struct run *run, uint64_t id, struct attr_row *ret_row)
{
    struct key key = key_home(id);
    uint8_t *value;
    size_t size;
    int code;

    if (!run_get(run, CF_ATTR, key_bytes(&key), &value, &size)) {
        return false;
    }
    code = attr_row_unpack((struct bytes){.data = value, .size = size}, ret_row);
    free(value);
    if (code != 0 || ret_row->linked || ret_row->attr.id != id) {
        run_stop_unreadable(KE_CORRUPT);
    }
    ret_row->linked = true;
    return true;
}

static bool find_row(struct run *run, const char *path, bool directory, struct attr_row *ret_row)
{
    uint8_t key[PATH_ROW_MAX];
    uint8_t *value;
    size_t size;
    int code;

    if (!run_get(run, CF_ATTR, key_attr(path, directory, key), &value, &size)) {
        return false;
    }
    code = attr_row_unpack((struct bytes){.data = value, .size = size}, ret_row);
    free(value);
    if (code == 0 && ret_row->linked && !run_find_home(run, ret_row->attr.id, ret_row)) {
        code = KE_CORRUPT;
    }
    if (code != 0 || (ret_row->attr.type == FILE_DIRECTORY) != directory) {
        run_stop_unreadable(KE_CORRUPT);
    }
    return true;
}

bool run_find(struct run *run, const char *path, struct attr_row *ret_row)
{
    return (path[0] != '\0' && find_row(run, path, false, ret_row)) ||
           find_row(run, path, true, ret_row);
}

void run_put_row(struct run *run, const char *path, const struct attr_row *row)
{
    bool directory = row->attr.type == FILE_DIRECTORY;
    struct key home = key_home(row->attr.id);
    uint8_t key[PATH_ROW_MAX];
    uint8_t value[ATTR_ROW_MAX];

    run_put(run, CF_ATTR, row->linked ? key_bytes(&home) : key_attr(path, directory, key),
            attr_row_pack(row, value));
}

void run_put_name(struct run *run, const char *path, const struct attr_row *row)
{
    uint8_t key[PATH_ROW_MAX];
    uint8_t value[ATTR_ROW_MAX];

    if (row->linked) {
        run_put(run, CF_ATTR, key_attr(path, false, key), attr_row_pack_link(row->attr.id, value));
    }
    run_put_row(run, path, row);
}

void run_delete_row(struct run *run, const char *path, bool directory)
{
    uint8_t key[PATH_ROW_MAX];

    run_delete(run, CF_ATTR, key_attr(path, directory, key));
}

bool run_is_empty_directory(struct run *run, const char *path)
{
    uint8_t from_buffer[PATH_ROW_MAX];
    uint8_t to_buffer[PATH_ROW_MAX];
    struct bytes from = key_attr(path, true, from_buffer);
    struct bytes to = key_attr_end(path, to_buffer);
    struct engine_iterator *it =
        engine_iterator_new(run->executor->kv, NULL, run->batch, CF_ATTR, to);
    bool empty;
    int code;

    engine_iterator_seek(it, from);
    assert(engine_iterator_valid(it)); /* at the directory's own row */
    engine_iterator_next(it);
    empty = !engine_iterator_valid(it);
    code = engine_iterator_status(it);
    engine_iterator_free(it);
    if (code != 0) {
        run_stop_unreadable(code);
    }
    return empty;
}

int run_find_opened(struct run *run, const char *path, uint64_t id, struct attr_row *ret_row)
{
    if (run_find(run, path, ret_row) && ret_row->attr.id == id) {
        return 0;
    }
    return run_find_home(run, id, ret_row) ? 0 : KE_STALE;
}

/* --- parents --- */

static void cut_to_parent(char *path)
{
    path[path_parent_length(path)] = '\0';
}

int run_missing_code(struct run *run, const char *path)
{
    char above[PATH_BYTES_MAX + 1];
    struct attr_row row;

    memcpy(above, path, strlen(path) + 1);
    do {
        cut_to_parent(above);
    } while (!run_find(run, above, &row)); /* ends at the root at the latest */
    return row.attr.type == FILE_DIRECTORY ? KE_NOT_FOUND : KE_NOT_DIR;
}

int run_find_parent(struct run *run, const char *path, struct parent *ret_parent)
{
    memcpy(ret_parent->path, path, strlen(path) + 1);
    cut_to_parent(ret_parent->path);
    return find_row(run, ret_parent->path, true, &ret_parent->row) ? 0
                                                                   : run_missing_code(run, path);
}

/* Extends parent->path, which exists, by the next component of `path`. */
static void make_next_directory(struct run *run, const char *path, struct parent *parent)
{
    char next[PATH_BYTES_MAX + 1];
    size_t start = strlen(parent->path);
    const char *end;

    start += start > 0 ? 1 : 0;
    end = strchr(path + start, '/');
    assert(end != NULL);
    memcpy(next, path, (size_t)(end - path));
    next[end - path] = '\0';

    struct attr_row row = {
        .attr = {
            .type = FILE_DIRECTORY, .mode = MADE_DIRECTORY_MODE, .uid = run->uid, .gid = run->gid}};

    run_add(run, next, parent, 0, &row);
    memcpy(parent->path, next, strlen(next) + 1);
    parent->row = row;
}

int run_make_parents(struct run *run, const char *path, struct parent *ret_parent)
{
    size_t wanted = path_parent_length(path);
    int code = run_find_parent(run, path, ret_parent);

    if (code != KE_NOT_FOUND) {
        return code;
    }
    /* The root exists, so this ends. */
    do {
        cut_to_parent(ret_parent->path);
    } while (!find_row(run, ret_parent->path, true, &ret_parent->row));
    while (strlen(ret_parent->path) < wanted) {
        make_next_directory(run, path, ret_parent);
    }
    return 0;
}

/* --- changes of objects --- */

uint64_t run_next_revision(struct run *run)
{
    return ++run->revision;
}

static const char *keep_path(struct executor *executor, const char *path)
{
    size_t size = strlen(path) + 1;
    char *copy = arena_alloc(&executor->change_paths, size);

    assert(copy != NULL);
    return memcpy(copy, path, size);
}

void run_report(struct run *run, enum change_kind kind, const char *path, const char *to,
                const struct attr *attr)
{
    struct executor *executor = run->executor;

    if (executor->change_count == executor->change_room) {
        executor->change_room = executor->change_room == 0 ? 64 : 2 * executor->change_room;
        executor->changes =
            mem_realloc(executor->changes, executor->change_room * sizeof executor->changes[0]);
    }
    executor->changes[executor->change_count++] = (struct change){
        .kind = kind,
        .path = keep_path(executor, path),
        .to = to != NULL ? keep_path(executor, to) : NULL,
        .type = attr->type,
        .id = attr->id,
        .version = attr->version,
        .nlink = attr->nlink,
    };
}

void run_answer(struct run *run, const struct attr_row *row)
{
    run->result->has_attr = true;
    run->result->attr = row->attr;
}

void run_touch_parent(struct run *run, struct parent *parent)
{
    parent->row.attr.mtime_ns = run->time_ns;
    parent->row.attr.ctime_ns = run->time_ns;
    run_change(run, parent->path, &parent->row);
}

void run_count_entry(struct parent *parent, enum file_type type, int change)
{
    if (type == FILE_DIRECTORY) {
        parent->row.attr.nlink += (uint32_t)change;
    }
}

void run_add(struct run *run, const char *path, struct parent *parent, uint32_t umask,
             struct attr_row *row)
{
    struct attr *attr = &row->attr;

    attr->atime_ns = run->time_ns;
    attr->mtime_ns = run->time_ns;
    attr->ctime_ns = run->time_ns;
    attr->id = run_next_revision(run);
    attr->version = attr->id;
    attr->nlink = 1;
    attr->xattr_bytes = 0;
    run_inherit(run, &parent->row.attr, umask, attr);
    row->linked = false;
    run->files_added++;
    run_put_row(run, path, row);
    run_report(run, CHANGE_CREATED, path, NULL, attr);
    run_count_entry(parent, attr->type, 1);
    run_touch_parent(run, parent);
}

void run_change(struct run *run, const char *path, struct attr_row *row)
{
    row->attr.version = run_next_revision(run);
    run_put_row(run, path, row);
    run_report(run, CHANGE_CONTENT, path, NULL, &row->attr);
}

/* The file goes with its last name. Returns its extended attributes. */
static const struct change_xattr *erase_file(struct run *run, struct attr_row *row)
{
    const struct change_xattr *xattrs = NULL;
    struct key home = key_home(row->attr.id);

    if (row->attr.type == FILE_REGULAR) {
        run_erase_content(run, &row->attr);
    }
    if (row->attr.xattr_bytes > 0) {
        xattrs = run_erase_xattrs(run, row->attr.id);
    }
    if (row->linked) {
        run_delete(run, CF_ATTR, key_bytes(&home));
    }
    run->files_added--;
    return xattrs;
}

static const struct attr *keep_attr(struct executor *executor, const struct attr *attr)
{
    struct attr *copy = arena_alloc(&executor->change_paths, sizeof *copy);

    assert(copy != NULL);
    *copy = *attr;
    return copy;
}

void run_erase(struct run *run, const char *path, struct attr_row *row)
{
    struct executor *executor = run->executor;
    bool directory = row->attr.type == FILE_DIRECTORY;
    const struct change_xattr *xattrs = NULL;
    bool is_last = directory || row->attr.nlink == 1;

    run_delete_row(run, path, directory);
    row->attr.nlink = is_last ? 0 : row->attr.nlink - 1;
    if (is_last) {
        xattrs = erase_file(run, row);
    } else {
        row->attr.ctime_ns = run->time_ns;
        row->attr.version = run_next_revision(run);
        run_put_row(run, path, row);
    }
    run_report(run, CHANGE_REMOVED, path, NULL, &row->attr);
    if (is_last) {
        struct change *change = &executor->changes[executor->change_count - 1];

        /* What is gone takes no number. In the order of changes it stands with that of
         * its directory, which comes next. */
        change->version = run->revision + 1;
        change->last = keep_attr(executor, &row->attr);
        change->last_xattrs = xattrs;
        change->last_target = keep_path(executor, row->target_size > 0 ? row->target : "");
    }
}

/* --- usage --- */

static void load_usage(struct run *run, struct tree_usage *ret_usage)
{
    struct key key = key_usage();
    uint8_t *value;
    size_t size;
    int code;

    *ret_usage = (struct tree_usage){0};
    if (!run_get(run, CF_META, key_bytes(&key), &value, &size)) {
        return;
    }
    code = usage_row_unpack((struct bytes){.data = value, .size = size}, ret_usage);
    free(value);
    if (code != 0) {
        run_stop_unreadable(code);
    }
}

/* Only what adds is refused: removals always work. */
static bool is_over_quota(const struct run *run, const struct tree_usage *usage)
{
    const struct tree_quota *quota = &usage->quota;

    return (run->bytes_added > 0 && quota->bytes != 0 && usage->bytes > quota->bytes) ||
           (run->files_added > 0 && quota->files != 0 && usage->files > quota->files);
}

void run_set_quota(struct run *run, const Keelfspb__SetQuotaRequest *set)
{
    run->sets_quota = true;
    run->quota = (struct tree_quota){.bytes = set->bytes, .files = set->files};
}

int run_add_usage(struct run *run)
{
    struct known *known = &run->executor->known;
    struct tree_usage usage;

    if (run->files_added == 0 && run->bytes_added == 0 && !run->sets_quota) {
        return 0;
    }
    if (!known->has_usage) {
        load_usage(run, &known->usage);
        known->has_usage = true;
    }
    usage = known->usage;
    usage.files += (uint64_t)run->files_added;
    usage.bytes += (uint64_t)run->bytes_added;
    if (is_over_quota(run, &usage)) {
        return KE_QUOTA;
    }
    if (run->sets_quota) {
        usage.quota = run->quota;
        (void)run_next_revision(run);
    }
    known->usage = usage;
    known->usage_changed = true;
    return 0;
}
