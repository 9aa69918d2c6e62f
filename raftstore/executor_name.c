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
    run_count_entry(&parent, row.attr.type, -1);
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

static void delete_below(struct run *run, const struct rename *rename)
{
    for (const struct moved_row *row = rename->below; row != NULL; row = row->next) {
        run_delete(run, CF_ATTR, row->key);
    }
}

static void put_below(struct run *run, const struct rename *rename)
{
    size_t from_size = strlen(rename->from);
    size_t to_size = strlen(rename->to);
    uint8_t key[PATH_ROW_MAX];

    memcpy(key, rename->to, to_size);
    for (const struct moved_row *row = rename->below; row != NULL; row = row->next) {
        size_t rest = row->key.size - from_size;

        memcpy(key + to_size, row->key.data + from_size, rest);
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

static void leave_old_name(struct run *run, const struct rename *rename)
{
    run_delete_row(run, rename->from, rename->row.attr.type == FILE_DIRECTORY);
    delete_below(run, rename);
}

static void take_new_name(struct run *run, struct rename *rename)
{
    rename->row.attr.ctime_ns = run->time_ns;
    rename->row.attr.version = run_next_revision(run);
    run_put_name(run, rename->to, &rename->row);
    put_below(run, rename);
}

/* `back` is the type of what `from` names now; NULL: nothing. */
static void touch_parents(struct run *run, struct rename *rename, const enum file_type *back)
{
    bool same = strcmp(rename->from_parent.path, rename->to_parent.path) == 0;
    struct parent *from = &rename->from_parent;
    struct parent *to = same ? from : &rename->to_parent;

    run_count_entry(from, rename->row.attr.type, -1);
    run_count_entry(to, rename->row.attr.type, 1);
    if (rename->replaces) {
        run_count_entry(to, rename->old.attr.type, -1);
    }
    if (back != NULL) {
        run_count_entry(from, *back, 1);
    }
    run_touch_parent(run, from);
    if (!same) {
        run_touch_parent(run, to);
    }
}

static void apply_rename(struct run *run, struct rename *rename)
{
    if (rename->replaces) {
        run_erase(run, rename->to, &rename->old);
    }
    leave_old_name(run, rename);
    take_new_name(run, rename);
    run_report(run, CHANGE_RENAMED, rename->from, rename->to, &rename->row.attr);
    touch_parents(run, rename, NULL);
    run_answer(run, &rename->row);
}

/* --- exchange --- */

/* The other half: what is under `to` gets the name `from`. */
static void make_return(const struct rename *rename, struct rename *ret_back)
{
    memcpy(ret_back->from, rename->to, sizeof ret_back->from);
    memcpy(ret_back->to, rename->from, sizeof ret_back->to);
    ret_back->row = rename->old;
    ret_back->below = NULL;
    arena_init(&ret_back->arena, SIZE_MAX);
}

static int collect_moved(struct run *run, struct rename *rename)
{
    return rename->row.attr.type == FILE_DIRECTORY ? collect_below(run, rename) : 0;
}

static int exchange(struct run *run, struct rename *rename)
{
    struct rename back;
    int code;

    if (!rename->replaces) {
        return KE_NOT_FOUND;
    }
    if (path_is_within(rename->to, rename->from) || path_is_within(rename->from, rename->to)) {
        return KE_INVALID;
    }
    make_return(rename, &back);
    code = collect_moved(run, rename);
    if (code == 0) {
        code = collect_moved(run, &back);
    }
    if (code == 0) {
        /* All old names first: they are new names too. */
        leave_old_name(run, rename);
        leave_old_name(run, &back);
        take_new_name(run, rename);
        take_new_name(run, &back);
        run_report(run, CHANGE_EXCHANGED, rename->from, rename->to, &rename->row.attr);
        touch_parents(run, rename, &back.row.attr.type);
        run_answer(run, &rename->row);
    }
    arena_release(&back.arena);
    return code;
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
    if (request->file && rename.row.attr.type == FILE_DIRECTORY) {
        return KE_STALE;
    }
    rename.replaces = run_find(run, rename.to, &rename.old);
    if (request->exchange && request->no_replace) {
        return KE_INVALID;
    }
    if (rename.replaces && request->no_replace) {
        return KE_EXISTS;
    }
    /* rename(2): of two names of one file both stay. */
    if (strcmp(rename.from, rename.to) == 0 ||
        (rename.replaces && rename.old.attr.id == rename.row.attr.id)) {
        run_answer(run, &rename.row);
        return 0;
    }
    arena_init(&rename.arena, SIZE_MAX);
    code = request->exchange ? exchange(run, &rename) : check_rename(run, &rename);
    if (code == 0 && !request->exchange) {
        apply_rename(run, &rename);
    }
    arena_release(&rename.arena);
    return code;
}
