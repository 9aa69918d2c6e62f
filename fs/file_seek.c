/* Where data and holes of an open file are; see file.h. */
#include "fs/file.h"

/* What the layers have at `offset`; LAYER_BELOW when that is in the view. Under the lock. */
static enum layer_kind probe_layers(const struct file *file, uint64_t offset, uint64_t *ret_end)
{
    uint64_t end;
    enum layer_kind kind = layer_probe(&file->dirty, file_size_below(file), offset, ret_end);

    if (kind != LAYER_BELOW)
        return kind;
    kind = layer_probe(&file->in_flight, file->view->attr.size, offset, &end);
    *ret_end = end < *ret_end ? end : *ret_end;
    return kind;
}

int file_probe(struct handle *handle, uint64_t offset, bool *ret_is_data, uint64_t *ret_end)
{
    struct file *file = handle->file;
    enum layer_kind kind = LAYER_BELOW;
    int code = KE_NOT_FOUND;
    uint64_t end = UINT64_MAX;

    pthread_mutex_lock(&file->lock);
    bool is_clean = file_is_clean(file);
    struct view *view = view_ref(is_clean ? handle->view : file->view);
    uint64_t size = is_clean ? view->attr.size : layer_size(&file->dirty, file_size_below(file));
    if (offset < size) {
        code = 0;
        if (!is_clean)
            kind = probe_layers(file, offset, &end);
    }
    pthread_mutex_unlock(&file->lock);
    *ret_is_data = kind == LAYER_DATA;
    *ret_end = end;
    if (code == 0 && kind == LAYER_BELOW) {
        code = view_probe(view, offset, ret_is_data, ret_end);
        *ret_end = end < *ret_end ? end : *ret_end;
    }
    view_unref(view);
    return code;
}

int file_seek(struct handle *handle, uint64_t offset, bool is_data, uint64_t *ret_offset)
{
    uint64_t at = offset;
    uint64_t end;
    bool found;
    int code;

    while ((code = file_probe(handle, at, &found, &end)) == 0 && found != is_data)
        at = end;
    if (code == KE_NOT_FOUND && !is_data && at > offset)
        code = 0;
    if (code == 0)
        *ret_offset = at;
    return code;
}
