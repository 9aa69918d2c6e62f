/* Lookups that just timed out, so that the kernel's second try is not waited for.
 *
 * For a name that it has cached the kernel first asks whether it still stands.
 * When that fails it drops the name and asks once more, within the same system
 * call: without a majority, open() would take twice the operation timeout. The
 * second request of the same thread for the same name fails at once; the next
 * one waits again.
 *
 * A ring with a lock of its own, the last one in the order.
 */
#ifndef KEELFS_FS_LAPSED_H
#define KEELFS_FS_LAPSED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAPSED_MAX    64
#define LAPSED_AGE_NS 100000000ull

struct lapsed_name {
    uint64_t hash; /* of directory, name and thread */
    uint64_t at_ns;
};

struct lapsed {
    pthread_mutex_t lock; /* guards the rest */
    struct lapsed_name names[LAPSED_MAX];
    size_t next;
};

void lapsed_init(struct lapsed *lapsed);
void lapsed_release(struct lapsed *lapsed);

/* The lookup of `name` in directory `dir` by thread `pid` has timed out. */
void lapsed_note(struct lapsed *lapsed, uint64_t dir, const char *name, uint32_t pid);

/* Whether that was just now; the second call says no. */
bool lapsed_take(struct lapsed *lapsed, uint64_t dir, const char *name, uint32_t pid);

#endif
