#include "fs/file.h"

#include "fs/fs.h"
#include "fs/publish.h"
#include "fs/resolve.h"
#include "raftstore/memory.h"
#include "raftstore/path.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- the file --- */

static struct file *file_new(struct fs *fs, struct inode *inode)
{
    struct file *file = mem_zalloc(sizeof(*file));

    file->fs = fs;
    file->inode = inode;
    pthread_mutex_init(&file->lock, NULL);
    return file;
}

static struct file *file_of(struct fs *fs, struct inode *inode)
{
    struct file *file = inode_file(inode);

    if (file != NULL)
        return file;
    struct file *made = file_new(fs, inode);
    file = inode_set_file(inode, made);
    if (file != made)
        file_free(made);
    return file;
}

size_t file_cost(const struct file *file)
{
    return layer_cost(&file->in_flight) + layer_cost(&file->dirty);
}

void file_recharge(struct file *file, size_t before)
{
    budget_recharge(&file->fs->budget, before, file_cost(file));
}

static void drop_layers(struct file *file)
{
    size_t before = file_cost(file);

    layer_clear(&file->in_flight);
    layer_clear(&file->dirty);
    file_recharge(file, before);
}

/* Nobody has it open, and nobody will: what may be left of it goes. */
static void close_file(struct file *file)
{
    assert(file->handles == NULL && file->publish == NULL);
    drop_layers(file);
    view_unref(file->view);
    file->view = NULL;
    file->is_detached = false;
    file->if_version = 0;
    file->left_ns = 0;
}

void file_free(struct file *file)
{
    if (file == NULL)
        return;
    assert(file->waiters.count == 0);
    close_file(file);
    pthread_mutex_destroy(&file->lock);
    free(file);
}

bool file_is_clean(const struct file *file)
{
    return layer_is_empty(&file->in_flight) && layer_is_empty(&file->dirty);
}

bool file_has_readers(const struct file *file)
{
    for (const struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        if (handle->readable && !handle->is_released)
            return true;
    }
    return false;
}

uint64_t file_size_below(const struct file *file)
{
    return layer_size(&file->in_flight, file->view->attr.size);
}

void file_get_attr(const struct file *file, struct attr *ret_attr)
{
    *ret_attr = file->view->attr;
    layer_amend_attr(&file->in_flight, ret_attr);
    layer_amend_attr(&file->dirty, ret_attr);
}

bool file_check_detached(struct file *file)
{
    if (!file->is_detached)
        file->is_detached = inode_is_removed(file->inode);
    return file->is_detached;
}

void file_advance(struct file *file, struct view *view)
{
    view_unref(file->view);
    file->view = view;
    file->current_ns = clock_ns();
}

static void handle_set_view(struct handle *handle, struct view *view)
{
    view_ref(view);
    view_unref(handle->view);
    handle->view = view;
}

void file_pin_handles(struct file *file)
{
    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next)
        handle_set_view(handle, file->view);
}

/* --- what a look at the store means --- */

/* Whether `look`, or what the file has, says what the file is now. */
static enum file_answer file_settle(struct file *file, const struct look *look, uint64_t *ret_round)
{
    if (file->publish == NULL || look->attr.version == file->view->attr.version ||
        file->current_ns >= look->since_ns)
        return FILE_READY;
    *ret_round = file->waiters.round;
    return FILE_WAIT;
}

/* The version to show is that of the file: what was found may contain what is
 * in flight, or is older. */
static bool file_is_ahead(const struct file *file, const struct look *look)
{
    if (file->view == NULL)
        return false;
    return file->publish != NULL || look->attr.version < file->view->attr.version;
}

/* Moves file->view to what was found, when that is newer or can be read. */
static void file_adopt(struct file *file, const struct look *look, bool for_reading)
{
    if (file->view != NULL) {
        bool newer = !file_is_ahead(file, look) && look->attr.version > file->view->attr.version;
        bool same = look->attr.version == file->view->attr.version;
        if (!newer && !(same && for_reading && !file->view->readable)) {
            if (same)
                file->current_ns = clock_ns();
            return;
        }
    }
    file_advance(file,
                 for_reading ? view_new(look->tree, &look->attr) : view_new_unread(&look->attr));
}

