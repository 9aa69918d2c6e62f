#include "fs/fs.h"

#include "fs/file.h"
#include "fs/relocate.h"
#include "raftstore/memory.h"

#include <stdlib.h>
#include <time.h>

/* How often views are looked over for old ones. */
#define RENEW_PERIOD_NS 5000000000ull

/* --- what the store tells --- */

static void renew_file(void *ctx, struct inode *inode)
{
    (void)ctx;
    file_renew_views(inode);
}

static void renew_objects(struct fs *fs)
{
    pthread_mutex_lock(&fs->objects_lock);
    for (struct fs_object *object = fs->objects.next; object != &fs->objects;
         object = object->next) {
        if (object->renew != NULL)
            object->renew(object);
    }
    pthread_mutex_unlock(&fs->objects_lock);
}

/* Old views do harm only when data is overwritten, so the moment when something
 * changes is early enough to look for them. */
static void renew_views(struct fs *fs)
{
    uint64_t now_ns = clock_ns();

    if (now_ns - fs->renewed_ns < RENEW_PERIOD_NS)
        return;
    fs->renewed_ns = now_ns;
    recent_expire(&fs->recent, false);
    inode_table_each_file(&fs->inodes, renew_file, NULL);
    renew_objects(fs);
}

/* A snapshot took the place of all data: what was renamed or removed by it was not
 * told. */
static void note_everything(struct fs *fs)
{
    relocate_inodes(fs);
    recent_expire(&fs->recent, true);
    invalidator_wake(&fs->invalidator);
}

/* Of a file that was looked up a moment ago. What is not there any more is removed by a
 * change to come. */
static void renew_recent(struct fs *fs, const struct change *change)
{
    struct view *view = NULL;
    struct attr attr;

    if (change->type != FILE_REGULAR || !recent_has(&fs->recent, change->id))
        return;
    struct tree_view *tree = tree_view_new(fs->tree);
    if (tree_stat(tree, change->path, &attr) == 0 && attr.id == change->id)
        view = view_new(tree, &attr);
    recent_change(&fs->recent, change->id, view);
    view_unref(view);
    tree_view_unref(tree);
}

static void fs_observe(void *ctx, const struct change *changes, size_t count)
{
    struct fs *fs = ctx;
    bool needs_fresh = fresh_is_needed(changes, count);

    fresh_release(&fs->fresh);
    for (size_t i = 0; i < count; i++) {
        const struct change *change = &changes[i];
        switch (change->kind) {
        case CHANGE_REMOVED:
            /* With a name left it lives, and is found by its id. */
            if (change->nlink == 0)
                inode_note_removed(&fs->inodes, change);
            break;
        case CHANGE_RENAMED:
            inode_note_renamed(&fs->inodes, change->id, change->path, change->to);
            break;
        case CHANGE_EXCHANGED:
            inode_note_exchanged(&fs->inodes, change->path, change->to);
            break;
        case CHANGE_CREATED:
            if (needs_fresh)
                fresh_add(&fs->fresh, &fs->inodes, change);
            break;
        case CHANGE_CONTENT:
            renew_recent(fs, change);
            break;
        case CHANGE_EVERYTHING:
            note_everything(fs);
            break;
        }
    }
    watch_history_note(&fs->history, changes, count);
    renew_views(fs);
}

/* --- life --- */

struct fs *fs_new(struct store *store, const struct fs_config *config)
{
    struct fs *fs = mem_zalloc(sizeof(*fs));
    struct store_status status;

    store_status(store, &status);
    fs->store = store;
    fs->tree = store_tree(store);
    fs->mountpoint = mem_strdup(config->mountpoint);
    fs->data_dir = mem_strdup(config->data_dir);
    fs->options = mem_strdup(config->options != NULL ? config->options : "");
    fs->op_timeout_ms =
        config->op_timeout_ms != 0 ? config->op_timeout_ms : FS_OP_TIMEOUT_MS_DEFAULT;
    fs->stale_reads = config->stale_reads;
    fs->no_cache = config->no_cache;
    inode_table_init(&fs->inodes);
    budget_init(&fs->budget);
    recent_init(&fs->recent);
    invalidator_init(&fs->invalidator, &fs->inodes);
    interrupt_again_init(&fs->interrupts);
    op_trace_init(&fs->op_trace);
    op_log_init(&fs->op_log);
    event_log_init(&fs->slow_operations);
    given_init(&fs->given);
    recall_init(&fs->recall);
    watch_history_init(&fs->history, status.revision);
    watch_nodes_init(&fs->watch_nodes);
    fs->renewed_ns = clock_ns();
    pthread_mutex_init(&fs->objects_lock, NULL);
    fs->objects.prev = fs->objects.next = &fs->objects;
    pthread_mutex_init(&fs->locks_lock, NULL);
    locks_init(&fs->locks);
    fs->deadlines = deadlines_new();
    pthread_mutex_init(&fs->work_lock, NULL);
    pthread_cond_init(&fs->work_ended, NULL);
    store_set_observer(store, fs_observe, fs);
    store_set_invalidate(store, recall_touched, fs);
    return fs;
}

