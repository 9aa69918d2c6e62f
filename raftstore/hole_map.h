/* Where a file has holes: one bit for each chunk, set where there is a row of content.
 *
 * Rows of a hole map stand behind the rows of content of their file (key_hole_map), each
 * for HOLE_MAP_CHUNKS chunks, a group. A group of which every chunk in the file has a
 * row has no map, so a file without holes has none at all. A map ends with its last
 * byte that is not zero: one of nothing but holes is empty.
 *
 * So what a file takes is known without a look at its content, whatever its size, and a
 * command that cuts it off, or digs in it, reads and writes a few hundred small rows at
 * most. Rejected: the missing rows alone as the truth; to count them is to read the file.
 *
 * Pure.
 */
#ifndef KEELFS_RAFTSTORE_HOLE_MAP_H
#define KEELFS_RAFTSTORE_HOLE_MAP_H

#include "raftstore/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLE_MAP_BYTES  1024
#define HOLE_MAP_CHUNKS (HOLE_MAP_BYTES * 8)

struct hole_map {
    uint8_t bits[HOLE_MAP_BYTES];
};

/* The first `count` chunks have rows, the others are holes. */
void hole_map_init(struct hole_map *map, uint32_t count);

/* 0 or KE_CORRUPT. */
int hole_map_unpack(struct bytes bytes, struct hole_map *ret_map);
/* Valid as long as `map` is not changed. */
struct bytes hole_map_pack(const struct hole_map *map);

bool hole_map_has_row(const struct hole_map *map, uint32_t chunk);
void hole_map_set_row(struct hole_map *map, uint32_t chunk);
/* Makes [from, to) a hole. */
void hole_map_dig(struct hole_map *map, uint32_t from, uint32_t to);

/* Holes in [from, to). */
uint32_t hole_map_count(const struct hole_map *map, uint32_t from, uint32_t to);

/* The first chunk in [from, to) that has a row, or has none; `to` when there is none. */
uint32_t hole_map_find(const struct hole_map *map, uint32_t from, uint32_t to, bool has_row);

#endif
