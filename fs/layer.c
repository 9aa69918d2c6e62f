#include "fs/layer.h"

#include "raftstore/memory.h"
#include "raftstore/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define APPENDS_CAPACITY_MIN 4

void layer_clear(struct layer *layer)
{
    dirty_map_clear(&layer->extents);
    for (size_t i = 0; i < layer->append_count; i++) {
        struct layer_append *append = &layer->appends[i];
        if (append->owner != NULL)
            append->owner->cost -= append->size + DIRTY_EXTENT_COST;
        free(append->data);
    }
    free(layer->appends);
    *layer = (struct layer){0};
}

bool layer_is_empty(const struct layer *layer)
{
    return !layer->truncated && layer->extents.count == 0 && layer->append_count == 0;
}

size_t layer_cost(const struct layer *layer)
{
    return layer->extents.cost + layer->append_cost;
}

static void note_change(struct layer *layer, int64_t now_ns)
{
    layer->mtime_ns = now_ns;
    layer->set.mask &= ~(unsigned)COMMAND_SET_MTIME;
}

void layer_write(struct layer *layer, struct dirty_owner *owner, uint64_t offset, const void *data,
                 size_t size, int64_t now_ns)
{
    dirty_map_write(&layer->extents, owner, offset, data, size);
    note_change(layer, now_ns);
}

/* --- appends --- */

static void charge_append(struct layer *layer, struct dirty_owner *owner, size_t bytes)
{
    layer->append_cost += bytes;
    if (owner != NULL)
        owner->cost += bytes;
}

static struct layer_append *add_append(struct layer *layer, struct dirty_owner *owner)
{
    if (layer->append_count == layer->append_capacity) {
        layer->append_capacity =
            layer->append_capacity == 0 ? APPENDS_CAPACITY_MIN : layer->append_capacity * 2;
        layer->appends =
            mem_realloc(layer->appends, layer->append_capacity * sizeof(*layer->appends));
    }
    assert(layer->appends != NULL);
    struct layer_append *append = &layer->appends[layer->append_count++];
    *append = (struct layer_append){.owner = owner};
    charge_append(layer, owner, DIRTY_EXTENT_COST);
    return append;
}

static void grow_append(struct layer *layer, struct layer_append *append, const void *data,
                        size_t size)
{
    assert(size > 0);
    if (append->size + size > append->capacity) {
        size_t needed = append->size + size;
        append->capacity = append->capacity * 2 > needed ? append->capacity * 2 : needed;
        append->data = mem_realloc(append->data, append->capacity);
    }
    memcpy(append->data + append->size, data, size);
    append->size += size;
    layer->append_bytes += size;
    charge_append(layer, append->owner, size);
}

void layer_append(struct layer *layer, struct dirty_owner *owner, const void *data, size_t size,
                  int64_t now_ns)
{
    struct layer_append *last =
        layer->append_count > 0 ? &layer->appends[layer->append_count - 1] : NULL;

    assert(owner != NULL);
    if (last == NULL || last->owner != owner || last->size + size > DIRTY_EXTENT_BYTES_MAX)
        last = add_append(layer, owner);
    grow_append(layer, last, data, size);
    note_change(layer, now_ns);
}

/* Takes append `i` out of the charges; its data stays. */
static struct layer_append uncharge_append(struct layer *layer, size_t i)
{
    struct layer_append append = layer->appends[i];

    layer->append_cost -= append.size + DIRTY_EXTENT_COST;
    layer->append_bytes -= append.size;
    if (append.owner != NULL)
        append.owner->cost -= append.size + DIRTY_EXTENT_COST;
    return append;
}

/* --- truncation and zeros --- */

/* Where the first appended byte is shown. */
static uint64_t append_offset(const struct layer *layer, uint64_t below)
{
    uint64_t size = layer->truncated ? layer->end : below;
    uint64_t extents_end = dirty_map_end(&layer->extents);

    return size > extents_end ? size : extents_end;
}

