#include "raftstore/tree.h"

#include "raftstore/attr_row.h"
#include "raftstore/engine.h"
#include "raftstore/keys.h"
#include "raftstore/memory.h"
#include "raftstore/path.h"
#include "raftstore/tree_view.h"
#include "raftstore/usage_row.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct tree {
    struct engine *kv;
    /* Read-locked while a view is made, so that none is made between the begin of a
     * hold and the first write that it is to hide. */
    pthread_rwlock_t lock;
    struct tree_view *held; /* what new views are during a hold, else NULL */
};

/* --- views --- */

struct tree *tree_new(struct engine *kv)
{
    struct tree *tree = mem_alloc(sizeof *tree);
    pthread_rwlockattr_t attr;

    /* Readers without a pause would keep a hold waiting for ever. */
    (void)pthread_rwlockattr_init(&attr);
    (void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&tree->lock, &attr);
    (void)pthread_rwlockattr_destroy(&attr);
    tree->kv = kv;
    tree->held = NULL;
    return tree;
}

void tree_free(struct tree *tree)
{
    if (tree != NULL) {
        assert(tree->held == NULL);
        (void)pthread_rwlock_destroy(&tree->lock);
        free(tree);
    }
}

static struct tree_view *make_view(struct tree *tree)
{
    struct tree_view *view = mem_alloc(sizeof *view);

    atomic_init(&view->refs, 1);
    view->kv = tree->kv;
    view->snapshot = engine_snapshot_new(tree->kv);
    return view;
}

struct tree_view *tree_view_new(struct tree *tree)
{
    struct tree_view *view;

    (void)pthread_rwlock_rdlock(&tree->lock);
    view = tree->held;
    if (view != NULL) {
        tree_view_ref(view);
    } else {
        view = make_view(tree);
    }
    (void)pthread_rwlock_unlock(&tree->lock);
    return view;
}

void tree_hold(struct tree *tree)
{
    (void)pthread_rwlock_wrlock(&tree->lock);
    assert(tree->held == NULL);
    tree->held = make_view(tree);
    (void)pthread_rwlock_unlock(&tree->lock);
}

void tree_release_hold(struct tree *tree)
{
    struct tree_view *held;

    (void)pthread_rwlock_wrlock(&tree->lock);
    held = tree->held;
    assert(held != NULL);
    tree->held = NULL;
    (void)pthread_rwlock_unlock(&tree->lock);
    tree_view_unref(held);
}

void tree_view_ref(struct tree_view *view)
{
    (void)atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
}

void tree_view_unref(struct tree_view *view)
{
    if (view == NULL) {
        return;
    }
    if (atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) == 1) {
        engine_snapshot_free(view->kv, view->snapshot);
        free(view);
    }
}

/* --- attributes --- */

static int find_home(struct tree_view *view, uint64_t id, struct attr_row *ret_row)
{
    struct key key = key_home(id);
    uint8_t *value;
    size_t size;
    int code = engine_get(view->kv, view->snapshot, CF_ATTR, key_bytes(&key), &value, &size);

    if (code != 0) {
        return code;
    }
    code = attr_row_unpack((struct bytes){.data = value, .size = size}, ret_row);
    free(value);
    if (code == 0 && (ret_row->linked || ret_row->attr.id != id)) {
        code = KE_CORRUPT;
    }
    return code;
}

int tree_view_resolve(struct tree_view *view, struct attr_row *row)
{
    bool has_home = row->linked;
    int code = has_home ? find_home(view, row->attr.id, row) : 0;

    row->attr.has_home = has_home;
    return code == KE_NOT_FOUND ? KE_CORRUPT : code;
}

int tree_view_find(struct tree_view *view, const char *path, bool directory,
                   struct attr_row *ret_row)
{
    uint8_t key[PATH_ROW_MAX];
    uint8_t *value;
    size_t size;
    int code = engine_get(view->kv, view->snapshot, CF_ATTR, key_attr(path, directory, key), &value,
                          &size);

