/* The daemon's log: one line an event on stderr (or syslog once daemonized).
 * Any thread may call. */
#ifndef KEELFS_RAFTSTORE_LOG_H
#define KEELFS_RAFTSTORE_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Process wide, set once before the first thread starts. `name` (copied) stands
 * in front of every line; `to_syslog` sends the lines there instead. */
void log_open(const char *name, enum log_level level, int to_syslog);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says why and ends the process at once with status 74 (EX_IOERR), without
 * flushing or unmounting anything: for failures after which nothing this
 * process says can be trusted (a failed fsync, damaged data, no memory). */
void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
