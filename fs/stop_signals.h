/* SIGTERM, SIGINT and SIGHUP: how the daemon is asked to stop; and how a part of it
 * that cannot go on asks for the same.
 *
 * A thread of its own waits for them. The first one ends fs_mount_run(), and the
 * main thread then takes everything down in order. A second one, or a stop that
 * takes longer than its patience, ends the process at once: what was
 * acknowledged is on disk and needs no orderly end.
 *
 * All calls are for the main thread, but for stop_signals_ask().
 */
#ifndef KEELFS_FS_STOP_SIGNALS_H
#define KEELFS_FS_STOP_SIGNALS_H

#include "fs/mount.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stop_signals {
    pthread_t thread;
    sigset_t set;
    const char *mountpoint; /* borrowed */
    uint32_t patience_ms;
    atomic_bool asked;
    pthread_mutex_t lock;   /* guards the rest */
    struct fs_mount *mount; /* what a signal ends; NULL: nothing yet, or no more */
    bool stopping;
    bool finished;
};

/* Blocks the signals in this thread and in all that it starts, ignores SIGPIPE,
 * and starts the thread. Before any other thread. */
void stop_signals_start(struct stop_signals *signals, const char *mountpoint, uint32_t patience_ms);

/* From now on a signal ends this mount; one that came earlier ends it at once. */
void stop_signals_set_mount(struct stop_signals *signals, struct fs_mount *mount);

/* Stops as a signal does. Any thread, between start and finish; does not block. */
void stop_signals_ask(struct stop_signals *signals);

/* The main thread begins to take things down, for whatever reason: a signal has
 * no mount to end any more, and the patience begins to run. */
void stop_signals_begin_stop(struct stop_signals *signals);

/* Everything is down: ends the thread. */
void stop_signals_finish(struct stop_signals *signals);

#endif