    if (code != 0) {
        return code;
    }
    code = attr_row_unpack((struct bytes){.data = value, .size = size}, ret_row);
    free(value);
    if (code == 0) {
        code = tree_view_resolve(view, ret_row);
    }
    if (code == 0 && (ret_row->attr.type == FILE_DIRECTORY) != directory) {
        code = KE_CORRUPT;
    }
    return code;
}

static int find(struct tree_view *view, const char *path, struct attr_row *ret_row)
{
    int code = path[0] != '\0' ? tree_view_find(view, path, false, ret_row) : KE_NOT_FOUND;

    return code == KE_NOT_FOUND ? tree_view_find(view, path, true, ret_row) : code;
}

int tree_stat(struct tree_view *view, const char *path, struct attr *ret_attr)
{
    struct attr_row row;
    int code = find(view, path, &row);

    if (code == 0) {
        *ret_attr = row.attr;
    }
    return code;
}

int tree_stat_kind(struct tree_view *view, const char *path, bool directory, struct attr *ret_attr)
{
    struct attr_row row;
    int code = tree_view_find(view, path, directory, &row);

    if (code == 0) {
        *ret_attr = row.attr;
    }
    return code;
}

int tree_stat_id(struct tree_view *view, uint64_t id, struct attr *ret_attr)
{
    struct attr_row row;
    int code = find_home(view, id, &row);

    if (code == 0) {
        *ret_attr = row.attr;
        ret_attr->has_home = true;
    }
    return code;
}

int tree_get_xattr(struct tree_view *view, uint64_t id, const char *name, uint8_t **ret_value,
                   size_t *ret_size)
{
    uint8_t key[XATTR_KEY_MAX];
    size_t name_size = strlen(name);
    int code;

    if (name_size > XATTR_NAME_MAX) {
        return KE_NO_XATTR;
    }
    code = engine_get(view->kv, view->snapshot, CF_ATTR, key_xattr(id, name, name_size, key),
                      ret_value, ret_size);
    return code == KE_NOT_FOUND ? KE_NO_XATTR : code;
}

int tree_list_xattrs(struct tree_view *view, uint64_t id, tree_xattr_fn *each, void *ctx)
{
    uint8_t first_buffer[XATTR_KEY_MAX];
    struct bytes first = key_xattr(id, "", 0, first_buffer);
    struct key end = key_xattr_end(id);
    struct engine_iterator *it =
        engine_iterator_new(view->kv, view->snapshot, NULL, CF_ATTR, key_bytes(&end));
    int code;

    for (engine_iterator_seek(it, first); engine_iterator_valid(it); engine_iterator_next(it)) {
        struct bytes key = engine_iterator_key(it);

        each(ctx, key.data + first.size, key.size - first.size);
    }
    code = engine_iterator_status(it);
    engine_iterator_free(it);
    return code;
}

static int copy_target(const struct attr_row *row, char *buffer)
{
    static_assert(ATTR_TARGET_MAX <= PATH_BYTES_MAX, "a target fits where a path does");

    if (row->attr.type != FILE_SYMLINK) {
        return KE_INVALID;
    }
    memcpy(buffer, row->target, row->target_size + 1);
    return 0;
}

int tree_read_link(struct tree_view *view, const char *path, char *buffer)
{
    struct attr_row row;
    int code = find(view, path, &row);

    return code == 0 ? copy_target(&row, buffer) : code;
}

int tree_read_link_id(struct tree_view *view, uint64_t id, char *buffer)
{
    struct attr_row row;
    int code = find_home(view, id, &row);

    return code == 0 ? copy_target(&row, buffer) : code;
}

int tree_usage(struct tree *tree, struct tree_usage *ret_usage)
{
    struct tree_view *view = tree_view_new(tree);
    struct key key = key_usage();
    uint8_t *value;
    size_t size;
    int code = engine_get(view->kv, view->snapshot, CF_META, key_bytes(&key), &value, &size);

    tree_view_unref(view);
    if (code == KE_NOT_FOUND) {
        *ret_usage = (struct tree_usage){0};
        return 0;
    }
    if (code == 0) {
        code = usage_row_unpack((struct bytes){.data = value, .size = size}, ret_usage);
        free(value);
    }
    return code;
}

/* --- content --- */

/* From so many on rows are read as a stream; a file of fewer may be read often, and its
 * rows are better found in the cache. */
