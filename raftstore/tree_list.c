/* Listing a directory in byte order of its children's names.
 *
 * The rows below a directory are read in their own order, past the subtree of
 * each child directory with one seek. That order is not the order of names: the
 * row of a directory `a` is `a/`, behind the rows of `a-b` and `a.b`, since '-'
 * and '.' come before '/'. So before a child is returned, each of its prefixes
 * that ends in front of a byte less than '/' is looked up as a directory, once,
 * and returned first if it is one. All names between `a` and the row `a/` begin
 * with `a`, so nothing more than the current name must be remembered.
 */
#include "raftstore/keys.h"
#include "raftstore/memory.h"
#include "raftstore/path.h"
#include "raftstore/tree_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct tree_list {
    struct tree_view *view;
    struct engine_iterator *it;
    char path[PATH_BYTES_MAX + 2]; /* "dir/", or "" of the root; then a child's name */
    size_t prefix_size;
    uint8_t end[PATH_ROW_MAX];
    /* The child at the iterator. */
    bool held;
    bool directory;
    char name[PATH_COMPONENT_MAX + 1];
    size_t name_size;
    size_t next_prefix; /* length of the next prefix of `name` to look at */
    /* By length, whether this prefix of `name` was looked up as a directory, and
     * so is none or was returned. */
    bool looked_up[PATH_COMPONENT_MAX + 1];
    char returned[PATH_COMPONENT_MAX + 1];
    char after[PATH_COMPONENT_MAX + 1]; /* what comes is behind this name; "" for all */
};

static int check_directory(struct tree_view *view, const char *dir)
{
    struct attr attr;
    int code = tree_stat(view, dir, &attr);

    if (code != 0) {
        return code;
    }
    return attr.type == FILE_DIRECTORY ? 0 : KE_NOT_DIR;
}

static void seek_first(struct tree_list *list)
{
    /* In the root, behind the rows that are of no path. */
    engine_iterator_seek(
        list->it,
        list->prefix_size > 0
            ? (struct bytes){.data = (const uint8_t *)list->path, .size = list->prefix_size}
            : (struct bytes){.data = (const uint8_t *)KEY_PATHS_BEGIN, .size = 1});
}

int tree_list_open(struct tree_view *view, const char *dir, struct tree_list **ret_list)
{
    struct tree_list *list;
    struct bytes end = {0};
    int code = check_directory(view, dir);

    if (code != 0) {
        return code;
    }
    list = mem_zalloc(sizeof *list);
    tree_view_ref(view);
    list->view = view;
    list->prefix_size = strlen(dir);
    memcpy(list->path, dir, list->prefix_size);
    if (list->prefix_size > 0) {
        list->path[list->prefix_size++] = '/';
        end = key_attr_end(dir, list->end);
    }
    list->it = engine_iterator_new(view->kv, view->snapshot, NULL, CF_ATTR, end);
    seek_first(list);
    *ret_list = list;
    return 0;
}

void tree_list_seek(struct tree_list *list, const char *name)
{
    size_t size = strlen(name);

    assert(size <= PATH_COMPONENT_MAX);
    memcpy(list->after, name, size + 1);
    list->held = false;
    list->name_size = 0;
    memset(list->looked_up, 0, sizeof list->looked_up);
    if (list->prefix_size + size == 0) {
        seek_first(list);
        return;
    }
    /* The row of a name that is greater, file or directory, is not before this. */
    memcpy(list->path + list->prefix_size, name, size);
    engine_iterator_seek(list->it, (struct bytes){.data = (const uint8_t *)list->path,
                                                  .size = list->prefix_size + size});
}

void tree_list_close(struct tree_list *list)
{
    if (list == NULL) {
        return;
    }
    engine_iterator_free(list->it);
    tree_view_unref(list->view);
    free(list);
}

/* Makes `name` the current child; what was looked up for a common beginning
 * still holds. */