bool file_is_same_process(uint32_t pid, uint32_t other)
{
    char path[64];

    if (pid == other || other == 0)
        return other != 0;
    snprintf(path, sizeof(path), "/proc/%u/task/%u", pid, other);
    return access(path, F_OK) == 0;
}

static void file_refresh_handles(struct file *file, const struct look *look, uint32_t pid)
{
    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        bool rests = !handle->has_read || handle->at_end;
        if (!handle->readable || !rests || handle->view->attr.version >= look->attr.version ||
            !file_is_same_process(handle->pid, pid))
            continue;
        file_adopt(file, look, true);
        handle_set_view(handle, file->view);
        handle->has_read = false;
    }
}

/* Under the lock: mode and owner that wait for the first publish are the older change when
 * another node has set them since, which `now` shows. `set`, or NULL, was set here. */
static void yield_set(struct file *file, const struct command_set_attr *set, const struct attr *now)
{
    const unsigned owned = COMMAND_SET_MODE | COMMAND_SET_UID | COMMAND_SET_GID;

    if (file->publish != NULL || (file->dirty.set.mask & owned) == 0 ||
        now->version <= file->set_over.version)
        return;
    if (set != NULL)
        layer_amend_set(set, &file->set_over);
    layer_yield_set(&file->dirty, &file->set_over, now);
    file->set_over = *now;
}

enum file_answer file_show(struct inode *inode, const struct look *look, uint32_t pid,
                           struct attr *ret_attr, uint64_t *ret_round)
{
    struct file *file = inode_file(inode);

    *ret_attr = look->attr;
    if (file == NULL)
        return FILE_READY;
    pthread_mutex_lock(&file->lock);
    enum file_answer answer = FILE_READY;
    if (file->view != NULL) {
        answer = file_settle(file, look, ret_round);
        if (answer == FILE_READY && file_is_clean(file))
            file_refresh_handles(file, look, pid);
        yield_set(file, NULL, &look->attr);
        if (file_is_ahead(file, look))
            *ret_attr = file->view->attr;
        layer_amend_attr(&file->in_flight, ret_attr);
        layer_amend_attr(&file->dirty, ret_attr);
    }
    pthread_mutex_unlock(&file->lock);
    return answer;
}

static bool has_writer(const struct file *file)
{
    for (const struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        if (handle->writable)
            return true;
    }
    return false;
}

bool file_is_quiet(struct inode *inode)
{
    struct file *file = inode_file(inode);

    if (file == NULL)
        return true;
    pthread_mutex_lock(&file->lock);
    bool is_quiet = file->publish == NULL && file_is_clean(file) && !has_writer(file);
    pthread_mutex_unlock(&file->lock);
    return is_quiet;
}

void file_show_handle(struct handle *handle, struct attr *ret_attr)
{
    pthread_mutex_lock(&handle->file->lock);
    file_get_attr(handle->file, ret_attr);
    pthread_mutex_unlock(&handle->file->lock);
}

bool file_show_removed(struct inode *inode, const struct attr *last, struct attr *ret_attr)
{
    struct file *file = inode_file(inode);

    if (file == NULL)
        return false;
    pthread_mutex_lock(&file->lock);
    bool open = file->view != NULL;
    if (open) {
        *ret_attr = last != NULL ? *last : file->view->attr;
        ret_attr->size = file->view->attr.size;
        layer_amend_attr(&file->in_flight, ret_attr);
        layer_amend_attr(&file->dirty, ret_attr);
    }
    pthread_mutex_unlock(&file->lock);
    return open;
}

