#include "fs/watch_history.h"

#include "raftstore/path.h"

#include <string.h>

/* Records that are looked at under the lock at a time: the apply thread waits for it. */
#define TELL_MAX 512

/* One record of the ring; the path follows. */
struct watch_record {
    uint64_t version;
    uint64_t event;
};

const char *watch_event_name(enum watch_event event)
{
    static const char *const names[] = {
        [WATCH_CREATED] = "created",   [WATCH_CHANGED] = "changed",
        [WATCH_REMOVED] = "removed",   [WATCH_MOVED_FROM] = "moved-from",
        [WATCH_MOVED_TO] = "moved-to", [WATCH_EXCHANGED] = "exchanged",
        [WATCH_LOST] = "lost",
    };

    return names[event];
}

void watch_history_init(struct watch_history *history, uint64_t floor)
{
    *history = (struct watch_history){.floor = floor};
    pthread_mutex_init(&history->lock, NULL);
    record_ring_init(&history->ring, WATCH_HISTORY_BYTES);
    history->watchers.prev = history->watchers.next = &history->watchers;
}

void watch_history_release(struct watch_history *history)
{
    record_ring_release(&history->ring);
    pthread_mutex_destroy(&history->lock);
}

/* --- who is concerned --- */

static bool is_within(const char *path, size_t size, const char *dir)
{
    size_t dir_size = strlen(dir);

    return dir_size == 0 || (size >= dir_size && memcmp(path, dir, dir_size) == 0 &&
                             (size == dir_size || path[dir_size] == '/'));
}

static bool is_above(const char *path, size_t size, const char *below)
{
    return size == 0 ||
           (strncmp(path, below, size) == 0 && (below[size] == '/' || below[size] == '\0'));
}

/* A name that comes or goes takes all below it along. */
static bool concerns(const struct watcher *watcher, enum watch_event event, const char *path,
                     size_t size)
{
    if (event == WATCH_LOST || is_within(path, size, watcher->path))
        return true;
    return event != WATCH_CREATED && event != WATCH_CHANGED && is_above(path, size, watcher->path);
}

/* --- noting; under the lock --- */

/* The waits that `event` ends go to `all`. */
static void end_rounds(struct watch_history *history, enum watch_event event, const char *path,
                       size_t size, struct waiters *all)
{
    for (struct watcher *watcher = history->watchers.next; watcher != &history->watchers;
         watcher = watcher->next) {
        struct waiters ended;
        if (!concerns(watcher, event, path, size))
            continue;
        waiters_end_round(&watcher->waiters, &ended);
        waiters_move(&ended, all);
    }
}

static void note(struct watch_history *history, uint64_t version, enum watch_event event,
                 const char *path, struct waiters *all)
{
    const struct watch_record record = {.version = version, .event = event};
    size_t size = strlen(path);

    record_ring_add(&history->ring, &record, sizeof(record), path, size);
    end_rounds(history, event, path, size, all);
}

static bool is_parent(const char *parent, const char *path)
{
    return path_parent_length(path) == strlen(parent) && memcmp(parent, path, strlen(parent)) == 0;
}

/* The times of a directory change with each name that comes or goes: that is not
 * worth a line. A rename touches its directories one after the other. */
static bool is_touch(const struct change *changes, size_t i)
{
    if (i == 0 || changes[i].kind != CHANGE_CONTENT)
        return false;
    const struct change *before = &changes[i - 1];
    const char *path = changes[i].path;
    if (before->kind == CHANGE_CONTENT && i >= 2) {
        const struct change *move = &changes[i - 2];
        return (move->kind == CHANGE_RENAMED || move->kind == CHANGE_EXCHANGED) &&
               is_parent(before->path, move->path) && is_parent(path, move->to) &&
               strcmp(before->path, path) != 0;
    }
    return before->kind != CHANGE_CONTENT && is_parent(path, before->path);
}

/* What stood where a rename leads to. */
static bool is_replaced(const struct change *changes, size_t count, size_t i)
{
    return changes[i].kind == CHANGE_REMOVED && i + 1 < count &&
           changes[i + 1].kind == CHANGE_RENAMED && strcmp(changes[i].path, changes[i + 1].to) == 0;
}

static void note_change(struct watch_history *history, const struct change *change,
                        struct waiters *all)
{
    switch (change->kind) {
    case CHANGE_CREATED:
        note(history, change->version, WATCH_CREATED, change->path, all);
        break;
    case CHANGE_CONTENT:
        note(history, change->version, WATCH_CHANGED, change->path, all);
        break;
    case CHANGE_REMOVED:
        note(history, change->version, WATCH_REMOVED, change->path, all);
        break;
    case CHANGE_RENAMED:
        note(history, change->version, WATCH_MOVED_FROM, change->path, all);
        note(history, change->version, WATCH_MOVED_TO, change->to, all);
        break;
    case CHANGE_EXCHANGED:
        note(history, change->version, WATCH_EXCHANGED, change->path, all);
        note(history, change->version, WATCH_EXCHANGED, change->to, all);
        break;
    case CHANGE_EVERYTHING:
        history->floor = change->version;
        note(history, change->version, WATCH_LOST, "", all);
        break;
    }
}

