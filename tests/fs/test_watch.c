/* Watches on a mount: the names they have, and what a reader gets. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 5000);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(watch, .init = setup, .fini = teardown, .timeout = 60);

static int watch(const char *name)
{
    int fd = open(mounted_path(&m, name), O_RDONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
    return fd;
}

/* What one read returns, without the versions. */
static const char *events(int fd)
{
    static char out[4096];
    char text[4096];
    size_t used = 0;
    ssize_t got = read(fd, text, sizeof(text) - 1);

    cr_assert_gt(got, 0, "%s", strerror(errno));
    text[got] = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        used += (size_t)snprintf(out + used, sizeof(out) - used, "%s;", strchr(line, ' ') + 1);
    return out;
}

Test(watch, every_path_is_a_directory_to_walk_and_a_file_to_read)
{
    struct stat st;

    remote_put(&m, "a/b/c", "1", 1);
    for (int round = 0; round < 3; round++) {
        int deep = watch(".keelfs/watch/a/b/c");
        int middle = watch(".keelfs/watch/a");
        int missing = watch(".keelfs/watch/no/such/file");
        cr_assert_eq(fstat(middle, &st), 0);
        cr_assert(S_ISREG(st.st_mode));
        cr_assert_eq(stat(mounted_path(&m, ".keelfs/watch/a"), &st), 0);
        cr_assert(S_ISDIR(st.st_mode));
        DIR *dir = opendir(mounted_path(&m, ".keelfs/watch/a"));
        cr_assert_not_null(dir);
        closedir(dir);
        remote_put(&m, "a/b/c", "2", 1);
        cr_assert_str_eq(events(deep), "changed a/b/c;");
        cr_assert_str_eq(events(middle), "changed a/b/c;");
        close(deep);
        close(middle);
        close(missing);
    }
}

Test(watch, everything_is_watched_at_the_top)
{
    int fd = watch(".keelfs/watch");

    remote_put(&m, "f", "1", 1);
    remote_rename(&m, "f", "g");
    remote_remove(&m, "g");
    cr_assert_str_eq(events(fd), "created f;moved-from f;moved-to g;removed g;");
    close(fd);
}

Test(watch, a_missing_file_is_seen_when_it_is_made)
{
    int fd = watch(".keelfs/watch/d/new");

    remote_put(&m, "d/new", "1", 1);
    cr_assert_str_eq(events(fd), "created d/new;");
    close(fd);
}

Test(watch, a_version_behind_the_path_goes_on_there)
{
    unsigned long long version;
    char text[256] = "";
    char name[64];
    int fd = watch(".keelfs/watch/f");

    remote_put(&m, "f", "1", 1);
    remote_put(&m, "f", "2", 1);
    cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    cr_assert_eq(sscanf(text, "%llu created f", &version), 1, "%s", text);
    snprintf(name, sizeof(name), ".keelfs/watch/f@%llu", version);
    fd = watch(name);
    cr_assert_str_eq(events(fd), "changed f;");
    close(fd);
    fd = watch(".keelfs/watch/f@99999");
    close(fd);
    cr_assert_eq(open(mounted_path(&m, ".keelfs/watch/f@99999999999999999999"), O_RDONLY), -1);
    cr_assert_eq(errno, EINVAL);
}

Test(watch, a_path_that_ends_like_a_version_takes_one_more_sign)
{
    int fd = watch(".keelfs/watch/f@7@");

    remote_put(&m, "f", "1", 1);
    remote_put(&m, "f@7", "1", 1);
    cr_assert_str_eq(events(fd), "created f@7;");
    close(fd);
}

Test(watch, a_line_is_one_line_whatever_the_name)
{
    int fd = watch(".keelfs/watch");

    remote_put(&m, "a\nb\\c d", "1", 1);
    cr_assert_str_eq(events(fd), "created a\\nb\\\\c d;");
    close(fd);
}

Test(watch, a_snapshot_is_told_as_a_loss)
{
    int fd = watch(".keelfs/watch/f");

    fake_store_begin_snapshot(m.store);
    remote_put(&m, "f", "1", 1);
    fake_store_end_snapshot(m.store);
    cr_assert_str_eq(events(fd), "lost f;");
    remote_put(&m, "f", "2", 1);
    cr_assert_str_eq(events(fd), "changed f;");
    close(fd);
}

