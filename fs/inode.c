#include "fs/inode.h"

#include "fs/file.h"
#include "fs/remains.h"
#include "raftstore/memory.h"
#include "raftstore/path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 1024

static struct inode **bucket_of(struct inode_table *table, uint64_t id)
{
    /* Ids count up: multiplying spreads them over the buckets. */
    return &table->buckets[(id * 0x9e3779b97f4a7c15ull >> 32) & (table->bucket_count - 1)];
}

static struct inode *table_find(struct inode_table *table, uint64_t id)
{
    struct inode *inode = *bucket_of(table, id);

    while (inode != NULL && inode->id != id)
        inode = inode->next;
    return inode;
}

static void table_grow(struct inode_table *table)
{
    struct inode **old = table->buckets;
    size_t old_count = table->bucket_count;

    table->bucket_count *= 2;
    table->buckets = mem_zalloc(table->bucket_count * sizeof(struct inode *));
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct inode *inode = old[i];
            struct inode **bucket = bucket_of(table, inode->id);
            old[i] = inode->next;
            inode->next = *bucket;
            *bucket = inode;
        }
    }
    free(old);
}

static struct inode *table_add(struct inode_table *table, uint64_t id, enum file_type type,
                               const char *path)
{
    if (table->count >= table->bucket_count)
        table_grow(table);
    struct inode **bucket = bucket_of(table, id);
    struct inode *inode = mem_zalloc(sizeof(*inode));
    inode->id = id;
    inode->type = type;
    inode->table = table;
    inode->path = mem_strdup(path);
    inode->next = *bucket;
    *bucket = inode;
    table->count++;
    return inode;
}

/* For inode_free(), without the lock. */
static struct inode *table_take(struct inode_table *table, struct inode *inode)
{
    struct inode **link = bucket_of(table, inode->id);

    while (*link != inode)
        link = &(*link)->next;
    *link = inode->next;
    table->count--;
    return inode;
}

static struct inode *table_take_if_unused(struct inode_table *table, struct inode *inode)
{
    bool is_used = inode->lookups > 0 || inode->pins > 0 || inode->id == ATTR_ROOT_ID;

    return is_used ? NULL : table_take(table, inode);
}

/* NULL is fine. */
static void inode_free(struct inode *inode)
{
    if (inode == NULL)
        return;
    file_free(inode->file);
    remains_free(inode->remains);
    free(inode->path);
    free(inode);
}

static void set_path(struct inode *inode, const char *path)
{
    free(inode->path);
    inode->path = mem_strdup(path);
}

void inode_table_init(struct inode_table *table)
{
    *table = (struct inode_table){.bucket_count = BUCKETS_MIN};
    pthread_mutex_init(&table->lock, NULL);
    table->buckets = mem_zalloc(table->bucket_count * sizeof(struct inode *));
    table_add(table, ATTR_ROOT_ID, FILE_DIRECTORY, "");
}

void inode_table_release(struct inode_table *table)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i] != NULL) {
            assert(table->buckets[i]->pins == 0);
            inode_free(table_take(table, table->buckets[i]));
        }
    }
    free(table->buckets);
    pthread_mutex_destroy(&table->lock);
}

struct inode *inode_pin(struct inode_table *table, uint64_t id)
{
    pthread_mutex_lock(&table->lock);
    struct inode *inode = table_find(table, id);
    if (inode != NULL)
        inode->pins++;
    pthread_mutex_unlock(&table->lock);
    return inode;
}

void inode_pin_again(struct inode *inode)
{
    pthread_mutex_lock(&inode->table->lock);
    assert(inode->pins > 0);
    inode->pins++;
    pthread_mutex_unlock(&inode->table->lock);
}

void inode_unpin(struct inode *inode)
{
    if (inode == NULL)
        return;
    struct inode_table *table = inode->table;
    pthread_mutex_lock(&table->lock);
    assert(inode->pins > 0);
    inode->pins--;
    struct inode *unused = table_take_if_unused(table, inode);
    pthread_mutex_unlock(&table->lock);
    inode_free(unused);
}

/* Under the lock. */
static struct inode *remember(struct inode_table *table, uint64_t id, enum file_type type,
                              const char *path)
{
    struct inode *inode = table_find(table, id);

    if (inode == NULL)
        inode = table_add(table, id, type, path);
    else if (strcmp(inode->path, path) != 0)
        set_path(inode, path);
    inode->removed = false;
    inode->lost = false;
    inode->pins++;
    return inode;
}

struct inode *inode_remember(struct inode_table *table, uint64_t id, enum file_type type,
                             const char *path)
{
    pthread_mutex_lock(&table->lock);
    struct inode *inode = remember(table, id, type, path);
    pthread_mutex_unlock(&table->lock);
    return inode;
}

/* Under the lock: `id` was removed or renamed; 0: anything may have been. */
static void note_move(struct inode_table *table, uint64_t id)
{
    uint64_t moment = atomic_load(&table->moment);

    table->moves[moment % INODE_MOVES_MAX] = id;
    atomic_store(&table->moment, moment + 1);
}

