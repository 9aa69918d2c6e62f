/* Has the kernel tell again of callers that were interrupted.
 *
 * It tells once for each request, at the first signal that the caller handles. When that
 * was a harmless one (interrupt.h) the request goes on waiting, and a ^C or a kill that
 * comes after it would not be heard before the request has its answer. The protocol lets us
 * answer EAGAIN to the notice of an interrupt: then it comes anew, if the request is still
 * there. So each notice is answered so, INTERRUPT_AGAIN_MS later.
 *
 * A thread of its own, from the start to the stop. interrupt_again_note() is for any
 * thread between init and release; the rest is for the thread of the mount.
 */
#ifndef KEELFS_FS_INTERRUPT_AGAIN_H
#define KEELFS_FS_INTERRUPT_AGAIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTERRUPT_AGAIN_MS 100

/* Past it some are not asked for again: their requests end by their deadline. */
#define INTERRUPT_AGAIN_MAX 1024

struct fuse_session;

struct interrupt_again {
    struct fuse_session *session;
    pthread_t thread;
    bool has_thread; /* of the mount's thread */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    bool is_stopping;
    struct {
        uint64_t unique;
        uint64_t due_ns;
    } notices[INTERRUPT_AGAIN_MAX]; /* a ring, in the order they came */
    size_t first;
    size_t count;
};

void interrupt_again_init(struct interrupt_again *again);
void interrupt_again_release(struct interrupt_again *again);

/* `session` is mounted, and stays so until the stop. At most once. */
void interrupt_again_start(struct interrupt_again *again, struct fuse_session *session);
/* Also when it was never started. */
void interrupt_again_stop(struct interrupt_again *again);

/* The kernel has told that the caller of request `unique` was interrupted. */
void interrupt_again_note(struct interrupt_again *again, uint64_t unique);

#endif
