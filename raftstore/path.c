#include "raftstore/path.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a key that an error text shows. */
#define PATH_SHOWN_MAX 48
#define PATH_SHOWN_BUF (PATH_SHOWN_MAX * 4 + sizeof "...")

/* A key for an error text: short, and with no byte that a terminal would obey. */
static const char *show(const uint8_t *key, size_t size, char *out)
{
    size_t shown = size < PATH_SHOWN_MAX ? size : PATH_SHOWN_MAX;
    size_t length = 0;

    for (size_t i = 0; i < shown; i++) {
        bool plain = key[i] >= 0x20 && key[i] < 0x7f && key[i] != '\\';
        int printed =
            snprintf(out + length, PATH_SHOWN_BUF - length, plain ? "%c" : "\\x%02x", key[i]);

        length += (size_t)printed;
    }
    (void)snprintf(out + length, PATH_SHOWN_BUF - length, "%s", shown < size ? "..." : "");
    return out;
}

static bool is_dots(const uint8_t *name, size_t size)
{
    return (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.');
}

static bool is_control_name(const uint8_t *name, size_t size)
{
    return size == sizeof PATH_CONTROL_NAME - 1 && memcmp(name, PATH_CONTROL_NAME, size) == 0;
}

/* `name` is a component of `key`, which is only for the text. */
static int check_component(const uint8_t *name, size_t size, const uint8_t *key, size_t key_size,
                           struct err *e)
{
    char shown[PATH_SHOWN_BUF];

    if (size == 0) {
        return err_set(e, KE_INVALID,
                       "key '%s' has an empty component: a leading, trailing or "
                       "doubled slash",
                       show(key, key_size, shown));
    }
    if (is_dots(name, size)) {
        return err_set(e, KE_INVALID, "key '%s' has a component '%.*s'", show(key, key_size, shown),
                       (int)size, (const char *)name);
    }
    if (size > PATH_COMPONENT_MAX) {
        return err_set(e, KE_NAME_TOO_LONG, "key '%s' has a component of %zu bytes; at most %d",
                       show(key, key_size, shown), size, PATH_COMPONENT_MAX);
    }
    if (memchr(name, '\0', size) != NULL) {
        return err_set(e, KE_INVALID, "key '%s' has a zero byte", show(key, key_size, shown));
    }
    return 0;
}

int path_check(const void *key, size_t size, struct err *e)
{
    const uint8_t *bytes = key;
    size_t start = 0;

    if (size == 0) {
        return err_set(e, KE_INVALID, "the key is empty");
    }
    if (size > PATH_BYTES_MAX) {
        return err_set(e, KE_NAME_TOO_LONG, "the key has %zu bytes; at most %d", size,
                       PATH_BYTES_MAX);
    }
    while (start <= size) {
        const uint8_t *slash = start < size ? memchr(bytes + start, '/', size - start) : NULL;
        size_t end = slash != NULL ? (size_t)(slash - bytes) : size;
        int code = check_component(bytes + start, end - start, bytes, size, e);

        if (code != 0) {
            return code;
        }
        if (start == 0 && is_control_name(bytes, end)) {
            return err_set(e, KE_INVALID, "'%s' belongs to the control directory",
                           PATH_CONTROL_NAME);
        }
        start = end + 1;
    }
    return 0;
}

size_t path_parent_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) : 0;
}

const char *path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

bool path_is_within(const char *path, const char *dir)
{
    size_t length = strlen(dir);

    if (length == 0) {
        return true;
    }
    return strncmp(path, dir, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

int path_join(const char *dir, const char *name, char *out)
{
    size_t dir_size = strlen(dir);
    size_t name_size = strlen(name);
    size_t slash = dir_size > 0 ? 1 : 0;
    const uint8_t *bytes = (const uint8_t *)name;

    assert(dir_size <= PATH_BYTES_MAX);
    if (name_size == 0 || is_dots(bytes, name_size) || strchr(name, '/') != NULL ||
        (dir_size == 0 && is_control_name(bytes, name_size))) {
        return KE_INVALID;
    }
    if (name_size > PATH_COMPONENT_MAX || dir_size + slash + name_size > PATH_BYTES_MAX) {
        return KE_NAME_TOO_LONG;
    }
    memcpy(out, dir, dir_size);
    memcpy(out + dir_size, "/", slash);
    memcpy(out + dir_size + slash, name, name_size + 1);
    return 0;
}
