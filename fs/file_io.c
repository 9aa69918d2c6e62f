/* Reading, writing and the request to publish; see file.h. */
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/publish.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How often a read starts again because the file moved on under it. */
#define READ_TRIES_MAX 8

/* --- reading --- */

static void note_read(struct handle *handle, uint64_t end, uint64_t size, uint32_t pid)
{
    handle->pid = pid;
    handle->has_read = true;
    handle->at_end = end >= size;
}

/* Bytes of `view` at `offset`, zeros behind its end. */
static int read_padded(struct view *view, uint64_t offset, void *buffer, size_t size)
{
    size_t got;
    int code = view_read(view, offset, buffer, size, &got);

    if (code == 0)
        memset((uint8_t *)buffer + got, 0, size - got);
    return code;
}

/* Under the lock: lays the layers over what the view had. */
static void read_layers(const struct file *file, uint64_t offset, void *buffer, size_t size,
                        size_t *ret_size)
{
    uint64_t total = layer_size(&file->dirty, file_size_below(file));

    layer_read(&file->in_flight, file->view->attr.size, offset, buffer, size);
    layer_read(&file->dirty, file_size_below(file), offset, buffer, size);
    if (offset >= total)
        *ret_size = 0;
    else
        *ret_size = total - offset < size ? (size_t)(total - offset) : size;
}

/* The view that the handle reads now, with a reference. */
static struct view *current_view(struct handle *handle, bool *ret_is_clean)
{
    struct file *file = handle->file;

    pthread_mutex_lock(&file->lock);
    *ret_is_clean = file_is_clean(file);
    struct view *view = view_ref(*ret_is_clean ? handle->view : file->view);
    pthread_mutex_unlock(&file->lock);
    return view;
}

/* One try; KE_CONDITION when the file moved on between view and layers. */
static int read_once(struct handle *handle, uint64_t offset, void *buffer, size_t size,
                     uint32_t pid, size_t *ret_size)
{
    struct file *file = handle->file;
    bool is_clean;
    struct view *view = current_view(handle, &is_clean);
    uint64_t total = view->attr.size;
    int code = is_clean ? view_read(view, offset, buffer, size, ret_size)
                        : read_padded(view, offset, buffer, size);

    pthread_mutex_lock(&file->lock);
    if (code == 0 && !is_clean) {
        if (file->view == view) {
            read_layers(file, offset, buffer, size, ret_size);
            total = layer_size(&file->dirty, file_size_below(file));
        } else {
            code = KE_CONDITION;
        }
    }
    if (code == 0)
        note_read(handle, offset + *ret_size, total, pid);
    pthread_mutex_unlock(&file->lock);
    view_unref(view);
    return code;
}

int file_read(struct handle *handle, uint64_t offset, void *buffer, size_t size, uint32_t pid,
              size_t *ret_size)
{
    int code = KE_CONDITION;

    if (!handle->readable)
        return KE_INVALID;
    for (int i = 0; i < READ_TRIES_MAX && code == KE_CONDITION; i++)
        code = read_once(handle, offset, buffer, size, pid, ret_size);
    return code;
}

/* --- writing --- */

static void want_publish(struct handle *handle, uint64_t deadline_ns)
{
    if (!handle->wants_publish || deadline_ns < handle->publish_deadline_ns)
        handle->publish_deadline_ns = deadline_ns;
    handle->wants_publish = true;
}

static bool exceeds(const struct dirty_owner *owner, size_t cost, size_t chunks)
{
    return owner->cost > cost || owner->chunks > chunks;
}

/* A handle whose extents others cut into so many pieces that they hardly fit one
 * publish any more. */
static struct handle *find_overfull(struct file *file)
{
    struct handle *handle = file->handles;

    while (handle != NULL && !exceeds(&handle->owner, FILE_HANDLE_COST_MAX + FILE_SPLIT_COST_MAX,
                                      FILE_HANDLE_CHUNKS_MAX + FILE_SPLIT_CHUNKS_MAX))
        handle = handle->next;
    return handle;
}

