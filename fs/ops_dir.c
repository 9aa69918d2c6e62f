/* Directories: opendir, readdir, readdirplus, releasedir. */
#include "fs/control.h"
#include "fs/dir.h"
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

#define PAGE_END_SIZE 8 /* less than any entry has */

static struct dir *dir_of(const struct fuse_file_info *fi)
{
    return (struct dir *)(uintptr_t)fi->fh;
}

/* --- the answer --- */

/* One readdir under way. */
struct dir_page {
    struct dir *dir; /* may be closed once the page is sent */
    struct inode_table *inodes;
    fuse_req_t req;
    bool plus;
    char *buffer;
    size_t size;
    size_t used;
    uint64_t *ids; /* that the kernel gets a reference to */
    size_t id_count;
    size_t id_capacity;
};

/* A child for the kernel's caches, or with node 0 nothing but its name: so when it has been
 * looked up. The listing can be older than a change that the kernel was told of, and so can
 * the answer to a lookup be that it has not taken yet. From the listing it would take that
 * the name is seen as after the change, and from the answer that it stays so. */
static struct inode *page_entry(struct dir_page *page, struct fuse_entry_param *ret_entry)
{
    struct dir *dir = page->dir;
    struct inode_table *inodes = &dir->fs->inodes;
    char path[PATH_BYTES_MAX + 1];
    const struct keep nothing = {0};
    const struct attr attr = dir->attr;