static void fix_appends(struct layer *layer, uint64_t below)
{
    uint64_t offset = append_offset(layer, below);
    size_t count = layer->append_count;

    for (size_t i = 0; i < count; i++) {
        struct layer_append append = uncharge_append(layer, i);
        dirty_map_write(&layer->extents, append.owner, offset, append.data, append.size);
        offset += append.size;
        free(append.data);
    }
    layer->append_count = 0;
}

void layer_truncate(struct layer *layer, uint64_t below, uint64_t size, int64_t now_ns)
{
    fix_appends(layer, below);
    dirty_map_truncate(&layer->extents, size);
    if (!layer->truncated || size < layer->low)
        layer->low = size;
    layer->truncated = true;
    layer->end = size;
    note_change(layer, now_ns);
}

void layer_zero(struct layer *layer, struct dirty_owner *owner, uint64_t below, uint64_t offset,
                uint64_t size, int64_t now_ns)
{
    if (offset + size > append_offset(layer, below))
        fix_appends(layer, below);
    dirty_map_zero(&layer->extents, owner, offset, size);
    note_change(layer, now_ns);
}

void layer_extend(struct layer *layer, struct dirty_owner *owner, uint64_t below, uint64_t size,
                  int64_t now_ns)
{
    if (size > append_offset(layer, below))
        fix_appends(layer, below);
    dirty_map_extend(&layer->extents, owner, size);
    note_change(layer, now_ns);
}

void layer_drop_truncation(struct layer *layer)
{
    layer->truncated = false;
    if (layer_is_empty(layer))
        layer_clear(layer);
}

void layer_trim(struct layer *layer, uint64_t below, uint64_t size)
{
    fix_appends(layer, below);
    dirty_map_truncate(&layer->extents, size);
    if (layer->truncated && layer->end > size) {
        layer->end = size;
        layer->low = layer->low < size ? layer->low : size;
    }
    if (layer_is_empty(layer))
        layer_clear(layer);
}

void layer_set_attr(struct layer *layer, const struct command_set_attr *set)
{
    struct command_set_attr *kept = &layer->set;

    assert((set->mask & COMMAND_SET_SIZE) == 0);
    if (set->mask & COMMAND_CLEAR_SUID)
        layer_clear_suid(layer);
    kept->mask |= set->mask & ~(unsigned)COMMAND_CLEAR_SUID;
    if (set->mask & COMMAND_SET_MODE)
        kept->mode = set->mode;
    if (set->mask & COMMAND_SET_UID)
        kept->uid = set->uid;
    if (set->mask & COMMAND_SET_GID)
        kept->gid = set->gid;
    if (set->mask & COMMAND_SET_ATIME)
        kept->atime_ns = set->atime_ns;
    if (set->mask & COMMAND_SET_MTIME)
        kept->mtime_ns = set->mtime_ns;
}

void layer_yield_set(struct layer *layer, const struct attr *was, const struct attr *now)
{
    const struct {
        unsigned bit;
        bool is_same;
    } fields[] = {
        {COMMAND_SET_MODE, was->mode == now->mode},
        {COMMAND_SET_UID, was->uid == now->uid},
        {COMMAND_SET_GID, was->gid == now->gid},
        {COMMAND_SET_ATIME, was->atime_ns == now->atime_ns},
        {COMMAND_SET_MTIME, was->mtime_ns == now->mtime_ns},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!fields[i].is_same)
            layer->set.mask &= ~fields[i].bit;
    }
}

void layer_clear_suid(struct layer *layer)
{
    layer->clear_suid = true;
    layer->set.mode = attr_without_suid(layer->set.mode);
}

/* --- taking and dropping --- */

static void move_append(struct layer *layer, size_t i, struct layer *into)
{
    struct layer_append append = uncharge_append(layer, i);
    struct layer_append *moved = add_append(into, NULL);

    moved->data = append.data;
    moved->capacity = append.capacity;
    moved->size = append.size;
    into->append_bytes += append.size;
    charge_append(into, NULL, append.size);
}

