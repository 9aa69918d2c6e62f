/* Nodes on a mount that are neither files, directories nor symbolic links. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
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

TestSuite(mount_nodes, .init = setup, .fini = teardown, .timeout = 120);

static struct stat stat_of(const char *name)
{
    struct stat st;

    cr_assert_eq(lstat(mounted_path(&m, name), &st), 0, "%s: %s", name, strerror(errno));
    return st;
}

/* What readdir says, as DT_*. */
static int listed_type(const char *name)
{
    DIR *dir = opendir(mounted_path(&m, ""));
    struct dirent *entry;
    int type = -1;

    cr_assert_not_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, name) == 0)
            type = entry->d_type;
    }
    closedir(dir);
    return type;
}

static void make_node(const char *name, mode_t mode, dev_t rdev)
{
    int code = mknod(mounted_path(&m, name), mode, rdev);

    if (code != 0 && errno == EPERM)
        cr_skip_test("needs the right to make devices");
    cr_assert_eq(code, 0, "%s: %s", name, strerror(errno));
}

Test(mount_nodes, each_has_its_type_in_stat_and_in_listings)
{
    const struct {
        const char *name;
        mode_t type;
        int listed;
    } nodes[] = {
        {"file", S_IFREG, DT_REG}, {"fifo", S_IFIFO, DT_FIFO}, {"socket", S_IFSOCK, DT_SOCK},
        {"char", S_IFCHR, DT_CHR}, {"block", S_IFBLK, DT_BLK},
    };

    umask(0);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        make_node(nodes[i].name, nodes[i].type | 0640, makedev(7, 3));
        struct stat st = stat_of(nodes[i].name);
        cr_expect_eq(st.st_mode, nodes[i].type | 0640, "%s: %o", nodes[i].name, st.st_mode);
        cr_expect_eq(st.st_nlink, 1);
        cr_expect_eq(st.st_size, 0);
        cr_expect_eq(listed_type(nodes[i].name), nodes[i].listed, "%s", nodes[i].name);
    }
}

Test(mount_nodes, devices_keep_their_numbers_and_others_have_none)
{
    make_node("char", S_IFCHR | 0600, makedev(1, 3));
    make_node("block", S_IFBLK | 0600, makedev(259, 1000000));
    make_node("fifo", S_IFIFO | 0600, makedev(1, 3));
    cr_expect_eq(stat_of("char").st_rdev, makedev(1, 3));
    cr_expect_eq(stat_of("block").st_rdev, makedev(259, 1000000));
    cr_expect_eq(stat_of("fifo").st_rdev, 0);
    remote_rename(&m, "block", "moved");
    cr_expect_eq(stat_of("moved").st_rdev, makedev(259, 1000000));
}

Test(mount_nodes, a_name_that_is_taken_is_not_made_again)
{
    remote_put(&m, "f", "x", 1);
    cr_expect_eq(mkfifo(mounted_path(&m, "f"), 0600), -1);
    cr_expect_eq(errno, EEXIST);
    cr_assert_eq(mkfifo(mounted_path(&m, "fifo"), 0600), 0);
    cr_expect_eq(mkfifo(mounted_path(&m, "fifo"), 0600), -1);
    cr_expect_eq(errno, EEXIST);
    cr_assert_eq(unlink(mounted_path(&m, "fifo")), 0);
    cr_expect_neq(access(mounted_path(&m, "fifo"), F_OK), 0);
}

Test(mount_nodes, a_fifo_carries_bytes_between_processes)
{
    char text[8];

    cr_assert_eq(mkfifo(mounted_path(&m, "fifo"), 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        int out = open(mounted_path(&m, "fifo"), O_WRONLY);
        _exit(out >= 0 && write(out, "through", 7) == 7 ? 0 : 1);
    }
    int in = open(mounted_path(&m, "fifo"), O_RDONLY);
    cr_assert_geq(in, 0);
    cr_expect_eq(read(in, text, sizeof(text)), 7);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    close(in);
    cr_expect_eq(stat_of("fifo").st_size, 0);
}

Test(mount_nodes, a_socket_is_bound_and_reached_by_its_name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", mounted_path(&m, "s"));
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0, "%s",
                 strerror(errno));
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0, "%s",
                 strerror(errno));
    cr_expect(S_ISSOCK(stat_of("s").st_mode));
    close(client);
    close(listener);
}

Test(mount_nodes, a_new_group_clears_the_set_user_id_bits)
{
    cr_assert_eq(mkfifo(mounted_path(&m, "fifo"), 0600), 0);
    cr_assert_eq(chmod(mounted_path(&m, "fifo"), 06755), 0);
    cr_assert_eq(chown(mounted_path(&m, "fifo"), (uid_t)-1, 34), 0);
    cr_expect_eq(stat_of("fifo").st_mode & 07777, 0755);
}

Test(mount_nodes, attributes_of_nodes_change_and_their_size_does_not)
{
    cr_assert_eq(mkfifo(mounted_path(&m, "fifo"), 0600), 0);
    cr_assert_eq(chmod(mounted_path(&m, "fifo"), 0644), 0);
    cr_assert_eq(chown(mounted_path(&m, "fifo"), 12, 34), 0);
    struct stat st = stat_of("fifo");
    cr_expect_eq(st.st_mode, S_IFIFO | 0644);
    cr_expect_eq(st.st_uid, 12);
    cr_expect_eq(st.st_gid, 34);
    cr_expect_eq(truncate(mounted_path(&m, "fifo"), 1), -1);
    cr_expect_eq(errno, EINVAL);
}

Test(mount_nodes, what_is_open_and_removed_still_has_its_attributes)
{
    struct stat st;

    cr_assert_eq(mkfifo(mounted_path(&m, "fifo"), 0600), 0);
    int fifo = open(mounted_path(&m, "fifo"), O_RDWR);
    cr_assert_eq(mkdir(mounted_path(&m, "dir"), 0700), 0);
    int dir = open(mounted_path(&m, "dir"), O_RDONLY | O_DIRECTORY);
    cr_assert_eq(symlink("target", mounted_path(&m, "link")), 0);
    int link = open(mounted_path(&m, "link"), O_PATH | O_NOFOLLOW);
    remote_remove(&m, "link");
    remote_remove(&m, "fifo");
    cr_assert_eq(rmdir(mounted_path(&m, "dir")), 0);
    cr_assert_eq(fstat(fifo, &st), 0);
    cr_expect_eq(st.st_mode, S_IFIFO | 0600);
    cr_expect_eq(st.st_nlink, 0);
    cr_assert_eq(fchmod(fifo, 0640), 0);
    cr_assert_eq(fstat(fifo, &st), 0);
    cr_expect_eq(st.st_mode, S_IFIFO | 0640);
    cr_assert_eq(fstat(dir, &st), 0);
    cr_expect_eq(st.st_nlink, 0);
    cr_expect_eq(openat(dir, "f", O_CREAT | O_WRONLY, 0644), -1);
    cr_expect_eq(errno, ENOENT);
    char target[8];
    cr_expect_eq(readlinkat(link, "", target, sizeof(target)), 6);
    cr_expect_eq(memcmp(target, "target", 6), 0);
    close(link);
    close(fifo);
    close(dir);
}
