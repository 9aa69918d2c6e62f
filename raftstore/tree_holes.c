/* Where the holes of a file are; see hole_map.h. */
#include "raftstore/hole_map.h"
#include "raftstore/keys.h"
#include "raftstore/tree_view.h"

#include <assert.h>
#include <stdlib.h>

/* The map of a group, of which `count` chunks are in the file. */
static int read_map(struct tree_view *view, uint64_t id, uint32_t group, uint32_t count,
                    struct hole_map *ret_map)
{
    struct key key = key_hole_map(id, group);
    uint8_t *value;
    size_t size;
    int code = engine_get(view->kv, view->snapshot, CF_DEFAULT, key_bytes(&key), &value, &size);

    if (code == KE_NOT_FOUND) {
        hole_map_init(ret_map, count);
        return 0;
    }
    if (code == 0) {
        code = hole_map_unpack((struct bytes){.data = value, .size = size}, ret_map);
        free(value);
    }
    return code;
}

/* The chunk where what is at `chunk` ends. */
static int find_end(struct tree_view *view, const struct attr *attr, uint32_t chunk,
                    bool *ret_is_data, uint32_t *ret_end)
{
    uint32_t chunks = tree_chunk_count(attr->size);
    struct hole_map map;
    bool is_first = true;

    while (chunk < chunks) {
        uint32_t group = chunk / HOLE_MAP_CHUNKS;
        uint32_t base = group * HOLE_MAP_CHUNKS;
        uint32_t count = chunks - base < HOLE_MAP_CHUNKS ? chunks - base : HOLE_MAP_CHUNKS;
        int code = read_map(view, attr->id, group, count, &map);

        if (code != 0) {
            return code;
        }
        if (is_first) {
            *ret_is_data = hole_map_has_row(&map, chunk - base);
            is_first = false;
        }
        chunk = base + hole_map_find(&map, chunk - base, count, !*ret_is_data);
        if (chunk < base + count) {
            break;
        }
    }
    *ret_end = chunk;
    return 0;
}

int tree_probe(struct tree_view *view, const struct attr *attr, uint64_t offset, bool *ret_is_data,
               uint64_t *ret_end)
{
    uint32_t end;
    int code;

    assert(attr->type == FILE_REGULAR && offset < attr->size);
    if (attr->hole_chunks == 0) {
        *ret_is_data = true;
        *ret_end = attr->size;
        return 0;
    }
    code = find_end(view, attr, (uint32_t)(offset / TREE_CHUNK_SIZE), ret_is_data, &end);
    if (code == 0) {
        *ret_end = (uint64_t)end * TREE_CHUNK_SIZE < attr->size ? (uint64_t)end * TREE_CHUNK_SIZE
                                                                : attr->size;
    }
    return code;
}