static void hold_name(struct tree_list *list, const uint8_t *name, size_t size)
{
    size_t common = 0;

    while (common < size && common < list->name_size &&
           (uint8_t)list->name[common] == name[common]) {
        common++;
    }
    memset(list->looked_up + common + 1, 0, PATH_COMPONENT_MAX - common);
    memcpy(list->name, name, size);
    list->name[size] = '\0';
    list->name_size = size;
    list->next_prefix = 1;
    list->held = true;
}

/* Takes the child at the iterator: 1, 0 at the end, or a negative code. */
static int hold_next(struct tree_list *list)
{
    for (; engine_iterator_valid(list->it); engine_iterator_next(list->it)) {
        struct bytes key = engine_iterator_key(list->it);
        const uint8_t *name = key.data + list->prefix_size;
        size_t size = key.size - list->prefix_size;

        list->directory = size > 0 && name[size - 1] == '/';
        size -= list->directory ? 1 : 0;
        if (size == 0) {
            continue; /* the directory's own row */
        }
        if (size > PATH_COMPONENT_MAX || memchr(name, '/', size) != NULL) {
            return KE_CORRUPT; /* a row whose parent has none */
        }
        hold_name(list, name, size);
        return 1;
    }
    return engine_iterator_status(list->it);
}

/* The path of the child that has the first `size` bytes of the current name. */
static const char *child_path(struct tree_list *list, size_t size)
{
    memcpy(list->path + list->prefix_size, list->name, size);
    list->path[list->prefix_size + size] = '\0';
    return list->path;
}

/* Moves the iterator behind the current child and all below it. */
static void pass_child(struct tree_list *list)
{
    uint8_t end[PATH_ROW_MAX];

    list->held = false;
    if (list->directory) {
        engine_iterator_seek(list->it, key_attr_end(child_path(list, list->name_size), end));
    } else {
        engine_iterator_next(list->it);
    }
}

/* Whether the child with the first `size` bytes of the current name is behind the one
 * that was sought. A directory that is not can come up after it: see above. */
static bool is_behind(const struct tree_list *list, size_t size)
{
    size_t after_size = strlen(list->after);
    int order = memcmp(list->name, list->after, size < after_size ? size : after_size);

    return order > 0 || (order == 0 && size > after_size);
}

static int return_child(struct tree_list *list, size_t size, const struct attr_row *row,
                        const char **ret_name, struct attr *ret_attr)
{
    memcpy(list->returned, list->name, size);
    list->returned[size] = '\0';
    *ret_name = list->returned;
    *ret_attr = row->attr;
    return 1;
}

/* The next directory whose name is a beginning of the current one and whose row
 * is further down: its length, 0 when there is none, or a negative code. */
static int next_prefix_directory(struct tree_list *list, struct attr_row *ret_row)
{
    while (list->next_prefix < list->name_size) {
        size_t size = list->next_prefix++;
        int code;

        if ((uint8_t)list->name[size] >= '/' || list->looked_up[size] || !is_behind(list, size)) {
            continue;
        }
        list->looked_up[size] = true;
        code = tree_view_find(list->view, child_path(list, size), true, ret_row);
        if (code == 0) {
            return (int)size;
        }
        if (code != KE_NOT_FOUND) {
            return code;
        }
    }
    return 0;
}

int tree_list_next(struct tree_list *list, const char **ret_name, struct attr *ret_attr)
{
    struct attr_row row;

    for (;;) {
        int code = list->held ? 1 : hold_next(list);
        int prefix;

        if (code <= 0) {
            return code;
        }
        prefix = next_prefix_directory(list, &row);
        if (prefix < 0) {
            return prefix;
        }
        if (prefix > 0) {
            return return_child(list, (size_t)prefix, &row, ret_name, ret_attr);
        }
        code = attr_row_unpack(engine_iterator_value(list->it), &row);
        if (code == 0) {
            code = tree_view_resolve(list->view, &row);
        }
        if (code != 0) {
            return code;
        }
        bool returned_before = (list->directory && list->looked_up[list->name_size]) ||
                               !is_behind(list, list->name_size);

        pass_child(list);
        if (!returned_before) {
            return return_child(list, list->name_size, &row, ret_name, ret_attr);
        }
    }
}