/* What the write takes in memory. Zeros take none themselves. */
static size_t write_cost(const struct file_write *write)
{
    return dirty_write_cost(write->kind == FILE_WRITE_DATA ? write->size : 0);
}

static size_t write_chunks(const struct file_write *write)
{
    return write->kind == FILE_WRITE_ZEROS ? command_zeros_chunks(write->size)
                                           : dirty_write_chunks(write->size);
}

/* Whether the write fits the handle's next publish; else that is asked for. */
static bool has_room(struct handle *handle, const struct file_write *write)
{
    struct handle *full = find_overfull(handle->file);

    if (exceeds(&handle->owner, FILE_HANDLE_COST_MAX - write_cost(write),
                FILE_HANDLE_CHUNKS_MAX - write_chunks(write)))
        full = handle;
    if (full != NULL)
        want_publish(full, write->deadline_ns);
    return full == NULL;
}

/* Whether the write may be done now; else what to wait for, or why not. */
static int make_room(struct handle *handle, const struct file_write *write, uint64_t *ret_round)
{
    struct file *file = handle->file;
    size_t cost = write_cost(write);
    uint64_t offset = write->offset;

    if (handle->error != 0)
        return handle->error;
    if (write->append)
        offset = layer_size(&file->dirty, file_size_below(file));
    if (offset > TREE_FILE_MAX || write->size > TREE_FILE_MAX - offset)
        return KE_TOO_LARGE;
    if (file_check_detached(file)) {
        if (file_cost(file) + cost > FILE_REMOVED_COST_MAX)
            return KE_NO_SPACE;
    } else if (!has_room(handle, write)) {
        *ret_round = file->waiters.round;
        return FILE_WAIT;
    }
    switch (budget_ask(&file->fs->budget, cost, ret_round)) {
    case BUDGET_ROOM:
        return FILE_READY;
    case BUDGET_WAIT:
        return FILE_WAIT_BUDGET;
    case BUDGET_FULL:
        return KE_BUSY;
    }
    return KE_BUSY;
}

static bool has_written(const struct handle *handle, uint64_t writer)
{
    for (size_t i = 0; i < handle->writer_count; i++) {
        if (handle->writers[i] == writer)
            return true;
    }
    return handle->has_any_writer;
}

static void note_writer(struct handle *handle, uint64_t writer)
{
    if (has_written(handle, writer))
        return;
    if (writer == 0 || handle->writer_count == HANDLE_WRITERS_MAX)
        handle->has_any_writer = true;
    else
        handle->writers[handle->writer_count++] = writer;
}

static void write_now(struct handle *handle, const struct file_write *write)
{
    struct file *file = handle->file;
    size_t before = file_cost(file);
    int64_t now_ns = fs_wall_clock_ns();

    switch (write->kind) {
    case FILE_WRITE_DATA:
        if (write->append)
            layer_append(&file->dirty, &handle->owner, write->data, write->size, now_ns);
        else
            layer_write(&file->dirty, &handle->owner, write->offset, write->data, write->size,
                        now_ns);
        break;
    case FILE_WRITE_ZEROS:
        layer_zero(&file->dirty, &handle->owner, file_size_below(file), write->offset, write->size,
                   now_ns);
        break;
    case FILE_WRITE_LENGTH:
        layer_extend(&file->dirty, &handle->owner, file_size_below(file), write->offset, now_ns);
        break;
    }
    if (write->clear_suid)
        layer_clear_suid(&file->dirty);
    note_writer(handle, write->writer);
    file_recharge(file, before);
}