/* As the shell's `read` does: a block is read, then sought back to the next line. */
Test(watch, what_was_read_too_far_is_read_again)
{
    char text[256];
    int fd = watch(".keelfs/watch/f");

    remote_put(&m, "f", "1", 1);
    remote_put(&m, "f", "2", 1);
    ssize_t got = read(fd, text, sizeof(text));
    cr_assert_gt(got, 0);
    off_t line = (const char *)memchr(text, '\n', (size_t)got) - text + 1;
    cr_assert_lt(line, got);
    cr_assert_eq(lseek(fd, line - got, SEEK_CUR), line);
    cr_assert_str_eq(events(fd), "changed f;");
    close(fd);
}

/* --- waiting --- */

static void ignore(int number)
{
    (void)number;
}

/* A child that reads and exits with 0, or with the error it got. */
static pid_t start_reader(const char *name, int *ret_ready)
{
    const struct sigaction harmless = {.sa_handler = ignore, .sa_flags = SA_RESTART};
    int ready[2];
    char byte;

    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGWINCH, &harmless, NULL);
        int fd = open(mounted_path(&m, name), O_RDONLY);
        (void)!write(ready[1], "", 1);
        _exit(read(fd, &byte, 1) == 1 ? 0 : errno);
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    *ret_ready = ready[0];
    return child;
}

Test(watch, a_reader_waits_and_is_woken)
{
    int ready, status;
    pid_t child = start_reader(".keelfs/watch/f", &ready);

    cr_assert_eq(waitpid(child, &status, WNOHANG), 0);
    remote_put(&m, "g", "1", 1);
    cr_assert_eq(waitpid(child, &status, WNOHANG), 0);
    remote_put(&m, "f", "1", 1);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The kernel tells of the first signal only: a reader that went on waiting after a
 * harmless one could not be killed any more. */
Test(watch, any_signal_that_is_handled_ends_the_wait)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    int ready, status;
    pid_t child = start_reader(".keelfs/watch/f", &ready);

    /* The first may come before it reads. */
    while (waitpid(child, &status, WNOHANG) == 0) {
        kill(child, SIGWINCH);
        nanosleep(&moment, NULL);
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == EINTR);
}

Test(watch, a_waiting_reader_can_be_killed)
{
    int ready, status;
    pid_t child = start_reader(".keelfs/watch/f", &ready);

    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
}

static void *read_until_failure(void *arg)
{
    char byte;
    int *fd = arg;

    return read(*fd, &byte, 1) < 0 ? NULL : arg;
}

/* A thread: a child would keep the connection to the kernel alive. */
Test(watch, the_end_of_the_mount_ends_the_wait)
{
    pthread_t reader;
    void *result;
    int fd = watch(".keelfs/watch/f");

    pthread_create(&reader, NULL, read_until_failure, &fd);
    mounted_stop(&m);
    pthread_join(reader, &result);
    cr_assert_null(result);
    close(fd);
}

static int ready_within(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms);
}

static void *put_when_asked(void *arg)
{
    char byte;
    int *asked = arg;

    if (read(*asked, &byte, 1) == 1)
        remote_put(&m, "f", "1", 1);
    return NULL;
}

Test(watch, poll_waits_for_an_event)
{
    pthread_t writer;
    int asked[2];
    int fd = watch(".keelfs/watch/f");

    cr_assert_eq(pipe(asked), 0);
    pthread_create(&writer, NULL, put_when_asked, &asked[0]);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(ready_within(fd, 0), 0);
    remote_put(&m, "g", "1", 1);
    cr_assert_eq(ready_within(fd, 0), 0);
    cr_assert_eq(write(asked[1], "", 1), 1);
    cr_assert_eq(ready_within(fd, 30000), 1);
    cr_assert_str_eq(events(fd), "created f;");
    cr_assert_eq(ready_within(fd, 0), 0);
    pthread_join(writer, NULL);
    close(fd);
    fd = watch(".keelfs/status");
    cr_assert_eq(ready_within(fd, 0), 1);
    close(fd);
    fd = watch("f");
    cr_assert_eq(ready_within(fd, 0), 1);
    close(fd);
}

/* --- who may --- */

Test(watch, names_that_permissions_may_hide_are_for_the_mounter)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, ".keelfs/watch"), &st), 0);
    cr_assert_eq(st.st_mode, S_IFDIR | 0500);
    cr_assert_eq(st.st_uid, geteuid());
    mounted_assert_fails(mkdir(mounted_path(&m, ".keelfs/watch/x/y"), 0755), EEXIST);
    mounted_assert_fails(rmdir(mounted_path(&m, ".keelfs/watch")), EPERM);
    mounted_assert_fails(open(mounted_path(&m, ".keelfs/watch/x"), O_WRONLY), EISDIR);
}
