#include "fs/control.h"

#include "fs/control_handle.h"
#include "fs/control_members.h"
#include "fs/control_metrics.h"
#include "fs/control_status.h"
#include "fs/errno.h"
#include "fs/events.h"
#include "fs/op_log.h"
#include "fs/ops.h"
#include "fs/watch.h"
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

/* What is in `watch`: a number of watch_nodes.h, as a directory or as a file. */
#define WATCH_DIR       (CONTROL_BIT | 1ull << 62)
#define WATCH_FILE      (WATCH_DIR | WATCH_FILE_BIT)
#define WATCH_FILE_BIT  (1ull << 61)
#define CONTROL_WATCHES "watch"

/* For names and attributes that never change. */
#define FOR_LONG_S 86400.0

typedef void control_write_fn(struct fs *fs, FILE *out);
/* NULL with a KE_ code. */
typedef struct control_handle *control_open_fn(struct fs *fs, int *ret_code);

static void write_version(struct fs *fs, FILE *out)
{
    (void)fs;
    fprintf(out, "keelfs %s\n", KEELFS_VERSION);
}

/* What can name files is for the mounter: permissions may hide those from others. */
static const struct control_file {
    const char *name;
    mode_t mode;
    control_write_fn *write; /* all of it, at open; or NULL, and: */
    control_open_fn *open;
} control_files[] = {
    {"status", 0444, control_write_status, NULL},
    {"members", 0444, control_write_members, NULL},
    {"leader", 0444, control_write_leader, NULL},
    {"version", 0444, write_version, NULL},
    {"metrics", 0444, control_write_metrics, NULL},
    {"events", 0400, NULL, events_open},
    {"ops", 0400, NULL, op_log_open},
};

#define CONTROL_FILES (sizeof(control_files) / sizeof(control_files[0]))

bool control_owns(fuse_ino_t ino)
{
    return (ino & CONTROL_BIT) != 0;
}

/* --- inode numbers --- */

static bool is_watch(fuse_ino_t ino)
{
    return (ino & WATCH_DIR) == WATCH_DIR;
}

static bool is_watch_file(fuse_ino_t ino)
{
    return (ino & WATCH_FILE) == WATCH_FILE;
}

static uint64_t watch_number(fuse_ino_t ino)
{
    return ino & ~WATCH_FILE;
}

static const struct control_file *file_of(fuse_ino_t ino)
{
    return &control_files[ino - CONTROL_FILE];
}

static bool is_events(fuse_ino_t ino)
{
    return !is_watch(ino) && ino != CONTROL_DIR && file_of(ino)->open == events_open;
}

static mode_t mode_of(fuse_ino_t ino)
{
    if (is_watch(ino))
        return is_watch_file(ino) ? S_IFREG | 0400 : S_IFDIR | 0500;
    return ino == CONTROL_DIR ? S_IFDIR | 0555 : S_IFREG | file_of(ino)->mode;
}

static double attr_timeout_of(fuse_ino_t ino)
{
    return is_events(ino) ? 0 : FOR_LONG_S;
}

/* Those of the events change, so that tail(1) sees that there are new ones. */
static void fill_stat(struct fs *fs, fuse_ino_t ino, struct stat *st)
{
    mode_t mode = mode_of(ino);

    *st = (struct stat){
        .st_ino = ino,
        .st_mode = mode,
        .st_nlink = S_ISDIR(mode) ? 2 : 1,
        .st_uid = geteuid(),
        .st_gid = getegid(),
    };
    if (is_events(ino))
        events_fill_stat(fs, st);
}

/* --- names --- */

static void reply_entry_for(fuse_req_t req, fuse_ino_t ino, double timeout_s)
{
    struct fuse_entry_param entry = {
        .ino = ino,
        .generation = 1,
        .attr_timeout = attr_timeout_of(ino),
        .entry_timeout = timeout_s,
    };

    fill_stat(ops_fs(req), ino, &entry.attr);
    if (fuse_reply_entry(req, &entry) != 0 && is_watch(ino))
        watch_nodes_forget(&ops_fs(req)->watch_nodes, watch_number(ino), 1);
}

/* Asked for again each time: what the name stands for depends on who asks. */
static void reply_watch(fuse_req_t req, uint64_t number)
{
    bool as_file =
        watch_nodes_expects_file(&ops_fs(req)->watch_nodes, number, fuse_req_ctx(req)->pid);

    reply_entry_for(req, (as_file ? WATCH_FILE : WATCH_DIR) | number, 0);
}

static void lookup_watch(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    uint64_t number;
    int code = is_watch_file(parent) ? KE_NOT_DIR
                                     : watch_nodes_lookup(&ops_fs(req)->watch_nodes,
                                                          watch_number(parent), name, &number);

    if (code == 0)
        reply_watch(req, number);
    else
        fuse_reply_err(req, code == KE_INVALID ? ENOENT : errno_of(code));
}