#define STREAM_CHUNKS_MIN 8

/* What is read: `size` bytes at `offset` of the file, all of them in it. */
struct span {
    uint64_t offset;
    size_t size;
    uint8_t *out;
};

/* Puts in place what the span has of a row, and zeros up to its end: at the end of a
 * file, and before a hole, a row is shorter than its chunk. */
static int fill_from_row(const struct span *span, uint32_t chunk, struct bytes row)
{
    uint64_t row_start = (uint64_t)chunk * TREE_CHUNK_SIZE;
    uint64_t start = row_start > span->offset ? row_start : span->offset;
    uint64_t end = row_start + TREE_CHUNK_SIZE;
    size_t skipped = (size_t)(start - row_start);
    uint8_t *out = span->out + (start - span->offset);

    if (row.size > TREE_CHUNK_SIZE) {
        return KE_CORRUPT;
    }
    if (end > span->offset + span->size) {
        end = span->offset + span->size;
    }
    size_t wanted = (size_t)(end - start);
    size_t copied = row.size > skipped ? row.size - skipped : 0;
    if (copied > wanted) {
        copied = wanted;
    }
    if (copied > 0) {
        memcpy(out, row.data + skipped, copied);
    }
    memset(out + copied, 0, wanted - copied);
    return 0;
}

static int get_rows(struct tree_view *view, uint64_t id, const struct span *span, uint32_t first,
                    uint32_t last)
{
    int code = 0;

    for (uint32_t chunk = first; chunk <= last && code == 0; chunk++) {
        struct key key = key_content(id, chunk);
        uint8_t *value = NULL;
        size_t size = 0;

        code = engine_get(view->kv, view->snapshot, CF_DEFAULT, key_bytes(&key), &value, &size);
        if (code == 0 || code == KE_NOT_FOUND) {
            code = fill_from_row(span, chunk, (struct bytes){.data = value, .size = size});
        }
        free(value);
    }
    return code;
}

static bool is_key(struct bytes found, const struct key *key)
{
    return found.size == key->size && memcmp(found.data, key_bytes(key).data, found.size) == 0;
}

/* The same with one search for all of them. */
static int stream_rows(struct tree_view *view, uint64_t id, const struct span *span, uint32_t first,
                       uint32_t last)
{
    const struct bytes no_row = {0};
    struct key from = key_content(id, first);
    struct key to = key_content(id, last + 1);
    struct engine_iterator *it =
        engine_stream_new(view->kv, view->snapshot, CF_DEFAULT, key_bytes(&to));
    int code = 0;

    engine_iterator_seek(it, key_bytes(&from));
    for (uint32_t chunk = first; chunk <= last && code == 0; chunk++) {
        struct key key = key_content(id, chunk);

        if (engine_iterator_valid(it) && is_key(engine_iterator_key(it), &key)) {
            code = fill_from_row(span, chunk, engine_iterator_value(it));
            engine_iterator_next(it);
        } else {
            code = fill_from_row(span, chunk, no_row);
        }
    }
    if (code == 0) {
        code = engine_iterator_status(it);
    }
    engine_iterator_free(it);
    return code;
}

int tree_read(struct tree_view *view, const struct attr *attr, uint64_t offset, void *buffer,
              size_t size, size_t *ret_size)
{
    struct span span = {.offset = offset, .size = size, .out = buffer};

    assert(attr->type == FILE_REGULAR);
    if (offset >= attr->size) {
        span.size = 0;
    } else if (size > attr->size - offset) {
        span.size = (size_t)(attr->size - offset);
    }
    int code = 0;
    if (span.size > 0) {
        uint32_t first = (uint32_t)(offset / TREE_CHUNK_SIZE);
        uint32_t last = (uint32_t)((offset + span.size - 1) / TREE_CHUNK_SIZE);

        if (last - first + 1 < STREAM_CHUNKS_MIN) {
            code = get_rows(view, attr->id, &span, first, last);
        } else {
            code = stream_rows(view, attr->id, &span, first, last);
        }
    }
    if (code == 0) {
        *ret_size = span.size;
    }
    return code;
}
