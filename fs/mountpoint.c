#include "fs/mountpoint.h"

#include "fs/given.h"
#include "fs/mount.h"
#include "raftstore/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FUSE_DEVICE    "/dev/fuse"
#define MOUNT_TYPE_MAX 64
/* Dead mounts can lie on top of each other. */
#define DEAD_MOUNTS_MAX 16

#define NS_PER_S 1000000000ull

/* --- the table of mounts --- */

/* The table writes blanks and backslashes of a path as \ooo. */
static void decode_octal(char *text)
{
    char *out = text;

    for (const char *in = text; *in != '\0'; out++) {
        size_t digits = in[0] == '\\' ? strspn(in + 1, "01234567") : 0;
        if (digits >= 3) {
            *out = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

/* A line: id parent major:minor root MOUNTPOINT options ... - TYPE source ... */
static bool parse_mount(char *line, const char **ret_path, const char **ret_type)
{
    char *save = NULL;
    char *field = strtok_r(line, " ", &save);

    for (int i = 0; i < 4 && field != NULL; i++)
        field = strtok_r(NULL, " ", &save);
    if (field == NULL)
        return false;
    decode_octal(field);
    *ret_path = field;
    while (field != NULL && strcmp(field, "-") != 0)
        field = strtok_r(NULL, " ", &save);
    *ret_type = field != NULL ? strtok_r(NULL, " ", &save) : NULL;
    return *ret_type != NULL;
}

/* The type of what is mounted at `path` (on top, when several are). */
static bool find_mount(const char *path, char ret_type[MOUNT_TYPE_MAX])
{
    FILE *table = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;

    if (table == NULL)
        return false;
    while (getline(&line, &capacity, table) > 0) {
        const char *mounted;
        const char *type;
        if (parse_mount(line, &mounted, &type) && strcmp(mounted, path) == 0) {
            snprintf(ret_type, MOUNT_TYPE_MAX, "%s", type);
            found = true;
        }
    }
    free(line);
    fclose(table);
    return found;
}

/* realpath() of the parent and the last component: works on a dead mount, which
 * cannot be looked into. */
static bool absolute_path(const char *mountpoint, char ret_path[PATH_MAX])
{
    char parent[PATH_MAX];
    char real[PATH_MAX];

    if (realpath(mountpoint, ret_path) != NULL)
        return true;
    if ((size_t)snprintf(parent, sizeof(parent), "%s", mountpoint) >= sizeof(parent))
        return false;
    size_t size = strlen(parent);
    while (size > 1 && parent[size - 1] == '/')
        parent[--size] = '\0';
    char *slash = strrchr(parent, '/');
    const char *base = slash != NULL ? slash + 1 : parent;
    const char *dir = slash == parent ? "/" : slash != NULL ? parent : ".";
    if (slash != NULL && slash != parent)
        *slash = '\0';
    if (realpath(dir, real) == NULL)
        return false;
    bool is_root = strcmp(real, "/") == 0;
    return (size_t)snprintf(ret_path, PATH_MAX, "%s/%s", is_root ? "" : real, base) < PATH_MAX;
}

/* --- a dead mount --- */

/* Also for who did not mount it as root. */
static bool unmount_at(const char *path, bool lazily)
{
    char *const argv[] = {"fusermount3", "-u", "-q", lazily ? "-z" : "--", (char *)path, NULL};
    char *const no_environment[] = {NULL};
    int status = 0;
    pid_t child;

    if (umount2(path, UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) == 0)
        return true;
    return errno == EPERM && posix_spawnp(&child, argv[0], NULL, NULL, argv, no_environment) == 0 &&
           waitpid(child, &status, 0) == child && status == 0;
}

/* Who is in there goes on seeing what the kernel keeps. This node must not take part in
 * changes before that is over. */
static int unmount_dead(const char *path, struct err *e)
{
    struct timespec life = {
        .tv_sec = GIVEN_LIFE_NS / NS_PER_S,
        .tv_nsec = GIVEN_LIFE_NS % NS_PER_S,
    };

    if (unmount_at(path, false))
        return 0;
    if (!unmount_at(path, true))
        return err_set(e, KE_BUSY, "mount point %s has a dead mount that cannot be unmounted: %s",
                       path, strerror(errno));
    while (nanosleep(&life, &life) != 0 && errno == EINTR)
        ;
    return 0;
}

/* A call has said that whoever served `mountpoint` is gone. */
static int clear_dead_mount(const char *mountpoint, struct err *e)
{
    char path[PATH_MAX];
    char type[MOUNT_TYPE_MAX] = "";

    if (!absolute_path(mountpoint, path) || !find_mount(path, type))
        return err_set(e, KE_BUSY, "mount point %s lies in a dead mount", mountpoint);
    if (strcmp(type, MOUNTPOINT_TYPE) != 0)
        return err_set(e, KE_BUSY, "mount point %s has a dead mount of type %s", mountpoint, type);
    log_warn("unmounting the dead mount at %s, which a killed daemon left", mountpoint);
    return unmount_dead(path, e);
}

/* --- the check --- */

static int stat_directory(const char *mountpoint, struct err *e)
{
    struct statfs fs;
    struct stat st;
    int code = 0;

    for (int i = 0; i < DEAD_MOUNTS_MAX && code == 0; i++) {
        /* Of a dead mount stat() may still find what the kernel keeps; statfs() asks. */
        if (statfs(mountpoint, &fs) == 0 && stat(mountpoint, &st) == 0)
            return S_ISDIR(st.st_mode)
                       ? 0
                       : err_set(e, KE_NOT_DIR, "mount point %s is not a directory", mountpoint);
        if (errno == ENOENT)
            return err_set(e, KE_NOT_FOUND, "mount point %s does not exist", mountpoint);
        if (errno != ENOTCONN && errno != ECONNABORTED)
            return err_set(e, KE_IO, "mount point %s: %s", mountpoint, strerror(errno));
        code = clear_dead_mount(mountpoint, e);
    }
    return code != 0 ? code : err_set(e, KE_BUSY, "mount point %s has dead mounts", mountpoint);
}

int mountpoint_check_mounted(const char *mountpoint, struct err *e)
{
    char path[PATH_MAX];
    char type[MOUNT_TYPE_MAX];

    if (absolute_path(mountpoint, path) && find_mount(path, type) &&
        strcmp(type, MOUNTPOINT_TYPE) == 0)
        return 0;
    return err_set(e, KE_NOT_FOUND, "no keelfs is mounted at %s", mountpoint);
}

int mountpoint_check(const char *mountpoint, struct err *e)
{
    char path[PATH_MAX];
    char type[MOUNT_TYPE_MAX];
    int code = stat_directory(mountpoint, e);

    if (code != 0)
        return code;
    if (absolute_path(mountpoint, path) && find_mount(path, type))
        return err_set(e, KE_BUSY,
                       "mount point %s is busy: a file system of type %s is mounted there",
                       mountpoint, type);
    int fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, KE_NOT_SUPPORTED, "cannot mount: %s: %s", FUSE_DEVICE, strerror(errno));
    close(fd);
    return 0;
}
