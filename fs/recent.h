/* The versions that the last lookups found, for a moment.
 *
 * The kernel opens a file in steps: lookup, perhaps getattr, open. A file that
 * is replaced by a rename between them has no path any more when open() comes,
 * though the name existed all the time; answering ESTALE would make readers of
 * a file that is replaced again and again fail. The version that the lookup
 * found is a correct answer: open() then takes effect at the moment of its
 * lookup. That is in the call only as long as nothing is changed after the lookup, since
 * the kernel may have kept the name for much longer than a call: a change of the file
 * takes its version out and puts the new one in, which is the last it had when it was
 * removed.
 *
 * A ring with a lock of its own, the last one in the order.
 */
#ifndef KEELFS_FS_RECENT_H
#define KEELFS_FS_RECENT_H

#include "fs/view.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECENT_MAX    64
#define RECENT_AGE_NS 2000000000ull

struct recent_look {
    struct view *view; /* NULL: none, or none any more */
    uint64_t looked_ns;
};

struct recent {
    pthread_mutex_t lock; /* guards the rest */
    struct recent_look looks[RECENT_MAX];
    size_t next;
};

void recent_init(struct recent *recent);
void recent_release(struct recent *recent);

/* Takes `view`. */
void recent_add(struct recent *recent, struct view *view);

/* The last version of the file `id`, which was looked up at most RECENT_AGE_NS ago, with a
 * reference, or NULL. */
struct view *recent_find(struct recent *recent, uint64_t id);
bool recent_has(struct recent *recent, uint64_t id);

/* The file `id` has been changed: what it is now, or NULL when nobody knows. */
void recent_change(struct recent *recent, uint64_t id, struct view *view);

/* Lets go of what is too old to be found, or of everything. */
void recent_expire(struct recent *recent, bool all);

#endif
