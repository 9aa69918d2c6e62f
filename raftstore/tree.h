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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a file in one row of `default`. An append rewrites the last row of
 * its file and a small write the row it falls into, so a row is much smaller
 * than a publish; a large file is read row by row, so it is larger than a page. */
#define TREE_CHUNK_SIZE (16u << 10)
/* The largest file, in bytes. The work of one command does not grow with the size of its
 * file, but for the map of its holes (hole_map.h). */
#define TREE_FILE_MAX (64ull << 30)

/* Chunks of a file of this size. */
static inline uint32_t tree_chunk_count(uint64_t size)
{
    return (uint32_t)((size + TREE_CHUNK_SIZE - 1) / TREE_CHUNK_SIZE);
}

struct engine;
struct tree;
struct tree_view;

/* `kv` is borrowed and outlives the tree. */
struct tree *tree_new(struct engine *kv);
/* No view is left. NULL is fine. */
void tree_free(struct tree *tree);

/* Takes a snapshot; one reference. */
struct tree_view *tree_view_new(struct tree *tree);
void tree_view_ref(struct tree_view *view);
void tree_view_unref(struct tree_view *view);

/* The attributes of `path` ("" is the root). KE_NOT_FOUND, also when a parent is
 * a file. */
int tree_stat(struct tree_view *view, const char *path, struct attr *ret_attr);

/* The same, at less cost, of a directory, or of something else: KE_NOT_FOUND also when it is
 * of the other kind. */
int tree_stat_kind(struct tree_view *view, const char *path, bool directory, struct attr *ret_attr);

/* Up to `size` bytes at `offset` of the regular file with the attributes `attr`,
 * as tree_stat() on the same view gave them; holes and missing rows read as
 * zeros. `*ret_size` is short only at the end of the file, which is `attr->size`. */
int tree_read(struct tree_view *view, const struct attr *attr, uint64_t offset, void *buffer,
              size_t size, size_t *ret_size);

/* Whether there is data at `offset`, which is in the file; if not it is a hole, as far as
 * `*ret_end`. Holes and data are made of whole chunks. */
int tree_probe(struct tree_view *view, const struct attr *attr, uint64_t offset, bool *ret_is_data,
               uint64_t *ret_end);

/* The same as tree_stat() by id, of a file that has, or had, several names; else
 * KE_NOT_FOUND. */
int tree_stat_id(struct tree_view *view, uint64_t id, struct attr *ret_attr);

/* An extended attribute of the object with this id: KE_NO_XATTR. `*ret_value` is
 * malloc'ed, never NULL on success. */
int tree_get_xattr(struct tree_view *view, uint64_t id, const char *name, uint8_t **ret_value,
                   size_t *ret_size);
/* Calls `each` for every name, in byte order, not NUL-terminated. */
typedef void tree_xattr_fn(void *ctx, const void *name, size_t size);
int tree_list_xattrs(struct tree_view *view, uint64_t id, tree_xattr_fn *each, void *ctx);

/* `buffer` has at least PATH_BYTES_MAX + 1 bytes; NUL-terminated. */
int tree_read_link(struct tree_view *view, const char *path, char *buffer);
/* The same by id, as tree_stat_id(). */
int tree_read_link_id(struct tree_view *view, uint64_t id, char *buffer);

/* The children of a directory in byte order of their names, each once, at a
 * cost of its children (it seeks past subtrees). Owned by one thread at a time. */
struct tree_list;
int tree_list_open(struct tree_view *view, const char *dir, struct tree_list **ret_list);
/* Goes to behind the child `name`, which need not exist; "": to the first. */
void tree_list_seek(struct tree_list *list, const char *name);
/* Next child: 1 and its name (valid until the next call) and attributes, 0 at
 * the end, or a negative code. */
int tree_list_next(struct tree_list *list, const char **ret_name, struct attr *ret_attr);
void tree_list_close(struct tree_list *list);

/* The value of a key. In `default` the content of the regular file; symbolic
 * links and directories are KE_NOT_FOUND. `*ret_value` is malloc'ed (never
 * NULL on success). KE_TOO_LARGE over `max` bytes. */
int tree_get(struct tree_view *view, const char *cf, const void *key, size_t key_size, size_t max,
             uint8_t **ret_value, size_t *ret_size);

/* Calls `each` for up to `limit` keys >= start in byte order; stops early when it
 * returns 0. KE_TOO_LARGE when keys and values together exceed `max_bytes`. */
typedef int tree_scan_fn(void *ctx, const void *key, size_t key_size, const void *value,
                         size_t value_size);
int tree_scan(struct tree_view *view, const char *cf, const void *start, size_t start_size,
              uint32_t limit, size_t max_bytes, tree_scan_fn *each, void *ctx);

/* The data is about to be replaced as a whole: until tree_release_hold() new views
 * and tree_usage() show the state of now. Not twice at a time. */
void tree_hold(struct tree *tree);
void tree_release_hold(struct tree *tree);

/* For statfs: the counters that every command keeps exact as part of the
 * replicated state, so this is one row and no scan. */
struct tree_usage {
    uint64_t bytes; /* sum of the sizes of all regular files, holes included */
    uint64_t files; /* objects of all types, without the root */
    /* What the volume may hold; 0: no limit. Kept by all nodes alike. */
    struct tree_quota {
        uint64_t bytes;
        uint64_t files;
    } quota;
};
int tree_usage(struct tree *tree, struct tree_usage *ret_usage);

#endif