static void lookup_file(fuse_req_t req, const char *name)
{
    for (size_t i = 0; i < CONTROL_FILES; i++) {
        if (strcmp(name, control_files[i].name) == 0) {
            reply_entry_for(req, CONTROL_FILE + i, FOR_LONG_S);
            return;
        }
    }
    fuse_reply_err(req, ENOENT);
}

bool control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (parent == FUSE_ROOT_ID && strcmp(name, PATH_CONTROL_NAME) == 0)
        reply_entry_for(req, CONTROL_DIR, FOR_LONG_S);
    else if (!control_owns(parent))
        return false;
    else if (is_watch(parent))
        lookup_watch(req, parent, name);
    else if (strcmp(name, CONTROL_WATCHES) == 0)
        reply_watch(req, WATCH_NODES_TOP);
    else
        lookup_file(req, name);
    return true;
}

void control_forget(struct fs *fs, fuse_ino_t ino, uint64_t count)
{
    if (is_watch(ino))
        watch_nodes_forget(&fs->watch_nodes, watch_number(ino), count);
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

    fill_stat(ops_fs(req), ino, &st);
    fuse_reply_attr(req, &st, attr_timeout_of(ino));
}

/* --- open files --- */

static void text_free(struct control_handle *handle)
{
    free(handle);
}

static const struct control_handle_ops text_ops = {.free = text_free};

static struct control_handle *open_text(struct fs *fs, control_write_fn *write, int *ret_code)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        *ret_code = KE_IO;
        return NULL;
    }
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

static struct control_handle *open_watch(fuse_req_t req, fuse_ino_t ino, int *ret_code)
{
    struct fs *fs = ops_fs(req);
    char path[PATH_BYTES_MAX + 1];

    watch_nodes_opened(&fs->watch_nodes, fuse_req_ctx(req)->pid);
    if (!watch_nodes_path(&fs->watch_nodes, watch_number(ino), path)) {
        *ret_code = KE_STALE;
        return NULL;
    }
    return watch_open(fs, path, ret_code);
}

void control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct control_handle *handle;
    int code = 0;

    if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC)) {
        fuse_reply_err(req, EACCES);
        return;
    }
    if (is_watch(ino))
        handle = open_watch(req, ino, &code);
    else if (file_of(ino)->open != NULL)
        handle = file_of(ino)->open(ops_fs(req), &code);
    else
        handle = open_text(ops_fs(req), file_of(ino)->write, &code);
    if (handle == NULL) {
        fuse_reply_err(req, errno_of(code));
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

void control_poll(fuse_req_t req, struct fuse_file_info *fi, struct fuse_pollhandle *notify)
{
    control_handle_poll(handle_of(fi), req, notify);
}

void control_release(struct fuse_file_info *fi)
{
    control_handle_close(handle_of(fi));
}

/* --- the directory --- */

void control_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!is_watch(ino) || (fi->flags & O_DIRECTORY)) {
        fuse_reply_open(req, fi);
        return;
    }
    watch_nodes_expect_file(&ops_fs(req)->watch_nodes, watch_number(ino), fuse_req_ctx(req)->pid);
    fuse_reply_err(req, ESTALE);
}

/* Entry `at` of the listing: ".", "..", the files, `watch`; what is in that has no end.
 * False: there are no more. */
static bool list_entry(fuse_ino_t dir, off_t at, const char **ret_name, fuse_ino_t *ret_ino)
{
    if (at < 2) {
        *ret_name = at == 0 ? "." : "..";
        *ret_ino = at == 0 ? dir : FUSE_ROOT_ID;
        return true;
    }
    size_t i = (size_t)at - 2;
    if (dir != CONTROL_DIR || i > CONTROL_FILES)
        return false;
    *ret_name = i < CONTROL_FILES ? control_files[i].name : CONTROL_WATCHES;
    *ret_ino = i < CONTROL_FILES ? CONTROL_FILE + i : WATCH_DIR;
    return true;
}

void control_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t offset, bool plus)
{
    char *buffer = mem_alloc(size);
    size_t used = 0;
    const char *name;
    fuse_ino_t ino;

    for (off_t at = offset; list_entry(dir, at, &name, &ino); at++) {
        /* Node 0: the kernel gets no reference and looks the name up itself. */
        struct fuse_entry_param entry = {.ino = 0};
        if (ino == FUSE_ROOT_ID)
            entry.attr = (struct stat){.st_ino = ino, .st_mode = S_IFDIR};
        else
            fill_stat(ops_fs(req), ino, &entry.attr);
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
