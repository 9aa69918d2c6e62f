/* Drops what the kernel has cached of files whose content may have changed without
 * a word: pages that programs have mapped, and attributes.
 *
 * The kernel waits for reads of the page that it drops, so that nobody who answers
 * reads may do this: a thread of its own, for which nobody waits but the end of
 * the mount. Names, and attributes that were given, are taken back before (recall.h).
 *
 * invalidator_wake() is for any thread, at any time between init and release; the
 * rest is for the thread of the mount.
 */
#ifndef KEELFS_FS_INVALIDATOR_H
#define KEELFS_FS_INVALIDATOR_H

#include "fs/inode.h"

#include <pthread.h>
#include <stdbool.h>

struct fuse_session;

struct invalidator {
    struct inode_table *inodes; /* borrowed */
    struct fuse_session *session;
    pthread_t thread;
    bool has_thread; /* of the mount's thread */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    bool is_wanted;
    bool is_stopping;
};

void invalidator_init(struct invalidator *invalidator, struct inode_table *inodes);
void invalidator_release(struct invalidator *invalidator);

/* `session` is mounted, and stays so until the stop. At most once. */
void invalidator_start(struct invalidator *invalidator, struct fuse_session *session);
/* Also when it was never started. */
void invalidator_stop(struct invalidator *invalidator);

/* All files that the kernel knows, soon. Does not block. */
void invalidator_wake(struct invalidator *invalidator);

#endif
