/* `.keelfs/ops` and `.keelfs/events`. */
#include "mounted.h"

#include "fs/op_log.h"
#include "raftstore/event_log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

TestSuite(control_logs, .init = setup, .fini = teardown, .timeout = 60);

static int open_log(const char *name)
{
    int fd = open(mounted_path(&m, name), O_RDONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
    return fd;
}

/* Reads until a line has `words`, and returns what there is from there on. */
static const char *await_words(int fd, const char *words)
{
    static char text[4 << 20];
    size_t used = 0;

    for (;;) {
        ssize_t got = read(fd, text + used, sizeof(text) - used - 1);
        cr_assert_gt(got, 0, "%s", strerror(errno));
        used += (size_t)got;
        text[used] = '\0';
        const char *found = strstr(text, words);
        if (found != NULL && strchr(found, '\n') != NULL)
            return found;
    }
}

/* --- ops --- */

Test(control_logs, operations_are_told_with_who_what_and_how_it_ended)
{
    char who[64];
    int fd = open_log(".keelfs/ops");

    snprintf(who, sizeof(who), "[uid:0,gid:0,pid:%d]", (int)getpid());
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "text"), 0);
    mounted_assert_fails(rmdir(mounted_path(&m, "none")), ENOENT);
    const char *line = await_words(fd, "create (f, flags ");
    cr_assert_not_null(strstr(line, "): OK <0."));
    cr_assert_not_null(strstr(line, who));
    cr_assert_not_null(strstr(line, "write (f, 4 at 0): OK <"));
    cr_assert_not_null(strstr(line, "lookup (none): ENOENT <"));
    close(fd);
}

Test(control_logs, each_reader_has_all_from_when_it_opened)
{
    int early = open_log(".keelfs/ops");

    cr_assert_eq(mkdir(mounted_path(&m, "one"), 0755), 0);
    int late = open_log(".keelfs/ops");
    cr_assert_eq(mkdir(mounted_path(&m, "two"), 0755), 0);
    const char *line = await_words(early, "mkdir (one");
    if (strstr(line, "mkdir (two") == NULL)
        await_words(early, "mkdir (two");
    line = await_words(late, "");
    cr_assert_null(strstr(line, "mkdir (one"));
    close(early);
    close(late);
}

Test(control_logs, a_slow_reader_is_told_how_many_lines_it_lost)
{
    struct statvfs st;
    unsigned lost = 0;
    int fd = open_log(".keelfs/ops");

    for (unsigned i = 0; i < OP_LOG_BYTES / 50; i++)
        cr_assert_eq(statvfs(m.mountpoint, &st), 0);
    cr_assert_eq(mkdir(mounted_path(&m, "last"), 0755), 0);
    const char *line = await_words(fd, "# ");
    cr_assert_eq(sscanf(line, "# %u lines are lost", &lost), 1, "%s", line);
    cr_assert_gt(lost, 0);
    if (strstr(line, "mkdir (last") == NULL)
        await_words(fd, "mkdir (last");
    close(fd);
}

/* Reads until the mkdir of `last`; fails at what is no text. */
static void *read_to_last(void *arg)
{
    char text[4096];
    bool is_last = false;
    int *fd = arg;

    while (!is_last) {
        ssize_t got = read(*fd, text, sizeof(text));
        cr_assert_gt(got, 0);
        cr_assert_null(memchr(text, '\0', (size_t)got), "a line was written over");
        is_last = memmem(text, (size_t)got, "mkdir (last", 11) != NULL;
    }
    return NULL;
}

/* The record of an answer is read before the kernel has the answer. */
Test(control_logs, the_timeouts_of_an_answer_do_not_get_into_its_record)
{
    struct stat st;
    pthread_t reader;
    int fd = open_log(".keelfs/ops");

    pthread_create(&reader, NULL, read_to_last, &fd);
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "none%u", i / 2);
        cr_assert_eq(stat(mounted_path(&m, name), &st), -1);
    }
    cr_assert_eq(mkdir(mounted_path(&m, "last"), 0755), 0);
    pthread_join(reader, NULL);
    close(fd);
}

static void *read_until_failure(void *arg)
{
    char text[4096];
    int *fd = arg;

    while (read(*fd, text, sizeof(text)) > 0)
        ;
    return NULL;
}

Test(control_logs, the_end_of_the_mount_ends_the_wait_for_operations)
{
    pthread_t reader;
    int fd = open_log(".keelfs/ops");

    pthread_create(&reader, NULL, read_until_failure, &fd);
    mounted_stop(&m);
    pthread_join(reader, NULL);
    close(fd);
}

/* --- events --- */

Test(control_logs, events_are_lines_with_their_times)
{
    event_log_add(store_events(m.store), "leader: n1 leads in term 2");
    event_log_add(store_events(m.store), "members: n1, n2");
    char *text = mounted_read(&m, ".keelfs/events");
    unsigned year, end = 0;
    cr_assert_eq(sscanf(text, "%u-%*u-%*uT%*u:%*u:%*fZ leader: n1 leads in term 2%n", &year, &end),
                 1, "%s", text);
    cr_assert_gt(year, 2000);
    cr_assert_not_null(strstr(text + end, "Z members: n1, n2\n"));
    free(text);
}

/* What tail(1) goes by. */
Test(control_logs, events_grow_like_a_file)
{
    char text[256];
    struct stat before, after;
    int fd = open_log(".keelfs/events");

    event_log_add(store_events(m.store), "one");
    cr_assert_eq(fstat(fd, &before), 0);
    cr_assert_eq(read(fd, text, sizeof(text)), before.st_size);
    cr_assert_eq(read(fd, text, sizeof(text)), 0);
    event_log_add(store_events(m.store), "two");
    cr_assert_eq(fstat(fd, &after), 0);
    ssize_t got = read(fd, text, sizeof(text));
    cr_assert_eq(got, after.st_size - before.st_size);
    cr_assert_not_null(memmem(text, (size_t)got, "Z two\n", 6));
    cr_assert(after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
              after.st_mtim.tv_nsec > before.st_mtim.tv_nsec);
    cr_assert_eq(pread(fd, text, sizeof(text), 0), after.st_size);
    close(fd);
}

static void *make_directory(void *arg)
{
    (void)arg;
    cr_assert_eq(mkdir(mounted_path(&m, "slow"), 0755), 0);
    return NULL;
}

Test(control_logs, an_operation_of_more_than_100_ms_is_an_event)
{
    const struct timespec a_while = {.tv_nsec = 150000000};
    pthread_t thread;

    cr_assert_eq(mkdir(mounted_path(&m, "quick"), 0755), 0);
    fake_store_hold_proposals(m.store);
    pthread_create(&thread, NULL, make_directory, NULL);
    fake_store_await_held(m.store, 1);
    nanosleep(&a_while, NULL);
    fake_store_release(m.store);
    pthread_join(thread, NULL);
    char *text = mounted_read(&m, ".keelfs/events");
    const char *line = strstr(text, "Z slow: 0.");
    cr_assert_not_null(line, "%s", text);
    cr_assert_not_null(strstr(line, " s, OK, pid "));
    cr_assert_not_null(strstr(line, ": mkdir (slow, mode 755)\n"));
    cr_assert_null(strstr(text, "quick"));
    free(text);
}

Test(control_logs, logs_need_no_majority)
{
    int fd = open_log(".keelfs/ops");

    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
    free(mounted_read(&m, ".keelfs/events"));
    await_words(fd, "getattr (.");
    close(fd);
}