/* Under the lock. */
static bool may_have_moved(const struct inode_table *table, uint64_t id, uint64_t since)
{
    uint64_t now = atomic_load(&table->moment);

    if (now - since > INODE_MOVES_MAX)
        return true;
    for (uint64_t at = since; at < now; at++) {
        uint64_t moved = table->moves[at % INODE_MOVES_MAX];
        if (moved == id || moved == 0)
            return true;
    }
    return false;
}

uint64_t inode_table_moment(struct inode_table *table)
{
    return atomic_load(&table->moment);
}

struct inode *inode_remember_found(struct inode_table *table, uint64_t id, enum file_type type,
                                   const char *path, uint64_t moment)
{
    struct inode *inode = NULL;

    pthread_mutex_lock(&table->lock);
    if (!may_have_moved(table, id, moment))
        inode = remember(table, id, type, path);
    pthread_mutex_unlock(&table->lock);
    return inode;
}

struct inode *inode_remember_new(struct inode_table *table, uint64_t id, enum file_type type,
                                 const char *path, uint64_t moment)
{
    struct inode *inode = NULL;

    pthread_mutex_lock(&table->lock);
    if (table_find(table, id) == NULL && !may_have_moved(table, id, moment))
        inode = remember(table, id, type, path);
    pthread_mutex_unlock(&table->lock);
    return inode;
}

bool inode_add_lookup(struct inode *inode)
{
    pthread_mutex_lock(&inode->table->lock);
    bool had_any = inode->lookups > 0;
    inode->lookups++;
    pthread_mutex_unlock(&inode->table->lock);
    return had_any;
}

bool inode_is_known(struct inode_table *table, uint64_t id)
{
    pthread_mutex_lock(&table->lock);
    const struct inode *inode = table_find(table, id);
    bool is_known = id == ATTR_ROOT_ID || (inode != NULL && inode->lookups > 0);
    pthread_mutex_unlock(&table->lock);
    return is_known;
}

void inode_forget(struct inode_table *table, uint64_t id, uint64_t count)
{
    struct inode *unused = NULL;

    pthread_mutex_lock(&table->lock);
    struct inode *inode = table_find(table, id);
    if (inode != NULL && id != ATTR_ROOT_ID) {
        assert(inode->lookups >= count);
        inode->lookups -= count;
        unused = table_take_if_unused(table, inode);
    }
    pthread_mutex_unlock(&table->lock);
    inode_free(unused);
}

bool inode_path(struct inode *inode, char *out)
{
    pthread_mutex_lock(&inode->table->lock);
    bool present = !inode->removed;
    if (present)
        memcpy(out, inode->path, strlen(inode->path) + 1);
    pthread_mutex_unlock(&inode->table->lock);
    return present;
}

bool inode_is_removed(struct inode *inode)
{
    pthread_mutex_lock(&inode->table->lock);
    bool removed = inode->removed;
    pthread_mutex_unlock(&inode->table->lock);
    return removed;
}

enum listing_use inode_listing_open(struct inode *inode, uint64_t version)
{
    pthread_mutex_lock(&inode->table->lock);
    enum listing_use use = listing_open(&inode->listing, version);
    pthread_mutex_unlock(&inode->table->lock);
    return use;
}

void inode_listing_close(struct inode *inode)
{
    pthread_mutex_lock(&inode->table->lock);
    listing_close(&inode->listing);
    pthread_mutex_unlock(&inode->table->lock);
}

void inode_listing_read(struct inode *inode, uint64_t version, bool is_start)
{
    pthread_mutex_lock(&inode->table->lock);
    listing_read(&inode->listing, version, is_start);
    pthread_mutex_unlock(&inode->table->lock);
}

bool inode_listing_has_moved(struct inode *inode, uint64_t version)
{
    pthread_mutex_lock(&inode->table->lock);
    bool has_moved = listing_has_moved(&inode->listing, version);
    pthread_mutex_unlock(&inode->table->lock);
    return has_moved;
}

bool inode_listing_look(struct inode *inode, uint64_t version)
{
    pthread_mutex_lock(&inode->table->lock);
    bool is_to_be_dropped = listing_look(&inode->listing, version);
    pthread_mutex_unlock(&inode->table->lock);
    return is_to_be_dropped;
}

void inode_note_removed(struct inode_table *table, const struct change *change)
{
    pthread_mutex_lock(&table->lock);
    struct inode *inode = table_find(table, change->id);
    note_move(table, change->id);
    if (inode != NULL) {
        inode->removed = true;
        if (inode->remains == NULL)
            inode->remains = remains_new(change);
    }
    pthread_mutex_unlock(&table->lock);
}

struct remains *inode_remains(struct inode *inode)
{
    pthread_mutex_lock(&inode->table->lock);
    struct remains *remains = inode->removed ? inode->remains : NULL;
    pthread_mutex_unlock(&inode->table->lock);
    return remains;
}

/* `path` lies in `from`, which is `to` now. One that gets too long was wrong
 * before, since the store refuses such a rename. */
