#include "raftstore/row_cache.h"

#include "raftstore/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct place {
    uint64_t generation; /* what is here counts in this one */
    uint16_t key_size;
    uint16_t value_size;
    bool is_absent;
    uint8_t bytes[ROW_CACHE_BYTES_MAX]; /* the key, then the value */
};

struct row_cache {
    uint64_t generation; /* zeros are of none */
    struct place places[ROW_CACHE_ROWS];
};

struct row_cache *row_cache_new(void)
{
    struct row_cache *cache = mem_zalloc(sizeof *cache);

    cache->generation = 1;
    return cache;
}

void row_cache_free(struct row_cache *cache)
{
    free(cache);
}

static struct place *place_of(struct row_cache *cache, struct bytes key)
{
    return &cache->places[XXH64(key.data, key.size, 0) & (ROW_CACHE_ROWS - 1)];
}

static bool is_of(const struct row_cache *cache, const struct place *place, struct bytes key)
{
    return place->generation == cache->generation && place->key_size == key.size &&
           memcmp(place->bytes, key.data, key.size) == 0;
}

enum row_known row_cache_find(struct row_cache *cache, struct bytes key, struct bytes *ret_value)
{
    const struct place *place = place_of(cache, key);

    if (!is_of(cache, place, key)) {
        return ROW_UNKNOWN;
    }
    if (place->is_absent) {
        return ROW_ABSENT;
    }
    *ret_value = (struct bytes){.data = place->bytes + place->key_size, .size = place->value_size};
    return ROW_THERE;
}

static void keep(struct row_cache *cache, struct bytes key, struct bytes value, bool is_absent)
{
    struct place *place = place_of(cache, key);

    if (key.size + value.size > ROW_CACHE_BYTES_MAX) {
        place->generation = 0; /* it may be the row as it was before */
        return;
    }
    place->generation = cache->generation;
    place->key_size = (uint16_t)key.size;
    place->value_size = (uint16_t)value.size;
    place->is_absent = is_absent;
    memcpy(place->bytes, key.data, key.size);
    if (value.size > 0) {
        memcpy(place->bytes + key.size, value.data, value.size);
    }
}

void row_cache_put(struct row_cache *cache, struct bytes key, struct bytes value)
{
    keep(cache, key, value, false);
}

void row_cache_put_absent(struct row_cache *cache, struct bytes key)
{
    keep(cache, key, (struct bytes){.size = 0}, true);
}

void row_cache_clear(struct row_cache *cache)
{
    cache->generation++;
}
