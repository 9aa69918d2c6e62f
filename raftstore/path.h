/* Keys are paths: what a valid one is, and how rows are named after it.
 *
 * A path has no leading or trailing slash, no empty, "." or ".." component, no
 * NUL; a component has at most 255 bytes, the whole at most 4095. The root is
 * the empty path. The first component ".keelfs" belongs to the control
 * directory and is refused.
 */
#ifndef KEELFS_RAFTSTORE_PATH_H
#define KEELFS_RAFTSTORE_PATH_H

#include "raftstore/err.h"

#include <stdbool.h>
#include <stddef.h>

#define PATH_BYTES_MAX     4095
#define PATH_COMPONENT_MAX 255
#define PATH_CONTROL_NAME  ".keelfs"

/* Checks a key as it came from outside (not NUL-terminated). Returns 0,
 * KE_INVALID or KE_NAME_TOO_LONG with the reason in words. The empty key is
 * KE_INVALID: the root holds no value. */
int path_check(const void *key, size_t size, struct err *e);

/* Length of the parent's path of `path`: 0 when the parent is the root. */
size_t path_parent_length(const char *path);

/* The last component. */
const char *path_base_name(const char *path);

/* Whether `path` is `dir` itself or lies below it. */
bool path_is_within(const char *path, const char *dir);

/* Joins into `out` (PATH_BYTES_MAX + 1 bytes). Returns 0, KE_NAME_TOO_LONG for a
 * name over 255 bytes or a path that gets too long, KE_INVALID for an empty
 * name, ".", "..", one with a slash, or the control name in the root. */
int path_join(const char *dir, const char *name, char *out);

#endif
