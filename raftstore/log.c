#include "raftstore/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* A longer line is cut. */
#define LOG_LINE_MAX 1024
#define LOG_NAME_MAX 64

/* EX_IOERR of sysexits.h: the supervisor sees that the disk, not the
 * configuration, is to blame. */
#define LOG_FATAL_STATUS 74

struct log_sink {
    char name[LOG_NAME_MAX];
    enum log_level level;
    bool to_syslog;
};

/* Set before the first thread starts, then only read. */
static struct log_sink sink = {.name = "keelfs", .level = LOG_LEVEL_INFO};

static const struct {
    const char *text;
    int priority;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_WARN] = {"warning", LOG_WARNING},
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
};

void log_open(const char *name, enum log_level level, int to_syslog)
{
    assert(level <= LOG_LEVEL_ERROR);
    (void)snprintf(sink.name, sizeof sink.name, "%s", name);
    sink.level = level;
    sink.to_syslog = to_syslog != 0;
    if (sink.to_syslog) {
        openlog(sink.name, LOG_PID, LOG_DAEMON);
    }
}

/* Up to `size` characters of "2024-05-01T12:00:00.123Z ", for who compares the
 * lines of several nodes. */
static size_t format_time(char *out, size_t size)
{
    struct timespec now;
    struct tm utc;
    size_t length;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || gmtime_r(&now.tv_sec, &utc) == NULL) {
        return 0;
    }
    length = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return length +
           (size_t)snprintf(out + length, size - length, ".%03dZ ", (int)(now.tv_nsec / 1000000));
}

/* One write() a line, so that lines of several threads do not mix. */
static void write_line(enum log_level level, const char *format, va_list args)
{
    char line[LOG_LINE_MAX];
    size_t room = sizeof line - 1; /* one byte for the newline */
    size_t length = format_time(line, room);
    int printed = snprintf(line + length, room - length, "%s: %s: ", sink.name, levels[level].text);

    length += (size_t)printed;
    printed = vsnprintf(line + length, room - length, format, args);
    if (printed > 0) {
        size_t left = room - length - 1;

        length += (size_t)printed < left ? (size_t)printed : left;
    }
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, length) < 0) {
        /* There is nowhere left to say so. */
        return;
    }
}

static void emit(enum log_level level, const char *format, va_list args)
{
    int saved_errno = errno;

    if (level < sink.level) {
        return;
    }
    if (sink.to_syslog) {
        vsyslog(levels[level].priority, format, args);
    } else {
        write_line(level, format, args);
    }
    errno = saved_errno;
}

void log_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    emit(LOG_LEVEL_DEBUG, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    emit(LOG_LEVEL_INFO, format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    emit(LOG_LEVEL_WARN, format, args);
    va_end(args);
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    emit(LOG_LEVEL_ERROR, format, args);
    va_end(args);
}

void log_fatal(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    emit(LOG_LEVEL_ERROR, format, args);
    va_end(args);
    _exit(LOG_FATAL_STATUS);
}
