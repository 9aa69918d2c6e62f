/* What a raw client reads: pairs of a column family. In `default` the pairs are
 * the regular files. */
#include "raftstore/keys.h"
#include "raftstore/memory.h"
#include "raftstore/path.h"
#include "raftstore/tree_view.h"

#include <stdlib.h>
#include <string.h>

static int read_whole(struct tree_view *view, const struct attr *attr, size_t max,
                      uint8_t **ret_value, size_t *ret_size)
{
    uint8_t *value;
    int code;

    if (attr->size > max) {
        return KE_TOO_LARGE;
    }
    value = mem_alloc((size_t)attr->size);
    code = tree_read(view, attr, 0, value, (size_t)attr->size, ret_size);
    if (code != 0) {
        free(value);
        return code;
    }
    *ret_value = value;
    return 0;
}

static int get_file(struct tree_view *view, const void *key, size_t key_size, size_t max,
                    uint8_t **ret_value, size_t *ret_size)
{
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    int code = path_check(key, key_size, NULL);

    if (code != 0) {
        return code;
    }
    memcpy(path, key, key_size);
    path[key_size] = '\0';
    code = tree_view_find(view, path, false, &row);
    if (code != 0) {
        return code;
    }
    if (row.attr.type != FILE_REGULAR) {
        return KE_NOT_FOUND;
    }
    return read_whole(view, &row.attr, max, ret_value, ret_size);
}

int tree_get(struct tree_view *view, const char *cf, const void *key, size_t key_size, size_t max,
             uint8_t **ret_value, size_t *ret_size)
{
    enum engine_cf family;
    int code = key_parse_cf(cf, &family);
    uint8_t *value;
    size_t size;

    if (code != 0) {
        return code;
    }
    if (family == CF_DEFAULT) {
        return get_file(view, key, key_size, max, ret_value, ret_size);
    }
    code = engine_get(view->kv, view->snapshot, family,
                      (struct bytes){.data = key, .size = key_size}, &value, &size);
    if (code == 0 && size > max) {
        free(value);
        code = KE_TOO_LARGE;
    }
    if (code == 0) {
        *ret_value = value;
        *ret_size = size;
    }
    return code;
}

/* --- scan --- */

struct scan {
    struct tree_view *view;
    uint32_t left;     /* pairs */
    size_t bytes_left; /* keys and values */
    tree_scan_fn *each;
    void *ctx;
};

/* 1 to go on, 0 to stop, or a negative code. */
static int give_pair(struct scan *scan, struct bytes key, const void *value, size_t value_size)
{
    if (key.size > scan->bytes_left || value_size > scan->bytes_left - key.size) {
        return KE_TOO_LARGE;
    }
    scan->bytes_left -= key.size + value_size;
    scan->left--;
    return scan->each(scan->ctx, key.data, key.size, value, value_size) != 0 ? 1 : 0;
}

static int give_file(struct scan *scan, struct bytes key, struct bytes row_bytes)
{
    struct attr_row row;
    uint8_t *value;
    size_t size;
    int code;

    if (key.data[key.size - 1] == '/') {
        return 1; /* a directory */
    }
    code = attr_row_unpack(row_bytes, &row);
    if (code == 0) {
        code = tree_view_resolve(scan->view, &row);
    }
    if (code != 0) {
        return code;
    }
    if (row.attr.type != FILE_REGULAR) {
        return 1;
    }
    code = read_whole(scan->view, &row.attr, scan->bytes_left, &value, &size);
    if (code != 0) {
        return code;
    }
    code = give_pair(scan, key, value, size);
    free(value);
    return code;
}

int tree_scan(struct tree_view *view, const char *cf, const void *start, size_t start_size,
              uint32_t limit, size_t max_bytes, tree_scan_fn *each, void *ctx)
{
    struct scan scan = {
        .view = view, .left = limit, .bytes_left = max_bytes, .each = each, .ctx = ctx};
    enum engine_cf family;
    struct engine_iterator *it;
    int code = key_parse_cf(cf, &family);

    if (code != 0) {
        return code;
    }
    /* The keys of `default` are the paths of the files. */
    it = engine_iterator_new(view->kv, view->snapshot, NULL,
                             family == CF_DEFAULT ? CF_ATTR : family, (struct bytes){0});
    code = 1;
    struct bytes first = {.data = start, .size = start_size};

    if (family == CF_DEFAULT && (start_size == 0 || first.data[0] == 0)) {
        first = (struct bytes){.data = (const uint8_t *)KEY_PATHS_BEGIN, .size = 1};
    }
    for (engine_iterator_seek(it, first); code > 0 && scan.left > 0 && engine_iterator_valid(it);
         engine_iterator_next(it)) {
        struct bytes key = engine_iterator_key(it);
        struct bytes value = engine_iterator_value(it);

        code = family == CF_DEFAULT ? give_file(&scan, key, value)
                                    : give_pair(&scan, key, value.data, value.size);
    }
    if (code >= 0) {
        code = engine_iterator_status(it);
    }
    engine_iterator_free(it);
    return code;
}