void layer_take(struct layer *layer, struct layer *into)
{
    size_t kept = 0;

    assert(layer_is_empty(into));
    into->truncated = layer->truncated;
    into->low = layer->low;
    into->end = layer->end;
    into->mtime_ns = layer->mtime_ns;
    into->clear_suid = layer->clear_suid;
    into->set = layer->set;
    /* A change of the time, which what is left is one of too. */
    layer->set.mask &= COMMAND_SET_ATIME | COMMAND_SET_MTIME;
    layer->truncated = false;
    dirty_map_take(&layer->extents, &into->extents);
    for (size_t i = 0; i < layer->append_count; i++) {
        if (layer->appends[i].owner->marked)
            move_append(layer, i, into);
        else
            layer->appends[kept++] = layer->appends[i];
    }
    layer->append_count = kept;
    if (layer_is_empty(layer))
        layer_clear(layer);
}

void layer_give(struct layer *layer, struct dirty_owner *owner)
{
    dirty_map_give(&layer->extents, owner);
    for (size_t i = 0; i < layer->append_count; i++) {
        struct layer_append append = uncharge_append(layer, i);
        append.owner = owner;
        layer->appends[i] = append;
        layer->append_bytes += append.size;
        charge_append(layer, owner, append.size + DIRTY_EXTENT_COST);
    }
}

void layer_drop(struct layer *layer, const struct dirty_owner *owner)
{
    size_t kept = 0;

    dirty_map_drop(&layer->extents, owner);
    for (size_t i = 0; i < layer->append_count; i++) {
        if (layer->appends[i].owner == owner)
            free(uncharge_append(layer, i).data);
        else
            layer->appends[kept++] = layer->appends[i];
    }
    layer->append_count = kept;
    if (layer_is_empty(layer))
        layer_clear(layer);
}

/* --- reading --- */

uint64_t layer_size(const struct layer *layer, uint64_t below)
{
    return append_offset(layer, below) + layer->append_bytes;
}

static void read_appends(const struct layer *layer, uint64_t below, uint64_t offset,
                         uint8_t *buffer, size_t size)
{
    uint64_t at = append_offset(layer, below);
    uint64_t end = offset + size;

    for (size_t i = 0; i < layer->append_count && at < end; i++) {
        const struct layer_append *append = &layer->appends[i];
        uint64_t append_end = at + append->size;
        uint64_t from = at > offset ? at : offset;
        uint64_t to = append_end < end ? append_end : end;
        if (from < to)
            memcpy(buffer + (from - offset), append->data + (from - at), (size_t)(to - from));
        at = append_end;
    }
}

void layer_read(const struct layer *layer, uint64_t below, uint64_t offset, void *buffer,
                size_t size)
{
    uint8_t *bytes = buffer;

    if (layer->truncated && layer->low < offset + size) {
        size_t keep = layer->low > offset ? (size_t)(layer->low - offset) : 0;
        memset(bytes + keep, 0, size - keep);
    }
    dirty_map_read(&layer->extents, offset, buffer, size);
    read_appends(layer, below, offset, bytes, size);
}

void layer_amend_set(const struct command_set_attr *set, struct attr *attr)
{
    if (set->mask & COMMAND_SET_MODE)
        attr->mode = set->mode;
    if (set->mask & COMMAND_SET_UID)
        attr->uid = set->uid;
    if (set->mask & COMMAND_SET_GID)
        attr->gid = set->gid;
    if (set->mask & COMMAND_SET_ATIME)
        attr->atime_ns = set->atime_ns;
    if (set->mask & COMMAND_SET_MTIME)
        attr->mtime_ns = set->mtime_ns;
}

enum layer_kind layer_probe(const struct layer *layer, uint64_t below, uint64_t offset,
                            uint64_t *ret_end)
{
    uint64_t appends = append_offset(layer, below);
    /* From here on nothing of what lies below is seen. */
    uint64_t below_end = layer->truncated && layer->low < below ? layer->low : below;
    enum dirty_kind kind = dirty_map_probe(&layer->extents, offset, ret_end);

    if (kind == DIRTY_NOTHING && offset >= appends) {
        *ret_end = layer_size(layer, below);
        return LAYER_DATA;
    }
    if (*ret_end > appends)
        *ret_end = appends;
    if (kind != DIRTY_NOTHING)
        return kind == DIRTY_DATA ? LAYER_DATA : LAYER_HOLE;
    if (offset >= below_end)
        return LAYER_HOLE;
    if (*ret_end > below_end)
        *ret_end = below_end;
    return LAYER_BELOW;
}

