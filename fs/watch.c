#include "fs/watch.h"

#include "raftstore/memory.h"
#include "raftstore/path.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text that is made at a time and not read yet. */
#define TEXT_MAX (64u << 10)

struct watch {
    struct control_handle handle;
    struct watcher watcher;
    char path[PATH_BYTES_MAX + 1];
};

/* --- lines --- */

/* A path is the rest of its line: only what would end that is written otherwise. */
static void add_path(struct stream *out, const char *path, size_t size)
{
    size_t done = 0;

    for (size_t i = 0; i < size; i++) {
        if (path[i] != '\n' && path[i] != '\\')
            continue;
        stream_add(out, path + done, i - done);
        stream_add(out, path[i] == '\n' ? "\\n" : "\\\\", 2);
        done = i + 1;
    }
    stream_add(out, path + done, size - done);
}

static void add_line(void *ctx, uint64_t version, enum watch_event event, const char *path,
                     size_t path_size)
{
    struct stream *out = ctx;
    char start[64];
    int size = snprintf(start, sizeof(start), "%" PRIu64 " %s ", version, watch_event_name(event));

    stream_add(out, start, (size_t)size);
    if (path_size == 0)
        stream_add(out, ".", 1); /* the root */
    else
        add_path(out, path, path_size);
    stream_add(out, "\n", 1);
}

/* --- the handle --- */

static uint64_t watch_fill(struct control_handle *handle)
{
    struct watch *watch = (struct watch *)handle;
    uint64_t round;

    while (watch_history_tell(&handle->fs->history, &watch->watcher, add_line, &handle->stream,
                              &round) &&
           stream_unread(&handle->stream) < TEXT_MAX)
        ;
    return round;
}

static bool watch_wait(struct control_handle *handle, uint64_t round, struct op *op)
{
    struct watch *watch = (struct watch *)handle;

    return watch_history_wait(&handle->fs->history, &watch->watcher, round, op);
}

static void watch_stop(struct control_handle *handle)
{
    struct watch *watch = (struct watch *)handle;

    watch_history_stop(&handle->fs->history, &watch->watcher);
}

static void watch_free(struct control_handle *handle)
{
    struct watch *watch = (struct watch *)handle;

    watch_history_leave(&handle->fs->history, &watch->watcher);
    free(watch);
}

static const struct control_handle_ops watch_ops = {
    .fill = watch_fill,
    .wait = watch_wait,
    .stop = watch_stop,
    .free = watch_free,
};

/* --- opening --- */

/* Splits "PATH@VERSION" in place. The last "@" counts, and only before a number or
 * nothing: "a@b" is a path, and "a@7@" is the path "a@7". */
static int split_version(char *name, uint64_t *ret_version)
{
    char *at = strrchr(name, '@');

    *ret_version = WATCH_FROM_NOW;
    if (at == NULL || strspn(at + 1, "0123456789") != strlen(at + 1))
        return 0;
    if (at[1] != '\0') {
        errno = 0;
        *ret_version = strtoull(at + 1, NULL, 10);
        if (errno != 0 || *ret_version == WATCH_FROM_NOW)
            return KE_INVALID;
    }
    *at = '\0';
    /* "PATH/@VERSION" is well meant too. */
    if (at > name && at[-1] == '/')
        at[-1] = '\0';
    return 0;
}

struct control_handle *watch_open(struct fs *fs, const char *name, int *ret_code)
{
    struct watch *watch = mem_zalloc(sizeof(*watch));
    uint64_t seen;

    assert(strlen(name) <= PATH_BYTES_MAX);
    memcpy(watch->path, name, strlen(name) + 1);
    watch->watcher.path = watch->path;
    *ret_code = split_version(watch->path, &seen);
    if (*ret_code == 0 && !watch_history_join(&fs->history, &watch->watcher, seen))
        *ret_code = KE_BUSY;
    if (*ret_code != 0) {
        free(watch);
        return NULL;
    }
    control_handle_init(&watch->handle, fs, &watch_ops);
    return &watch->handle;
}
