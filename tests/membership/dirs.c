#include "dirs.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REMOVE_FDS_MAX 16

void dirs_make(char path[DIRS_PATH_MAX])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, DIRS_PATH_MAX, "%s/keelfs-membership-XXXXXX", tmp != NULL ? tmp : "/tmp");
    cr_assert_not_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void dirs_remove(const char *path)
{
    nftw(path, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS);
}

void dirs_make_sub(const char *path)
{
    cr_assert_eq(mkdir(path, 0700), 0);
}

void dirs_copy(const char *from, const char *to)
{
    dirs_remove(to);
    char *argv[] = {"cp", "-a", (char *)from, (char *)to, NULL};
    pid_t pid;
    int status;
    cr_assert_eq(posix_spawnp(&pid, "cp", NULL, NULL, argv, environ), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}
