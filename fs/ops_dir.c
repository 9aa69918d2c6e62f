/* Directories: opendir, readdir, readdirplus, releasedir.
 *
 * A directory handle lists one version of its directory: offsets count its
 * entries, "." and ".." first. Going back to the start looks anew.
 */
#include "fs/control.h"
#include "fs/errno.h"
#include "fs/ops.h"
#include "fs/reply.h"
#include "fs/request.h"
#include "fs/resolve.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DOT_ENTRIES 2

struct dir_handle {
    struct fs_object object;
    struct fs *fs;
    struct inode *inode; /* pinned */

    pthread_mutex_t lock;   /* guards the rest */
    struct tree_view *tree; /* NULL: at the end, or it got too old */
    uint64_t taken_ns;
    char *path; /* in that view */
    uint64_t parent_id;
    struct tree_list *list;
    bool is_at_end;
    off_t position;   /* the entry that comes next */
    bool has_current; /* it has been read from the list: */
    const char *name;
    struct attr attr;
    char last_name[PATH_COMPONENT_MAX + 1]; /* the child before it, or "" */
};

static struct dir_handle *dir_of(const struct fuse_file_info *fi)
{
    return (struct dir_handle *)(uintptr_t)fi->fh;
}

/* --- listing; under the lock --- */

static void dir_stop(struct dir_handle *dir)
{
    tree_list_close(dir->list);
    dir->list = NULL;
    dir->has_current = false;
    if (dir->tree != NULL)
        tree_view_unref(dir->tree);
    dir->tree = NULL;
    free(dir->path);
    dir->path = NULL;
}

/* From now on lists what `look` found, from the start. */
static int dir_begin(struct dir_handle *dir, const struct look *look)
{
    char parent[PATH_BYTES_MAX + 1];
    size_t parent_size = path_parent_length(look->path);
    struct attr attr;

    dir_stop(dir);
    tree_view_ref(look->tree);
    dir->tree = look->tree;
    dir->taken_ns = clock_ns();
    dir->path = mem_strdup(look->path);
    dir->is_at_end = false;
    dir->position = 0;
    dir->last_name[0] = '\0';
    memcpy(parent, look->path, parent_size);
    parent[parent_size] = '\0';
    dir->parent_id = tree_stat(look->tree, parent, &attr) == 0 ? attr.id : (uint64_t)ATTR_ROOT_ID;
    return tree_list_open(dir->tree, dir->path, &dir->list);
}

/* Makes the next entry current: 1, or 0 at the end, or a KE_ code. */
static int dir_peek(struct dir_handle *dir)
{
    if (dir->has_current)
        return 1;
    if (dir->position < DOT_ENTRIES) {
        bool is_self = dir->position == 0;
        dir->name = is_self ? "." : "..";
        dir->attr = (struct attr){
            .type = FILE_DIRECTORY,
            .id = is_self ? dir->inode->id : dir->parent_id,
        };
        dir->has_current = true;
        return 1;
    }
    if (dir->list == NULL)
        return 0;
    int code = tree_list_next(dir->list, &dir->name, &dir->attr);
    dir->has_current = code == 1;
    return code;
}

static void dir_consume(struct dir_handle *dir)
{
    if (dir->position >= DOT_ENTRIES)
        memcpy(dir->last_name, dir->name, strlen(dir->name) + 1);
    dir->has_current = false;
    dir->position++;
}

/* Goes back in the same version, to the start. */
static int dir_restart(struct dir_handle *dir)
{
    dir->position = 0;
    dir->last_name[0] = '\0';
    dir->has_current = false;
    tree_list_close(dir->list);
    dir->list = NULL;
    return tree_list_open(dir->tree, dir->path, &dir->list);
}

