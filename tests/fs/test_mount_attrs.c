/* Mode, owner and times of open files: when what is set is seen elsewhere, and what stays of
 * what others set. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 10000);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_attrs, .init = setup, .fini = teardown, .timeout = 120);

Test(mount_attrs, times_set_before_close_are_the_times_after_it)
{
    const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5},
                                      {.tv_sec = 2000, .tv_nsec = 6}};
    struct stat st;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);

    cr_assert_eq(write(fd, "text", 4), 4);
    cr_assert_eq(futimens(fd, times), 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    cr_assert_eq(st.st_atim.tv_sec, 1000);
    cr_assert_eq(st.st_mtim.tv_sec, 2000);
    cr_assert_eq(st.st_mtim.tv_nsec, 6);
}

/* What other nodes are told of "f". */
static struct attr remote_attr(void)
{
    struct tree_view *view = tree_view_new(store_tree(m.store));
    struct attr attr;

    cr_assert_eq(tree_stat(view, "f", &attr), 0);
    tree_view_unref(view);
    return attr;
}

static void set_all(int fd)
{
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};

    cr_assert_eq(futimens(fd, times), 0);
    cr_assert_eq(fchown(fd, 7, 8), 0);
    cr_assert_eq(fchmod(fd, 04750), 0);
}

static void assert_all_set(const struct stat *st)
{
    cr_assert_eq(st->st_mode & 07777, 04750);
    cr_assert_eq(st->st_uid, 7);
    cr_assert_eq(st->st_gid, 8);
    cr_assert_eq(st->st_atim.tv_sec, 1000);
    cr_assert_eq(st->st_mtim.tv_sec, 2000);
}

Test(mount_attrs, what_is_set_while_a_file_is_made_appears_with_its_content)
{
    struct stat st;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0600);

    cr_assert_eq(write(fd, "text", 4), 4);
    set_all(fd);
    cr_assert_eq(fstat(fd, &st), 0);
    assert_all_set(&st);
    cr_assert_eq(remote_attr().version, remote_attr().id, "one step made the file so far");
    cr_assert_eq(remote_attr().mode, 0600);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    assert_all_set(&st);
    cr_assert_eq(remote_attr().mode, 04750);
    cr_assert_eq(remote_attr().uid, 7);
    cr_assert(remote_is(&m, "f", "text"));
}

static bool child_chmods(const char *path, mode_t mode)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(chmod(path, mode) == 0 ? 0 : 1);
    return waitpid(child, &status, 0) == child && status == 0;
}

Test(mount_attrs, what_another_process_sets_on_a_file_that_is_being_made_stays)
{
    struct stat st;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0600);

    cr_assert_eq(write(fd, "text", 4), 4);
    set_all(fd);
    cr_assert(child_chmods(mounted_path(&m, "f"), 0723));
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0723);
    cr_assert_eq(st.st_uid, 7);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(remote_attr().mode, 0723);
    cr_assert_eq(remote_attr().uid, 7);
}

static void remote_chmod(mode_t mode)
{
    struct command *cmd = command_new();
    const struct command_set_attr set = {
        .path = "f", .id = remote_attr().id, .mask = COMMAND_SET_MODE, .mode = mode};

    command_set_attr(cmd, &set);
    cr_assert_eq(fake_store_apply(m.store, cmd), 0);
}

static int make_file(mode_t mode)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, mode);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "text", 4), 4);
    return fd;
}

Test(mount_attrs, what_another_node_sets_later_on_a_file_that_is_being_made_stays)
{
    int fd = make_file(0600);

    set_all(fd);
    remote_chmod(0640);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(remote_attr().mode, 0640);
    cr_assert_eq(remote_attr().uid, 7);
    cr_assert(remote_is(&m, "f", "text"));
}

/* Leaves the errno of close() in place of the descriptor. */
static void *close_file(void *arg)
{
    int *fd = arg;

    *fd = close(*fd) == 0 ? 0 : errno;
    return NULL;
}

Test(mount_attrs, what_another_node_sets_later_is_seen_by_who_makes_the_file)
{
    struct stat st;
    int fd = make_file(0600);

    set_all(fd);
    remote_chmod(0640);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0640);
    cr_assert_eq(st.st_uid, 7);
    cr_assert_eq(fchmod(fd, 0600), 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(remote_attr().mode, 0600);
}

