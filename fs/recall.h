/* Takes back what the kernel was given with a timeout, before this node acknowledges
 * that it changes: see docs/decisions/0009-read-leases.md.
 *
 * All but recall_opened() runs on the raft thread, and waits for nothing that needs it: names go
 * with the kernel's epoch, attributes by an invalidation of the inode without its pages. Neither
 * takes a lock that a request holds.
 *
 * A request that was answered may not have taken its answer yet; then the kernel does
 * not know the inode, and taking it back would come too early. It has the answer within
 * moments: for at most RECALL_PATIENCE_NS a call waits for that. (New inodes come without
 * attributes to keep, so this takes one that the kernel has just evicted.)
 *
 * `lock` guards the session against its end, and the counts.
 */
#ifndef KEELFS_FS_RECALL_H
#define KEELFS_FS_RECALL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECALL_PATIENCE_NS 2000000ull

struct fs;
struct fuse_session;

struct recall {
    pthread_mutex_t lock;
    struct fuse_session *session; /* NULL while nothing is mounted */
    /* How often the kernel dropped all names, and the attributes of a file. */
    uint64_t names;
    uint64_t attrs;
};

void recall_init(struct recall *recall);
void recall_release(struct recall *recall);

/* Whether the kernel behind `session`, which is mounted, drops names when asked. From
 * here on it is asked. */
bool recall_start(struct recall *recall, struct fuse_session *session);
/* The mount ends, and nothing is answered any more: takes everything back, once more.
 * Who is still in there when it is gone would be shown what was, while others change it. */
void recall_stop(struct fs *fs);

/* The pages of a directory's listing, and its attributes. Waits for nobody who reads it: its
 * pages are not locked while it is asked for them. */
void recall_listing(struct fs *fs, uint64_t id);

/* The file at `path` is open to be written here: from now on it can be seen here what is not
 * published, and the kernel is to ask for its attributes each time. Any thread; blocks for
 * nothing. */
void recall_opened(struct fs *fs, const char *path);

/* store_invalidate_fn; `ctx` is the fs. */
void recall_touched(void *ctx, const uint64_t *keys, size_t count);

#endif