void file_note_set_removed(struct inode *inode, const struct command_set_attr *set)
{
    struct command_set_attr others = *set;
    struct file *file = inode_file(inode);

    if (file == NULL)
        return;
    others.mask &= ~(unsigned)COMMAND_SET_SIZE;
    pthread_mutex_lock(&file->lock);
    if (file->view != NULL) {
        size_t before = file_cost(file);
        if (set->mask & COMMAND_SET_SIZE)
            layer_truncate(&file->dirty, file_size_below(file), set->size, fs_wall_clock_ns());
        if (!layer_is_empty(&file->in_flight))
            layer_set_attr(&file->in_flight, &others);
        if (!layer_is_empty(&file->dirty))
            layer_set_attr(&file->dirty, &others);
        file_recharge(file, before);
    }
    pthread_mutex_unlock(&file->lock);
}

enum file_answer file_settled(struct inode *inode, uint64_t *ret_round)
{
    struct file *file = inode_file(inode);

    if (file == NULL)
        return FILE_READY;
    pthread_mutex_lock(&file->lock);
    bool settled = file->publish == NULL;
    *ret_round = file->waiters.round;
    pthread_mutex_unlock(&file->lock);
    return settled ? FILE_READY : FILE_WAIT;
}

void file_wait(struct file *file, uint64_t round, struct op *op)
{
    const struct op_result result = {0};

    pthread_mutex_lock(&file->lock);
    bool waits = file->publish != NULL && waiters_add(&file->waiters, round, op);
    pthread_mutex_unlock(&file->lock);
    if (!waits)
        op_finish(op, &result);
}

/* --- handles --- */

/* Under the lock; file->view is what it will read. */
static struct handle *handle_add(struct file *file, int flags, uint32_t pid)
{
    struct handle *handle = mem_zalloc(sizeof(*handle));

    handle->fs = file->fs;
    handle->inode = file->inode;
    handle->file = file;
    handle->readable = (flags & O_ACCMODE) != O_WRONLY;
    handle->writable = (flags & (O_ACCMODE | O_TRUNC)) != O_RDONLY;
    handle->pid = pid;
    handle->opener = pid;
    handle->view = view_ref(file->view);
    handle->next = file->handles;
    file->handles = handle;
    file->left_ns = 0;
    inode_pin_again(file->inode);
    return handle;
}

enum file_answer file_open(struct fs *fs, struct inode *inode, const struct look *look, int flags,
                           uint32_t pid, struct handle **ret_handle, uint64_t *ret_round)
{
    struct file *file = file_of(fs, inode);

    pthread_mutex_lock(&file->lock);
    if (file->left_ns != 0)
        close_file(file); /* a snapshot brought it back */
    enum file_answer answer = file->view != NULL ? file_settle(file, look, ret_round) : FILE_READY;
    if (answer == FILE_READY) {
        bool reads = (flags & O_ACCMODE) != O_WRONLY;
        file_adopt(file, look, reads || file_has_readers(file));
        *ret_handle = handle_add(file, flags, pid);
    }
    pthread_mutex_unlock(&file->lock);
    return answer;
}

/* Under the lock: whether the version `view`, or NULL, takes the place of what the file
 * has. What is in flight may be in it already. */
static bool is_better(const struct file *file, const struct view *view)
{
    if (file->view == NULL || view == NULL)
        return view != NULL;
    if (view->attr.version == file->view->attr.version)
        return !file->view->readable;
    return view->attr.version > file->view->attr.version && file->publish == NULL &&
           layer_is_empty(&file->in_flight);
}

/* Whether `view` shows what the file was at the end; attributes can have been set since. */
static bool is_last_content(const struct view *view, const struct attr *last)
{
    return view->attr.version == last->version ||
           (view->attr.mtime_ns == last->mtime_ns && view->attr.size == last->size);
}

struct handle *file_open_removed(struct fs *fs, struct inode *inode, struct view *view,
                                 const struct attr *last, int flags, uint32_t pid)
{
    struct file *file = file_of(fs, inode);
    bool reads = (flags & O_ACCMODE) != O_WRONLY;
    struct handle *handle = NULL;

    pthread_mutex_lock(&file->lock);
    if (is_better(file, view) && (last == NULL || is_last_content(view, last)))
        file_advance(file, view_ref(view));
    if (file->view != NULL && (last == NULL || is_last_content(file->view, last)) &&
        (!reads || file->view->readable))
        handle = handle_add(file, flags, pid);
    pthread_mutex_unlock(&file->lock);
    return handle;
}

