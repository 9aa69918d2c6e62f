#include "fs/stream.h"

#include "raftstore/memory.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_CAPACITY_MIN 1024u

void stream_release(struct stream *stream)
{
    free(stream->bytes);
    *stream = (struct stream){0};
}

static uint64_t stream_end(const struct stream *stream)
{
    return stream->base + stream->size;
}

/* What was read and is too old to be read again. */
static void stream_trim(struct stream *stream)
{
    uint64_t keep =
        stream->read > STREAM_REREAD_MAX ? stream->read - STREAM_REREAD_MAX : stream->base;

    if (keep <= stream->base)
        return;
    size_t gone = (size_t)(keep - stream->base);
    memmove(stream->bytes, stream->bytes + gone, stream->size - gone);
    stream->size -= gone;
    stream->base = keep;
}

void stream_add(struct stream *stream, const char *text, size_t size)
{
    if (stream->capacity - stream->size < size)
        stream_trim(stream);
    if (stream->capacity - stream->size < size) {
        size_t capacity = stream->capacity > 0 ? stream->capacity : STREAM_CAPACITY_MIN;
        while (capacity - stream->size < size)
            capacity *= 2;
        stream->bytes = mem_realloc(stream->bytes, capacity);
        stream->capacity = capacity;
    }
    memcpy(stream->bytes + stream->size, text, size);
    stream->size += size;
}

void stream_take(struct stream *stream, char *text, size_t size)
{
    stream_release(stream);
    stream->bytes = text;
    stream->size = size;
    stream->capacity = size;
}

size_t stream_unread(const struct stream *stream)
{
    return (size_t)(stream_end(stream) - stream->read);
}

bool stream_read(struct stream *stream, uint64_t offset, size_t size, const char **ret_text,
                 size_t *ret_size)
{
    uint64_t end = stream_end(stream);

    if (offset < stream->base)
        return false;
    *ret_size = 0;
    if (offset >= end)
        return true;
    *ret_text = stream->bytes + (offset - stream->base);
    *ret_size = size < end - offset ? size : (size_t)(end - offset);
    if (offset + *ret_size > stream->read)
        stream->read = offset + *ret_size;
    return true;
}