void fs_free(struct fs *fs)
{
    if (fs == NULL)
        return;
    invalidator_release(&fs->invalidator);
    interrupt_again_release(&fs->interrupts);
    op_trace_release(&fs->op_trace);
    op_log_release(&fs->op_log);
    event_log_release(&fs->slow_operations);
    given_release(&fs->given);
    recall_release(&fs->recall);
    watch_history_release(&fs->history);
    watch_nodes_release(&fs->watch_nodes);
    fresh_release(&fs->fresh);
    recent_release(&fs->recent);
    inode_table_release(&fs->inodes);
    budget_release(&fs->budget);
    pthread_cond_destroy(&fs->work_ended);
    pthread_mutex_destroy(&fs->work_lock);
    deadlines_free(fs->deadlines);
    locks_release(&fs->locks);
    pthread_mutex_destroy(&fs->locks_lock);
    pthread_mutex_destroy(&fs->objects_lock);
    free(fs->mountpoint);
    free(fs->data_dir);
    free(fs->options);
    free(fs);
}

static void abandon_file(void *ctx, struct inode *inode)
{
    (void)ctx;
    file_abandon(inode);
}

/* Requests that end meanwhile still open directories, and close them. */
static struct fs_object *next_to_stop(struct fs *fs)
{
    pthread_mutex_lock(&fs->objects_lock);
    struct fs_object *object = fs->objects.next;
    while (object != &fs->objects && (object->stop == NULL || object->is_stopped))
        object = object->next;
    bool is_found = object != &fs->objects;
    if (is_found)
        object->is_stopped = true;
    pthread_mutex_unlock(&fs->objects_lock);
    return is_found ? object : NULL;
}

void fs_stop_waits(struct fs *fs)
{
    struct fs_object *object;

    while ((object = next_to_stop(fs)) != NULL)
        object->stop(object);
}

void fs_abandon_open(struct fs *fs)
{
    inode_table_each_file(&fs->inodes, abandon_file, NULL);
    while (fs->objects.next != &fs->objects) {
        struct fs_object *object = fs->objects.next;
        fs_object_remove(fs, object);
        object->free(object);
    }
    recent_expire(&fs->recent, true);
}

void fs_object_add(struct fs *fs, struct fs_object *object)
{
    pthread_mutex_lock(&fs->objects_lock);
    object->prev = &fs->objects;
    object->next = fs->objects.next;
    object->next->prev = object;
    fs->objects.next = object;
    pthread_mutex_unlock(&fs->objects_lock);
}

void fs_object_remove(struct fs *fs, struct fs_object *object)
{
    pthread_mutex_lock(&fs->objects_lock);
    object->prev->next = object->next;
    object->next->prev = object->prev;
    pthread_mutex_unlock(&fs->objects_lock);
}

/* --- work under way --- */

void fs_begin_work(struct fs *fs)
{
    pthread_mutex_lock(&fs->work_lock);
    fs->work++;
    pthread_mutex_unlock(&fs->work_lock);
}

void fs_end_work(struct fs *fs)
{
    pthread_mutex_lock(&fs->work_lock);
    fs->work--;
    if (fs->work == 0)
        pthread_cond_broadcast(&fs->work_ended);
    pthread_mutex_unlock(&fs->work_lock);
}

void fs_wait_for_work(struct fs *fs)
{
    pthread_mutex_lock(&fs->work_lock);
    while (fs->work > 0)
        pthread_cond_wait(&fs->work_ended, &fs->work_lock);
    pthread_mutex_unlock(&fs->work_lock);
}

int64_t fs_wall_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
