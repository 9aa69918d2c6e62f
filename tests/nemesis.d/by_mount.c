#include "access.h"
#include "content.h"

#include "raftstore/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define READ_STEP  (128u << 10)
#define RECOVER_NS 50000000
#define FILE_MODE  0644

/* Names are looked up from a descriptor of the mount's root: below the mount point
 * itself is, while a node that died has not mounted again, an empty directory. */
struct mount_access {
    struct access access;
    const char *mount;
    int root; /* -1: not there now, so that every call is refused */
    uint32_t process;
    uint64_t prepared; /* how many files have been */
    char file[PATH_MAX];
};

static const struct answer refused = {.is_refused = true};

/* What a failed call has left: nothing is certain after it, but that there was no
 * such file, or that there was one. */
static struct answer failed(int number)
{
    if (number == ENOENT)
        return (struct answer){.result = LIN_ABSENT};
    if (number == EEXIST)
        return (struct answer){.result = LIN_PRESENT};
    return (struct answer){.result = LIN_UNKNOWN};
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, data, size);
        if (wrote <= 0)
            return false;
        data += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

static bool read_all(int fd, uint8_t **ret_data, size_t *ret_size)
{
    uint8_t *data = NULL;
    size_t size = 0;
    ssize_t got;
    do {
        data = mem_realloc(data, size + READ_STEP);
        got = read(fd, data + size, READ_STEP);
        if (got > 0)
            size += (size_t)got;
    } while (got > 0);
    if (got < 0) {
        free(data);
        return false;
    }
    *ret_data = data;
    *ret_size = size;
    return true;
}

static struct answer get_as(struct access *access, const char *key,
                            char *(*decode)(const uint8_t *data, size_t size))
{
    struct mount_access *mount = (struct mount_access *)access;
    uint8_t *data;
    size_t size;
    if (mount->root < 0)
        return refused;
    int fd = openat(mount->root, key, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(errno);
    bool is_read = read_all(fd, &data, &size);
    (void)close(fd);
    /* A file that goes away after it was opened says nothing any more. */
    if (!is_read)
        return (struct answer){.result = LIN_UNKNOWN};
    struct answer answer = {.result = LIN_OK, .value = decode(data, size)};
    free(data);
    return answer;
}

static struct answer mount_get(struct access *access, const char *key)
{
    return get_as(access, key, content_to_value);
}

static struct answer mount_read(struct access *access, const char *key)
{
    return get_as(access, key, content_to_tokens);
}

static bool write_file(int fd, const char *value)
{
    size_t size;
    uint8_t *data = content_of_value(value, &size);
    bool wrote = write_all(fd, data, size);
    free(data);
    bool closed = close(fd) == 0;
    return wrote && closed;
}

/* A name that was used once may still be renamed, by a call whose outcome is not
 * known: never again the same. */
static bool mount_prepare(struct access *access, const char *key, const char *value)
{
    struct mount_access *mount = (struct mount_access *)access;
    const char *slash = strrchr(key, '/');
    (void)snprintf(mount->file, sizeof(mount->file), "%.*s.new-%" PRIu32 "-%" PRIu64,
                   slash != NULL ? (int)(slash - key + 1) : 0, key, mount->process,
                   mount->prepared++);
    if (mount->root < 0)
        return false;
    int fd = openat(mount->root, mount->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    return fd >= 0 && write_file(fd, value);
}

static struct answer mount_put(struct access *access, const char *key)
{
    struct mount_access *mount = (struct mount_access *)access;
    /* What was prepared is there: no error is certain. */
    if (renameat(mount->root, mount->file, mount->root, key) != 0)
        return (struct answer){.result = LIN_UNKNOWN};
    return (struct answer){.result = LIN_OK};
}

static struct answer mount_remove(struct access *access, const char *key)
{
    struct mount_access *mount = (struct mount_access *)access;
    if (mount->root < 0)
        return refused;
    return unlinkat(mount->root, key, 0) == 0 ? (struct answer){.result = LIN_PRESENT}
                                              : failed(errno);
}

static struct answer mount_create(struct access *access, const char *key)
{
    struct mount_access *mount = (struct mount_access *)access;
    if (mount->root < 0)
        return refused;
    int fd = openat(mount->root, key, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return errno == EEXIST ? failed(errno) : (struct answer){.result = LIN_UNKNOWN};
    (void)close(fd); /* nothing was written */
    return (struct answer){.result = LIN_OK};
}

static struct answer mount_append(struct access *access, const char *key, const char *token)
{
    struct mount_access *mount = (struct mount_access *)access;
    char line[CONTENT_NAME_MAX + 1];
    int size = snprintf(line, sizeof(line), "%s\n", token);
    if (mount->root < 0)
        return refused;
    int fd = openat(mount->root, key, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return refused; /* nothing was appended, whether or not the file was made */
    bool wrote = write_all(fd, (const uint8_t *)line, (size_t)size);
    bool closed = close(fd) == 0;
    return (struct answer){.result = wrote && closed ? LIN_OK : LIN_UNKNOWN};
}

static struct answer mount_ensure(struct access *access, const char *key)
{
    struct mount_access *mount = (struct mount_access *)access;
    if (mount->root < 0)
        return refused;
    int fd = openat(mount->root, key, O_WRONLY | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return (struct answer){.result = LIN_UNKNOWN};
    (void)close(fd); /* nothing was written */
    return (struct answer){.result = LIN_OK};
}

static struct answer mount_overwrite(struct access *access, const char *key, const char *value)
{
    struct mount_access *mount = (struct mount_access *)access;
    if (mount->root < 0)
        return refused;
    int fd = openat(mount->root, key, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        return (struct answer){.result = LIN_UNKNOWN};
    return (struct answer){.result = write_file(fd, value) ? LIN_OK : LIN_UNKNOWN};
}

static void open_root(struct mount_access *mount)
{
    struct statfs fs;
    mount->root = open(mount->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (mount->root >= 0 && (fstatfs(mount->root, &fs) != 0 || fs.f_type != FUSE_SUPER_MAGIC)) {
        (void)close(mount->root);
        mount->root = -1;
    }
}

static void mount_recover(struct access *access)
{
    struct mount_access *mount = (struct mount_access *)access;
    struct timespec pause = {.tv_nsec = RECOVER_NS};
    (void)nanosleep(&pause, NULL);
    if (mount->root >= 0)
        (void)close(mount->root);
    open_root(mount);
}

static void mount_close(struct access *access)
{
    struct mount_access *mount = (struct mount_access *)access;
    if (mount->root >= 0)
        (void)close(mount->root);
    free(mount);
}

static const struct access_ops mount_ops = {
    .get = mount_get,
    .read = mount_read,
    .prepare = mount_prepare,
    .put = mount_put,
    .remove = mount_remove,
    .create = mount_create,
    .append = mount_append,
    .ensure = mount_ensure,
    .overwrite = mount_overwrite,
    .recover = mount_recover,
    .close = mount_close,
};

struct access *access_by_mount(const char *mount, uint32_t process)
{
    struct mount_access *access = mem_zalloc(sizeof(*access));
    access->access.ops = &mount_ops;
    access->mount = mount;
    access->process = process;
    open_root(access);
    return &access->access;
}
