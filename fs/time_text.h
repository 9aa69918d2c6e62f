/* Moments in the lines of the control directory: UTC, as in the daemon's log. */
#ifndef KEELFS_FS_TIME_TEXT_H
#define KEELFS_FS_TIME_TEXT_H

#include <stdint.h>

#define TIME_TEXT_MAX 48
/* What it takes, until the year 10000. */
#define TIME_TEXT_SIZE 27

/* "2024-05-01T12:00:00.123456Z" in `out`, which has TIME_TEXT_MAX bytes and is
 * returned; `wall_ns` is of the wall clock. */
const char *time_text(int64_t wall_ns, char *out);

#endif
