/* Content of files in rows of TREE_CHUNK_SIZE. A row may be shorter than that or
 * absent: zeros follow, up to the file's size. No row holds a byte past the
 * file's size, so that a file that grows again reads zeros there. */
#include "raftstore/command.h"
#include "raftstore/executor_run.h"
#include "raftstore/keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Rows that are deleted without a look whether they exist. */
#define DELETE_BLINDLY_MAX 64

static uint32_t chunk_of(uint64_t offset)
{
    return (uint32_t)(offset / TREE_CHUNK_SIZE);
}

/* Chunks of a file of this size. */
static uint32_t chunk_count(uint64_t size)
{
    return chunk_of(size + TREE_CHUNK_SIZE - 1);
}

static void put_chunk(struct run *run, uint64_t id, uint32_t chunk, const void *data, size_t size)
{
    struct key key = key_content(id, chunk);

    run_put(run, CF_DEFAULT, key_bytes(&key), (struct bytes){.data = data, .size = size});
}

static void delete_chunks(struct run *run, uint64_t id, uint32_t from, uint32_t to)
{
    for (uint32_t chunk = from; chunk < to; chunk++) {
        struct key key = key_content(id, chunk);

        run_delete(run, CF_DEFAULT, key_bytes(&key));
    }
}

/* The first row of the file at or after `from`, or `to` when there is none before. */
static uint32_t find_chunk(struct run *run, uint64_t id, uint32_t from, uint32_t to)
{
    struct key first = key_content(id, from);
    struct key end = key_content(id, to);
    struct engine_iterator *it =
        engine_iterator_new(run->executor->kv, NULL, run->batch, CF_DEFAULT, key_bytes(&end));
    uint32_t chunk = to;
    int code;

    engine_iterator_seek(it, key_bytes(&first));
    if (engine_iterator_valid(it)) {
        struct bytes key = engine_iterator_key(it);

        assert(key.size == first.size);
        chunk = key_content_chunk(key);
    }
    code = engine_iterator_status(it);
    engine_iterator_free(it);
    if (code != 0) {
        run_stop_unreadable(code);
    }
    return chunk;
}

/* Deletes the rows [from, to). A file may be one large hole, so what exists is
 * looked up, but not row by row: that would read all of a large file. */
static void erase_chunks(struct run *run, uint64_t id, uint32_t from, uint32_t to)
{
    while (from < to) {
        uint32_t end;

        if (to - from > DELETE_BLINDLY_MAX) {
            from = find_chunk(run, id, from, to);
        }
        end = to - from > DELETE_BLINDLY_MAX ? from + DELETE_BLINDLY_MAX : to;
        delete_chunks(run, id, from, end);
        from = end;
    }
}

void run_replace_content(struct run *run, const struct attr *attr, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t offset = 0; offset < size; offset += TREE_CHUNK_SIZE) {
        size_t left = size - offset;

        put_chunk(run, attr->id, chunk_of(offset), bytes + offset,
                  left < TREE_CHUNK_SIZE ? left : TREE_CHUNK_SIZE);
    }
    erase_chunks(run, attr->id, chunk_count(size), chunk_count(attr->size));
    run->bytes_added += (int64_t)size - (int64_t)attr->size;
}

/* Cuts the row that the new end falls into. */
static void cut_chunk(struct run *run, uint64_t id, uint64_t size)
{
    struct key key = key_content(id, chunk_of(size));
    size_t rest = (size_t)(size % TREE_CHUNK_SIZE);
    uint8_t *value;
    size_t value_size;

    if (rest == 0 || !run_get(run, CF_DEFAULT, key_bytes(&key), &value, &value_size)) {
        return;
    }
    if (value_size > rest) {
        put_chunk(run, id, chunk_of(size), value, rest);
    }
    free(value);
}

void run_truncate_content(struct run *run, const struct attr *attr, uint64_t size)
{
    if (size < attr->size) {
        cut_chunk(run, attr->id, size);
        erase_chunks(run, attr->id, chunk_count(size), chunk_count(attr->size));
    }
    run->bytes_added += (int64_t)size - (int64_t)attr->size;
}

/* --- writes --- */

/* A file under rewrite: consecutive writes to one chunk make one row. */
struct chunk_writer {
    struct run *run;
    uint64_t id;
    uint64_t size; /* of the file so far: no row begins at or after it */
    bool held;     /* `chunk` is in executor->chunk, `length` bytes of it */
    uint32_t chunk;
    size_t length;
};

