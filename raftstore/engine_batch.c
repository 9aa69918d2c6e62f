/* Groups of writes.
 *
 * RocksDB's indexed batch knows no range deletion. So its ranges are kept beside it:
 * the rows that the batch itself has in a range are deleted one by one, and the range
 * goes in front of everything else when the batch is written, where it meets only what
 * the engine has already. What is put into the range later stays.
 */
#include "raftstore/engine_private.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* A cleared batch keeps the memory of up to so many bytes for its next use. */
#define BATCH_KEPT_BYTES_MAX (1u << 20)

/* A packed batch begins with eight bytes for RocksDB and the number of its records,
 * little-endian, as it stands in the write-ahead log. */
#define PACKED_COUNT_OFFSET 8
#define PACKED_HEADER_SIZE  12

struct range_end {
    uint8_t data[ENGINE_RANGE_KEY_MAX];
    size_t size;
};

struct range {
    enum engine_cf cf;
    struct range_end from;
    struct range_end to;
};

/* Exactly one of the first two is set. */
struct engine_batch {
    rocksdb_writebatch_t *plain;
    rocksdb_writebatch_wi_t *indexed;
    struct range *ranges; /* of an indexed batch */
    size_t range_count;
    size_t range_room;
    size_t ranges_saved; /* at the last save point */
};

static void make_empty(struct engine_batch *batch, bool indexed)
{
    if (indexed) {
        /* The second argument: one index entry a key, the latest, which is what
         * iterating over batch and engine together needs. */
        batch->indexed = rocksdb_writebatch_wi_create(0, 1);
    } else {
        batch->plain = rocksdb_writebatch_create();
    }
}

static void destroy(struct engine_batch *batch)
{
    if (batch->indexed != NULL) {
        rocksdb_writebatch_wi_destroy(batch->indexed);
    } else {
        rocksdb_writebatch_destroy(batch->plain);
    }
}

struct engine_batch *engine_batch_new(bool indexed)
{
    struct engine_batch *batch = mem_zalloc(sizeof *batch);

    make_empty(batch, indexed);
    return batch;
}

void engine_batch_free(struct engine_batch *batch)
{
    if (batch != NULL) {
        destroy(batch);
        free(batch->ranges);
        free(batch);
    }
}

void engine_batch_clear(struct engine_batch *batch)
{
    bool indexed = batch->indexed != NULL;

    if (engine_batch_bytes(batch) > BATCH_KEPT_BYTES_MAX) {
        /* RocksDB would keep the memory of the largest batch ever. */
        destroy(batch);
        make_empty(batch, indexed);
    } else if (indexed) {
        rocksdb_writebatch_wi_clear(batch->indexed);
    } else {
        rocksdb_writebatch_clear(batch->plain);
    }
    batch->range_count = 0;
    batch->ranges_saved = 0;
}

size_t engine_batch_bytes(const struct engine_batch *batch)
{
    size_t size;

    if (batch->indexed != NULL) {
        (void)rocksdb_writebatch_wi_data(batch->indexed, &size);
    } else {
        (void)rocksdb_writebatch_data(batch->plain, &size);
    }
    return size + batch->range_count * ENGINE_RANGE_COST;
}

void engine_batch_put(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                      struct bytes key, struct bytes value)
{
    if (batch->indexed != NULL) {
        rocksdb_writebatch_wi_put_cf(batch->indexed, engine_handle(engine, cf), engine_chars(key),
                                     key.size, engine_chars(value), value.size);
    } else {
        rocksdb_writebatch_put_cf(batch->plain, engine_handle(engine, cf), engine_chars(key),
                                  key.size, engine_chars(value), value.size);
    }
}

void engine_batch_delete(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                         struct bytes key)
{
    if (batch->indexed != NULL) {
        rocksdb_writebatch_wi_delete_cf(batch->indexed, engine_handle(engine, cf),
                                        engine_chars(key), key.size);
    } else {
        rocksdb_writebatch_delete_cf(batch->plain, engine_handle(engine, cf), engine_chars(key),
                                     key.size);
    }
}

/* --- ranges --- */

static struct range_end keep_end(struct bytes key)
{
    struct range_end end = {.size = key.size};

    assert(key.size <= sizeof end.data);
    if (key.size > 0) {
        memcpy(end.data, key.data, key.size);
    }
    return end;
}

