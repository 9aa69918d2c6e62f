/* Content of files in rows of TREE_CHUNK_SIZE. A row may be shorter than that or
 * absent: zeros follow, up to the file's size. No row holds a byte past the
 * file's size, so that a file that grows again reads zeros there. Which rows there
 * are, the file's map of holes says: none is looked for. */
#include "raftstore/command.h"
#include "raftstore/executor_run.h"
#include "raftstore/hole_map.h"
#include "raftstore/keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Rows that are deleted one by one. More of them go by a range, which costs the same
 * for any number, but is a burden on whoever reads nearby. */
#define DELETE_ROWS_MAX COMMAND_ZEROED_ROWS_MAX

static uint32_t chunk_of(uint64_t offset)
{
    return (uint32_t)(offset / TREE_CHUNK_SIZE);
}

static void put_chunk(struct run *run, uint64_t id, uint32_t chunk, const void *data, size_t size)
{
    struct key key = key_content(id, chunk);

    run_put(run, CF_DEFAULT, key_bytes(&key), (struct bytes){.data = data, .size = size});
}

/* Deletes the rows [from, to); the holes are left to the caller. */
static void delete_chunks(struct holes *holes, uint32_t from, uint32_t to)
{
    struct key first = key_content(holes->id, from);
    struct key end = key_content(holes->id, to);

    if (from < to && to - from > DELETE_ROWS_MAX) {
        run_delete_range(holes->run, CF_DEFAULT, key_bytes(&first), key_bytes(&end));
        return;
    }
    for (uint32_t chunk = from; chunk < to; chunk++) {
        struct key key = key_content(holes->id, chunk);

        if (holes_has_row(holes, chunk)) {
            run_delete(holes->run, CF_DEFAULT, key_bytes(&key));
        }
    }
}

/* Cuts the row that the new end falls into. */
static void cut_chunk(struct holes *holes, uint64_t size)
{
    struct run *run = holes->run;
    struct key key = key_content(holes->id, chunk_of(size));
    size_t rest = (size_t)(size % TREE_CHUNK_SIZE);
    uint8_t *value;
    size_t value_size;

    if (rest == 0 || !holes_has_row(holes, chunk_of(size)) ||
        !run_get(run, CF_DEFAULT, key_bytes(&key), &value, &value_size)) {
        return;
    }
    if (value_size > rest) {
        put_chunk(run, holes->id, chunk_of(size), value, rest);
    }
    free(value);
}

/* The file of `from` bytes gets `to`. */
static void resize(struct holes *holes, uint64_t from, uint64_t to)
{
    if (to < from) {
        cut_chunk(holes, to);
        delete_chunks(holes, tree_chunk_count(to), tree_chunk_count(from));
        holes_cut(holes, tree_chunk_count(to));
    } else {
        holes_extend(holes, tree_chunk_count(to));
    }
}

static void set_size(struct run *run, struct attr *attr, struct holes *holes, uint64_t size)
{
    assert(holes->chunks == tree_chunk_count(size));
    run->bytes_added += (int64_t)size - (int64_t)attr->size;
    attr->size = size;
    attr->hole_chunks = holes_end(holes);
}

void run_replace_content(struct run *run, struct attr *attr, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    struct holes holes;

    holes_begin(&holes, run, attr);
    delete_chunks(&holes, tree_chunk_count(size), tree_chunk_count(attr->size));
    holes_cut(&holes, tree_chunk_count(size));
    for (size_t offset = 0; offset < size; offset += TREE_CHUNK_SIZE) {
        size_t left = size - offset;

        put_chunk(run, attr->id, chunk_of(offset), bytes + offset,
                  left < TREE_CHUNK_SIZE ? left : TREE_CHUNK_SIZE);
        holes_add_row(&holes, chunk_of(offset));
    }
    set_size(run, attr, &holes, size);
}

void run_truncate_content(struct run *run, struct attr *attr, uint64_t size)
{
    struct holes holes;

    holes_begin(&holes, run, attr);
    resize(&holes, attr->size, size);
    set_size(run, attr, &holes, size);
}

void run_erase_content(struct run *run, const struct attr *attr)
{
    struct key first = key_content(attr->id, 0);
    struct key end = key_content(attr->id + 1, 0);
    struct attr gone = *attr;

    if (tree_chunk_count(attr->size) <= DELETE_ROWS_MAX) {
        run_truncate_content(run, &gone, 0);
        return;
    }
    run_delete_range(run, CF_DEFAULT, key_bytes(&first), key_bytes(&end));
    run->bytes_added -= (int64_t)attr->size;
}

/* --- writes --- */

/* A file under rewrite: consecutive writes to one chunk make one row. */
struct chunk_writer {
    struct run *run;
    struct holes holes;
    uint64_t size; /* of the file so far: no row begins at or after it */
    bool held;     /* `chunk` is in executor->chunk, `length` bytes of it */
    uint32_t chunk;
    size_t length;
};

static void flush_chunk(struct chunk_writer *writer)
{
    if (writer->held) {
        put_chunk(writer->run, writer->holes.id, writer->chunk, writer->run->executor->chunk,
                  writer->length);
        holes_add_row(&writer->holes, writer->chunk);
        writer->held = false;
    }
}

