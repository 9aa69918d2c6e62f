/* Going into the background, and what the shell hears of it.
 *
 * The process that the shell started waits until the daemon serves and then
 * exits 0, or prints the daemon's one error line and exits 1. So
 * `keelfs /mnt/kv && ls /mnt/kv` works, and a start that failed can be seen.
 *
 * In the foreground there is no fork, and the same calls write to standard
 * error. Owned by the main thread; daemon_start() comes before any other thread,
 * grpc_init() and RocksDB, none of which survives a fork.
 */
#ifndef KEELFS_FS_DAEMONIZE_H
#define KEELFS_FS_DAEMONIZE_H

#include "raftstore/err.h"

#include <stdbool.h>

struct daemon {
    bool foreground;
    bool keeps_stderr; /* it is the log file, or the terminal of a foreground process */
    int link;          /* to the waiting process; foreground: to the first standard error; or -1 */
};

/* Forks unless `foreground`; only the daemon returns. With `log_file` (may be
 * empty) its standard output and error are appended to that file. */
int daemon_start(struct daemon *daemon, bool foreground, const char *log_file, struct err *e);

/* The daemon serves: the waiting process exits 0. False when nobody waits any
 * more, that is, the user has interrupted the start. Call once. */
bool daemon_report_ready(struct daemon *daemon);

/* The daemon could not start or had to stop: the line is shown where the user
 * still looks, if anywhere. `daemon_report_ready()` may have been called. */
void daemon_report_failure(struct daemon *daemon, const char *text);

#endif