static void handle_free(struct handle *handle)
{
    view_unref(handle->view);
    free(handle);
}

/* Whether something of a released handle is still needed: what it wrote, until
 * that is published; in a removed file, as long as somebody has it open. */
static bool is_needed(const struct handle *handle, bool has_open)
{
    if (!handle->is_released || handle->is_in_flight)
        return true;
    if (handle->file->is_detached)
        return has_open && handle->owner.cost > 0;
    return handle->owner.cost > 0 || handle->wants_publish;
}

static bool has_open_handle(const struct file *file)
{
    for (const struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        if (!handle->is_released)
            return true;
    }
    return false;
}

/* Under the lock: the last one has closed a removed file. */
static void leave(struct file *file)
{
    layer_give(&file->dirty, &file->left);
    file->left_ns = clock_ns();
}

void file_unlock(struct file *file)
{
    struct inode *inode = file->inode;
    struct handle **link = &file->handles;
    bool has_open = has_open_handle(file);
    size_t freed = 0;

    /* The owners in the layers go with the handles. */
    if (!has_open && file->is_detached && file->publish == NULL && file->left_ns == 0)
        leave(file);
    while (*link != NULL) {
        struct handle *handle = *link;
        if (is_needed(handle, has_open)) {
            link = &handle->next;
        } else {
            *link = handle->next;
            handle_free(handle);
            freed++;
        }
    }
    if (file->handles == NULL && file->publish == NULL &&
        (file->left_ns == 0 || file_is_clean(file)))
        close_file(file);
    pthread_mutex_unlock(&file->lock);
    for (size_t i = 0; i < freed; i++)
        inode_unpin(inode);
}

void file_release(struct handle *handle)
{
    struct file *file = handle->file;

    /* For the handle's own pin, which may go while the file is still used. */
    inode_pin_again(handle->inode);
    struct inode *inode = handle->inode;
    pthread_mutex_lock(&file->lock);
    handle->is_released = true;
    if (!file_check_detached(file) && handle->error == 0 &&
        (handle->owner.cost > 0 || (handle->truncated && file->dirty.truncated))) {
        handle->wants_publish = true;
        handle->publish_deadline_ns = clock_ns() + file->fs->op_timeout_ms * 1000000ull;
    }
    file_unlock(file);
    publish_start(file);
    inode_unpin(inode);
}

void file_abandon(struct inode *inode)
{
    struct file *file = inode_file(inode);

    pthread_mutex_lock(&file->lock);
    assert(file->publish == NULL);
    file->is_detached = true;
    drop_layers(file);
    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next)
        handle->is_released = true;
    file_unlock(file);
}

/* --- changes that are not publishes --- */

int file_set_if_version(struct inode *inode, uint64_t version)
{
    struct file *file = inode_file(inode);

    if (file == NULL)
        return KE_INVALID;
    pthread_mutex_lock(&file->lock);
    bool is_open = has_open_handle(file);
    if (is_open)
        file->if_version = version;
    pthread_mutex_unlock(&file->lock);
    return is_open ? 0 : KE_INVALID;
}

/* `set` is the later change, and has been made: of what waits for the publish the times
 * are set again, which the publish would change by itself, and the rest is dropped. */
static void overrule_set(struct layer *dirty, const struct command_set_attr *set)
{
    struct command_set_attr times = *set;

    times.mask &= COMMAND_SET_ATIME | COMMAND_SET_MTIME;
    layer_set_attr(dirty, &times);
    dirty->set.mask &= ~(set->mask & (COMMAND_SET_MODE | COMMAND_SET_UID | COMMAND_SET_GID));
}

/* Under the lock: a file that was made here, of which nothing is published yet and
 * nothing on its way; what it will be is still being written by process `pid`. */
static bool is_being_made(const struct file *file, uint32_t pid)
{
    const struct handle *handle = file->handles;

    if (file->view == NULL || file->publish != NULL || layer_is_empty(&file->dirty) ||
        file->view->attr.version != file->view->attr.id)
        return false;
    while (handle != NULL && (handle->owner.cost == 0 || handle->error != 0 ||
                              !file_is_same_process(handle->opener, pid)))
        handle = handle->next;
    return handle != NULL;
}

