#include "fs/events.h"

#include "fs/time_text.h"
#include "raftstore/event_log.h"
#include "raftstore/memory.h"

#include <stdlib.h>
#include <string.h>

/* Where the events come from: a flood of slow operations leaves the others alone. */
#define SOURCES 2

/* Of a line: a space and its end. */
#define SEPARATORS 2

#define NS_PER_S 1000000000

struct events {
    struct control_handle handle;
    uint64_t next[SOURCES]; /* guarded by the handle's lock */
};

static struct event_log *source(struct fs *fs, size_t i)
{
    return i == 0 ? store_events(fs->store) : &fs->slow_operations;
}

static void add_line(struct stream *out, const struct event *event)
{
    char time[TIME_TEXT_MAX];

    time_text(event->time_ns, time);
    stream_add(out, time, strlen(time));
    stream_add(out, " ", 1);
    stream_add(out, event->text, strlen(event->text));
    stream_add(out, "\n", 1);
}

/* The oldest event that is left. False: none is. */
static bool take_oldest(struct events *events, struct event *ret_event)
{
    struct event event;
    size_t from = SOURCES;

    for (size_t i = 0; i < SOURCES; i++) {
        if (!event_log_get(source(events->handle.fs, i), events->next[i], &event))
            continue;
        if (from == SOURCES || event.time_ns < ret_event->time_ns) {
            *ret_event = event;
            from = i;
        }
    }
    if (from < SOURCES)
        events->next[from] = ret_event->number + 1;
    return from < SOURCES;
}

static uint64_t events_fill(struct control_handle *handle)
{
    struct event event;

    for (int i = 0; i < SOURCES * EVENT_LOG_MAX; i++) {
        if (!take_oldest((struct events *)handle, &event))
            break;
        add_line(&handle->stream, &event);
    }
    return 0;
}

static void events_free(struct control_handle *handle)
{
    free(handle);
}

static void events_rewind(struct control_handle *handle)
{
    struct events *events = (struct events *)handle;

    stream_release(&handle->stream);
    memset(events->next, 0, sizeof(events->next));
}

static const struct control_handle_ops events_ops = {
    .fill = events_fill,
    .rewind = events_rewind,
    .free = events_free,
};

struct control_handle *events_open(struct fs *fs, int *ret_code)
{
    struct events *events = mem_zalloc(sizeof(*events));

    (void)ret_code;
    control_handle_init(&events->handle, fs, &events_ops);
    return &events->handle;
}

void events_fill_stat(struct fs *fs, struct stat *st)
{
    struct event_log_size size;
    int64_t time_ns = 0;

    st->st_size = 0;
    for (size_t i = 0; i < SOURCES; i++) {
        event_log_size(source(fs, i), &size);
        st->st_size += (off_t)(size.text_bytes + size.count * (TIME_TEXT_SIZE + SEPARATORS));
        time_ns = size.time_ns > time_ns ? size.time_ns : time_ns;
    }
    st->st_mtim.tv_sec = (time_t)(time_ns / NS_PER_S);
    st->st_mtim.tv_nsec = (long)(time_ns % NS_PER_S);
}
