/* Reading the namespace: files, directories and plain pairs as they stand in
 * the local `kv` instance.
 *
 * Every reader works on a `struct tree_view`: a RocksDB snapshot, so that what
 * is read row by row is from one moment, whole. For a linearizable read make
 * the view inside `done` of a store_barrier(); without a barrier it may be
 * stale. Any thread may call; a view may be shared by threads (it is
 * immutable). An old view keeps overwritten data on disk: do not hold one for
 * ever.
 */
#ifndef KEELFS_RAFTSTORE_TREE_H
#define KEELFS_RAFTSTORE_TREE_H

#include "raftstore/attr.h"
#include "raftstore/err.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of a file in one row of `default`. */
#define TREE_CHUNK_SIZE (64u << 10)
/* The largest file, in bytes. */
#define TREE_FILE_MAX (64ull << 30)

struct tree;
struct tree_view;

/* Takes a snapshot; one reference. */
struct tree_view *tree_view_new(struct tree *tree);
void tree_view_ref(struct tree_view *view);
void tree_view_unref(struct tree_view *view);

/* The attributes of `path` ("" is the root). KE_NOT_FOUND, also when a parent is
 * a file. */
int tree_stat(struct tree_view *view, const char *path, struct attr *ret_attr);

/* Up to `size` bytes of the regular file `path` at `offset`; holes and missing
 * rows read as zeros. `*ret_size` is short only at the end of the file, which is
 * `attr->size` (`attr` from tree_stat on the same view). */
int tree_read(struct tree_view *view, const char *path, const struct attr *attr, uint64_t offset,
              void *buffer, size_t size, size_t *ret_size);

/* `buffer` has at least PATH_BYTES_MAX + 1 bytes; NUL-terminated. */
int tree_read_link(struct tree_view *view, const char *path, char *buffer);

/* The children of a directory in byte order of their names, each once, at a
 * cost of its children (it seeks past subtrees). Owned by one thread at a time. */
struct tree_list;
int tree_list_open(struct tree_view *view, const char *dir, struct tree_list **ret_list);
/* Next child: 1 and its name (valid until the next call) and attributes, 0 at
 * the end, or a negative code. */
int tree_list_next(struct tree_list *list, const char **ret_name, struct attr *ret_attr);
void tree_list_close(struct tree_list *list);

/* The value of a key. In `default` the content of the regular file; symbolic
 * links and directories are KE_NOT_FOUND. `*ret_value` is malloc'ed (never
 * NULL on success). KE_TOO_LARGE over `max` bytes. */
int tree_get(struct tree_view *view, const char *cf, const void *key, size_t key_size, size_t max,
             uint8_t **ret_value, size_t *ret_size);

/* Calls `each` for up to `limit` keys >= start in byte order; stops early when it returns false.
 * KE_TOO_LARGE when the values together exceed `max_bytes`. */
typedef int tree_scan_fn(void *ctx, const void *key, size_t key_size, const void *value,
                         size_t value_size);
int tree_scan(struct tree_view *view, const char *cf, const void *start, size_t start_size,
              uint32_t limit, size_t max_bytes, tree_scan_fn *each, void *ctx);

/* For statfs: live content bytes and files, as good as the store can estimate
 * without a scan. */
struct tree_usage {
    uint64_t bytes;
    uint64_t files;
};
void tree_usage(struct tree *tree, struct tree_usage *ret_usage);

#endif