bool file_is_being_made(struct inode *inode, uint32_t pid)
{
    struct file *file = inode_file(inode);

    if (file == NULL)
        return false;
    pthread_mutex_lock(&file->lock);
    bool is_made = is_being_made(file, pid);
    pthread_mutex_unlock(&file->lock);
    return is_made;
}

bool file_defer_set_attr(struct inode *inode, const struct command_set_attr *set,
                         const struct look *look, uint32_t pid, struct attr *ret_attr)
{
    struct file *file = inode_file(inode);

    if (file == NULL || (set->mask & COMMAND_SET_SIZE) != 0)
        return false;
    pthread_mutex_lock(&file->lock);
    bool deferred = is_being_made(file, pid) && !file_check_detached(file);
    if (deferred) {
        yield_set(file, NULL, &look->attr);
        file->set_over = look->attr;
        layer_set_attr(&file->dirty, set);
        file_get_attr(file, ret_attr);
    }
    pthread_mutex_unlock(&file->lock);
    return deferred;
}

bool file_deferred_mode(struct inode *inode, uint32_t *ret_mode)
{
    struct file *file = inode_file(inode);

    if (file == NULL)
        return false;
    pthread_mutex_lock(&file->lock);
    bool waits = (file->dirty.set.mask & COMMAND_SET_MODE) != 0;
    if (waits)
        *ret_mode = file->dirty.set.mode;
    pthread_mutex_unlock(&file->lock);
    return waits;
}

void file_note_mode_set(struct inode *inode)
{
    struct file *file = inode_file(inode);

    pthread_mutex_lock(&file->lock);
    file->dirty.set.mask &= ~(unsigned)COMMAND_SET_MODE;
    pthread_mutex_unlock(&file->lock);
}

void file_note_set_attr(struct inode *inode, const struct command_set_attr *set,
                        const struct look *look)
{
    struct file *file = inode_file(inode);

    if (file == NULL)
        return;
    pthread_mutex_lock(&file->lock);
    if (file->view != NULL) {
        size_t before = file_cost(file);
        if (set->mask & COMMAND_SET_SIZE)
            layer_trim(&file->dirty, file_size_below(file), set->size);
        yield_set(file, set, &look->attr);
        if (!layer_is_empty(&file->dirty))
            overrule_set(&file->dirty, set);
        /* What was written before had its effect on the old mode. */
        if (set->mask & COMMAND_SET_MODE)
            file->dirty.clear_suid = false;
        file_recharge(file, before);
        if (!file_is_ahead(file, look)) {
            file_adopt(file, look, file_has_readers(file));
            if (set->mask & COMMAND_SET_SIZE)
                file_pin_handles(file);
        }
    }
    pthread_mutex_unlock(&file->lock);
}

/* --- old views --- */

static bool has_aged_view(struct file *file)
{
    if (file->view != NULL && view_is_aged(file->view))
        return true;
    for (const struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        if (view_is_aged(handle->view))
            return true;
    }
    return false;
}

void file_renew_views(struct inode *inode)
{
    struct file *file = inode_file(inode);
    char path[PATH_BYTES_MAX + 1];
    struct attr attr;

    pthread_mutex_lock(&file->lock);
    if (file->left_ns != 0 && clock_ns() - file->left_ns > FILE_LEFT_NS)
        close_file(file);
    /* The store has the only other copy of a removed file. */
    bool renews = has_aged_view(file) && file->publish == NULL && !file_check_detached(file);
    if (renews && inode_path(inode, path)) {
        struct tree_view *tree = tree_view_new(file->fs->tree);
        if (resolve_in_tree(inode, tree, path, &attr, NULL) == 0) {
            file_advance(file, view_new(tree, &attr));
            for (struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
                if (view_is_aged(handle->view))
                    handle_set_view(handle, file->view);
            }
        }
        tree_view_unref(tree);
    }
    pthread_mutex_unlock(&file->lock);
}
