/* The last things that happened, one line each, for whoever looks at a node later:
 * elections, members, snapshots. A fixed number is kept: when there is no room, the
 * oldest ones go, several at a time, so that who follows the log sees it grow for long
 * and shrink seldom.
 *
 * Any thread may call; a log has a lock of its own, a leaf.
 */
#ifndef KEELFS_RAFTSTORE_EVENT_LOG_H
#define KEELFS_RAFTSTORE_EVENT_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_LOG_MAX  256
#define EVENT_LOG_DROP 64
#define EVENT_TEXT_MAX 511

struct event {
    uint64_t number; /* from 1 on */
    int64_t time_ns; /* wall clock */
    char text[EVENT_TEXT_MAX + 1];
};

struct event_log {
    pthread_mutex_t lock; /* guards the rest */
    uint64_t first;       /* the number of the oldest that is kept */
    uint64_t next;        /* the number of the one to come */
    size_t text_bytes;    /* of those kept, together */
    struct event events[EVENT_LOG_MAX];
};

void event_log_init(struct event_log *log);
void event_log_release(struct event_log *log);

/* One line; what is too long is cut. */
void event_log_add(struct event_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first event with at least this number that is kept. False: there is none. */
bool event_log_get(struct event_log *log, uint64_t number, struct event *ret_event);

struct event_log_size {
    size_t count;
    size_t text_bytes;
    int64_t time_ns; /* of the last event there was; 0: none */
};
void event_log_size(struct event_log *log, struct event_log_size *ret_size);

#endif