int file_write(struct handle *handle, const struct file_write *write, uint64_t *ret_round)
{
    struct file *file = handle->file;

    if (write->size == 0 && write->kind != FILE_WRITE_LENGTH)
        return FILE_READY;
    pthread_mutex_lock(&file->lock);
    int answer = make_room(handle, write, ret_round);
    bool starts = answer == FILE_WAIT && file->publish == NULL;
    if (starts) {
        /* The next piece goes out, and this write begins another. */
        pthread_mutex_unlock(&file->lock);
        publish_start(file);
        pthread_mutex_lock(&file->lock);
        answer = make_room(handle, write, ret_round);
    }
    if (answer == FILE_READY)
        write_now(handle, write);
    pthread_mutex_unlock(&file->lock);
    return answer;
}

int file_truncate(struct handle *handle, uint64_t size, bool clear_suid, struct attr *ret_attr)
{
    struct file *file = handle->file;

    if (size > TREE_FILE_MAX)
        return KE_TOO_LARGE;
    pthread_mutex_lock(&file->lock);
    int code = handle->error;
    if (code == 0) {
        size_t before = file_cost(file);
        layer_truncate(&file->dirty, file_size_below(file), size, fs_wall_clock_ns());
        file_recharge(file, before);
        if (clear_suid)
            layer_clear_suid(&file->dirty);
        handle->truncated = true;
        file_get_attr(file, ret_attr);
    }
    pthread_mutex_unlock(&file->lock);
    return code;
}

/* --- publishing --- */

static bool has_unpublished(const struct handle *handle)
{
    return handle->owner.cost > 0 || (handle->truncated && handle->file->dirty.truncated);
}

/* Whether the process that closes the handle is the one to publish it. Who
 * truncated without writing is told from the opener, as long as that lives. */
static bool is_for_closer(const struct handle *handle, const struct file_publish *publish)
{
    char path[32];

    if (handle->writer_count > 0 || handle->has_any_writer)
        return has_written(handle, publish->closer);
    snprintf(path, sizeof(path), "/proc/%u", handle->opener);
    return file_is_same_process(handle->opener, publish->pid) || access(path, F_OK) != 0;
}

/* Under the lock. */
static void publish_begin(struct handle *handle, struct file_publish *publish)
{
    publish->has_begun = true;
    publish->target = handle->taken;
    if (has_unpublished(handle) && (!publish->is_close || is_for_closer(handle, publish))) {
        publish->target++;
        want_publish(handle, publish->deadline_ns);
    }
}

int file_publish(struct handle *handle, struct file_publish *publish, uint64_t *ret_round)
{
    struct file *file = handle->file;
    int answer = FILE_READY;

    pthread_mutex_lock(&file->lock);
    if (handle->error != 0) {
        answer = handle->error;
    } else if (!file_check_detached(file)) {
        if (!publish->has_begun)
            publish_begin(handle, publish);
        /* Others may have overwritten or cut off what was to be published. */
        if (publish->target > handle->taken && !has_unpublished(handle))
            publish->target = handle->taken;
        *ret_round = file->waiters.round;
        answer = handle->settled >= publish->target ? FILE_READY : FILE_WAIT;
    }
    bool starts = answer == FILE_WAIT && file->publish == NULL;
    pthread_mutex_unlock(&file->lock);
    if (starts)
        publish_start(file);
    return answer;
}

enum file_answer file_publish_all(struct inode *inode, uint64_t deadline_ns, uint64_t *ret_round)
{
    struct file *file = inode_file(inode);
    bool wants = false;

    if (file == NULL)
        return FILE_READY;
    pthread_mutex_lock(&file->lock);
    for (struct handle *handle = file->handles; handle != NULL; handle = handle->next) {
        if (handle->error == 0 && has_unpublished(handle)) {
            want_publish(handle, deadline_ns);
            wants = true;
        }
    }
    wants = wants && !file_check_detached(file);
    bool starts = wants && file->publish == NULL;
    enum file_answer answer = wants || file->publish != NULL ? FILE_WAIT : FILE_READY;
    *ret_round = file->waiters.round;
    pthread_mutex_unlock(&file->lock);
    if (starts)
        publish_start(file);
    return answer;
}
