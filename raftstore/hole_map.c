#include "raftstore/hole_map.h"

#include <assert.h>
#include <string.h>

void hole_map_init(struct hole_map *map, uint32_t count)
{
    assert(count <= HOLE_MAP_CHUNKS);
    memset(map->bits, 0xff, count / 8);
    memset(map->bits + count / 8, 0, HOLE_MAP_BYTES - count / 8);
    for (uint32_t chunk = count - count % 8; chunk < count; chunk++) {
        hole_map_set_row(map, chunk);
    }
}

int hole_map_unpack(struct bytes bytes, struct hole_map *ret_map)
{
    if (bytes.size > HOLE_MAP_BYTES) {
        return KE_CORRUPT;
    }
    if (bytes.size > 0) {
        memcpy(ret_map->bits, bytes.data, bytes.size);
    }
    memset(ret_map->bits + bytes.size, 0, HOLE_MAP_BYTES - bytes.size);
    return 0;
}

struct bytes hole_map_pack(const struct hole_map *map)
{
    size_t size = HOLE_MAP_BYTES;

    while (size > 0 && map->bits[size - 1] == 0) {
        size--;
    }
    return (struct bytes){.data = map->bits, .size = size};
}

static uint8_t bit_of(uint32_t chunk)
{
    return (uint8_t)(1u << (chunk % 8));
}

bool hole_map_has_row(const struct hole_map *map, uint32_t chunk)
{
    assert(chunk < HOLE_MAP_CHUNKS);
    return (map->bits[chunk / 8] & bit_of(chunk)) != 0;
}

void hole_map_set_row(struct hole_map *map, uint32_t chunk)
{
    assert(chunk < HOLE_MAP_CHUNKS);
    map->bits[chunk / 8] |= bit_of(chunk);
}

/* [from, to) without the ends that share a byte with others: *ret_from..*ret_to. */
static void whole_bytes(uint32_t from, uint32_t to, uint32_t *ret_from, uint32_t *ret_to)
{
    *ret_from = (from + 7) / 8 * 8;
    *ret_to = to / 8 * 8;
    if (*ret_from >= *ret_to) {
        *ret_from = to;
        *ret_to = to;
    }
}

void hole_map_dig(struct hole_map *map, uint32_t from, uint32_t to)
{
    uint32_t whole_from;
    uint32_t whole_to;

    assert(from <= to && to <= HOLE_MAP_CHUNKS);
    whole_bytes(from, to, &whole_from, &whole_to);
    for (uint32_t chunk = from; chunk < whole_from; chunk++) {
        map->bits[chunk / 8] &= (uint8_t)~bit_of(chunk);
    }
    memset(map->bits + whole_from / 8, 0, (whole_to - whole_from) / 8);
    for (uint32_t chunk = whole_to; chunk < to; chunk++) {
        map->bits[chunk / 8] &= (uint8_t)~bit_of(chunk);
    }
}

static uint32_t holes_in(const struct hole_map *map, uint32_t from, uint32_t to)
{
    uint32_t holes = 0;

    for (uint32_t chunk = from; chunk < to; chunk++) {
        holes += hole_map_has_row(map, chunk) ? 0 : 1;
    }
    return holes;
}

uint32_t hole_map_count(const struct hole_map *map, uint32_t from, uint32_t to)
{
    uint32_t whole_from;
    uint32_t whole_to;
    uint32_t holes;

    assert(from <= to && to <= HOLE_MAP_CHUNKS);
    whole_bytes(from, to, &whole_from, &whole_to);
    holes = holes_in(map, from, whole_from) + holes_in(map, whole_to, to);
    for (uint32_t byte = whole_from / 8; byte < whole_to / 8; byte++) {
        holes += 8 - (uint32_t)__builtin_popcount(map->bits[byte]);
    }
    return holes;
}

uint32_t hole_map_find(const struct hole_map *map, uint32_t from, uint32_t to, bool has_row)
{
    uint8_t none = has_row ? 0 : 0xff;
    uint32_t chunk = from;

    assert(from <= to && to <= HOLE_MAP_CHUNKS);
    while (chunk < to) {
        if (chunk % 8 == 0 && map->bits[chunk / 8] == none) {
            chunk += 8;
        } else if (hole_map_has_row(map, chunk) == has_row) {
            return chunk;
        } else {
            chunk++;
        }
    }
    return to;
}