/* Goes to `offset`, as seekdir(3) does. */
static int dir_seek(struct dir_handle *dir, off_t offset)
{
    int code = 0;

    if (offset < dir->position)
        code = dir_restart(dir);
    while (code == 0 && dir->position < offset) {
        code = dir_peek(dir);
        if (code == 0)
            return 0; /* there are not so many */
        if (code == 1) {
            dir_consume(dir);
            code = 0;
        }
    }
    return code;
}

/* Goes on in the version that `look` found, behind the entry that was last. */
static int dir_resume(struct dir_handle *dir, const struct look *look)
{
    char last_name[PATH_COMPONENT_MAX + 1];
    off_t position = dir->position;

    memcpy(last_name, dir->last_name, sizeof(last_name));
    int code = dir_begin(dir, look);
    if (code != 0 || position < DOT_ENTRIES) {
        dir->position = position;
        return code;
    }
    dir->position = position;
    memcpy(dir->last_name, last_name, sizeof(last_name));
    do {
        dir->has_current = false;
        code = dir_peek(dir);
    } while (code == 1 && strcmp(dir->name, last_name) <= 0);
    return code < 0 ? code : 0;
}

/* --- the answer --- */

/* One readdir under way. */
struct dir_page {
    struct dir_handle *dir;
    fuse_req_t req;
    bool plus;
    char *buffer;
    size_t size;
    size_t used;
    uint64_t *ids; /* that the kernel gets a reference to */
    size_t id_count;
    size_t id_capacity;
};

/* A child for the kernel's caches, or with node 0 nothing but its name. */
static struct inode *page_entry(struct dir_page *page, struct fuse_entry_param *ret_entry)
{
    struct dir_handle *dir = page->dir;
    struct inode_table *inodes = &dir->fs->inodes;
    char path[PATH_BYTES_MAX + 1];
    struct attr attr = dir->attr;
    uint64_t round;

    *ret_entry = (struct fuse_entry_param){0};
    reply_fill_stat(&attr, reply_links(&attr), &ret_entry->attr);
    if (dir->position < DOT_ENTRIES || path_join(dir->path, dir->name, path) != 0)
        return NULL;
    struct inode *inode = inode_pin(inodes, attr.id);
    if (inode == NULL) {
        inode = inode_remember(inodes, attr.id, attr.type, path);
    } else {
        /* Known: its path is newer, and it may be open with unpublished data. */
        const struct look look = {.attr = dir->attr};
        if (file_show(inode, &look, 0, &attr, &round) != FILE_READY) {
            inode_unpin(inode);
            return NULL;
        }
    }
    reply_fill_entry(inode, &attr, ret_entry);
    return inode;
}

static void page_note_id(struct dir_page *page, uint64_t id)
{
    if (page->id_count == page->id_capacity) {
        page->id_capacity = page->id_capacity == 0 ? 32 : page->id_capacity * 2;
        page->ids = mem_realloc(page->ids, page->id_capacity * sizeof(*page->ids));
    }
    page->ids[page->id_count++] = id;
}

/* Adds the current entry. False: it does not fit. */
static bool page_add(struct dir_page *page)
{
    struct dir_handle *dir = page->dir;
    char *at = page->buffer + page->used;
    size_t room = page->size - page->used;
    off_t next = dir->position + 1;
    struct fuse_entry_param entry;
    struct inode *inode = NULL;
    size_t needed;

    if (page->plus) {
        inode = page_entry(page, &entry);
        needed = fuse_add_direntry_plus(page->req, at, room, dir->name, &entry, next);
    } else {
        reply_fill_stat(&dir->attr, 1, &entry.attr);
        needed = fuse_add_direntry(page->req, at, room, dir->name, &entry.attr, next);
    }
    bool fits = needed <= room;
    if (inode != NULL && fits)
        page_note_id(page, inode->id);
    else if (inode != NULL)
        inode_forget(inode->table, inode->id, 1);
    inode_unpin(inode);
    if (fits)
        page->used += needed;
    return fits;
}

