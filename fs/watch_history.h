/* What has changed lately, for those who watch a path: docs/decisions/0010.
 *
 * Every change of the store's observer becomes a line or two, with the path it is
 * about; the last of them are kept, in a bounded amount of memory. A watcher has a
 * place of its own in the history, so that one that comes back with the version it has
 * seen last goes on there, and one that is too slow is told so.
 *
 * What the history does not have is always said, as an event WATCH_LOST: whoever gets
 * it looks at the data anew and goes on from its version.
 *
 * Locks: each history has its own, a leaf. watch_history_note() is for the apply
 * thread; it ends waits, so that steps of requests run inside it, without the lock.
 */
#ifndef KEELFS_FS_WATCH_HISTORY_H
#define KEELFS_FS_WATCH_HISTORY_H

#include "fs/record_ring.h"
#include "fs/waiters.h"
#include "raftstore/store.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* About 60,000 changes of paths of 40 bytes. */
#define WATCH_HISTORY_BYTES (4u << 20)
/* Open at a time. */
#define WATCHERS_MAX 1024

/* From here on: nothing that has happened already. */
#define WATCH_FROM_NOW UINT64_MAX

enum watch_event {
    WATCH_CREATED,
    WATCH_CHANGED,
    WATCH_REMOVED,
    WATCH_MOVED_FROM,
    WATCH_MOVED_TO,
    WATCH_EXCHANGED,
    WATCH_LOST, /* what happened up to this version is not known */
};

const char *watch_event_name(enum watch_event event);

/* Of one who watches. All but `path` is guarded by the history's lock. */
struct watcher {
    const char *path; /* "" is everything */
    struct watcher *prev;
    struct watcher *next;
    struct record_place place;
    uint64_t seen; /* the version: nothing up to it is told */
    bool has_lost; /* to be told first: what came up to `seen` is not known */
    struct waiters waiters;
};

struct watch_history {
    pthread_mutex_t lock; /* guards the rest */
    struct record_ring ring;
    uint64_t floor;          /* the history begins behind this version */
    struct watcher watchers; /* the head of a ring */
    size_t watcher_count;
};

/* What came up to version `floor` is not in it. */
void watch_history_init(struct watch_history *history, uint64_t floor);
/* Nobody watches any more. */
void watch_history_release(struct watch_history *history);

void watch_history_note(struct watch_history *history, const struct change *changes, size_t count);

/* Begins to watch watcher->path (borrowed) behind version `seen`. False: too many
 * do. */
bool watch_history_join(struct watch_history *history, struct watcher *watcher, uint64_t seen);
void watch_history_leave(struct watch_history *history, struct watcher *watcher);

/* One event of what is watched; `path` is not NUL-terminated. */
typedef void watch_tell_fn(void *ctx, uint64_t version, enum watch_event event, const char *path,
                           size_t path_size);

/* Tells what has happened since the last call, or a part of it. True: that was not
 * all. False: the end is reached, and `*ret_round` is for watch_history_wait(). */
bool watch_history_tell(struct watch_history *history, struct watcher *watcher, watch_tell_fn *tell,
                        void *ctx, uint64_t *ret_round);

/* Has the next event of what is watched finish `op`. False: it has come already. */
bool watch_history_wait(struct watch_history *history, struct watcher *watcher, uint64_t round,
                        struct op *op);
/* Ends the waits of the watcher, with a failure. */
void watch_history_stop(struct watch_history *history, struct watcher *watcher);

#endif
