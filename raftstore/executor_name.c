/* Names: remove and rename. */
#include "raftstore/command.h"
#include "raftstore/executor_run.h"
#include "raftstore/keys.h"

#include <assert.h>
#include <string.h>

/* --- remove --- */

int run_remove(struct run *run, const Keelfspb__RemoveRequest *remove)
{
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    struct parent parent;
    int code = run_take_path(remove->path, path);
    bool directory;

    if (code != 0) {
        return code;
    }
    if (!run_find(run, path, &row)) {
        return run_missing_code(run, path);
    }
    directory = row.attr.type == FILE_DIRECTORY;
    if (directory != (remove->directory != 0)) {
        return directory ? KE_IS_DIR : KE_NOT_DIR;
    }
    if (directory && !run_is_empty_directory(run, path)) {
        return KE_NOT_EMPTY;
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

/* --- rename --- */

/* A row below the directory that moves. */
struct moved_row {
    struct moved_row *next;
    struct bytes key;
    struct bytes value;
};

struct rename {
    char from[PATH_BYTES_MAX + 1];
    char to[PATH_BYTES_MAX + 1];
    struct attr_row row; /* of `from` */
    bool replaces;
    struct attr_row old; /* of `to`, if it replaces one */
    struct parent from_parent;
    struct parent to_parent;
    /* Of a directory, all below it. */
    struct arena arena;
    struct moved_row *below;
};

static struct bytes keep_bytes(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = arena_alloc(arena, bytes.size);

    assert(copy != NULL);
    memcpy(copy, bytes.data, bytes.size);
    return (struct bytes){.data = copy, .size = bytes.size};
}

/* Length of the row's path under the directory's new name. */
static size_t moved_path_size(const struct rename *rename, struct bytes key)
{
    size_t slash = key.data[key.size - 1] == '/' ? 1 : 0;

    return key.size - slash - strlen(rename->from) + strlen(rename->to);
}

static int collect(struct rename *rename, struct engine_iterator *it)
{
    size_t count = 0;
    size_t bytes = 0;
    int code;

    for (; engine_iterator_valid(it); engine_iterator_next(it)) {
        struct bytes key = engine_iterator_key(it);
        struct bytes value = engine_iterator_value(it);
        struct moved_row *row;

        count++;
        bytes += key.size + value.size;
        if (count > RENAME_KEYS_MAX || bytes > RENAME_BYTES_MAX) {
            return KE_CROSS;
        }
        if (moved_path_size(rename, key) > PATH_BYTES_MAX) {
            return KE_NAME_TOO_LONG;
        }
        row = arena_alloc(&rename->arena, sizeof *row);
        assert(row != NULL);
        row->key = keep_bytes(&rename->arena, key);
        row->value = keep_bytes(&rename->arena, value);
        row->next = rename->below;
        rename->below = row;
    }
    code = engine_iterator_status(it);
    if (code != 0) {
        run_stop_unreadable(code);
    }
    return 0;
}

/* Reads all rows below the directory before the first is written: an iterator
 * does not survive a change of its batch. */
static int collect_below(struct run *run, struct rename *rename)
{
    uint8_t from_buffer[PATH_ROW_MAX];
    uint8_t to_buffer[PATH_ROW_MAX];
    struct engine_iterator *it = engine_iterator_new(run->executor->kv, NULL, run->batch, CF_ATTR,
                                                     key_attr_end(rename->from, to_buffer));
    int code;

    engine_iterator_seek(it, key_attr(rename->from, true, from_buffer));
    assert(engine_iterator_valid(it)); /* at the directory's own row */
    engine_iterator_next(it);
    code = collect(rename, it);
    engine_iterator_free(it);
    return code;
}

static void move_below(struct run *run, const struct rename *rename)
{
    size_t from_size = strlen(rename->from);
    size_t to_size = strlen(rename->to);
    uint8_t key[PATH_ROW_MAX];

    memcpy(key, rename->to, to_size);
    for (const struct moved_row *row = rename->below; row != NULL; row = row->next) {
        size_t rest = row->key.size - from_size;

        memcpy(key + to_size, row->key.data + from_size, rest);
        run_delete(run, CF_ATTR, row->key);
        run_put(run, CF_ATTR, (struct bytes){.data = key, .size = to_size + rest}, row->value);
    }
}

/* What rename(2) says of the object that is in the way. */
static int check_replace(struct run *run, const struct rename *rename)
{
    bool from_directory = rename->row.attr.type == FILE_DIRECTORY;
    bool to_directory = rename->old.attr.type == FILE_DIRECTORY;

    if (path_is_within(rename->from, rename->to)) {
        return KE_NOT_EMPTY;
    }
    if (from_directory != to_directory) {
        return from_directory ? KE_NOT_DIR : KE_IS_DIR;
    }
    return !to_directory || run_is_empty_directory(run, rename->to) ? 0 : KE_NOT_EMPTY;
}

/* Both paths differ and `from` exists. */
static int check_rename(struct run *run, struct rename *rename)
{
    bool directory = rename->row.attr.type == FILE_DIRECTORY;
    int code = 0;

    if (directory && path_is_within(rename->to, rename->from)) {
        return KE_INVALID;
    }
    if (rename->replaces) {
        code = check_replace(run, rename);
    }
    return code == 0 && directory ? collect_below(run, rename) : code;
}

static void apply_rename(struct run *run, struct rename *rename)
{
    struct attr *attr = &rename->row.attr;

    if (rename->replaces) {
        run_erase(run, rename->to, &rename->old);
    }
    run_delete_row(run, rename->from, attr->type == FILE_DIRECTORY);
    attr->ctime_ns = run->time_ns;
    attr->version = run_next_revision(run);
    run_put_row(run, rename->to, &rename->row);
    move_below(run, rename);
    run_report(run, CHANGE_RENAMED, rename->from, rename->to, attr);
    run_touch_parent(run, &rename->from_parent);
    if (strcmp(rename->from_parent.path, rename->to_parent.path) != 0) {
        run_touch_parent(run, &rename->to_parent);
    }
    run_answer(run, &rename->row);
}

int run_rename(struct run *run, const Keelfspb__RenameRequest *request)
{
    struct rename rename = {.below = NULL};
    int code = run_take_path(request->from, rename.from);

    if (code == 0) {
        code = run_take_path(request->to, rename.to);
    }
    if (code == 0) {
        code = run_find_parent(run, rename.from, &rename.from_parent);
    }
    if (code == 0) {
        code = run_find_parent(run, rename.to, &rename.to_parent);
    }
    if (code != 0) {
        return code;
    }
    if (!run_find(run, rename.from, &rename.row)) {
        return KE_NOT_FOUND;
    }
    rename.replaces = run_find(run, rename.to, &rename.old);
    if (rename.replaces && request->no_replace) {
        return KE_EXISTS;
    }
    if (strcmp(rename.from, rename.to) == 0) {
        run_answer(run, &rename.row);
        return 0;
    }
    arena_init(&rename.arena, SIZE_MAX);
    code = check_rename(run, &rename);
    if (code == 0) {
        apply_rename(run, &rename);
    }
    arena_release(&rename.arena);
    return code;
}
