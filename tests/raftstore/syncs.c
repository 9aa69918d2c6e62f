#include "syncs.h"

#include "scratch.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int count;
static _Atomic(const char *) failing_part;
static _Atomic(syncs_hook_fn *) hook;
static void *hook_ctx; /* set before `hook` */

static void path_of(int fd, char path[SCRATCH_PATH_MAX])
{
    char link[32];
    ssize_t size;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, path, SCRATCH_PATH_MAX - 1);
    path[size > 0 ? size : 0] = '\0';
}

int fdatasync(int fd)
{
    const char *failing = atomic_load(&failing_part);
    syncs_hook_fn *told = atomic_load(&hook);
    char path[SCRATCH_PATH_MAX];

    path_of(fd, path);
    atomic_fetch_add(&count, 1);
    if (told != NULL) {
        told(hook_ctx, path);
    }
    if (failing != NULL && strstr(path, failing) != NULL) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int syncs_count(void)
{
    return atomic_load(&count);
}

void syncs_fail(const char *part)
{
    atomic_store(&failing_part, part);
}

void syncs_set_hook(syncs_hook_fn *new_hook, void *ctx)
{
    hook_ctx = ctx;
    atomic_store(&hook, new_hook);
}
