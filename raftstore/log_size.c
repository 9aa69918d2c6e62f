#include "raftstore/log_size.h"

#include <assert.h>
#include <string.h>

void log_size_init(struct log_size *size, uint64_t index)
{
    *size = (struct log_size){.distance = LOG_SIZE_DISTANCE_MIN, .count = 1};
    size->marks[0].index = index;
}

/* Every second mark goes; the first one, where the log begins, stays. */
static void log_size_thin(struct log_size *size)
{
    size_t kept = 0;
    for (size_t i = 0; i < size->count; i += 2)
        size->marks[kept++] = size->marks[i];
    size->count = kept;
    size->distance *= 2;
}

void log_size_append(struct log_size *size, uint64_t index, uint64_t bytes)
{
    while (size->count > 1 && size->marks[size->count - 1].index >= index)
        size->appended = size->marks[--size->count].appended;
    size->appended += bytes;
    if (size->appended - size->marks[size->count - 1].appended < size->distance)
        return;
    if (size->count == LOG_SIZE_MARKS_MAX)
        log_size_thin(size);
    size->marks[size->count++] = (struct log_size_mark){.index = index, .appended = size->appended};
}

uint64_t log_size_behind(const struct log_size *size, uint64_t index)
{
    size_t i = size->count;
    while (i > 1 && size->marks[i - 1].index > index)
        i--;
    return size->appended - size->marks[i - 1].appended;
}

uint64_t log_size_find(const struct log_size *size, uint64_t bytes)
{
    size_t i = 0;
    while (i + 1 < size->count && size->appended - size->marks[i].appended > bytes)
        i++;
    return size->marks[i].index;
}

void log_size_cut(struct log_size *size, uint64_t index)
{
    size_t gone = 0;
    while (gone + 1 < size->count && size->marks[gone + 1].index <= index)
        gone++;
    memmove(size->marks, size->marks + gone, (size->count - gone) * sizeof(size->marks[0]));
    size->count -= gone;
    if (size->marks[0].index < index)
        size->marks[0].index = index;
    assert(size->count > 0);
}
