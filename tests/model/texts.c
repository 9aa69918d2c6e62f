#include "texts.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

void texts_release(struct texts *texts)
{
    free(texts->texts);
    *texts = (struct texts){0};
}

void texts_clear(struct texts *texts)
{
    texts->count = 0;
}

uint16_t texts_add(struct texts *texts, const void *bytes, size_t size)
{
    assert(size <= TEXT_MAX);
    for (size_t i = 0; i < texts->count; i++) {
        if (texts->texts[i].size == size && memcmp(texts->texts[i].bytes, bytes, size) == 0)
            return (uint16_t)(i + 1);
    }
    if (texts->count == TEXTS_MAX)
        return 0;
    if (texts->count == texts->capacity) {
        texts->capacity = texts->capacity == 0 ? CAPACITY_MIN : texts->capacity * 2;
        texts->texts = mem_realloc(texts->texts, texts->capacity * sizeof(struct text));
    }
    struct text *text = &texts->texts[texts->count++];
    text->size = (uint16_t)size;
    memcpy(text->bytes, bytes, size);
    return (uint16_t)texts->count;
}

const struct text *texts_get(const struct texts *texts, uint16_t number)
{
    assert(number > 0 && number <= texts->count);
    return &texts->texts[number - 1];
}
