#include "fs/publish.h"

#include "fs/file.h"
#include "fs/fs.h"
#include "fs/request.h"
#include "fs/resolve.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/path.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct publish {
    struct file *file; /* pins its inode */
    uint64_t deadline_ns;
    uint64_t if_version; /* see file.h */
    uint64_t set_over;   /* the version that attributes are set over; 0: none are, or any */
    unsigned tries;
    char path[PATH_BYTES_MAX + 1]; /* of the last try */
};

/* An op is for one try. */
struct publish_try {
    struct op op;
    struct publish *publish;
};

static void publish_send(struct publish *publish);

/* --- taking --- */

/* Under the lock: marks the handles that go together. False: none does. */
static bool mark_handles(struct file *file, uint64_t *ret_deadline_ns)
{
    size_t cost = 0;
    size_t chunks = 0;
    bool any = false;

    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        bool truncated = handle->truncated && file->dirty.truncated;
        if (!handle->wants_publish || (any && (cost + handle->owner.cost > COMMAND_CONTENT_MAX ||
                                               chunks + handle->owner.chunks > COMMAND_CHUNKS_MAX)))
            continue;
        if (handle->owner.cost == 0 && !truncated) {
            handle->wants_publish = false;
            continue;
        }
        cost += handle->owner.cost;
        chunks += handle->owner.chunks;
        handle->owner.marked = true;
        if (!any || handle->publish_deadline_ns < *ret_deadline_ns)
            *ret_deadline_ns = handle->publish_deadline_ns;
        any = true;
    }
    return any;
}

/* Under the lock: moves what the marked handles wrote to `in_flight`. */
static void take_marked(struct file *file)
{
    bool takes_truncation = file->dirty.truncated;
    size_t before = file_cost(file);

    layer_take(&file->dirty, &file->in_flight);
    file_recharge(file, before);
    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        bool truncated = takes_truncation && handle->truncated;
        if (!handle->owner.marked && !truncated)
            continue;
        if (handle->owner.marked) {
            handle->wants_publish = false;
            handle->writer_count = 0;
            handle->has_any_writer = false;
        }
        handle->owner.marked = false;
        handle->truncated = handle->truncated && !truncated;
        handle->is_in_flight = true;
        handle->taken++;
    }
}

/* Under the lock: a removed file is published no more. Whoever waits looks
 * again and finds that. */
static void give_up_wants(struct file *file, struct waiters *ret_ended)
{
    bool any = false;

    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        any = any || handle->wants_publish;
        handle->wants_publish = false;
    }
    if (any)
        waiters_end_round(&file->waiters, ret_ended);
}

void publish_start(struct file *file)
{
    struct publish *publish = NULL;
    struct waiters ended = {0};
    uint64_t deadline_ns = 0;

    pthread_mutex_lock(&file->lock);
    if (file->publish == NULL && file_check_detached(file)) {
        give_up_wants(file, &ended);
    } else if (file->publish == NULL && mark_handles(file, &deadline_ns)) {
        publish = mem_zalloc(sizeof(*publish));
        publish->file = file;
        publish->deadline_ns = deadline_ns;
        publish->if_version = file->if_version;
        file->if_version = 0;
        file->publish = publish;
        take_marked(file);
        inode_pin_again(file->inode);
        fs_begin_work(file->fs);
        budget_begin_publish(&file->fs->budget);
    }
    file_unlock(file);
    waiters_finish(&ended);
    if (publish != NULL)
        publish_send(publish);
}

/* --- the end --- */

static void settle_handles(struct file *file, int error)
{
    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        if (!handle->is_in_flight)
            continue;
        handle->is_in_flight = false;
        handle->settled++;
        if (error != 0) {
            handle->error = error;
            handle->wants_publish = false;
            layer_drop(&file->dirty, &handle->owner);
        }
    }
}

/* A truncation that waits goes with the handles that made it. */
static void drop_failed_truncation(struct file *file)
{
    for (const struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        if (handle->truncated && handle->error == 0)
            return;
    }
    layer_drop_truncation(&file->dirty);
}

/* Under the lock, which it lets go. */
static void publish_end(struct publish *publish)
{
    struct file *file = publish->file;
    struct fs *fs = file->fs;
    struct inode *inode = file->inode;
    struct waiters ended;

    assert(file->publish == publish);
    if (file_is_clean(file) && file->handles != NULL)
        file_pin_handles(file);
    file->publish = NULL;
    waiters_end_round(&file->waiters, &ended);
    file_unlock(file);
    free(publish);
    budget_end_publish(&fs->budget);
    publish_start(file);
    waiters_finish(&ended);
    inode_unpin(inode);
    fs_end_work(fs);
}

