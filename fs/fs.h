/* What all of the file system shares, and what lives longer than a request.
 * Private to fs/.
 *
 * Threads: the session's workers run the handlers (ops_*.c), the store's apply
 * thread runs the steps of waiting requests and the observer. Locks, in the
 * order they are taken:
 *
 *     `objects_lock`
 *     a directory's lock (dir.h)
 *     a file's lock (file.h), one at a time
 *     a view's lock (view.h)
 *     the lock of a handle of the control directory
 *     the lock of the session (recall.h), which the raft thread takes
 *     the locks of the inode table, the budget, `recent`, the invalidator, the interrupts,
 *     what the kernel was given, the trace, the logs of operations and events, the history
 *     and the nodes of watches; `locks_lock`, `work_lock`: one of them at a time, nothing
 *     under it
 *
 * None is held across a call of the store that can call back (store_propose(),
 * store_barrier(), op_finish()), nor across a reply to the kernel.
 */
#ifndef KEELFS_FS_FS_H
#define KEELFS_FS_FS_H

#include "fs/behind.h"
#include "fs/budget.h"
#include "fs/fresh.h"
#include "fs/given.h"
#include "fs/inode.h"
#include "fs/interrupt_again.h"
#include "fs/invalidator.h"
#include "fs/locks.h"
#include "fs/mount.h"
#include "fs/op_log.h"
#include "fs/op_trace.h"
#include "fs/recall.h"
#include "fs/recent.h"
#include "fs/watch_history.h"
#include "fs/watch_nodes.h"
#include "raftstore/deadline.h"
#include "raftstore/event_log.h"
#include "raftstore/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Something open that only the kernel's handle leads to, so that it can be found
 * when the mount goes. The first member of what it stands for. */
struct fs_object {
    struct fs_object *prev; /* guarded by `objects_lock`, as are the next two */
    struct fs_object *next;
    bool is_stopped;
    void (*free)(struct fs_object *object);
    void (*renew)(struct fs_object *object); /* lets go of old views, or NULL */
    /* Ends what waits for ever, or NULL. What has this is freed by the kernel's release, or
     * with the mount. */
    void (*stop)(struct fs_object *object);
};

/* The first exchange with the kernel; see init_flags.h. */
struct init_handshake {
    uint64_t unique;
    uint64_t offered;
    atomic_bool is_done; /* set once; the others are not touched after it */
};

struct fs {
    struct store *store;
    struct tree *tree;
    char *mountpoint;
    char *data_dir;
    char *options; /* "" when there are none */
    uint32_t op_timeout_ms;
    bool stale_reads;
    bool no_cache;
    struct inode_table inodes;
    struct budget budget;
    struct recent recent;
    struct behind behind;
    struct invalidator invalidator;
    struct interrupt_again interrupts;
    struct op_trace op_trace;
    struct op_log op_log;
    struct event_log slow_operations;
    struct given given;
    struct recall recall;
    bool has_epoch; /* the kernel drops names when asked; set before the first request */
    struct watch_history history;
    struct watch_nodes watch_nodes;
    struct init_handshake init;
    /* Of the apply thread. */
    struct fresh fresh;
    uint64_t renewed_ns; /* when views were last looked over */

    pthread_mutex_t objects_lock;
    struct fs_object objects; /* the head of a ring */

    pthread_mutex_t locks_lock; /* guards `locks` */
    struct locks locks;
    struct deadlines *deadlines; /* of waits in fs/ that have one of their own */

    pthread_mutex_t work_lock; /* guards the rest */
    pthread_cond_t work_ended;
    size_t work; /* requests and publishes under way */
};

/* Around everything that lives on after its handler returned. */
void fs_begin_work(struct fs *fs);
void fs_end_work(struct fs *fs);
void fs_wait_for_work(struct fs *fs);

/* An open object begins and ends. Ending does not free it. */
void fs_object_add(struct fs *fs, struct fs_object *object);
void fs_object_remove(struct fs *fs, struct fs_object *object);

/* The mount goes, and nothing is opened or closed any more: ends the waits that have no
 * end of their own. */
void fs_stop_waits(struct fs *fs);

/* The mount is gone: drops what is still open, and every view. */
void fs_abandon_open(struct fs *fs);

/* Wall clock, for times that a command carries. */
int64_t fs_wall_clock_ns(void);

#endif
