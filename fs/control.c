#include "fs/control.h"

#include "fs/control_handle.h"
#include "fs/control_members.h"
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
#include <unistd.h>

#define CONTROL_BIT  (1ull << 63)
#define CONTROL_DIR  CONTROL_BIT
#define CONTROL_FILE (CONTROL_BIT + 1) /* of the first file */

/* For names and attributes that never change. */
#define FOR_LONG_S 86400.0

typedef void control_write_fn(struct fs *fs, FILE *out);

static void write_version(struct fs *fs, FILE *out)
{
    (void)fs;
    fprintf(out, "keelfs %s\n", KEELFS_VERSION);
}

static const struct control_file {
    const char *name;
    control_write_fn *write; /* all of it, at open */
} control_files[] = {
    {"status", control_write_status},
    {"members", control_write_members},
    {"leader", control_write_leader},
    {"version", write_version},
};

#define CONTROL_FILES (sizeof(control_files) / sizeof(control_files[0]))

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
        .st_uid = geteuid(),
        .st_gid = getegid(),
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

/* --- open files --- */

static void text_free(struct control_handle *handle)
{
    free(handle);
}

static const struct control_handle_ops text_ops = {.free = text_free};

static struct control_handle *open_text(struct fs *fs, control_write_fn *write)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return NULL;
    struct control_handle *handle = mem_zalloc(sizeof(*handle));
    write(fs, out);
    fclose(out);
    stream_take(&handle->stream, text, size);
    control_handle_init(handle, fs, &text_ops);
    return handle;
}

static struct control_handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct control_handle *)(uintptr_t)fi->fh;
}

void control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC) ||
        ino - CONTROL_FILE >= CONTROL_FILES) {
        fuse_reply_err(req, EACCES);
        return;
    }
    struct control_handle *handle = open_text(ops_fs(req), control_files[ino - CONTROL_FILE].write);
    if (handle == NULL) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    fi->fh = (uint64_t)(uintptr_t)handle;
    fi->direct_io = 1;
    if (fuse_reply_open(req, fi) != 0)
        control_handle_close(handle);
}

void control_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi)
{
    control_handle_read(handle_of(fi), req, size, offset);
}

void control_release(struct fuse_file_info *fi)
{
    control_handle_close(handle_of(fi));
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
