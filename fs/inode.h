/* What the kernel knows: every file, directory and link that it holds a
 * reference to, or that is open, by its id.
 *
 * The id is the inode number (attr.id; the root is ATTR_ROOT_ID) and is never
 * used twice. The store is addressed by path, so an entry keeps the path its
 * file has at the moment; the observer of the store moves it along. Paths are
 * what the table was told last, and the store can be ahead of it: whoever looks
 * a path up compares the id it finds, and tries again when it is another.
 *
 * The table is told nothing of what it does not have. So what was found by a look at the
 * store is taken in only when nothing happened to it since the look began: what was
 * removed before it is known here would stay for ever.
 *
 * An entry lives while the kernel has looked it up more often than it forgot
 * (`lookups`), or somebody pins it. The table's lock guards all entries; it is
 * held for moments only and no other lock is taken under it, so that it may be
 * taken under any other.
 */
#ifndef KEELFS_FS_INODE_H
#define KEELFS_FS_INODE_H

#include "fs/listing.h"
#include "raftstore/attr.h"
#include "raftstore/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file;
struct remains;
struct inode_table;

struct inode {
    uint64_t id;
    enum file_type type;
    struct inode_table *table;

    /* Guarded by the table's lock. */
    struct inode *next; /* in its bucket */
    char *path;         /* of a removed one: its last */
    bool removed;
    bool lost; /* a search for its path is under way */
    uint64_t lookups;
    unsigned pins;
    struct listing listing;
    struct file *file; /* once opened, until the inode goes; see file.h */
    /* Of a removed one, as far as that was told; until the inode goes. */
    struct remains *remains;
};

/* So many removals and renames are remembered; a look that takes longer is repeated. */
#define INODE_MOVES_MAX 256

struct inode_table {
    pthread_mutex_t lock;
    struct inode **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    /* How many removals and renames it was told of. Changed under the lock. */
    _Atomic uint64_t moment;
    uint64_t moves[INODE_MOVES_MAX]; /* whose they were, a ring; 0: of anything */
};

/* With the root in it. */
void inode_table_init(struct inode_table *table);
/* Nothing is pinned any more. */
void inode_table_release(struct inode_table *table);

/* Pins the inode; NULL when the table does not have it. */
struct inode *inode_pin(struct inode_table *table, uint64_t id);
void inode_pin_again(struct inode *inode);
/* NULL is fine. May free the inode. */
void inode_unpin(struct inode *inode);

/* Finds or makes the entry, which is at `path` now, and pins it. On the apply thread:
 * elsewhere nobody knows what is now. */
struct inode *inode_remember(struct inode_table *table, uint64_t id, enum file_type type,
                             const char *path);

/* Before a look at the store. */
uint64_t inode_table_moment(struct inode_table *table);
/* As inode_remember(), of what a look found that began at `moment`. NULL: it may have been
 * removed or renamed since, and the look is to be repeated. */
struct inode *inode_remember_found(struct inode_table *table, uint64_t id, enum file_type type,
                                   const char *path, uint64_t moment);

/* The same of what the table does not have; NULL also when it has it. */
struct inode *inode_remember_new(struct inode_table *table, uint64_t id, enum file_type type,
                                 const char *path, uint64_t moment);

/* A reply is about to give the kernel one more reference. False: it had none. */
bool inode_add_lookup(struct inode *inode);
/* Whether the kernel has references to it. */
bool inode_is_known(struct inode_table *table, uint64_t id);
/* The kernel dropped `count`, or did not get them. */
void inode_forget(struct inode_table *table, uint64_t id, uint64_t count);

/* Copies the path to `out` (PATH_BYTES_MAX + 1 bytes). False when the inode is
 * removed. */
bool inode_path(struct inode *inode, char *out);
bool inode_is_removed(struct inode *inode);

/* What the kernel keeps of a directory; see listing.h. */
enum listing_use inode_listing_open(struct inode *inode, uint64_t version);
void inode_listing_close(struct inode *inode);
void inode_listing_read(struct inode *inode, uint64_t version, bool is_start);
bool inode_listing_has_moved(struct inode *inode, uint64_t version);
bool inode_listing_look(struct inode *inode, uint64_t version);

/* From the observer. A rename of a directory moves all below it along. */
void inode_note_removed(struct inode_table *table, const struct change *change);
void inode_note_renamed(struct inode_table *table, uint64_t id, const char *from, const char *to);
/* `one` and `other`, neither in the other, change places with all below them. */
void inode_note_exchanged(struct inode_table *table, const char *one, const char *other);

/* All paths may be wrong (see relocate.h): every inode that is not removed, but for
 * the root, is lost until it is found. Returns how many are. */
size_t inode_table_lose_all(struct inode_table *table);
/* `id` is at `path`. True: it was lost till now. */
bool inode_note_found(struct inode_table *table, uint64_t id, const char *path);
/* The end of the search. `all_seen`: what is lost still is removed; otherwise it
 * keeps its path. */
void inode_table_end_search(struct inode_table *table, bool all_seen);

/* NULL when it is not removed, or by a snapshot, which says nothing of what it was. */
struct remains *inode_remains(struct inode *inode);

/* The open state: NULL when it was never opened. */
struct file *inode_file(struct inode *inode);
/* Sets it when there is none yet; returns what there is. Otherwise the caller
 * keeps its own. */
struct file *inode_set_file(struct inode *inode, struct file *file);

/* Calls `each` for every inode with open state, or that is lost, without the lock. */
typedef void inode_each_fn(void *ctx, struct inode *inode);
void inode_table_each_file(struct inode_table *table, inode_each_fn *each, void *ctx);
void inode_table_each_lost(struct inode_table *table, inode_each_fn *each, void *ctx);

/* The ids of the regular files that the kernel has references to; malloc'ed. */
uint64_t *inode_table_known_files(struct inode_table *table, size_t *ret_count);

#endif