/* Under the lock. */
static int page_fill(struct dir_page *page, off_t offset)
{
    int code = dir_seek(page->dir, offset);

    if (code != 0)
        return code;
    while ((code = dir_peek(page->dir)) == 1 && page_add(page))
        dir_consume(page->dir);
    if (code == 0) {
        /* Everything was listed: the snapshot is not needed any more. */
        page->dir->is_at_end = true;
        dir_stop(page->dir);
    }
    return code < 0 ? code : 0;
}

static void page_reply(struct dir_page *page, int code)
{
    struct inode_table *inodes = &page->dir->fs->inodes;

    if (code != 0) {
        fuse_reply_err(page->req, errno_of(code));
    } else if (fuse_reply_buf(page->req, page->buffer, page->used) == 0) {
        page->id_count = 0;
    }
    for (size_t i = 0; i < page->id_count; i++)
        inode_forget(inodes, page->ids[i], 1);
    free(page->ids);
    free(page->buffer);
}

/* --- readdir --- */

struct readdir_request {
    struct request request;
    struct dir_handle *dir; /* stays open: the kernel waits for the answer */
    size_t size;
    off_t offset;
    bool plus;
};

static void readdir_free(struct request *request)
{
    free(request);
}

static void readdir_from(struct dir_handle *dir, fuse_req_t req, size_t size, off_t offset,
                         bool plus)
{
    struct dir_page page = {
        .dir = dir,
        .req = req,
        .plus = plus,
        .buffer = mem_alloc(size),
        .size = size,
    };

    pthread_mutex_lock(&dir->lock);
    int code = page_fill(&page, offset);
    pthread_mutex_unlock(&dir->lock);
    page_reply(&page, code);
}

/* The directory is looked at anew, from the start or to go on. */
static int readdir_relook(struct readdir_request *readdir, const struct look *look)
{
    struct dir_handle *dir = readdir->dir;
    bool goes_on = readdir->offset == dir->position;

    pthread_mutex_lock(&dir->lock);
    int code = goes_on ? dir_resume(dir, look) : dir_begin(dir, look);
    pthread_mutex_unlock(&dir->lock);
    return code;
}

static void readdir_step(struct request *request, const struct op_result *result)
{
    struct readdir_request *readdir = (struct readdir_request *)request;
    struct resolved resolved;
    int code = result->code;

    if (code == 0)
        code = resolve_inode(request->fs, readdir->dir->inode, clock_ns(), &resolved);
    if (code == KE_STALE && request_may_retry(request)) {
        request_barrier(request, readdir_step);
        return;
    }
    if (code == 0) {
        code = readdir_relook(readdir, &resolved.look);
        look_release(&resolved.look);
    }
    if (code == KE_NOT_FOUND)
        fuse_reply_buf(request->req, NULL, 0); /* removed: it is empty */
    else if (code != 0)
        fuse_reply_err(request->req, errno_of(code));
    else
        readdir_from(readdir->dir, request->req, readdir->size, readdir->offset, readdir->plus);
    request_end(request);
}

/* rewinddir(3) looks anew, and so does who goes on when there is no version. */
static bool needs_look(struct dir_handle *dir, off_t offset)
{
    pthread_mutex_lock(&dir->lock);
    bool goes_on = offset == dir->position;
    bool needs = goes_on ? dir->tree == NULL && !dir->is_at_end : offset == 0 || dir->tree == NULL;
    pthread_mutex_unlock(&dir->lock);
    return needs;
}

static void readdir_start(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                          struct fuse_file_info *fi, bool plus)
{
    if (control_owns(ino)) {
        control_readdir(req, size, offset, plus);
        return;
    }
    struct dir_handle *dir = dir_of(fi);
    if (!needs_look(dir, offset)) {
        readdir_from(dir, req, size, offset, plus);
        return;
    }
    struct readdir_request *readdir = mem_zalloc(sizeof(*readdir));
    request_init(&readdir->request, dir->fs, req, readdir_free);
    readdir->dir = dir;
    readdir->size = size;
    readdir->offset = offset;
    readdir->plus = plus;
    request_barrier(&readdir->request, readdir_step);
}