static void flush_chunk(struct chunk_writer *writer)
{
    if (writer->held) {
        put_chunk(writer->run, writer->id, writer->chunk, writer->run->executor->chunk,
                  writer->length);
        writer->held = false;
    }
}

/* Brings `chunk` into memory. `covers`: all there is of it will be overwritten. */
static void hold_chunk(struct chunk_writer *writer, uint32_t chunk, bool covers)
{
    struct key key = key_content(writer->id, chunk);
    uint8_t *value;
    size_t size;

    if (writer->held && writer->chunk == chunk) {
        return;
    }
    flush_chunk(writer);
    writer->held = true;
    writer->chunk = chunk;
    writer->length = 0;
    if (covers || !run_get(writer->run, CF_DEFAULT, key_bytes(&key), &value, &size)) {
        return;
    }
    if (size > TREE_CHUNK_SIZE) {
        run_stop_unreadable(KE_CORRUPT);
    }
    if (size > 0) {
        memcpy(writer->run->executor->chunk, value, size);
    }
    writer->length = size;
    free(value);
}

/* Writes what falls into one chunk, at `start` in it. */
static void write_piece(struct chunk_writer *writer, uint32_t chunk, size_t start,
                        const uint8_t *data, size_t size)
{
    uint64_t base = (uint64_t)chunk * TREE_CHUNK_SIZE;
    uint8_t *buffer = writer->run->executor->chunk;

    hold_chunk(writer, chunk, base >= writer->size || (start == 0 && base + size >= writer->size));
    if (start > writer->length) {
        memset(buffer + writer->length, 0, start - writer->length);
    }
    memcpy(buffer + start, data, size);
    if (start + size > writer->length) {
        writer->length = start + size;
    }
}

static void write_bytes(struct chunk_writer *writer, uint64_t offset, const uint8_t *data,
                        size_t size)
{
    while (size > 0) {
        size_t start = (size_t)(offset % TREE_CHUNK_SIZE);
        size_t room = TREE_CHUNK_SIZE - start;
        size_t piece = size < room ? size : room;

        write_piece(writer, chunk_of(offset), start, data, piece);
        offset += piece;
        data += piece;
        size -= piece;
        if (offset > writer->size) {
            writer->size = offset;
        }
    }
}

/* Extends `*size` by a write and counts the rows it makes. `*last` is the chunk of
 * the byte before it, which a write may go on in without a row of its own. */
static int check_extent(struct run *run, uint64_t offset, size_t length, uint64_t *size,
                        uint32_t *last)
{
    uint32_t first;

    if (length == 0) {
        return 0;
    }
    if (offset > TREE_FILE_MAX || length > TREE_FILE_MAX - offset) {
        return KE_TOO_LARGE;
    }
    first = chunk_of(offset);
    run->chunks += chunk_count(offset + length) - first - (first == *last ? 1 : 0);
    *last = chunk_of(offset + length - 1);
    if (offset + length > *size) {
        *size = offset + length;
    }
    return run->chunks > COMMAND_CHUNKS_MAX ? KE_TOO_LARGE : 0;
}

int run_check_write(struct run *run, const struct attr *attr, const Keelfspb__WriteRequest *write,
                    uint64_t *ret_size)
{
    uint64_t size = write->truncate ? write->truncate_size : attr->size;
    uint32_t last = UINT32_MAX; /* no file has this chunk */
    int code;

    if (size > TREE_FILE_MAX) {
        return KE_TOO_LARGE;
    }
    for (size_t i = 0; i < write->n_extents; i++) {
        const Keelfspb__Extent *extent = write->extents[i];

        code = check_extent(run, extent->offset, extent->data.len, &size, &last);
        if (code != 0) {
            return code;
        }
    }
    code = check_extent(run, size, write->append.len, &size, &last);
    if (code != 0) {
        return code;
    }
    *ret_size = size;
    return 0;
}

void run_write_content(struct run *run, const struct attr *attr,
                       const Keelfspb__WriteRequest *write)
{
    struct chunk_writer writer = {.run = run, .id = attr->id, .size = attr->size};

    if (write->truncate) {
        run_truncate_content(run, attr, write->truncate_size);
        writer.size = write->truncate_size;
    }
    run->bytes_added -= (int64_t)writer.size;
    for (size_t i = 0; i < write->n_extents; i++) {
        const Keelfspb__Extent *extent = write->extents[i];

        write_bytes(&writer, extent->offset, extent->data.data, extent->data.len);
    }
    write_bytes(&writer, writer.size, write->append.data, write->append.len);
    flush_chunk(&writer);
    run->bytes_added += (int64_t)writer.size;
}
