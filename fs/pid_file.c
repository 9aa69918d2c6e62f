#include "fs/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define PID_TEXT_MAX 32

/* umount(8) returns before the daemon has ended. */
#define PATIENCE_MS 5000
#define POLL_MS     20

static int make_path(const char *data_dir, char *path, size_t capacity, struct err *e)
{
    int size = snprintf(path, capacity, "%s/keelfs.pid", data_dir);

    if (size < 0 || (size_t)size >= capacity)
        return err_set(e, KE_NAME_TOO_LONG, "data directory %s: the path is too long", data_dir);
    return 0;
}

static int lock_within(int fd, int patience_ms)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    int rc = flock(fd, LOCK_EX | LOCK_NB);

    for (int ms = 0; rc != 0 && errno == EWOULDBLOCK && ms < patience_ms; ms += POLL_MS) {
        nanosleep(&pause, NULL);
        rc = flock(fd, LOCK_EX | LOCK_NB);
    }
    return rc;
}

/* Takes the lock or says who has it. */
static int lock_file(const char *data_dir, int fd, int patience_ms, struct err *e)
{
    char text[PID_TEXT_MAX] = "";

    if (lock_within(fd, patience_ms) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return err_set(e, KE_IO, "cannot lock %s/keelfs.pid: %s", data_dir, strerror(errno));
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    text[size > 0 ? strcspn(text, "\n") : 0] = '\0';
    return err_set(e, KE_BUSY, "data directory %s is in use by keelfs, process %s", data_dir,
                   text[0] ? text : "unknown");
}

int pid_file_check(const char *data_dir, struct err *e)
{
    char path[PATH_MAX];
    int code = make_path(data_dir, path, sizeof(path), e);

    if (code)
        return code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return err_set(e, KE_IO, "%s: %s", path, strerror(errno));
    if (fd < 0)
        return 0;
    code = lock_file(data_dir, fd, PATIENCE_MS, e);
    close(fd);
    return code;
}

int pid_file_create(const char *data_dir, int *ret_fd, struct err *e)
{
    char path[PATH_MAX];
    int code = make_path(data_dir, path, sizeof(path), e);

    if (code)
        return code;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(e, KE_IO, "cannot make %s: %s", path, strerror(errno));
    code = lock_file(data_dir, fd, 0, e);
    if (code == 0 && (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0))
        code = err_set(e, KE_IO, "cannot write %s: %s", path, strerror(errno));
    if (code)
        close(fd);
    else
        *ret_fd = fd;
    return code;
}

void pid_file_remove(const char *data_dir, int fd)
{
    char path[PATH_MAX];

    if (make_path(data_dir, path, sizeof(path), NULL) == 0)
        unlink(path);
    close(fd);
}