static struct bytes end_bytes(const struct range_end *end)
{
    return (struct bytes){.data = end->data, .size = end->size};
}

/* Rows that are about to be deleted. */
struct own_rows {
    struct range_end *keys;
    size_t count;
    size_t room;
};

static void collect(struct own_rows *rows, struct bytes key)
{
    if (rows->count == rows->room) {
        rows->room = rows->room == 0 ? 64 : 2 * rows->room;
        rows->keys = mem_realloc(rows->keys, rows->room * sizeof rows->keys[0]);
    }
    rows->keys[rows->count++] = keep_end(key);
}

/* The rows in the range that the batch has put, which an iterator over nothing but the
 * batch has. A change of the batch ends the iterator. */
static void collect_own_rows(const struct engine_batch *batch, struct engine *engine,
                             const struct range *range, struct own_rows *rows)
{
    rocksdb_readoptions_t *nothing = rocksdb_readoptions_create();
    rocksdb_iterator_t *it;

    /* Under an upper bound like this the engine has no row from there on. */
    rocksdb_readoptions_set_iterate_upper_bound(nothing, (const char *)range->from.data,
                                                range->from.size);
    it = rocksdb_create_iterator_cf(engine->db, nothing, engine_handle(engine, range->cf));
    it = engine_batch_lay_over(batch, engine, range->cf, it);
    rocksdb_iter_seek(it, (const char *)range->from.data, range->from.size);
    for (; rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        size_t size;
        const char *data = rocksdb_iter_key(it, &size);
        struct bytes key = {.data = (const uint8_t *)data, .size = size};

        if (engine_compare(key, end_bytes(&range->to)) >= 0) {
            break;
        }
        collect(rows, key);
    }
    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(nothing);
}

static void delete_own_rows(struct engine_batch *batch, struct engine *engine,
                            const struct range *range)
{
    struct own_rows rows = {.keys = NULL};

    collect_own_rows(batch, engine, range, &rows);
    for (size_t i = 0; i < rows.count; i++) {
        engine_batch_delete(batch, engine, range->cf, end_bytes(&rows.keys[i]));
    }
    free(rows.keys);
}

static void keep_range(struct engine_batch *batch, const struct range *range)
{
    if (batch->range_count == batch->range_room) {
        batch->range_room = batch->range_room == 0 ? 4 : 2 * batch->range_room;
        batch->ranges = mem_realloc(batch->ranges, batch->range_room * sizeof batch->ranges[0]);
    }
    batch->ranges[batch->range_count++] = *range;
}

void engine_batch_delete_range(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                               struct bytes from, struct bytes to)
{
    struct range range;

    if (batch->plain != NULL) {
        rocksdb_writebatch_delete_range_cf(batch->plain, engine_handle(engine, cf),
                                           engine_chars(from), from.size, engine_chars(to),
                                           to.size);
        return;
    }
    range = (struct range){.cf = cf, .from = keep_end(from), .to = keep_end(to)};
    delete_own_rows(batch, engine, &range);
    keep_range(batch, &range);
}

static bool is_in_range(const struct engine_batch *batch, enum engine_cf cf, struct bytes key)
{
    for (size_t i = 0; i < batch->range_count; i++) {
        const struct range *range = &batch->ranges[i];

        if (range->cf == cf && engine_compare(key, end_bytes(&range->from)) >= 0 &&
            engine_compare(key, end_bytes(&range->to)) < 0) {
            return true;
        }
    }
    return false;
}

bool engine_batch_has_range(const struct engine_batch *batch, enum engine_cf cf)
{
    for (size_t i = 0; i < batch->range_count; i++) {
        if (batch->ranges[i].cf == cf) {
            return true;
        }
    }
    return false;
}

/* --- save points --- */

void engine_batch_set_save_point(struct engine_batch *batch)
{
    assert(batch->indexed != NULL);
    rocksdb_writebatch_wi_set_save_point(batch->indexed);
    batch->ranges_saved = batch->range_count;
}

void engine_batch_rollback(struct engine_batch *batch)
{
    char *error = NULL;

    assert(batch->indexed != NULL);
    rocksdb_writebatch_wi_rollback_to_save_point(batch->indexed, &error);
    /* Only a rollback without a save point fails. */
    assert(error == NULL);
    batch->range_count = batch->ranges_saved;
}

/* --- reading through a batch --- */

