#include "raftstore/event_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000

void event_log_init(struct event_log *log)
{
    pthread_mutex_init(&log->lock, NULL);
    log->first = 1;
    log->next = 1;
}

void event_log_release(struct event_log *log)
{
    pthread_mutex_destroy(&log->lock);
}

static struct event *event_at(struct event_log *log, uint64_t number)
{
    return &log->events[number % EVENT_LOG_MAX];
}

/* Under the lock. */
static void make_room(struct event_log *log)
{
    if (log->next - log->first < EVENT_LOG_MAX)
        return;
    for (int i = 0; i < EVENT_LOG_DROP; i++)
        log->text_bytes -= strlen(event_at(log, log->first++)->text);
}

void event_log_add(struct event_log *log, const char *format, ...)
{
    char text[EVENT_TEXT_MAX + 1];
    struct timespec now;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&log->lock);
    make_room(log);
    struct event *event = event_at(log, log->next);
    clock_gettime(CLOCK_REALTIME, &now);
    event->number = log->next++;
    event->time_ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
    memcpy(event->text, text, strlen(text) + 1);
    log->text_bytes += strlen(text);
    pthread_mutex_unlock(&log->lock);
}

bool event_log_get(struct event_log *log, uint64_t number, struct event *ret_event)
{
    pthread_mutex_lock(&log->lock);
    if (number < log->first)
        number = log->first;
    bool is_kept = number < log->next;
    if (is_kept)
        *ret_event = *event_at(log, number);
    pthread_mutex_unlock(&log->lock);
    return is_kept;
}

void event_log_size(struct event_log *log, struct event_log_size *ret_size)
{
    pthread_mutex_lock(&log->lock);
    *ret_size = (struct event_log_size){
        .count = (size_t)(log->next - log->first),
        .text_bytes = log->text_bytes,
        .time_ns = log->next > 1 ? event_at(log, log->next - 1)->time_ns : 0,
    };
    pthread_mutex_unlock(&log->lock);
}
