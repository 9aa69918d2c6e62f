#include "content.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of bytes that are no value, as many are shown. */
#define STRANGE_SHOWN_MAX 48

void content_name(char name[CONTENT_NAME_MAX], uint32_t process, uint64_t number, uint32_t filler)
{
    (void)snprintf(name, CONTENT_NAME_MAX, "%" PRIu32 ".%" PRIu64 ".%" PRIu32, process, number,
                   filler);
}

static bool parse_name(const char *name, uint64_t *ret_number, uint32_t *ret_filler)
{
    uint32_t process;
    return sscanf(name, "%" SCNu32 ".%" SCNu64 ".%" SCNu32, &process, ret_number, ret_filler) ==
               3 &&
           *ret_filler <= CONTENT_FILLER_MAX;
}

uint8_t *content_of_value(const char *name, size_t *ret_size)
{
    uint64_t number = 0;
    uint32_t filler = 0;
    size_t size = strlen(name);
    bool is_ours = parse_name(name, &number, &filler);
    assert(is_ours);
    uint8_t *data = mem_alloc(size + 1 + filler);
    memcpy(data, name, size);
    data[size] = ':';
    memset(data + size + 1, (int)('a' + number % 26), filler);
    *ret_size = size + 1 + filler;
    return data;
}

static bool is_word(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || byte == '.';
}

static char *describe_strange(const uint8_t *data, size_t size)
{
    char *text;
    size_t text_size;
    FILE *out = open_memstream(&text, &text_size);
    assert(out != NULL);
    (void)fprintf(out, "strange:%zu:", size);
    for (size_t i = 0; i < size && i < STRANGE_SHOWN_MAX; i++) {
        if (is_word(data[i]))
            (void)fputc(data[i], out);
        else
            (void)fprintf(out, "%%%02x", data[i]);
    }
    (void)fclose(out);
    return text;
}

char *content_to_value(const uint8_t *data, size_t size)
{
    char name[CONTENT_NAME_MAX];
    uint64_t number;
    uint32_t filler;
    if (size == 0)
        return mem_strdup("");
    const uint8_t *colon = memchr(data, ':', size);
    size_t name_size = colon != NULL ? (size_t)(colon - data) : sizeof(name);
    if (name_size >= sizeof(name))
        return describe_strange(data, size);
    memcpy(name, data, name_size);
    name[name_size] = '\0';
    if (!parse_name(name, &number, &filler))
        return describe_strange(data, size);
    size_t whole_size;
    uint8_t *whole = content_of_value(name, &whole_size);
    bool is_whole = whole_size == size && memcmp(whole, data, size) == 0;
    free(whole);
    return is_whole ? mem_strdup(name) : describe_strange(data, size);
}

char *content_to_tokens(const uint8_t *data, size_t size)
{
    char *text = mem_alloc(size + 1);
    if (size > 0 && data[size - 1] != '\n') {
        free(text);
        return describe_strange(data, size);
    }
    for (size_t i = 0; i < size; i++) {
        text[i] = data[i] == '\n' ? ',' : (char)data[i];
        if (data[i] != '\n' && !is_word(data[i])) {
            free(text);
            return describe_strange(data, size);
        }
    }
    text[size > 0 ? size - 1 : 0] = '\0';
    return text;
}
