#include "fs/view.h"

#include "raftstore/memory.h"
#include "raftstore/op.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct view *view_make(const struct attr *attr)
{
    struct view *view = mem_zalloc(sizeof(*view));

    assert(attr->type == FILE_REGULAR);
    atomic_init(&view->refs, 1);
    view->attr = *attr;
    view->taken_ns = clock_ns();
    pthread_mutex_init(&view->lock, NULL);
    return view;
}

struct view *view_new(struct tree_view *tree, const struct attr *attr)
{
    struct view *view = view_make(attr);

    view->readable = true;
    if (attr->size > 0) {
        tree_view_ref(tree);
        view->tree = tree;
    }
    return view;
}

struct view *view_new_unread(const struct attr *attr)
{
    struct view *view = view_make(attr);

    view->readable = attr->size == 0;
    return view;
}

struct view *view_ref(struct view *view)
{
    int before = atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);

    assert(before > 0);
    return view;
}

void view_unref(struct view *view)
{
    if (view == NULL || atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (view->tree != NULL)
        tree_view_unref(view->tree);
    pthread_mutex_destroy(&view->lock);
    free(view->content);
    free(view);
}

bool view_is_aged(struct view *view)
{
    if (clock_ns() - view->taken_ns < VIEW_AGE_MAX_NS)
        return false;
    pthread_mutex_lock(&view->lock);
    bool holds = view->tree != NULL;
    pthread_mutex_unlock(&view->lock);
    return holds;
}

/* Under the lock: the whole of a small file. */
static int load_content(struct view *view)
{
    size_t size = (size_t)view->attr.size;
    size_t got;
    uint8_t *content = mem_alloc(size);
    int code = tree_read(view->tree, &view->attr, 0, content, size, &got);

    if (code == 0 && got != size)
        code = KE_CORRUPT;
    if (code != 0) {
        free(content);
        return code;
    }
    view->content = content;
    tree_view_unref(view->tree);
    view->tree = NULL;
    return 0;
}

static int read_small(struct view *view, uint64_t offset, void *buffer, size_t size,
                      size_t *ret_size)
{
    int code = 0;

    pthread_mutex_lock(&view->lock);
    if (view->content == NULL)
        code = load_content(view);
    pthread_mutex_unlock(&view->lock);
    if (code != 0)
        return code;
    size_t left = (size_t)(view->attr.size - offset);
    *ret_size = size < left ? size : left;
    memcpy(buffer, view->content + offset, *ret_size);
    return 0;
}

int view_read(struct view *view, uint64_t offset, void *buffer, size_t size, size_t *ret_size)
{
    assert(view->readable);
    if (offset >= view->attr.size || size == 0) {
        *ret_size = 0;
        return 0;
    }
    if (view->attr.size <= VIEW_CONTENT_MAX)
        return read_small(view, offset, buffer, size, ret_size);
    return tree_read(view->tree, &view->attr, offset, buffer, size, ret_size);
}

/* Of a small file that was read, what is nothing but zeros is a hole. */
static void probe_content(const struct view *view, uint64_t offset, bool *ret_is_data,
                          uint64_t *ret_end)
{
    uint64_t from = offset - offset % TREE_CHUNK_SIZE;
    uint64_t size = view->attr.size;

    *ret_end = size - from > TREE_CHUNK_SIZE ? from + TREE_CHUNK_SIZE : size;
    *ret_is_data = false;
    for (uint64_t at = from; at < *ret_end && !*ret_is_data; at++)
        *ret_is_data = view->content[at] != 0;
}

int view_probe(struct view *view, uint64_t offset, bool *ret_is_data, uint64_t *ret_end)
{
    int code = 0;

    assert(offset < view->attr.size);
    pthread_mutex_lock(&view->lock);
    if (view->attr.hole_chunks == 0 || (view->tree == NULL && view->content == NULL)) {
        *ret_is_data = true;
        *ret_end = view->attr.size;
    } else if (view->tree != NULL) {
        code = tree_probe(view->tree, &view->attr, offset, ret_is_data, ret_end);
    } else {
        probe_content(view, offset, ret_is_data, ret_end);
    }
    pthread_mutex_unlock(&view->lock);
    return code;
}
