/* One version of one regular file: what an open file reads.
 *
 * A view holds a snapshot of the store, so that all its reads are from one
 * moment, whole. A small file is read into the view at the first read and the
 * snapshot is let go: a snapshot keeps overwritten data on disk. A view
 * may also have attributes only; then there is nothing to read from it.
 *
 * Reference counted, shared by threads; what it shows never changes.
 */
#ifndef KEELFS_FS_VIEW_H
#define KEELFS_FS_VIEW_H

#include "raftstore/attr.h"
#include "raftstore/tree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An older snapshot is replaced by a new one when the file allows. */
#define VIEW_AGE_MAX_NS 60000000000ull

/* Up to here a file is small. */
#define VIEW_CONTENT_MAX (64u << 10)

struct view {
    atomic_int refs;
    struct attr attr;
    uint64_t taken_ns; /* clock_ns() */
    bool readable;
    pthread_mutex_t lock;   /* guards the rest */
    struct tree_view *tree; /* NULL: not needed, or not any more */
    uint8_t *content;       /* the whole file once it was read, or NULL */
};

/* `attr` is what tree_stat() says of the file in `tree`, which is shared. */
struct view *view_new(struct tree_view *tree, const struct attr *attr);
/* Attributes only; readable when the file is empty. */
struct view *view_new_unread(const struct attr *attr);
struct view *view_ref(struct view *view);
/* NULL is fine. */
void view_unref(struct view *view);

/* Holds a snapshot, for longer than VIEW_AGE_MAX_NS. */
bool view_is_aged(struct view *view);

/* Up to `size` bytes at `offset`; short only at the end. `*ret_size` bytes. */
int view_read(struct view *view, uint64_t offset, void *buffer, size_t size, size_t *ret_size);

/* Whether there is data at `offset`, which is in the file, up to `*ret_end`; else it is a
 * hole. What cannot be read is data. */
int view_probe(struct view *view, uint64_t offset, bool *ret_is_data, uint64_t *ret_end);

#endif
