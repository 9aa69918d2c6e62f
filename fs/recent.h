/* The versions that the last lookups found, for a moment.
 *
 * The kernel opens a file in steps: lookup, perhaps getattr, open. A file that
 * is replaced by a rename between them has no path any more when open() comes,
 * though the name existed all the time; answering ESTALE would make readers of
 * a file that is replaced again and again fail. The version that the lookup
 * found is a correct answer: open() then takes effect at the moment of its
 * lookup. That is in the call only as long as nothing is changed after the lookup: a
 * change of the file takes its version out, since the kernel may have kept the name
 * for much longer than a call.
 *
 * A ring with a lock of its own, the last one in the order.
 */
#ifndef KEELFS_FS_RECENT_H
#define KEELFS_FS_RECENT_H

#include "fs/view.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define RECENT_MAX    64
#define RECENT_AGE_NS 2000000000ull

struct recent {
    pthread_mutex_t lock; /* guards the rest */
    struct view *views[RECENT_MAX];
    size_t next;
};

void recent_init(struct recent *recent);
void recent_release(struct recent *recent);

/* Takes `view`. */
void recent_add(struct recent *recent, struct view *view);

/* The version of the file `id` that was looked up at most RECENT_AGE_NS ago, with
 * a reference, or NULL. */
struct view *recent_find(struct recent *recent, uint64_t id);

/* The file `id` has been changed. */
void recent_forget(struct recent *recent, uint64_t id);

/* Lets go of what is too old to be found, or of everything. */
void recent_expire(struct recent *recent, bool all);

#endif
