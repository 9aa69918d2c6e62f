#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REMOVE_FDS_MAX 16
#define PATHS_MAX      8
#define LOOK_PERIOD_MS 1000

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static void take_away(const struct mounted *mounted)
{
    /* By force, since calls of the dead process on its own mount may wait. */
    umount2(mounted->mountpoint, MNT_FORCE);
    umount2(mounted->mountpoint, MNT_DETACH);
    nftw(mounted->dir, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* A process that is killed while it reads from its own mount cannot die: the threads that
 * would answer are gone, and what they had open is not closed before the last is. */
static bool is_dying(pid_t pid)
{
    char path[64], line[256];
    unsigned long long pending = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    if (status == NULL)
        return true;
    while (fgets(line, sizeof(line), status) != NULL) {
        if (sscanf(line, "SigPnd: %llx", &pending) == 1)
            break;
    }
    fclose(status);
    return (pending & (1ull << (SIGKILL - 1))) != 0;
}

/* Returns when `end` is closed at the other end, or the process dies. */
static void await_end(int end, pid_t pid)
{
    struct pollfd poll_end = {.fd = end, .events = POLLIN};

    while (poll(&poll_end, 1, LOOK_PERIOD_MS) == 0 && !is_dying(pid))
        ;
}

static void wake_up(int number)
{
    (void)number;
}

/* A child that outlives a test that crashes: it waits for the end of the pipe,
 * or for the death of the thread that runs the test. */
static void start_cleaner(struct mounted *mounted)
{
    const struct sigaction action = {.sa_handler = wake_up};
    pid_t parent = getpid();
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        sigaction(SIGUSR1, &action, NULL);
        prctl(PR_SET_PDEATHSIG, SIGUSR1);
        setsid();
        close(ends[1]);
        await_end(ends[0], parent);
        take_away(mounted);
        _exit(0);
    }
    close(ends[0]);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    mounted->cleaner = ends[1];
    mounted->cleaner_pid = child;
}

static void *run(void *arg)
{
    struct mounted *mounted = arg;
    struct err e;

    cr_expect_eq(fs_mount_run(mounted->mount, &e), 0);
    return NULL;
}

void mounted_start(struct mounted *mounted, uint32_t op_timeout_ms)
{
    char data[96];
    struct err e;

    if (access("/dev/fuse", R_OK | W_OK) != 0 || geteuid() != 0)
        cr_skip_test("needs /dev/fuse and root");
    *mounted = (struct mounted){.dir = "/tmp/keelfs-mount-test-XXXXXX"};
    cr_assert_not_null(mkdtemp(mounted->dir));
    cr_assert_eq(chmod(mounted->dir, 0755), 0);
    snprintf(mounted->mountpoint, sizeof(mounted->mountpoint), "%s/mnt", mounted->dir);
    snprintf(data, sizeof(data), "%s/data", mounted->dir);
    cr_assert_eq(mkdir(mounted->mountpoint, 0755), 0);
    cr_assert_eq(mkdir(data, 0755), 0);
    start_cleaner(mounted);
    mounted->store = fake_store_new(data);
    const struct fs_config config = {
        .mountpoint = mounted->mountpoint,
        .data_dir = data,
        .options = "allow_other",
        .op_timeout_ms = op_timeout_ms,
    };
    mounted->fs = fs_new(mounted->store, &config);
    cr_assert_eq(fs_mount_open(mounted->fs, &mounted->mount, &e), 0, "%s", e.text);
    pthread_create(&mounted->runner, NULL, run, mounted);
}

void mounted_stop(struct mounted *mounted)
{
    if (mounted->mount == NULL)
        return;
    fake_store_release(mounted->store);
    fs_mount_stop(mounted->mount);
    pthread_join(mounted->runner, NULL);
    fs_mount_close(mounted->mount);
    fake_store_free(mounted->store);
    fs_free(mounted->fs);
    mounted_clean(mounted);
}

void mounted_clean(struct mounted *mounted)
{
    mounted->mount = NULL;
    close(mounted->cleaner);
    waitpid(mounted->cleaner_pid, NULL, 0);
}

const char *mounted_path(const struct mounted *mounted, const char *name)
{
    static char paths[PATHS_MAX][512];
    static unsigned next;
    char *path = paths[next++ % PATHS_MAX];

    snprintf(path, sizeof(paths[0]), "%s/%s", mounted->mountpoint, name);
    return path;
}

int mounted_write(const struct mounted *mounted, const char *name, int flags, const char *text)
{
    int fd = open(mounted_path(mounted, name), O_WRONLY | flags, 0644);

    if (fd < 0)
        return -1;
    ssize_t written = write(fd, text, strlen(text));
    int saved = errno;
    int closed = close(fd);
    if (written != (ssize_t)strlen(text)) {
        errno = saved;
        return -1;
    }
    return closed;
}

char *mounted_read(const struct mounted *mounted, const char *name)
{
    int fd = open(mounted_path(mounted, name), O_RDONLY);
    size_t capacity = 1 << 20;
    size_t size = 0;
    ssize_t got = -1;

    if (fd < 0)
        return NULL;
    char *text = malloc(capacity + 1);
    while (size < capacity && (got = read(fd, text + size, capacity - size)) > 0)
        size += (size_t)got;
    close(fd);
    text[size] = '\0';
    if (got < 0) {
        free(text);
        return NULL;
    }
    return text;
}

void mounted_assert_fails(int result, int expected)
{
    int saved = errno;

    cr_assert_eq(result, -1);
    cr_assert_eq(saved, expected, "%s", strerror(saved));
}

void mounted_assert_content(const struct mounted *mounted, const char *name, const char *expected)
{
    char *text = mounted_read(mounted, name);

    cr_assert_not_null(text, "%s: %s", name, strerror(errno));
    cr_assert_str_eq(text, expected);
    free(text);
}

/* --- what other nodes do --- */

static void apply(struct mounted *mounted, struct command *cmd)
{
    cr_assert_eq(fake_store_apply(mounted->store, cmd), 0);
}

void remote_put(struct mounted *mounted, const char *name, const void *data, size_t size)
{
    struct command *cmd = command_new();

    command_put(cmd, "default", name, strlen(name), data, size);
    apply(mounted, cmd);
}

void remote_append(struct mounted *mounted, const char *name, const char *text)
{
    struct tree_view *view = tree_view_new(store_tree(mounted->store));
    struct command *cmd = command_new();
    struct attr attr;

    cr_assert_eq(tree_stat(view, name, &attr), 0);
    tree_view_unref(view);
    const struct command_write write = {
        .path = name,
        .id = attr.id,
        .append = text,
        .append_size = strlen(text),
    };
    command_write(cmd, &write);
    apply(mounted, cmd);
}

void remote_rename(struct mounted *mounted, const char *from, const char *to)
{
    struct command *cmd = command_new();

    command_rename(cmd, from, to, false);
    apply(mounted, cmd);
}

void remote_remove(struct mounted *mounted, const char *name)
{
    struct command *cmd = command_new();

    command_remove(cmd, name, false);
    apply(mounted, cmd);
}

void remote_mkdir(struct mounted *mounted, const char *name)
{
    struct command *cmd = command_new();
    const struct command_create create = {
        .path = name,
        .type = FILE_DIRECTORY,
        .mode = 0755,
        .exclusive = true,
    };

    command_create(cmd, &create);
    apply(mounted, cmd);
}

bool remote_is(struct mounted *mounted, const char *name, const char *text)
{
    size_t size;
    char *seen = fake_store_read(mounted->store, name, &size);
    bool same = seen == NULL || text == NULL ? seen == text : strcmp(seen, text) == 0;

    if (!same)
        fprintf(stderr, "%s is '%.200s' elsewhere\n", name, seen != NULL ? seen : "(missing)");
    free(seen);
    return same;
}
