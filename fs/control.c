#include "fs/control.h"

#include "fs/control_status.h"
#include "fs/ops.h"
#include "raftstore/memory.h"
#include "raftstore/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONTROL_BIT  (1ull << 63)
#define CONTROL_DIR  CONTROL_BIT
#define CONTROL_FILE (CONTROL_BIT + 1) /* of the first file */

/* For names and attributes that never change. */
#define FOR_LONG_S 86400.0

typedef void control_write_fn(struct fs *fs, FILE *out);

static const struct control_file {
    const char *name;
    control_write_fn *write;
} control_files[] = {
    {"status", control_write_status},
};

#define CONTROL_FILES (sizeof(control_files) / sizeof(control_files[0]))

/* What one open of a file reads. */
struct control_text {
    struct fs_object object;
    char *bytes;
    size_t size;
};

bool control_owns(fuse_ino_t ino)
{
    return (ino & CONTROL_BIT) != 0;
}

static void fill_stat(fuse_ino_t ino, struct stat *st)
{
    bool is_dir = ino == CONTROL_DIR;

    *st = (struct stat){
        .st_ino = ino,
        .st_mode = is_dir ? S_IFDIR | 0555 : S_IFREG | 0444,
        .st_nlink = is_dir ? 2 : 1,
    };
}

static void reply_entry_for_long(fuse_req_t req, fuse_ino_t ino)
{
    struct fuse_entry_param entry = {
        .ino = ino,
        .generation = 1,
        .attr_timeout = FOR_LONG_S,
        .entry_timeout = FOR_LONG_S,
    };

    fill_stat(ino, &entry.attr);
    fuse_reply_entry(req, &entry);
}

bool control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (parent == FUSE_ROOT_ID && strcmp(name, PATH_CONTROL_NAME) == 0) {
        reply_entry_for_long(req, CONTROL_DIR);
        return true;
    }
    if (!control_owns(parent))
        return false;
    for (size_t i = 0; i < CONTROL_FILES; i++) {
        if (strcmp(name, control_files[i].name) == 0) {
            reply_entry_for_long(req, CONTROL_FILE + i);
            return true;
        }
    }
    fuse_reply_err(req, ENOENT);
    return true;
}

bool control_refuses_change(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    bool is_dir = parent == FUSE_ROOT_ID && strcmp(name, PATH_CONTROL_NAME) == 0;

    if (!is_dir && !control_owns(parent))
        return false;
    fuse_reply_err(req, EPERM);
    return true;
}

void control_getattr(fuse_req_t req, fuse_ino_t ino)
{
    struct stat st;

    fill_stat(ino, &st);
    fuse_reply_attr(req, &st, FOR_LONG_S);
}

static void text_free(struct fs_object *object)
{
    struct control_text *text = (struct control_text *)object;

    free(text->bytes);
    free(text);
}

void control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC) ||
        ino - CONTROL_FILE >= CONTROL_FILES) {
        fuse_reply_err(req, EACCES);
        return;
    }
    struct fs *fs = ops_fs(req);
    struct control_text *text = mem_zalloc(sizeof(*text));
    FILE *out = open_memstream(&text->bytes, &text->size);
    if (out == NULL) {
        free(text);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    control_files[ino - CONTROL_FILE].write(fs, out);
    fclose(out);
    text->object.free = text_free;
    fs_object_add(fs, &text->object);
    fi->fh = (uint64_t)(uintptr_t)text;
    fi->direct_io = 1;
    if (fuse_reply_open(req, fi) != 0)
        control_release(fs, fi);
}

void control_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi)
{
    const struct control_text *text = (const struct control_text *)(uintptr_t)fi->fh;
    size_t from = (uint64_t)offset < text->size ? (size_t)offset : text->size;
    size_t left = text->size - from;

    fuse_reply_buf(req, text->bytes + from, size < left ? size : left);
}

void control_release(struct fs *fs, struct fuse_file_info *fi)
{
    struct control_text *text = (struct control_text *)(uintptr_t)fi->fh;

    fs_object_remove(fs, &text->object);
    text_free(&text->object);
}

/* --- the directory --- */

/* Entry `at` of the listing: ".", "..", the files. False: there are no more. */
static bool list_entry(off_t at, const char **ret_name, fuse_ino_t *ret_ino)
{
    if (at < 2) {
        *ret_name = at == 0 ? "." : "..";
        *ret_ino = at == 0 ? CONTROL_DIR : FUSE_ROOT_ID;
        return true;
    }
    if ((size_t)at - 2 >= CONTROL_FILES)
        return false;
    *ret_name = control_files[at - 2].name;
    *ret_ino = CONTROL_FILE + (fuse_ino_t)at - 2;
    return true;
}

void control_readdir(fuse_req_t req, size_t size, off_t offset, bool plus)
{
    char *buffer = mem_alloc(size);
    size_t used = 0;
    const char *name;
    fuse_ino_t ino;

    for (off_t at = offset; list_entry(at, &name, &ino); at++) {
        /* Node 0: the kernel gets no reference and looks the name up itself. */
        struct fuse_entry_param entry = {.ino = 0};
        fill_stat(ino, &entry.attr);
        if (ino == FUSE_ROOT_ID)
            entry.attr.st_mode = S_IFDIR;
        size_t needed =
            plus ? fuse_add_direntry_plus(req, buffer + used, size - used, name, &entry, at + 1)
                 : fuse_add_direntry(req, buffer + used, size - used, name, &entry.attr, at + 1);
        if (needed > size - used)
            break;
        used += needed;
    }
    fuse_reply_buf(req, buffer, used);
    free(buffer);
}