/* Of a row in a range that the batch deletes, only what it has put since. */
static char *get_own(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                     struct bytes key, size_t *ret_size, char **error)
{
    rocksdb_options_t *options = rocksdb_options_create();
    char *value =
        rocksdb_writebatch_wi_get_from_batch_cf(batch->indexed, options, engine_handle(engine, cf),
                                                engine_chars(key), key.size, ret_size, error);

    rocksdb_options_destroy(options);
    return value;
}

int engine_batch_get(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                     struct bytes key, uint8_t **ret_value, size_t *ret_size)
{
    char *error = NULL;
    char *value;
    size_t size;

    assert(batch->indexed != NULL);
    if (is_in_range(batch, cf, key)) {
        value = get_own(batch, engine, cf, key, &size, &error);
    } else {
        value = rocksdb_writebatch_wi_get_from_batch_and_db_cf(
            batch->indexed, engine->db, engine->read_options, engine_handle(engine, cf),
            engine_chars(key), key.size, &size, &error);
    }
    if (error != NULL) {
        return engine_take_read_error(engine, &error);
    }
    if (value == NULL) {
        return KE_NOT_FOUND;
    }
    *ret_value = (uint8_t *)value;
    *ret_size = size;
    return 0;
}

rocksdb_iterator_t *engine_batch_lay_over(const struct engine_batch *batch, struct engine *engine,
                                          enum engine_cf cf, rocksdb_iterator_t *base)
{
    assert(batch->indexed != NULL);
    /* Takes the iterator it is given. */
    return rocksdb_writebatch_wi_create_iterator_with_base_cf(batch->indexed, base,
                                                              engine_handle(engine, cf));
}

/* --- writing --- */

static rocksdb_writebatch_t *pack_ranges(const struct engine_batch *batch, struct engine *engine)
{
    rocksdb_writebatch_t *packed = rocksdb_writebatch_create();

    for (size_t i = 0; i < batch->range_count; i++) {
        const struct range *range = &batch->ranges[i];

        rocksdb_writebatch_delete_range_cf(packed, engine_handle(engine, range->cf),
                                           (const char *)range->from.data, range->from.size,
                                           (const char *)range->to.data, range->to.size);
    }
    return packed;
}

static uint32_t packed_count(const char *packed)
{
    uint32_t count;

    memcpy(&count, packed + PACKED_COUNT_OFFSET, sizeof count);
    return le32toh(count);
}

/* One batch: the ranges, then what the indexed batch has. */
static rocksdb_writebatch_t *pack(const struct engine_batch *batch, struct engine *engine)
{
    rocksdb_writebatch_t *ranges = pack_ranges(batch, engine);
    rocksdb_writebatch_t *packed;
    size_t first_size;
    size_t second_size;
    const char *first = rocksdb_writebatch_data(ranges, &first_size);
    const char *second = rocksdb_writebatch_wi_data(batch->indexed, &second_size);
    uint32_t count = htole32(packed_count(first) + packed_count(second));
    char *joined;

    assert(first_size >= PACKED_HEADER_SIZE && second_size >= PACKED_HEADER_SIZE);
    joined = mem_alloc(first_size + second_size - PACKED_HEADER_SIZE);
    memcpy(joined, first, first_size);
    memcpy(joined + first_size, second + PACKED_HEADER_SIZE, second_size - PACKED_HEADER_SIZE);
    memcpy(joined + PACKED_COUNT_OFFSET, &count, sizeof count);
    packed = rocksdb_writebatch_create_from(joined, first_size + second_size - PACKED_HEADER_SIZE);
    free(joined);
    rocksdb_writebatch_destroy(ranges);
    return packed;
}

void engine_write(struct engine *engine, struct engine_batch *batch, bool sync)
{
    const rocksdb_writeoptions_t *options =
        sync ? engine->write_sync_options : engine->write_options;
    char *error = NULL;

    if (batch->indexed == NULL) {
        rocksdb_write(engine->db, options, batch->plain, &error);
    } else if (batch->range_count == 0) {
        rocksdb_write_writebatch_wi(engine->db, options, batch->indexed, &error);
    } else {
        rocksdb_writebatch_t *packed = pack(batch, engine);

        rocksdb_write(engine->db, options, packed, &error);
        rocksdb_writebatch_destroy(packed);
    }
    if (error != NULL) {
        engine_stop_after_failed_write(engine, &error);
    }
}