static void publish_failed(struct publish *publish, int code)
{
    struct file *file = publish->file;

    log_warn("%s: what was written here is lost: %s", publish->path, ke_text(code));
    pthread_mutex_lock(&file->lock);
    size_t before = file_cost(file);
    layer_clear(&file->in_flight);
    settle_handles(file, code);
    drop_failed_truncation(file);
    file_recharge(file, before);
    publish_end(publish);
}

/* What was written stays with those who have the file open. */
static void publish_found_removed(struct publish *publish)
{
    struct file *file = publish->file;

    pthread_mutex_lock(&file->lock);
    file->is_detached = true;
    settle_handles(file, 0);
    publish_end(publish);
}

/* The version that has what was published; nothing else of this node is under
 * way that could be in it. NULL: removed meanwhile. */
static struct view *look_again(struct file *file)
{
    char path[PATH_BYTES_MAX + 1];
    struct view *view = NULL;
    struct attr attr;

    if (!inode_path(file->inode, path))
        return NULL;
    struct tree_view *tree = tree_view_new(file->fs->tree);
    if (resolve_in_tree(file->inode, tree, path, &attr, NULL) == 0)
        view = view_new(tree, &attr);
    tree_view_unref(tree);
    return view;
}

static void publish_applied(struct publish *publish, const struct op_result *result)
{
    struct file *file = publish->file;

    pthread_mutex_lock(&file->lock);
    /* Who only writes needs no snapshot. */
    bool needs_content = file_has_readers(file) || !result->has_attr;
    struct view *view = needs_content ? look_again(file) : view_new_unread(&result->attr);
    if (view != NULL) {
        size_t before = file_cost(file);
        layer_clear(&file->in_flight);
        file_recharge(file, before);
        file_advance(file, view);
    } else {
        file->is_detached = true;
    }
    settle_handles(file, 0);
    publish_end(publish);
}

/* --- sending --- */

static struct publish_try *try_of(struct op *op)
{
    return (struct publish_try *)((char *)op - offsetof(struct publish_try, op));
}

static void try_release(struct op *op)
{
    free(try_of(op));
}

/* The path that was used is not the file's. */
static bool is_misplaced(int code)
{
    return code == KE_STALE || code == KE_NOT_FOUND || code == KE_NOT_DIR || code == KE_IS_DIR ||
           code == KE_NOT_REGULAR;
}

static void publish_misplaced(struct publish *publish)
{
    char path[PATH_BYTES_MAX + 1];

    if (!inode_path(publish->file->inode, path)) {
        publish_found_removed(publish);
        return;
    }
    bool has_moved = strcmp(path, publish->path) != 0 || publish->set_over != 0;
    if (has_moved && ++publish->tries < REQUEST_TRIES_MAX)
        publish_send(publish);
    else
        publish_failed(publish, KE_STALE);
}

static void try_done(struct op *op, const struct op_result *result)
{
    struct publish *publish = try_of(op)->publish;

    if (result->code == 0)
        publish_applied(publish, result);
    else if (is_misplaced(result->code))
        publish_misplaced(publish);
    else
        publish_failed(publish, result->code);
}

/* Mode and owner that were set while the file was made are the older change when another
 * node has set them since. It may do so until the publish is applied: then that is refused,
 * and this is done again. */
static void yield_set(struct publish *publish)
{
    const unsigned owned = COMMAND_SET_MODE | COMMAND_SET_UID | COMMAND_SET_GID;
    struct file *file = publish->file;
    struct attr now;

    publish->set_over = 0;
    if ((file->in_flight.set.mask & owned) == 0)
        return;
    struct tree_view *tree = tree_view_new(file->fs->tree);
    int code = resolve_in_tree(file->inode, tree, publish->path, &now, NULL);
    tree_view_unref(tree);
    if (code != 0)
        return; /* the publish finds out */
    pthread_mutex_lock(&file->lock);
    layer_yield_set(&file->in_flight, &file->set_over, &now);
    pthread_mutex_unlock(&file->lock);
    /* The last try goes through. */
    if ((file->in_flight.set.mask & owned) != 0 && publish->if_version == 0 &&
        publish->tries + 1 < REQUEST_TRIES_MAX)
        publish->set_over = now.version;
}

static void publish_send(struct publish *publish)
{
    struct file *file = publish->file;

    if (!inode_path(file->inode, publish->path)) {
        publish_found_removed(publish);
        return;
    }
    yield_set(publish);
    struct command *cmd = command_new();
    layer_pack(&file->in_flight, publish->path, file->inode->id,
               publish->if_version != 0 ? publish->if_version : publish->set_over, cmd);
    struct publish_try *try = mem_alloc(sizeof(*try));
    try->publish = publish;
    op_init(&try->op, request_left_ms(publish->deadline_ns), try_done, try_release);
    store_propose(file->fs->store, &cmd, &try->op);
    op_unref(&try->op);
}
