/* Access control lists on a mount: what the kernel checks, and what is inherited. */
#include "mounted.h"
#include "raftstore/acl.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SOMEBODY 1000

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 2000);
    cr_assert_eq(chmod(m.mountpoint, 0755), 0);
    remote_put(&m, "f", "text", 4);
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0600), 0);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_acls, .init = setup, .fini = teardown, .timeout = 120);

/* As said for user SOMEBODY, --- for the group, --- for others. */
static void set_acl(const char *path, const char *name, uint32_t user)
{
    const struct acl acl = {.count = 5,
                            .entries = {{ACL_USER_OBJ, 6, 0},
                                        {ACL_USER, user, SOMEBODY},
                                        {ACL_GROUP_OBJ, 0, 0},
                                        {ACL_MASK, 7, 0},
                                        {ACL_OTHER, 0, 0}}};
    uint8_t buffer[ACL_BYTES_MAX];
    struct bytes bytes = acl_pack(&acl, buffer);

    cr_assert_eq(setxattr(mounted_path(&m, path), name, bytes.data, bytes.size, 0), 0, "%s",
                 strerror(errno));
}

static bool somebody_opens(const char *path, int flags)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(setgid(SOMEBODY) == 0 && setuid(SOMEBODY) == 0 &&
                      open(mounted_path(&m, path), flags) >= 0
                  ? 0
                  : 1);
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status == 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, path), &st), 0);
    return st.st_mode & 07777;
}

Test(mount_acls, a_list_lets_in_whom_the_mode_does_not)
{
    cr_assert_not(somebody_opens("f", O_RDONLY));
    set_acl("f", ACL_ACCESS_NAME, 4);
    cr_assert_eq(mode_of("f"), 0670);
    cr_assert(somebody_opens("f", O_RDONLY));
    cr_assert_not(somebody_opens("f", O_WRONLY));
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0600), 0);
    cr_assert_not(somebody_opens("f", O_RDONLY));
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0640), 0);
    cr_assert(somebody_opens("f", O_RDONLY));
    cr_assert_eq(removexattr(mounted_path(&m, "f"), ACL_ACCESS_NAME), 0);
    cr_assert_not(somebody_opens("f", O_RDONLY));
    cr_assert_eq(removexattr(mounted_path(&m, "f"), ACL_ACCESS_NAME), 0);
}

Test(mount_acls, what_is_made_inherits_the_list_or_loses_the_umask)
{
    umask(027);
    cr_assert_eq(mkdir(mounted_path(&m, "plain"), 0777), 0);
    cr_assert_eq(mounted_write(&m, "plain/f", O_CREAT, "x"), 0);
    cr_assert_eq(mkfifo(mounted_path(&m, "plain/p"), 0666), 0);
    cr_assert_eq(mode_of("plain"), 0750);
    cr_assert_eq(mode_of("plain/f"), 0640);
    cr_assert_eq(mode_of("plain/p"), 0640);
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    set_acl("d", ACL_DEFAULT_NAME, 6);
    cr_assert_eq(chmod(mounted_path(&m, "d"), 0755), 0);
    umask(077);
    int fd = open(mounted_path(&m, "d/f"), O_CREAT | O_WRONLY, 0666);
    struct stat st;
    cr_assert_geq(fd, 0);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0660);
    cr_assert_eq(close(fd), 0);
    cr_assert(somebody_opens("d/f", O_RDWR));
    cr_assert_eq(mkdir(mounted_path(&m, "d/s"), 0777), 0);
    cr_assert_gt(getxattr(mounted_path(&m, "d/s"), ACL_DEFAULT_NAME, NULL, 0), 0);
}

Test(mount_acls, a_list_and_a_mode_set_before_close_have_their_effect_in_order)
{
    int fd = open(mounted_path(&m, "g"), O_CREAT | O_WRONLY, 0600);

    cr_assert_eq(write(fd, "text", 4), 4);
    cr_assert_eq(fchmod(fd, 04700), 0);
    set_acl("g", ACL_ACCESS_NAME, 4);
    cr_assert_eq(mode_of("g"), 04670);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(mode_of("g"), 04670);
    cr_assert(somebody_opens("g", O_RDONLY));
    fd = open(mounted_path(&m, "h"), O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(write(fd, "text", 4), 4);
    set_acl("h", ACL_ACCESS_NAME, 4);
    cr_assert_eq(fchmod(fd, 0700), 0);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(mode_of("h"), 0700);
    cr_assert_not(somebody_opens("h", O_RDONLY));
}

/* What cp -a does with the mode 0754 of what it copies. */
static void set_mode_by_list(int fd)
{
    const struct acl acl = {
        .count = 3, .entries = {{ACL_USER_OBJ, 7, 0}, {ACL_GROUP_OBJ, 5, 0}, {ACL_OTHER, 4, 0}}};
    uint8_t buffer[ACL_BYTES_MAX];
    struct bytes bytes = acl_pack(&acl, buffer);

    cr_assert_eq(fsetxattr(fd, ACL_ACCESS_NAME, bytes.data, bytes.size, 0), 0, "%s",
                 strerror(errno));
}

static void assert_no_list(const char *path)
{
    cr_assert_eq(getxattr(mounted_path(&m, path), ACL_ACCESS_NAME, NULL, 0), -1);
    cr_assert_eq(errno, ENODATA);
}

Test(mount_acls, a_list_that_says_a_mode_appears_with_the_content_of_a_file_that_is_made)
{
    struct stat st;
    int fd = open(mounted_path(&m, "new"), O_CREAT | O_EXCL | O_WRONLY, 0600);

    cr_assert_eq(write(fd, "text", 4), 4);
    cr_assert_eq(fchmod(fd, 02600), 0);
    /* A command would wait. */
    fake_store_hold_proposals(m.store);
    set_mode_by_list(fd);
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 02754);
    fake_store_release(m.store);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(mode_of("new"), 02754);
    assert_no_list("new");
}

Test(mount_acls, a_list_that_says_a_mode_takes_the_place_of_one_that_says_more)
{
    int fd = open(mounted_path(&m, "new"), O_CREAT | O_EXCL | O_WRONLY, 0600);

    cr_assert_eq(write(fd, "text", 4), 4);
    set_acl("new", ACL_ACCESS_NAME, 4);
    set_mode_by_list(fd);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(mode_of("new"), 0754);
    assert_no_list("new");
}

Test(mount_acls, a_list_set_by_someone_outside_the_group_clears_set_group_id)
{
    cr_assert_eq(chown(mounted_path(&m, "f"), SOMEBODY, 0), 0);
    cr_assert_eq(chmod(mounted_path(&m, "f"), 02700), 0);
    set_acl("f", ACL_ACCESS_NAME, 4);
    cr_assert_eq(mode_of("f"), 02670);
    pid_t child = fork();
    if (child == 0) {
        if (setgid(SOMEBODY) != 0 || setuid(SOMEBODY) != 0)
            _exit(1);
        set_acl("f", ACL_ACCESS_NAME, 6);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(mode_of("f"), 0670);
}

Test(mount_acls, without_a_majority_others_still_reach_the_control_directory)
{
    cr_assert(somebody_opens(".keelfs/status", O_RDONLY));
    fake_store_set_leader(m.store, 0);
    fake_store_hold(m.store);
    cr_assert(somebody_opens(".keelfs/status", O_RDONLY));
    fake_store_release(m.store);
}
