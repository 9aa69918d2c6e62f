/* The names below `.keelfs/watch`: any path, whether it exists or not, is there as a
 * directory to walk through and as a file to read. docs/decisions/0010 has the why.
 *
 * The kernel does not say whether a lookup is for the last name of a path. So each is
 * answered with a directory. When the kernel then opens that directory as one opens a
 * file, without O_DIRECTORY, the open gets ESTALE; the kernel walks the path once more,
 * and this time the same thread finds a file under the last name.
 *
 * A path has one number while the kernel knows it, from which both inode numbers are
 * made. Any thread may call; the table has a lock of its own, a leaf.
 */
#ifndef KEELFS_FS_WATCH_NODES_H
#define KEELFS_FS_WATCH_NODES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Paths that the kernel may know at a time. */
#define WATCH_NODES_MAX 65536

/* `watch` itself, which stands for everything. */
#define WATCH_NODES_TOP 0

/* Threads between the open that was refused and the one that follows. */
#define WATCH_REOPENS_MAX 64

struct watch_node;

struct watch_nodes {
    pthread_mutex_t lock; /* guards the rest */
    struct watch_node **buckets;
    size_t count;
    uint64_t next_number;
    struct watch_reopen {
        pid_t tid;
        uint64_t number;
        uint64_t until_ns;
    } reopens[WATCH_REOPENS_MAX];
    size_t next_reopen;
};

void watch_nodes_init(struct watch_nodes *nodes);
void watch_nodes_release(struct watch_nodes *nodes);

/* The number of `name` below `parent`, with one more reference for the kernel. 0; or
 * KE_NAME_TOO_LONG, KE_INVALID, KE_STALE, KE_BUSY when the kernel knows too many. */
int watch_nodes_lookup(struct watch_nodes *nodes, uint64_t parent, const char *name,
                       uint64_t *ret_number);
void watch_nodes_forget(struct watch_nodes *nodes, uint64_t number, uint64_t count);

/* Copies the path ("" is the top) to `out`, PATH_BYTES_MAX + 1 bytes. False: there is no
 * such number. */
bool watch_nodes_path(struct watch_nodes *nodes, uint64_t number, char *out);

/* The thread was refused the directory and comes again for the file. */
void watch_nodes_expect_file(struct watch_nodes *nodes, uint64_t number, pid_t tid);
/* Whether it comes for the file. */
bool watch_nodes_expects_file(struct watch_nodes *nodes, uint64_t number, pid_t tid);
/* It has opened something. */
void watch_nodes_opened(struct watch_nodes *nodes, pid_t tid);

#endif
