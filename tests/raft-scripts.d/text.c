#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

void *must(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "raft-scripts: out of memory\n");
        abort();
    }
    return block;
}

static void reserve(struct text *t, size_t more)
{
    size_t need = t->length + more + 1;
    if (need <= t->capacity) {
        return;
    }
    size_t capacity = t->capacity == 0 ? FIRST_CAPACITY : t->capacity;
    while (capacity < need) {
        capacity *= 2;
    }
    t->at = must(realloc(t->at, capacity));
    t->capacity = capacity;
}

void text_add_bytes(struct text *t, const char *bytes, size_t length)
{
    reserve(t, length);
    memcpy(t->at + t->length, bytes, length);
    t->length += length;
    t->at[t->length] = '\0';
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n > 0) {
        reserve(t, (size_t)n);
        vsnprintf(t->at + t->length, (size_t)n + 1, format, again);
        t->length += (size_t)n;
    }
    va_end(again);
}

void text_clear(struct text *t)
{
    t->length = 0;
    if (t->at != NULL) {
        t->at[0] = '\0';
    }
}

void text_free(struct text *t)
{
    free(t->at);
    memset(t, 0, sizeof(*t));
}

const char *text_get(const struct text *t)
{
    return t->at == NULL ? "" : t->at;
}

void text_add_indented(struct text *t, const struct text *from)
{
    const char *at = text_get(from);
    while (*at != '\0') {
        size_t length = strcspn(at, "\n");
        text_add(t, "  %.*s\n", (int)length, at);
        at += length + (at[length] == '\n');
    }
}
