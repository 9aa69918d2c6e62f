#include "fs/dirty.h"

#include "raftstore/command.h"
#include "raftstore/memory.h"
#include "raftstore/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAP_CAPACITY_MIN 8

static uint64_t extent_end(const struct dirty_extent *extent)
{
    return extent->offset + extent->size;
}

static size_t chunks_of(const struct dirty_extent *extent)
{
    uint64_t last = (extent_end(extent) - 1) / TREE_CHUNK_SIZE;

    if (extent->data == NULL)
        return extent->size > 0 ? command_zeros_chunks(extent->size) : 0;
    return (size_t)(last - extent->offset / TREE_CHUNK_SIZE + 1);
}

static size_t cost_of(const struct dirty_extent *extent)
{
    return (extent->data != NULL ? extent->size : 0) + DIRTY_EXTENT_COST;
}

static void charge(struct dirty_map *map, struct dirty_extent *extent)
{
    map->cost += cost_of(extent);
    map->data_chunks += extent->data != NULL ? chunks_of(extent) : 0;
    if (extent->owner != NULL) {
        extent->owner->cost += cost_of(extent);
        extent->owner->chunks += chunks_of(extent);
    }
}

/* Before it changes or goes. */
static void discharge(struct dirty_map *map, struct dirty_extent *extent)
{
    map->cost -= cost_of(extent);
    map->data_chunks -= extent->data != NULL ? chunks_of(extent) : 0;
    if (extent->owner != NULL) {
        extent->owner->cost -= cost_of(extent);
        extent->owner->chunks -= chunks_of(extent);
    }
}

static void extent_free(struct dirty_extent *extent)
{
    free(extent->data);
    free(extent);
}

/* `data` is copied; NULL for zeros. */
static struct dirty_extent *extent_new(struct dirty_owner *owner, uint64_t offset, const void *data,
                                       size_t size)
{
    struct dirty_extent *extent = mem_alloc(sizeof(*extent));
    *extent = (struct dirty_extent){
        .offset = offset,
        .size = size,
        .capacity = size,
        .owner = owner,
        .data = data != NULL ? mem_dup(data, size) : NULL,
    };
    return extent;
}