static void move_path(struct inode *inode, const char *from, const char *to)
{
    const char *rest = inode->path + strlen(from);
    size_t to_size = strlen(to);
    size_t rest_size = strlen(rest);

    if (to_size + rest_size > PATH_BYTES_MAX)
        return;
    char *moved = mem_alloc(to_size + rest_size + 1);
    memcpy(moved, to, to_size);
    memcpy(moved + to_size, rest, rest_size + 1);
    free(inode->path);
    inode->path = moved;
}

static void move_all_below(struct inode_table *table, const char *from, const char *to)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct inode *inode = table->buckets[i]; inode != NULL; inode = inode->next) {
            if (!inode->removed && path_is_within(inode->path, from))
                move_path(inode, from, to);
        }
    }
}

void inode_note_renamed(struct inode_table *table, uint64_t id, const char *from, const char *to)
{
    pthread_mutex_lock(&table->lock);
    struct inode *inode = table_find(table, id);
    /* A directory that the kernel does not know has no known children either. */
    bool moves_children = inode != NULL && inode->type == FILE_DIRECTORY;
    note_move(table, moves_children ? 0 : id);
    if (moves_children)
        move_all_below(table, from, to);
    if (inode != NULL)
        set_path(inode, to);
    pthread_mutex_unlock(&table->lock);
}

void inode_note_exchanged(struct inode_table *table, const char *one, const char *other)
{
    pthread_mutex_lock(&table->lock);
    note_move(table, 0);
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct inode *inode = table->buckets[i]; inode != NULL; inode = inode->next) {
            if (inode->removed)
                continue;
            if (path_is_within(inode->path, one))
                move_path(inode, one, other);
            else if (path_is_within(inode->path, other))
                move_path(inode, other, one);
        }
    }
    pthread_mutex_unlock(&table->lock);
}

size_t inode_table_lose_all(struct inode_table *table)
{
    size_t count = 0;

    pthread_mutex_lock(&table->lock);
    note_move(table, 0);
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct inode *inode = table->buckets[i]; inode != NULL; inode = inode->next) {
            inode->lost = !inode->removed && inode->id != ATTR_ROOT_ID;
            count += inode->lost;
        }
    }
    pthread_mutex_unlock(&table->lock);
    return count;
}

bool inode_note_found(struct inode_table *table, uint64_t id, const char *path)
{
    pthread_mutex_lock(&table->lock);
    struct inode *inode = table_find(table, id);
    bool was_lost = inode != NULL && inode->lost;
    if (was_lost) {
        inode->lost = false;
        set_path(inode, path);
    }
    pthread_mutex_unlock(&table->lock);
    return was_lost;
}

void inode_table_end_search(struct inode_table *table, bool all_seen)
{
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct inode *inode = table->buckets[i]; inode != NULL; inode = inode->next) {
            inode->removed = inode->removed || (all_seen && inode->lost);
            inode->lost = false;
        }
    }
    pthread_mutex_unlock(&table->lock);
}

struct file *inode_file(struct inode *inode)
{
    pthread_mutex_lock(&inode->table->lock);
    struct file *file = inode->file;
    pthread_mutex_unlock(&inode->table->lock);
    return file;
}

struct file *inode_set_file(struct inode *inode, struct file *file)
{
    pthread_mutex_lock(&inode->table->lock);
    if (inode->file == NULL)
        inode->file = file;
    file = inode->file;
    pthread_mutex_unlock(&inode->table->lock);
    return file;
}

/* --- many at once --- */

static bool has_file(const struct inode *inode)
{
    return inode->file != NULL;
}

static bool is_lost(const struct inode *inode)
{
    return inode->lost;
}

static void table_each(struct inode_table *table, bool (*wanted)(const struct inode *inode),
                       inode_each_fn *each, void *ctx)
{
    pthread_mutex_lock(&table->lock);
    struct inode **inodes = mem_alloc(table->count * sizeof(struct inode *));
    size_t count = 0;
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct inode *inode = table->buckets[i]; inode != NULL; inode = inode->next) {
            if (wanted(inode)) {
                inode->pins++;
                inodes[count++] = inode;
            }
        }
    }
    pthread_mutex_unlock(&table->lock);
    for (size_t i = 0; i < count; i++) {
        each(ctx, inodes[i]);
        inode_unpin(inodes[i]);
    }
    free(inodes);
}

void inode_table_each_file(struct inode_table *table, inode_each_fn *each, void *ctx)
{
    table_each(table, has_file, each, ctx);
}

void inode_table_each_lost(struct inode_table *table, inode_each_fn *each, void *ctx)
{
    table_each(table, is_lost, each, ctx);
}

uint64_t *inode_table_known_files(struct inode_table *table, size_t *ret_count)
{
    pthread_mutex_lock(&table->lock);
    uint64_t *ids = mem_alloc(table->count * sizeof(*ids));
    size_t count = 0;
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (const struct inode *inode = table->buckets[i]; inode != NULL; inode = inode->next) {
            if (inode->type == FILE_REGULAR && inode->lookups > 0)
                ids[count++] = inode->id;
        }
    }
    pthread_mutex_unlock(&table->lock);
    *ret_count = count;
    return ids;
}
