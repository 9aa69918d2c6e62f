#include "content.h"

#include <string.h>

size_t content_put(char *bytes, size_t size, size_t offset, const char *data, size_t data_size)
{
    if (offset > size)
        memset(bytes + size, 0, offset - size);
    memcpy(bytes + offset, data, data_size);
    return offset + data_size > size ? offset + data_size : size;
}

static uint16_t layer_over(const struct state_layer *layer, struct texts *texts, uint16_t below)
{
    const struct text *text = texts_get(texts, below);
    char bytes[TEXT_MAX] = {0};
    size_t size = text->size;

    if (layer->is_truncated && size > layer->low)
        size = layer->low;
    memcpy(bytes, text->bytes, size);
    if (layer->is_truncated)
        size = layer->end;
    for (size_t i = 0; i < STATE_EXTENT_MAX; i++) {
        if (layer->extents & 1u << i)
            size = content_put(bytes, size, i, &layer->extent[i], 1);
    }
    if (layer->append != 0) {
        const struct text *append = texts_get(texts, layer->append);
        if (size + append->size > TEXT_MAX)
            return 0;
        size = content_put(bytes, size, size, append->bytes, append->size);
    }
    return texts_add(texts, bytes, size);
}

/* What the node has left of the inode, or NULL. */
static const struct state_layer *left_of(const struct state *state, uint8_t node, uint8_t inode)
{
    for (size_t i = 0; i < STATE_LEFT_MAX; i++) {
        if (state->left[node][i].inode == inode)
            return &state->left[node][i];
    }
    return NULL;
}

uint16_t state_content(const struct state *state, struct texts *texts, uint8_t node, uint8_t inode,
                       uint8_t version)
{
    uint16_t content = state->inodes[inode].versions[version];

    const struct state_layer *left = left_of(state, node, inode);

    if (left != NULL)
        content = layer_over(left, texts, content);
    if (state->layers[node].inode == inode && content != 0)
        content = layer_over(&state->layers[node], texts, content);
    return content;
}

/* The handles of the node see what was changed on it. */
static void raise_handles(struct state *state, uint8_t node, uint8_t inode)
{
    uint8_t last = (uint8_t)(state->inodes[inode].version_count - 1);

    for (size_t i = 0; i < MODEL_PROCESSES; i++) {
        for (size_t j = 0; j < MODEL_HANDLES; j++) {
            struct state_handle *handle = &state->handles[i][j];
            if (i % MODEL_NODES == node && handle->inode == inode)
                handle->version = last;
        }
    }
}

void content_add_version(struct state *state, uint8_t node, uint8_t inode, uint16_t content)
{
    struct state_inode *file = &state->inodes[inode];

    if (content == 0 || file->version_count == STATE_VERSIONS_MAX) {
        state->is_overflown = true;
        return;
    }
    if (file->versions[file->version_count - 1] != content)
        file->versions[file->version_count++] = content;
    file->mtime_s = 0;
    raise_handles(state, node, inode);
}

/* `over` is laid over `layer`, which has the same inode. False: that is no layer. */
static bool merge(struct state_layer *layer, const struct state_layer *over, struct texts *texts)
{
    char bytes[TEXT_MAX];
    size_t size = 0;

    if (over->is_truncated) {
        *layer = *over;
        return true;
    }
    if (layer->append != 0 && over->extents != 0)
        return false;
    for (size_t i = 0; i < STATE_EXTENT_MAX; i++) {
        if (over->extents & 1u << i)
            layer->extent[i] = over->extent[i];
    }
    layer->extents |= over->extents;
    const uint16_t appends[] = {layer->append, over->append};
    for (size_t i = 0; i < 2; i++) {
        if (appends[i] == 0)
            continue;
        const struct text *append = texts_get(texts, appends[i]);
        if (size + append->size > TEXT_MAX)
            return false;
        size = content_put(bytes, size, size, append->bytes, append->size);
    }
    layer->append = size > 0 ? texts_add(texts, bytes, size) : 0;
    return true;
}

/* Of the inode, new if need be. NULL: too many. */
static struct state_layer *take_left(struct state *state, uint8_t node, uint8_t inode)
{
    size_t at = 0;

    while (at < STATE_LEFT_MAX && state->left[node][at].inode != inode &&
           state->left[node][at].inode != STATE_NO_INODE)
        at++;
    if (at == STATE_LEFT_MAX) {
        state->is_overflown = true;
        return NULL;
    }
    struct state_layer *left = &state->left[node][at];
    if (left->inode != inode)
        *left = (struct state_layer){.inode = inode};
    return left;
}

void content_truncate_left(struct state *state, uint8_t node, uint8_t inode, uint8_t size)
{
    struct state_layer *left = take_left(state, node, inode);

    if (left == NULL)
        return;
    if (left->append != 0) {
        state->inodes[inode].blurred[node] = 1;
        return;
    }
    left->low = left->is_truncated && left->low < size ? left->low : size;
    left->end = size;
    left->is_truncated = true;
    left->extents &= (uint16_t)((1u << size) - 1);
}

/* What is written to a removed file stays on its node. */
static void leave(struct state *state, struct texts *texts, uint8_t node)
{
    struct state_layer *left = take_left(state, node, state->layers[node].inode);

    if (left == NULL)
        return;
    if (!merge(left, &state->layers[node], texts))
        state->is_overflown = true;
    state->layers[node] = (struct state_layer){.inode = STATE_NO_INODE};
}

void content_publish(struct state *state, struct texts *texts, uint8_t node)
{
    struct state_layer *layer = &state->layers[node];
    uint8_t inode = layer->inode;

    if (state->inodes[inode].nlink == 0) {
        leave(state, texts, node);
        return;
    }
    uint8_t last = (uint8_t)(state->inodes[inode].version_count - 1);
    uint16_t content = state_content(state, texts, node, inode, last);

    if (layer->mode != 0)
        state->inodes[inode].mode = layer->mode;
    *layer = (struct state_layer){.inode = STATE_NO_INODE};
    content_add_version(state, node, inode, content);
}