/* Index of the first extent that ends after `offset`. */
static size_t map_find(const struct dirty_map *map, uint64_t offset)
{
    size_t low = 0;
    size_t high = map->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (extent_end(map->extents[middle]) > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void map_insert(struct dirty_map *map, size_t at, struct dirty_extent *extent)
{
    if (map->count == map->capacity) {
        map->capacity = map->capacity == 0 ? MAP_CAPACITY_MIN : map->capacity * 2;
        map->extents = mem_realloc(map->extents, map->capacity * sizeof(struct dirty_extent *));
    }
    memmove(map->extents + at + 1, map->extents + at,
            (map->count - at) * sizeof(struct dirty_extent *));
    map->extents[at] = extent;
    map->count++;
    charge(map, extent);
}

/* Removes [from, to) of the array. */
static void map_remove(struct dirty_map *map, size_t from, size_t to)
{
    if (from == to)
        return;
    for (size_t i = from; i < to; i++) {
        discharge(map, map->extents[i]);
        extent_free(map->extents[i]);
    }
    memmove(map->extents + from, map->extents + to,
            (map->count - to) * sizeof(struct dirty_extent *));
    map->count -= to - from;
}

void dirty_map_clear(struct dirty_map *map)
{
    map_remove(map, 0, map->count);
    free(map->extents);
    *map = (struct dirty_map){0};
}

size_t dirty_write_cost(size_t size)
{
    return size + (size / DIRTY_EXTENT_BYTES_MAX + 2) * DIRTY_EXTENT_COST;
}

/* What is not charged for must not stay in memory. */
static void shrink(struct dirty_extent *extent)
{
    if (extent->data != NULL && extent->size < extent->capacity / 2) {
        extent->capacity = extent->size;
        extent->data = mem_realloc(extent->data, extent->capacity);
    }
}

size_t dirty_write_chunks(size_t size)
{
    return size / TREE_CHUNK_SIZE + 2;
}

/* Keeps the first `size` bytes. */
static void cut_tail(struct dirty_map *map, struct dirty_extent *extent, size_t size)
{
    discharge(map, extent);
    extent->size = size;
    charge(map, extent);
    shrink(extent);
}

/* Drops the first `size` bytes. */
static void cut_head(struct dirty_map *map, struct dirty_extent *extent, size_t size)
{
    discharge(map, extent);
    extent->offset += size;
    extent->size -= size;
    if (extent->data != NULL)
        memmove(extent->data, extent->data + size, extent->size);
    charge(map, extent);
    shrink(extent);
}

/* Cuts extent `at` in two at `offset`, which lies within. */
static void split(struct dirty_map *map, size_t at, uint64_t offset)
{
    struct dirty_extent *extent = map->extents[at];
    size_t keep = (size_t)(offset - extent->offset);
    const uint8_t *rest = extent->data != NULL ? extent->data + keep : NULL;

    map_insert(map, at + 1, extent_new(extent->owner, offset, rest, extent->size - keep));
    cut_tail(map, extent, keep);
}

/* Takes [offset, end) away from extents that are not data of `owner`. */
static void cut_others(struct dirty_map *map, const struct dirty_owner *owner, uint64_t offset,
                       uint64_t end)
{
    size_t at = map_find(map, offset);

    while (at < map->count && map->extents[at]->offset < end) {
        struct dirty_extent *extent = map->extents[at];
        if (extent->owner == owner && extent->data != NULL) {
            at++;
        } else if (extent->offset >= offset && extent_end(extent) <= end) {
            map_remove(map, at, at + 1);
        } else if (extent->offset >= offset) {
            cut_head(map, extent, (size_t)(end - extent->offset));
            return;
        } else {
            if (extent_end(extent) > end)
                split(map, at, end);
            cut_tail(map, extent, (size_t)(offset - extent->offset));
            at++;
        }
    }
}

/* Grows `extent` at its end. */
static void extend(struct dirty_map *map, struct dirty_extent *extent, const void *data,
                   size_t size)
{
    size_t before = extent->size;

    if (before + size > extent->capacity) {
        size_t capacity =
            extent->capacity * 2 > before + size ? extent->capacity * 2 : before + size;
        extent->capacity = capacity < DIRTY_EXTENT_BYTES_MAX ? capacity : DIRTY_EXTENT_BYTES_MAX;
        extent->data = mem_realloc(extent->data, extent->capacity);
    }
    memcpy(extent->data + before, data, size);
    discharge(map, extent);
    extent->size += size;
    charge(map, extent);
}

/* Fills the gap before extent `at` with new bytes. Returns the index of the
 * extent that was at `at`. */
static size_t fill_gap(struct dirty_map *map, size_t at, struct dirty_owner *owner, uint64_t offset,
                       const uint8_t *data, size_t size)
{
    struct dirty_extent *before = at > 0 ? map->extents[at - 1] : NULL;

    if (before != NULL && before->owner == owner && before->data != NULL &&
        extent_end(before) == offset && before->size < DIRTY_EXTENT_BYTES_MAX) {
        size_t room = DIRTY_EXTENT_BYTES_MAX - before->size;
        size_t part = size < room ? size : room;
        extend(map, before, data, part);
        offset += part;
        data += part;
        size -= part;
    }
    while (size > 0) {
        size_t part = size < DIRTY_EXTENT_BYTES_MAX ? size : DIRTY_EXTENT_BYTES_MAX;
        map_insert(map, at++, extent_new(owner, offset, data, part));
        offset += part;
        data += part;
        size -= part;
    }
    return at;
}

void dirty_map_write(struct dirty_map *map, struct dirty_owner *owner, uint64_t offset,
                     const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t end = offset + size;

    assert(owner != NULL);
    assert(data != NULL || size == 0);
    assert(end >= offset);
    cut_others(map, owner, offset, end);
    size_t at = map_find(map, offset);
    /* What is left in the range is the owner's own data, and gaps. */
    while (offset < end) {
        struct dirty_extent *extent = at < map->count ? map->extents[at] : NULL;
        uint64_t gap_end = extent != NULL && extent->offset < end ? extent->offset : end;
        if (offset < gap_end) {
            size_t part = (size_t)(gap_end - offset);
            at = fill_gap(map, at, owner, offset, bytes, part);
            offset += part;
            bytes += part;
        } else {
            size_t skip = (size_t)(offset - extent->offset);
            size_t part = extent->size - skip;
            if (part > end - offset)
                part = (size_t)(end - offset);
            memcpy(extent->data + skip, bytes, part);
            offset += part;
            bytes += part;
            at++;
        }
    }
}

void dirty_map_zero(struct dirty_map *map, struct dirty_owner *owner, uint64_t offset,
                    uint64_t size)
{
    assert(owner != NULL && size > 0);
    cut_others(map, NULL, offset, offset + size);
    size_t at = map_find(map, offset);
    struct dirty_extent *before = at > 0 ? map->extents[at - 1] : NULL;
    if (before == NULL || before->owner != owner || before->data != NULL ||
        extent_end(before) != offset) {
        map_insert(map, at, extent_new(owner, offset, NULL, size));
        return;
    }
    discharge(map, before);
    before->size += size;
    charge(map, before);
}

void dirty_map_extend(struct dirty_map *map, struct dirty_owner *owner, uint64_t size)
{
    struct dirty_extent *last = map->count > 0 ? map->extents[map->count - 1] : NULL;

    assert(owner != NULL);
    if (size <= dirty_map_end(map))
        return;
    if (last != NULL && last->owner == owner && last->size == 0)
        last->offset = size;
    else
        map_insert(map, map->count, extent_new(owner, size, NULL, 0));
}

void dirty_map_truncate(struct dirty_map *map, uint64_t size)
{
    size_t at = map_find(map, size);

    if (at < map->count && map->extents[at]->offset < size) {
        cut_tail(map, map->extents[at], (size_t)(size - map->extents[at]->offset));
        at++;
    }
    map_remove(map, at, map->count);
}

void dirty_map_drop(struct dirty_map *map, const struct dirty_owner *owner)
{
    size_t kept = 0;

    for (size_t i = 0; i < map->count; i++) {
        struct dirty_extent *extent = map->extents[i];
        if (extent->owner == owner) {
            discharge(map, extent);
            extent_free(extent);
        } else {
            map->extents[kept++] = extent;
        }
    }
    map->count = kept;
}

void dirty_map_give(struct dirty_map *map, struct dirty_owner *owner)
{
    for (size_t i = 0; i < map->count; i++) {
        discharge(map, map->extents[i]);
        map->extents[i]->owner = owner;
        charge(map, map->extents[i]);
    }
}

void dirty_map_take(struct dirty_map *map, struct dirty_map *into)
{
    size_t kept = 0;

    assert(into->count == 0);
    for (size_t i = 0; i < map->count; i++) {
        struct dirty_extent *extent = map->extents[i];
        if (extent->owner->marked) {
            discharge(map, extent);
            extent->owner = NULL;
            map_insert(into, into->count, extent);
        } else {
            map->extents[kept++] = extent;
        }
    }
    map->count = kept;
}

void dirty_map_read(const struct dirty_map *map, uint64_t offset, void *buffer, size_t size)
{
    uint64_t end = offset + size;

    for (size_t at = map_find(map, offset); at < map->count; at++) {
        const struct dirty_extent *extent = map->extents[at];
        if (extent->offset >= end)
            return;
        uint64_t from = extent->offset > offset ? extent->offset : offset;
        uint64_t to = extent_end(extent) < end ? extent_end(extent) : end;
        if (extent->data == NULL)
            memset((uint8_t *)buffer + (from - offset), 0, (size_t)(to - from));
        else
            memcpy((uint8_t *)buffer + (from - offset), extent->data + (from - extent->offset),
                   (size_t)(to - from));
    }
}

enum dirty_kind dirty_map_probe(const struct dirty_map *map, uint64_t offset, uint64_t *ret_end)
{
    size_t at = map_find(map, offset);
    const struct dirty_extent *extent = at < map->count ? map->extents[at] : NULL;

    if (extent == NULL || extent->offset > offset) {
        *ret_end = extent != NULL ? extent->offset : UINT64_MAX;
        return DIRTY_NOTHING;
    }
    *ret_end = extent_end(extent);
    return extent->data != NULL ? DIRTY_DATA : DIRTY_ZEROS;
}

uint64_t dirty_map_end(const struct dirty_map *map)
{
    return map->count > 0 ? extent_end(map->extents[map->count - 1]) : 0;
}