void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                 struct fuse_file_info *fi)
{
    readdir_start(req, ino, size, offset, fi, false);
}

void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    readdir_start(req, ino, size, offset, fi, true);
}

/* --- opendir, releasedir --- */

struct opendir_request {
    struct request request;
    struct inode *inode; /* pinned */
    struct fuse_file_info fi;
};

static void opendir_free(struct request *request)
{
    struct opendir_request *opendir = (struct opendir_request *)request;

    inode_unpin(opendir->inode);
    free(opendir);
}

static void dir_free(struct fs_object *object)
{
    struct dir_handle *dir = (struct dir_handle *)object;

    dir_stop(dir);
    pthread_mutex_destroy(&dir->lock);
    inode_unpin(dir->inode);
    free(dir);
}

/* A snapshot keeps overwritten data on disk: who reads on later gets a new one. */
static void dir_renew(struct fs_object *object)
{
    struct dir_handle *dir = (struct dir_handle *)object;

    if (pthread_mutex_trylock(&dir->lock) != 0)
        return; /* being read: next time */
    if (dir->tree != NULL && clock_ns() - dir->taken_ns > VIEW_AGE_MAX_NS)
        dir_stop(dir);
    pthread_mutex_unlock(&dir->lock);
}

static void dir_close(struct dir_handle *dir)
{
    fs_object_remove(dir->fs, &dir->object);
    dir_free(&dir->object);
}

static int dir_open(struct fs *fs, struct inode *inode, const struct look *look,
                    struct dir_handle **ret_dir)
{
    if (look->attr.type != FILE_DIRECTORY)
        return KE_NOT_DIR;
    struct dir_handle *dir = mem_zalloc(sizeof(*dir));
    dir->fs = fs;
    dir->inode = inode;
    inode_pin_again(inode);
    pthread_mutex_init(&dir->lock, NULL);
    dir->object.free = dir_free;
    dir->object.renew = dir_renew;
    fs_object_add(fs, &dir->object);
    int code = dir_begin(dir, look);
    if (code == 0)
        *ret_dir = dir;
    else
        dir_close(dir);
    return code;
}

static void opendir_step(struct request *request, const struct op_result *result)
{
    struct opendir_request *opendir = (struct opendir_request *)request;
    struct resolved resolved;
    struct dir_handle *dir;
    int code = result->code;

    if (code == 0)
        code = resolve_inode(request->fs, opendir->inode, clock_ns(), &resolved);
    if (code == KE_STALE && request_may_retry(request)) {
        request_barrier(request, opendir_step);
        return;
    }
    if (code == 0) {
        code = dir_open(request->fs, opendir->inode, &resolved.look, &dir);
        look_release(&resolved.look);
    }
    if (code != 0) {
        request_fail(request, code == KE_NOT_FOUND ? KE_STALE : code);
        return;
    }
    opendir->fi.fh = (uint64_t)(uintptr_t)dir;
    if (fuse_reply_open(request->req, &opendir->fi) != 0)
        dir_close(dir);
    request_end(request);
}

void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fs *fs = ops_fs(req);

    if (control_owns(ino)) {
        fuse_reply_open(req, fi);
        return;
    }
    struct inode *inode = inode_pin(&fs->inodes, ino);
    if (inode == NULL) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    struct opendir_request *opendir = mem_zalloc(sizeof(*opendir));
    request_init(&opendir->request, fs, req, opendir_free);
    opendir->inode = inode;
    opendir->fi = *fi;
    request_barrier(&opendir->request, opendir_step);
}

void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!control_owns(ino))
        dir_close(dir_of(fi));
    fuse_reply_err(req, 0);
}

/* Whatever is in a directory was committed when its call returned. */
void ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync;
    (void)fi;
    fuse_reply_err(req, 0);
}