    *ret_entry = (struct fuse_entry_param){0};
    reply_fill_stat(&attr, reply_links(&attr), &ret_entry->attr);
    if (dir_is_at_dots(dir) || path_join(dir->path, dir->name, path) != 0)
        return NULL;
    struct inode *inode = inode_remember_new(inodes, attr.id, attr.type, path, dir->moment);
    if (inode != NULL)
        reply_fill_entry(inode, &attr, &nothing, ret_entry);
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
    struct dir *dir = page->dir;
    char *at = page->buffer + page->used;
    size_t room = page->size - page->used;
    off_t next = (off_t)dir_next_cookie(dir);
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
static int page_fill(struct dir_page *page, uint64_t cookie)
{
    int code = dir_seek(page->dir, cookie);

    if (code != 0)
        return code;
    while ((code = dir_peek(page->dir)) == 1 && page_add(page))
        dir_pass(page->dir);
    if (code == 0)
        dir_end(page->dir);
    return code < 0 ? code : 0;
}

/* The end of this handle's version, which is not that of the pages that the kernel keeps
 * by now: it takes an empty answer for their end as well. One too short for an entry has
 * none for the reader, and ends nothing. */
static void page_end_alone(struct dir_page *page)
{
    assert(page->used == 0 && page->size >= PAGE_END_SIZE);
    memset(page->buffer, 0, PAGE_END_SIZE);
    page->used = PAGE_END_SIZE;
}

/* The kernel does not get it. */
static void page_drop(struct dir_page *page)
{
    for (size_t i = 0; i < page->id_count; i++)
        inode_forget(page->inodes, page->ids[i], 1);
    free(page->ids);
    free(page->buffer);
}

static void page_reply(struct dir_page *page, int code)
{
    if (code != 0) {
        fuse_reply_err(page->req, errno_of(code));
    } else if (fuse_reply_buf(page->req, page->buffer, page->used) == 0) {
        page->id_count = 0;
    }
    page_drop(page);
}

/* --- readdir --- */

struct readdir_request {
    struct request request;
    struct dir *dir; /* stays open: the kernel waits for the answer */
    size_t size;
    uint64_t cookie;
    bool plus;
};

static void readdir_free(struct request *request)
{
    free(request);
}

/* KE_STALE, and no answer: it takes a look first. */
static int readdir_from(struct dir *dir, fuse_req_t req, size_t size, uint64_t cookie, bool plus)
{
    struct dir_page page = {
        .dir = dir,
        .inodes = &dir->fs->inodes,
        .req = req,
        .plus = plus,
        .buffer = mem_alloc(size),
        .size = size,
    };

    pthread_mutex_lock(&dir->lock);
    int code = page_fill(&page, cookie);
    if (dir->is_kept && code == 0 && page.used == 0 &&
        inode_listing_has_moved(dir->inode, dir->version))
        page_end_alone(&page);
    else if (dir->is_kept && code != KE_STALE)
        inode_listing_read(dir->inode, dir->version, cookie == DIR_COOKIE_START);
    pthread_mutex_unlock(&dir->lock);
    if (code == KE_STALE)
        page_drop(&page);
    else
        page_reply(&page, code);
    return code;
}

static void readdir_step(struct request *request, const struct op_result *result)
{
    struct readdir_request *readdir = (struct readdir_request *)request;
    struct resolved resolved;
    int code = result->code;

    if (code == 0)
        code = resolve_inode(request, readdir->dir->inode, &resolved);
    if (request_read_again(request, code, readdir_step))
        return;
    if (code == 0) {
        code = dir_look(readdir->dir, &resolved.look, readdir->cookie);
        look_release(&resolved.look);
    }
    bool has_looked = code == 0;
    if (has_looked)
        code =
            readdir_from(readdir->dir, request->req, readdir->size, readdir->cookie, readdir->plus);
    if (has_looked && code != KE_STALE) {
        request_end(request);
    } else if (code == KE_NOT_FOUND) {
        fuse_reply_buf(request->req, NULL, 0); /* removed: it is empty */
        request_end(request);
    } else {
        request_fail(request, code);
    }
}

static void readdir_start(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                          struct fuse_file_info *fi, bool plus)
{
    if (control_owns(ino)) {
        control_readdir(req, ino, size, offset, plus);
        return;
    }
    struct dir *dir = dir_of(fi);
    uint64_t cookie = (uint64_t)offset;
    if (!dir_needs_look(dir, cookie) && readdir_from(dir, req, size, cookie, plus) != KE_STALE)
        return;
    struct readdir_request *readdir = mem_zalloc(sizeof(*readdir));
    request_init(&readdir->request, dir->fs, req, readdir_free);
    readdir->dir = dir;
    readdir->size = size;
    readdir->cookie = cookie;
    readdir->plus = plus;
    request_read(&readdir->request, readdir_step);
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

/* The kernel compares the time of change when a listing begins, and so needs attributes
 * that are current. */
static void opendir_keep(struct opendir_request *opendir, struct dir *dir, uint64_t until_ns)
{
    enum listing_use use =
        until_ns != 0 ? inode_listing_open(opendir->inode, dir->version) : LISTING_PASS;
    dir->is_kept = use != LISTING_PASS;
    opendir->fi.cache_readdir = use != LISTING_PASS;
    opendir->fi.keep_cache = use != LISTING_FILL;
}

static void opendir_step(struct request *request, const struct op_result *result)
{
    struct opendir_request *opendir = (struct opendir_request *)request;
    struct resolved resolved;
    uint64_t until_ns = 0;
    struct dir *dir;
    int code = result->code;

    if (code == 0)
        code = resolve_inode(request, opendir->inode, &resolved);
    if (request_read_again(request, code, opendir_step))
        return;
    if (code == 0) {
        code = dir_open(request->fs, opendir->inode, &resolved.look, &dir);
        until_ns = resolved.look.until_ns;
        look_release(&resolved.look);
    }
    if (code != 0) {
        request_fail(request, code == KE_NOT_FOUND ? KE_STALE : code);
        return;
    }
    opendir_keep(opendir, dir, until_ns);
    opendir->fi.fh = (uint64_t)(uintptr_t)dir;
    if (fuse_reply_open(request->req, &opendir->fi) != 0)
        dir_close(dir);
    request_end(request);
}

void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct fs *fs = ops_fs(req);

    if (control_owns(ino)) {
        control_opendir(req, ino, fi);
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
    request_read(&opendir->request, opendir_step);
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