static uint64_t holes_over(const struct layer *layer, const struct attr *below, uint64_t size)
{
    uint64_t rows = tree_chunk_count(below->size) - below->hole_chunks;
    uint64_t chunks = tree_chunk_count(size);

    if (layer->truncated && rows > tree_chunk_count(layer->low))
        rows = tree_chunk_count(layer->low);
    rows += layer->extents.data_chunks;
    if (layer->append_bytes > 0)
        rows += tree_chunk_count(layer->append_bytes) + 1;
    return rows < chunks ? chunks - rows : 0;
}

void layer_amend_attr(const struct layer *layer, struct attr *attr)
{
    if (layer_is_empty(layer))
        return;
    uint64_t size = layer_size(layer, attr->size);
    attr->hole_chunks = holes_over(layer, attr, size);
    attr->size = size;
    if (layer->mtime_ns != 0) {
        attr->mtime_ns = layer->mtime_ns;
        attr->ctime_ns = layer->mtime_ns;
    }
    if (layer->clear_suid)
        attr->mode = attr_without_suid(attr->mode);
    layer_amend_set(&layer->set, attr);
}

/* --- packing --- */

/* All appended bytes in one piece. NULL when they are one piece already. */
static uint8_t *join_appends(const struct layer *layer)
{
    if (layer->append_count < 2)
        return NULL;
    uint8_t *joined = mem_alloc((size_t)layer->append_bytes);
    size_t size = 0;
    for (size_t i = 0; i < layer->append_count; i++) {
        memcpy(joined + size, layer->appends[i].data, layer->appends[i].size);
        size += layer->appends[i].size;
    }
    return joined;
}

static void pack_write(const struct layer *layer, struct command_write *write, struct command *cmd)
{
    size_t count = layer->extents.count;
    struct command_extent *extents = mem_alloc(count * sizeof(*extents));
    uint8_t *joined = join_appends(layer);

    for (size_t i = 0; i < count; i++) {
        const struct dirty_extent *extent = layer->extents.extents[i];
        extents[i] = (struct command_extent){
            .offset = extent->offset,
            .data = extent->data,
            .size = extent->data != NULL ? extent->size : 0,
            .zeros = extent->data == NULL ? extent->size : 0,
        };
    }
    write->extents = extents;
    write->extent_count = count;
    write->append_size = (size_t)layer->append_bytes;
    if (layer->append_count > 0)
        write->append = joined != NULL ? joined : layer->appends[0].data;
    command_write(cmd, write);
    free(joined);
    free(extents);
}

void layer_pack(const struct layer *layer, const char *path, uint64_t id, uint64_t if_version,
                struct command *cmd)
{
    struct command_write write = {
        .path = path,
        .id = id,
        .truncate = layer->truncated,
        .truncate_size = layer->end,
        .clear_suid = layer->clear_suid,
        .if_version = if_version,
    };

    assert(!layer_is_empty(layer));
    /* The time of the write, as fstat() showed it here. */
    command_set_time(cmd, layer->mtime_ns);
    if (layer->truncated && layer->low < layer->end) {
        /* Shorter once, then extended: what was cut off reads as zeros. */
        struct command_write cut = {
            .path = path,
            .id = id,
            .truncate = true,
            .truncate_size = layer->low,
            .if_version = if_version,
        };
        command_write(cmd, &cut);
        /* By now it has another. */
        write.if_version = 0;
    }
    pack_write(layer, &write, cmd);
    if (layer->set.mask != 0) {
        struct command_set_attr set = layer->set;
        set.path = path;
        set.id = id;
        command_set_attr(cmd, &set);
    }
}
