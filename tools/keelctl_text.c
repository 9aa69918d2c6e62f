#include "tools/keelctl.h"

#include "raftstore/memory.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_TEXT_MAX 24

/* Length of the UTF-8 character at `at`, or 0 when there is none: cut off, overlong,
 * a surrogate or past the last one. */
static size_t utf8_length(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } shapes[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t extra = 0; extra < sizeof(shapes) / sizeof(shapes[0]); extra++) {
        if ((at[0] & shapes[extra].mask) != shapes[extra].lead)
            continue;
        if (extra >= left)
            return 0;
        uint32_t value = at[0] & (uint8_t)~shapes[extra].mask;
        for (size_t i = 1; i <= extra; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (at[i] & 0x3f);
        }
        bool valid =
            value >= shapes[extra].least && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
        return valid ? extra + 1 : 0;
    }
    return 0;
}

static bool is_text(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = utf8_length(bytes + at, size - at);
        if (length == 0 || bytes[at] == 0)
            return false;
        at += length;
    }
    return true;
}

static char *base64(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = mem_alloc((size + 2) / 3 * 4 + 1);
    char *out = text;
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t group = (uint32_t)bytes[at] << 16;
        group |= left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0;
        group |= left > 2 ? bytes[at + 2] : 0;
        memset(out, '=', 4);
        out[0] = digits[group >> 18];
        out[1] = digits[group >> 12 & 63];
        if (left > 1)
            out[2] = digits[group >> 6 & 63];
        if (left > 2)
            out[3] = digits[group & 63];
        out += 4;
    }
    *out = '\0';
    return text;
}

void keelctl_json_add_bytes(struct cJSON *object, const char *name, const void *bytes, size_t size)
{
    char long_name[32];
    char *text;
    if (is_text(bytes, size)) {
        text = mem_alloc(size + 1);
        if (size > 0)
            memcpy(text, bytes, size);
        text[size] = '\0';
    } else {
        text = base64(bytes, size);
        (void)snprintf(long_name, sizeof(long_name), "%s_base64", name);
        name = long_name;
    }
    cJSON_AddStringToObject(object, name, text);
    free(text);
}

void keelctl_json_add_number(struct cJSON *object, const char *name, uint64_t value)
{
    char text[NUMBER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

void keelctl_json_add_id(struct cJSON *object, const char *name, uint64_t value)
{
    char text[NUMBER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%016" PRIx64, value);
    cJSON_AddStringToObject(object, name, text);
}

int keelctl_json_print(struct cJSON *object, bool compact, const char *end)
{
    char *text = compact ? cJSON_PrintUnformatted(object) : cJSON_Print(object);
    cJSON_Delete(object);
    if (text == NULL)
        return keelctl_fail(KEELCTL_OUTPUT, "out of memory");
    printf("%s%s", text, end);
    cJSON_free(text);
    return KEELCTL_OK;
}

void keelctl_print_escaped(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t left = size; left > 0;) {
        size_t length = utf8_length(at, left);
        if (*at == '\t')
            (void)fputs("\\t", stdout);
        else if (*at == '\n')
            (void)fputs("\\n", stdout);
        else if (*at == '\r')
            (void)fputs("\\r", stdout);
        else if (*at == '\\')
            (void)fputs("\\\\", stdout);
        else if (length == 0 || *at < 0x20 || *at == 0x7f)
            printf("\\x%02x", *at);
        else
            (void)fwrite(at, 1, length, stdout);
        length = length > 0 ? length : 1;
        at += length;
        left -= length;
    }
}

int keelctl_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return KEELCTL_OK;
    return keelctl_fail(KEELCTL_OUTPUT, "cannot write the output: %s", strerror(errno));
}
