#include "act.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define XATTR_NAME "user.stress"

bool act_is_unknown(int error)
{
    return error == ETIMEDOUT || error == EIO || error == EINTR || error == ENOTCONN ||
           error == ECONNABORTED || error == ESHUTDOWN;
}

int act_open_root(const char *path, char out[ACT_PATH_MAX])
{
    struct statfs about;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    /* Of the directory that lies there meanwhile. */
    if (fd < 0 && errno == ENOENT)
        errno = ENOTCONN;
    if (fd < 0)
        return -1;
    if (fstatfs(fd, &about) != 0 || about.f_type != FUSE_SUPER_MAGIC) {
        close(fd);
        errno = ENOTCONN;
        return -1;
    }
    (void)snprintf(out, ACT_PATH_MAX, "/proc/self/fd/%d", fd);
    return fd;
}

void act_path(const char *root, struct model_path path, char out[ACT_PATH_MAX])
{
    int size;

    if (path.dir == NAME_NONE && path.name == NAME_NONE)
        size = snprintf(out, ACT_PATH_MAX, "%s", root);
    else if (path.dir == NAME_NONE)
        size = snprintf(out, ACT_PATH_MAX, "%s/%s", root, model_name_text(path.name));
    else
        size = snprintf(out, ACT_PATH_MAX, "%s/%s/%s", root, model_name_text(path.dir),
                        model_name_text(path.name));
    assert(size > 0 && size < ACT_PATH_MAX);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint8_t type_of(mode_t mode)
{
    if (S_ISREG(mode))
        return TYPE_FILE;
    if (S_ISDIR(mode))
        return TYPE_DIR;
    return S_ISLNK(mode) ? TYPE_LINK : TYPE_NONE;
}

void act_attr_of(const struct stat *st, struct model_attr *ret_attr)
{
    *ret_attr = (struct model_attr){
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_s = st->st_mtim.tv_sec,
        .nlink = (uint32_t)st->st_nlink,
        .mode = (uint16_t)(st->st_mode & 07777),
        .type = type_of(st->st_mode),
    };
}

static int tell(long result)
{
    return result < 0 ? errno : 0;
}

static int do_open(const char *path, struct model_op *op, int *fd)
{
    struct stat st;
    int error = 0;

    *fd = open(path, (int)op->flags | O_NOFOLLOW | O_CLOEXEC, op->number);
    if (*fd < 0)
        return errno;
    if (fstat(*fd, &st) != 0)
        error = errno;
    else if (S_ISDIR(st.st_mode))
        error = EISDIR; /* which open(2) does not say to readers */
    act_attr_of(&st, &op->attr);
    if (error != 0) {
        close(*fd);
        *fd = -1;
    }
    return error;
}

static int do_close(int *fd)
{
    int error = tell(close(*fd));

    *fd = -1;
    return error;
}

static int do_write(const struct model_op *op, int fd)
{
    ssize_t size = pwrite(fd, op->data, op->data_size, op->number);

    return size >= 0 && size != op->data_size ? EPROTO : tell(size);
}

static int do_read(struct model_op *op, ssize_t size)
{
    op->read_size = size < 0 ? 0 : (uint16_t)size;
    return tell(size);
}

static int do_stat(struct model_op *op, int result, const struct stat *st)
{
    if (result == 0)
        act_attr_of(st, &op->attr);
    return tell(result);
}

static void note_entry(struct model_op *op, const struct dirent *entry)
{
    uint8_t name = 0;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return;
    while (name < NAME_COUNT && strcmp(entry->d_name, model_name_text(name)) != 0)
        name++;
    if (name == NAME_COUNT || op->types[name] != TYPE_NONE)
        op->has_stranger = true;
    else
        op->types[name] = type_of(DTTOIF(entry->d_type));
}

int act_list(const char *path, struct model_op *op)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    if (dir == NULL)
        return errno;
    errno = 0;
    while ((entry = readdir(dir)) != NULL)
        note_entry(op, entry);
    int error = errno;
    closedir(dir);
    return error;
}

static int do_symlink(const char *path, const struct model_op *op)
{
    char target[MODEL_DATA_MAX + 1] = {0};

    memcpy(target, op->data, op->data_size);
    return tell(symlink(target, path));
}

static int do_utimens(const char *path, const struct model_op *op)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = op->number}};

    return tell(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

static int do_on_handle(struct model_op *op, int *fd)
{
    struct stat st;

    switch ((enum model_kind)op->kind) {
    case KIND_CLOSE:
        return do_close(fd);
    case KIND_READ:
        return do_read(op, pread(*fd, op->read, sizeof(op->read), 0));
    case KIND_WRITE:
        return do_write(op, *fd);
    case KIND_FTRUNCATE:
        return tell(ftruncate(*fd, 0));
    case KIND_FSYNC:
        return tell(fsync(*fd));
    default:
        return do_stat(op, fstat(*fd, &st), &st);
    }
}

static int do_on_path(const char *path, const char *to, struct model_op *op, int *fd)
{
    struct stat st;

    switch ((enum model_kind)op->kind) {
    case KIND_OPEN:
        return do_open(path, op, fd);
    case KIND_STAT:
        return do_stat(op, lstat(path, &st), &st);
    case KIND_LIST:
        return act_list(path, op);
    case KIND_MKDIR:
        return tell(mkdir(path, op->number));
    case KIND_RMDIR:
        return tell(rmdir(path));
    case KIND_UNLINK:
        return tell(unlink(path));
    case KIND_RENAME:
        return tell(renameat2(AT_FDCWD, path, AT_FDCWD, to, op->flags));
    case KIND_LINK:
        return tell(link(path, to));
    case KIND_SYMLINK:
        return do_symlink(path, op);
    case KIND_READLINK:
        return do_read(op, readlink(path, op->read, sizeof(op->read)));
    case KIND_CHMOD:
        return tell(chmod(path, op->number));
    case KIND_UTIMENS:
        return do_utimens(path, op);
    case KIND_TRUNCATE:
        return tell(truncate(path, op->number));
    case KIND_SETXATTR:
        return tell(lsetxattr(path, XATTR_NAME, op->data, op->data_size, 0));
    case KIND_GETXATTR:
        return do_read(op, lgetxattr(path, XATTR_NAME, op->read, sizeof(op->read)));
    default:
        return do_on_handle(op, fd);
    }
}

void act(const char *root, struct model_op *op, int fds[MODEL_HANDLES])
{
    char path[ACT_PATH_MAX], to[ACT_PATH_MAX];

    act_path(root, op->path, path);
    act_path(root, op->to, to);
    op->call_ns = now_ns();
    op->error = do_on_path(path, to, op, &fds[op->handle]);
    op->return_ns = now_ns();
    op->is_unknown = act_is_unknown(op->error);
}