/* Brings `chunk` into memory. `covers`: all there is of it will be overwritten. */
static void hold_chunk(struct chunk_writer *writer, uint32_t chunk, bool covers)
{
    struct key key = key_content(writer->holes.id, chunk);
    uint8_t *value;
    size_t size;

    if (writer->held && writer->chunk == chunk) {
        return;
    }
    flush_chunk(writer);
    writer->held = true;
    writer->chunk = chunk;
    writer->length = 0;
    if (covers || !holes_has_row(&writer->holes, chunk) ||
        !run_get(writer->run, CF_DEFAULT, key_bytes(&key), &value, &size)) {
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

/* --- zeros --- */

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Zeros [start, end) of one chunk. */
static void zero_piece(struct chunk_writer *writer, uint32_t chunk, size_t start, size_t end)
{
    uint8_t *buffer = writer->run->executor->chunk;

    if (start >= end ||
        !(holes_has_row(&writer->holes, chunk) || (writer->held && writer->chunk == chunk))) {
        return;
    }
    hold_chunk(writer, chunk, false);
    if (end < writer->length) {
        memset(buffer + start, 0, end - start);
    } else if (start < writer->length) {
        writer->length = start;
    }
    if (is_zero(buffer, writer->length)) {
        flush_chunk(writer);
        delete_chunks(&writer->holes, chunk, chunk + 1);
        holes_dig(&writer->holes, chunk, chunk + 1);
    }
}

/* The file has at least `size` bytes. */
static void extend(struct chunk_writer *writer, uint64_t size)
{
    if (size > writer->size) {
        writer->size = size;
        holes_extend(&writer->holes, tree_chunk_count(size));
    }
}

static void write_zeros(struct chunk_writer *writer, uint64_t offset, uint64_t size)
{
    uint64_t end = offset + size;
    uint32_t first = tree_chunk_count(offset); /* of the chunks that go whole */
    uint32_t last = chunk_of(end);

    flush_chunk(writer);
    extend(writer, end);
    if (end == writer->size) {
        last = tree_chunk_count(end);
    }
    if (first > last) { /* within one chunk */
        zero_piece(writer, last, (size_t)(offset % TREE_CHUNK_SIZE),
                   (size_t)(end % TREE_CHUNK_SIZE));
        return;
    }
    if (first > chunk_of(offset)) {
        zero_piece(writer, chunk_of(offset), (size_t)(offset % TREE_CHUNK_SIZE), TREE_CHUNK_SIZE);
    }
    flush_chunk(writer);
    delete_chunks(&writer->holes, first, last);
    holes_dig(&writer->holes, first, last);
    if (end < writer->size) {
        zero_piece(writer, last, 0, (size_t)(end % TREE_CHUNK_SIZE));
    }
}

/* --- one write request --- */

/* Extends `*size` by a write of `length` bytes of data, or of zeros, and counts the rows
 * it makes. `*last` is the chunk of the byte before it, which a write may go on in without
 * a row of its own. */
static int check_extent(struct run *run, uint64_t offset, uint64_t length, bool zeros,
                        uint64_t *size, uint32_t *last)
{
    uint32_t first;

    if (offset > TREE_FILE_MAX || length > TREE_FILE_MAX - offset) {
        return KE_TOO_LARGE;
    }
    if (offset + length > *size) {
        *size = offset + length;
    }
    if (zeros || length == 0) {
        run->chunks += zeros ? command_zeros_chunks(length) : 0;
    } else {
        first = chunk_of(offset);
        run->chunks += tree_chunk_count(offset + length) - first - (first == *last ? 1 : 0);
        *last = chunk_of(offset + length - 1);
    }
    return run->chunks > COMMAND_CHUNKS_MAX ? KE_TOO_LARGE : 0;
}

int run_check_write(struct run *run, const struct attr *attr, const Keelfspb__WriteRequest *write)
{
    uint64_t size = write->truncate ? write->truncate_size : attr->size;
    uint32_t last = UINT32_MAX; /* no file has this chunk */
    int code;

    if (size > TREE_FILE_MAX) {
        return KE_TOO_LARGE;
    }
    for (size_t i = 0; i < write->n_extents; i++) {
        const Keelfspb__Extent *extent = write->extents[i];
        bool zeros = extent->data.len == 0 && extent->zeros > 0;

        code = check_extent(run, extent->offset, zeros ? extent->zeros : extent->data.len, zeros,
                            &size, &last);
        if (code != 0) {
            return code;
        }
    }
    return check_extent(run, size, write->append.len, false, &size, &last);
}

static void write_extent(struct chunk_writer *writer, const Keelfspb__Extent *extent)
{
    if (extent->data.len > 0) {
        write_bytes(writer, extent->offset, extent->data.data, extent->data.len);
    } else if (extent->zeros > 0) {
        write_zeros(writer, extent->offset, extent->zeros);
    } else {
        extend(writer, extent->offset);
    }
}

void run_write_content(struct run *run, struct attr *attr, const Keelfspb__WriteRequest *write)
{
    struct chunk_writer writer = {.run = run, .size = attr->size};

    holes_begin(&writer.holes, run, attr);
    if (write->truncate) {
        resize(&writer.holes, attr->size, write->truncate_size);
        writer.size = write->truncate_size;
    }
    for (size_t i = 0; i < write->n_extents; i++) {
        write_extent(&writer, write->extents[i]);
    }
    write_bytes(&writer, writer.size, write->append.data, write->append.len);
    flush_chunk(&writer);
    set_size(run, attr, &writer.holes, writer.size);
}
