/* Written bytes that are not published yet: non-overlapping extents in order of
 * offset, each with the owner (an open file) that wrote it. An extent is data, or
 * zeros, of which there may be very many, or, with a size of 0, says that the file is
 * at least so long.
 *
 * Pure: no I/O, no lock. Whoever embeds the map guards it and its owners. A
 * later write takes over what it overlaps, whoever wrote it before. Data is
 * copied in. The extents are a sorted array: sequential writing grows the last
 * one, and even one-byte extents up to the limit of a publish cost only a short
 * memmove each.
 */
#ifndef KEELFS_FS_DIRTY_H
#define KEELFS_FS_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An extent stops growing here, so that growing never copies much. */
#define DIRTY_EXTENT_BYTES_MAX (1u << 20)
/* What an extent costs beside its bytes: limits on cost bound the number of
 * extents too. Covers what it takes in memory and in a packed command. */
#define DIRTY_EXTENT_COST 64

/* The first two are sums over its extents, kept by the map. */
struct dirty_owner {
    size_t cost;
    size_t chunks; /* that each extent touches: see COMMAND_CHUNKS_MAX */
    bool marked;   /* for dirty_map_take() */
};

struct dirty_extent {
    uint64_t offset;
    size_t size;
    size_t capacity;
    struct dirty_owner *owner; /* NULL once taken */
    uint8_t *data;             /* NULL: zeros */
};

struct dirty_map {
    struct dirty_extent **extents;
    size_t count;
    size_t capacity;
    size_t cost;        /* of all extents */
    size_t data_chunks; /* that each extent of data touches */
};

/* All zeros is an empty map. Frees the extents; the map is empty again. */
void dirty_map_clear(struct dirty_map *map);

/* What a write adds to the sums of its owner, at most but for a few extents. */
size_t dirty_write_cost(size_t size);
size_t dirty_write_chunks(size_t size);

void dirty_map_write(struct dirty_map *map, struct dirty_owner *owner, uint64_t offset,
                     const void *data, size_t size);

/* Zeros instead of data. */
void dirty_map_zero(struct dirty_map *map, struct dirty_owner *owner, uint64_t offset,
                    uint64_t size);

/* The map ends at `size` at least. */
void dirty_map_extend(struct dirty_map *map, struct dirty_owner *owner, uint64_t size);

/* Drops what lies at `size` and beyond. */
void dirty_map_truncate(struct dirty_map *map, uint64_t size);

/* Drops the extents of `owner`. */
void dirty_map_drop(struct dirty_map *map, const struct dirty_owner *owner);

/* All extents are `owner`'s from now on. */
void dirty_map_give(struct dirty_map *map, struct dirty_owner *owner);

/* Moves the extents of every owner that is marked to `into`, which is empty.
 * There they have no owner. */
void dirty_map_take(struct dirty_map *map, struct dirty_map *into);

/* Copies over `buffer`, which stands for [offset, offset + size), what the map
 * has of it. */
void dirty_map_read(const struct dirty_map *map, uint64_t offset, void *buffer, size_t size);

/* What the map has at `offset`, up to `*ret_end`. */
enum dirty_kind { DIRTY_NOTHING, DIRTY_DATA, DIRTY_ZEROS };
enum dirty_kind dirty_map_probe(const struct dirty_map *map, uint64_t offset, uint64_t *ret_end);

/* The end of the last extent; 0 when there is none. */
uint64_t dirty_map_end(const struct dirty_map *map);

#endif