Test(mount_attrs, times_that_another_process_sets_on_a_file_that_is_being_made_stay)
{
    const struct timespec times[2] = {{.tv_sec = 3000}, {.tv_sec = 4000}};
    int fd = make_file(0600);
    int status;

    set_all(fd);
    pid_t child = fork();
    if (child == 0)
        _exit(utimensat(AT_FDCWD, mounted_path(&m, "f"), times, 0) == 0 ? 0 : 1);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(remote_attr().mtime_ns, 4000 * 1000000000ll);
    cr_assert_eq(remote_attr().mode, 04750);
}

Test(mount_attrs, what_another_node_sets_while_the_publish_is_under_way_stays)
{
    int fd = make_file(0600);

    set_all(fd);
    fake_store_hold_proposals(m.store);
    pthread_t closer;
    cr_assert_eq(pthread_create(&closer, NULL, close_file, &fd), 0);
    fake_store_await_held(m.store, 1);
    remote_chmod(0640);
    fake_store_release(m.store);
    cr_assert_eq(pthread_join(closer, NULL), 0);
    cr_assert_eq(fd, 0, "%s", strerror(fd));
    cr_assert_eq(remote_attr().mode, 0640);
    cr_assert_eq(remote_attr().gid, 8);
    cr_assert(remote_is(&m, "f", "text"));
}

Test(mount_attrs, what_is_set_later_than_on_another_node_on_a_file_that_is_being_made_counts)
{
    int fd = make_file(0600);

    remote_chmod(0640);
    set_all(fd);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(remote_attr().mode, 04750);
    cr_assert_eq(remote_attr().uid, 7);
}

Test(mount_attrs, what_another_node_changes_otherwise_leaves_alone_what_is_set)
{
    int fd = make_file(0600);

    set_all(fd);
    remote_append(&m, "f", "more");
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(remote_attr().mode, 04750);
    cr_assert_eq(remote_attr().uid, 7);
    cr_assert(remote_is(&m, "f", "text"));
}

Test(mount_attrs, what_is_set_on_a_file_that_was_there_appears_at_once)
{
    struct stat st;

    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "old"), 0);
    int fd = open(mounted_path(&m, "f"), O_WRONLY | O_TRUNC);
    cr_assert_eq(write(fd, "new", 3), 3);
    set_all(fd);
    cr_assert_eq(remote_attr().mode, 04750);
    cr_assert_eq(remote_attr().uid, 7);
    cr_assert(remote_is(&m, "f", "old"));
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    assert_all_set(&st);
}

Test(mount_attrs, what_is_set_on_an_empty_new_file_appears_at_once)
{
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0600);

    set_all(fd);
    cr_assert_eq(remote_attr().mode, 04750);
    cr_assert_eq(close(fd), 0);
}

Test(mount_attrs, a_write_after_the_times_were_set_is_the_later_change)
{
    struct stat st;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0600);

    cr_assert_eq(write(fd, "text", 4), 4);
    set_all(fd);
    cr_assert_eq(write(fd, "more", 4), 4);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    cr_assert_gt(st.st_mtim.tv_sec, 2000);
    cr_assert_eq(st.st_atim.tv_sec, 1000);
    cr_assert_eq(st.st_uid, 7);
}

Test(mount_attrs, the_time_of_a_write_is_the_same_before_and_after_close)
{
    struct stat before, after;
    int fd = open(mounted_path(&m, "f"), O_CREAT | O_WRONLY, 0644);

    cr_assert_eq(write(fd, "text", 4), 4);
    cr_assert_eq(fstat(fd, &before), 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &after), 0);
    cr_assert_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    cr_assert_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

Test(mount_attrs, a_write_by_somebody_else_clears_the_set_user_id_bits)
{
    struct stat st;

    cr_assert_eq(chmod(m.mountpoint, 0777), 0);
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    cr_assert_eq(chmod(mounted_path(&m, "f"), 06777), 0);
    cr_assert_eq(mounted_write(&m, "f", 0, "by root"), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 06777);
    pid_t child = fork();
    if (child == 0) {
        int fd = setuid(1000) == 0 ? open(mounted_path(&m, "f"), O_WRONLY) : -1;
        bool ok = write(fd, "y", 1) == 1 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0777;
        _exit(ok && close(fd) == 0 ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0777);
    cr_assert_eq(chmod(mounted_path(&m, "f"), 04755), 0);
    cr_assert_eq(chown(mounted_path(&m, "f"), 1000, 1000), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0755);
}
