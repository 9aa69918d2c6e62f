/* bench-passthrough: a local directory as a FUSE mount and nothing else, which is what
 * `tools/bench fs` measures keelfs by: all that FUSE itself costs, and no more.
 *
 *   bench-passthrough DIRECTORY MOUNTPOINT [-f] [-o OPTIONS]
 *
 * It uses libfuse's high-level interface in its cached form: names, attributes, listings and
 * pages stay in the kernel for as long as it likes, since nobody else changes the directory.
 */
#define FUSE_USE_VERSION 314
#include <fuse.h>
#include <fuse_lowlevel.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define CACHE_S      3600.0
#define USAGE_STATUS 2

/* The directory; set before the mount, never changed after. */
static int root_fd = -1;

/* FUSE's paths start with a slash; ours with the directory. */
static const char *below(const char *path)
{
    return path[1] == '\0' ? "." : path + 1;
}

static int outcome(int rc)
{
    return rc < 0 ? -errno : 0;
}

static int handle(const struct fuse_file_info *fi)
{
    return (int)fi->fh;
}

/* ---- cached listings ---- */

/* The high-level interface of libfuse 3.14 has no way to say that a listing may be
 * cached, so it is said in the answer itself, on its way to the kernel: that to an
 * opendir leaves from the thread that served it, before it serves anything else. */
static _Thread_local bool opened_directory;

static ssize_t hook_read(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

static ssize_t hook_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)userdata;
    if (opened_directory && count == 2 && iov[1].iov_len == sizeof(struct fuse_open_out)) {
        struct fuse_open_out *out = iov[1].iov_base;
        out->open_flags |= FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
    }
    opened_directory = false;
    return writev(fd, iov, count);
}

static void *pass_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    const struct fuse_custom_io hooks = {.read = hook_read, .writev = hook_writev};
    struct fuse_session *session = fuse_get_session(fuse_get_context()->fuse);
    (void)conn;
    (void)fuse_session_custom_io(session, &hooks, fuse_session_fd(session));
    config->use_ino = 1;
    config->kernel_cache = 1;
    config->nullpath_ok = 1;
    config->entry_timeout = CACHE_S;
    config->attr_timeout = CACHE_S;
    config->negative_timeout = CACHE_S;
    return NULL;
}

/* ---- names and attributes ---- */

static int pass_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    return outcome(fi != NULL ? fstat(handle(fi), st)
                              : fstatat(root_fd, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int pass_readlink(const char *path, char *buffer, size_t size)
{
    ssize_t length = readlinkat(root_fd, below(path), buffer, size - 1);
    if (length < 0)
        return -errno;
    buffer[length] = '\0';
    return 0;
}

static int pass_mknod(const char *path, mode_t mode, dev_t device)
{
    return outcome(mknodat(root_fd, below(path), mode, device));
}

static int pass_mkdir(const char *path, mode_t mode)
{
    return outcome(mkdirat(root_fd, below(path), mode));
}

static int pass_unlink(const char *path)
{
    return outcome(unlinkat(root_fd, below(path), 0));
}

static int pass_rmdir(const char *path)
{
    return outcome(unlinkat(root_fd, below(path), AT_REMOVEDIR));
}

static int pass_symlink(const char *target, const char *path)
{
    return outcome(symlinkat(target, root_fd, below(path)));
}

static int pass_link(const char *from, const char *to)
{
    return outcome(linkat(root_fd, below(from), root_fd, below(to), 0));
}

static int pass_rename(const char *from, const char *to, unsigned flags)
{
    return outcome(renameat2(root_fd, below(from), root_fd, below(to), flags));
}

static int pass_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    return outcome(fi != NULL ? fchmod(handle(fi), mode) : fchmodat(root_fd, below(path), mode, 0));
}

static int pass_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
    return outcome(fi != NULL ? fchown(handle(fi), uid, gid)
                              : fchownat(root_fd, below(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int pass_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
    return outcome(fi != NULL ? futimens(handle(fi), times)
                              : utimensat(root_fd, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static int pass_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    if (fi != NULL)
        return outcome(ftruncate(handle(fi), size));
    int fd = openat(root_fd, below(path), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int status = outcome(ftruncate(fd, size));
    (void)close(fd);
    return status;
}

static int pass_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    return outcome(fstatvfs(root_fd, st));
}

/* ---- open files ---- */

static int opened(int fd, struct fuse_file_info *fi)
{
    if (fd < 0)
        return -errno;
    fi->fh = (uint64_t)fd;
    return 0;
}

static int pass_open(const char *path, struct fuse_file_info *fi)
{
    return opened(openat(root_fd, below(path), fi->flags | O_CLOEXEC), fi);
}

static int pass_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    return opened(openat(root_fd, below(path), fi->flags | O_CREAT | O_CLOEXEC, mode), fi);
}

static int pass_read(const char *path, char *buffer, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    (void)path;
    ssize_t count = pread(handle(fi), buffer, size, offset);
    return count < 0 ? -errno : (int)count;
}

static int pass_write(const char *path, const char *data, size_t size, off_t offset,
                      struct fuse_file_info *fi)
{
    (void)path;
    ssize_t count = pwrite(handle(fi), data, size, offset);
    return count < 0 ? -errno : (int)count;
}

/* Each close() has the file system's own errors. */
static int pass_flush(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    return outcome(close(dup(handle(fi))));
}

static int pass_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
    (void)path;
    return outcome(data_only ? fdatasync(handle(fi)) : fsync(handle(fi)));
}

static int pass_release(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    (void)close(handle(fi));
    return 0;
}

/* ---- listings ---- */

static int pass_opendir(const char *path, struct fuse_file_info *fi)
{
    int status = opened(openat(root_fd, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC), fi);
    opened_directory = status == 0;
    return status;
}

/* libfuse takes all of a listing at once and hands out the pieces itself. */
static int pass_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                        struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    (void)path;
    (void)offset;
    (void)flags;
    int fd = openat(handle(fi), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        int status = -errno;
        if (fd >= 0)
            (void)close(fd);
        return status;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st = {.st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12};
        if (fill(buffer, entry->d_name, &st, 0, 0) != 0)
            break;
    }
    (void)closedir(dir);
    return 0;
}

static const struct fuse_operations operations = {
    .init = pass_init,
    .getattr = pass_getattr,
    .readlink = pass_readlink,
    .mknod = pass_mknod,
    .mkdir = pass_mkdir,
    .unlink = pass_unlink,
    .rmdir = pass_rmdir,
    .symlink = pass_symlink,
    .link = pass_link,
    .rename = pass_rename,
    .chmod = pass_chmod,
    .chown = pass_chown,
    .utimens = pass_utimens,
    .truncate = pass_truncate,
    .statfs = pass_statfs,
    .open = pass_open,
    .create = pass_create,
    .read = pass_read,
    .write = pass_write,
    .flush = pass_flush,
    .fsync = pass_fsync,
    .release = pass_release,
    .opendir = pass_opendir,
    .readdir = pass_readdir,
    .releasedir = pass_release,
};

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: bench-passthrough DIRECTORY MOUNTPOINT [-f] [-o OPTIONS]\n");
        return USAGE_STATUS;
    }
    root_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        (void)fprintf(stderr, "bench-passthrough: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    (void)umask(0);
    argv[1] = argv[0];
    return fuse_main(argc - 1, argv + 1, &operations, NULL);
}