void watch_history_note(struct watch_history *history, const struct change *changes, size_t count)
{
    struct waiters all = {0};

    pthread_mutex_lock(&history->lock);
    for (size_t i = 0; i < count; i++) {
        if (!is_touch(changes, i) && !is_replaced(changes, count, i))
            note_change(history, &changes[i], &all);
    }
    pthread_mutex_unlock(&history->lock);
    waiters_finish(&all);
}

/* --- watching --- */

static struct watch_record record_of(const void *data)
{
    struct watch_record record;

    memcpy(&record, data, sizeof(record));
    return record;
}

/* The version behind which all is known; under the lock. The oldest record may be one
 * of several of its version. */
static uint64_t known_behind(const struct watch_history *history)
{
    struct record_place place = record_ring_start(&history->ring);
    const void *data;
    size_t size;
    uint64_t lost;

    if (place.number == 1 || !record_ring_read(&history->ring, &place, &data, &size, &lost))
        return history->floor;
    uint64_t oldest = record_of(data).version;
    return oldest > history->floor ? oldest : history->floor;
}

bool watch_history_join(struct watch_history *history, struct watcher *watcher, uint64_t seen)
{
    pthread_mutex_lock(&history->lock);
    bool has_room = history->watcher_count < WATCHERS_MAX;
    if (has_room) {
        bool from_now = seen == WATCH_FROM_NOW;
        uint64_t known = known_behind(history);
        watcher->place =
            from_now ? record_ring_end(&history->ring) : record_ring_start(&history->ring);
        watcher->has_lost = !from_now && seen < known;
        watcher->seen = from_now ? 0 : seen;
        if (watcher->has_lost)
            watcher->seen = known;
        watcher->prev = &history->watchers;
        watcher->next = history->watchers.next;
        watcher->next->prev = watcher;
        history->watchers.next = watcher;
        history->watcher_count++;
    }
    pthread_mutex_unlock(&history->lock);
    return has_room;
}

void watch_history_leave(struct watch_history *history, struct watcher *watcher)
{
    pthread_mutex_lock(&history->lock);
    watcher->prev->next = watcher->next;
    watcher->next->prev = watcher->prev;
    history->watcher_count--;
    pthread_mutex_unlock(&history->lock);
    waiters_drop(&watcher->waiters);
}

/* The next record; false at the end. Under the lock. */
static bool tell_next(struct watch_history *history, struct watcher *watcher, watch_tell_fn *tell,
                      void *ctx)
{
    const void *data;
    size_t size;
    uint64_t lost;

    if (!record_ring_read(&history->ring, &watcher->place, &data, &size, &lost))
        return false;
    struct watch_record record = record_of(data);
    const char *path = (const char *)data + sizeof(record);
    size -= sizeof(record);
    if (lost > 0) {
        watcher->seen = record.version;
        watcher->has_lost = true;
    } else if (record.version > watcher->seen &&
               concerns(watcher, (enum watch_event)record.event, path, size)) {
        if (record.event == WATCH_LOST)
            tell(ctx, record.version, WATCH_LOST, watcher->path, strlen(watcher->path));
        else
            tell(ctx, record.version, (enum watch_event)record.event, path, size);
    }
    return true;
}

bool watch_history_tell(struct watch_history *history, struct watcher *watcher, watch_tell_fn *tell,
                        void *ctx, uint64_t *ret_round)
{
    bool has_more = true;

    pthread_mutex_lock(&history->lock);
    for (int i = 0; has_more && i < TELL_MAX; i++) {
        if (watcher->has_lost) {
            watcher->has_lost = false;
            tell(ctx, watcher->seen, WATCH_LOST, watcher->path, strlen(watcher->path));
        }
        has_more = tell_next(history, watcher, tell, ctx);
    }
    *ret_round = watcher->waiters.round;
    pthread_mutex_unlock(&history->lock);
    return has_more;
}

bool watch_history_wait(struct watch_history *history, struct watcher *watcher, uint64_t round,
                        struct op *op)
{
    pthread_mutex_lock(&history->lock);
    bool is_added = waiters_add(&watcher->waiters, round, op);
    pthread_mutex_unlock(&history->lock);
    return is_added;
}

void watch_history_stop(struct watch_history *history, struct watcher *watcher)
{
    struct waiters ended;

    pthread_mutex_lock(&history->lock);
    waiters_end_round(&watcher->waiters, &ended);
    pthread_mutex_unlock(&history->lock);
    waiters_fail(&ended, KE_SHUTDOWN);
}
