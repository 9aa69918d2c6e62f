/* A volume with a quota, on a mount. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

TestSuite(mount_quota, .init = setup, .fini = teardown, .timeout = 120);

static void set_quota(uint64_t bytes, uint64_t files)
{
    struct command *cmd = command_new();

    command_set_quota(cmd, bytes, files);
    cr_assert_eq(fake_store_apply(m.store, cmd), 0);
}

Test(mount_quota, bytes_past_it_fail_at_close_and_removing_makes_room)
{
    set_quota(8, 0);
    cr_assert_eq(mounted_write(&m, "a", O_CREAT, "12345"), 0, "%s", strerror(errno));
    mounted_assert_fails(mounted_write(&m, "b", O_CREAT, "6789"), EDQUOT);
    cr_expect(remote_is(&m, "b", ""));
    mounted_assert_fails(truncate(mounted_path(&m, "a"), 9), EDQUOT);
    cr_assert_eq(unlink(mounted_path(&m, "a")), 0, "%s", strerror(errno));
    cr_assert_eq(mounted_write(&m, "b", O_CREAT, "6789"), 0, "%s", strerror(errno));
}

Test(mount_quota, names_past_it_fail_at_once_and_removing_makes_room)
{
    set_quota(0, 2);
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(mounted_write(&m, "d/f", O_CREAT, "any length"), 0, "%s", strerror(errno));
    mounted_assert_fails(mounted_write(&m, "g", O_CREAT, ""), EDQUOT);
    mounted_assert_fails(mkdir(mounted_path(&m, "e"), 0755), EDQUOT);
    mounted_assert_fails(mkfifo(mounted_path(&m, "p"), 0600), EDQUOT);
    cr_assert_eq(unlink(mounted_path(&m, "d/f")), 0);
    cr_assert_eq(mounted_write(&m, "g", O_CREAT, ""), 0, "%s", strerror(errno));
}

Test(mount_quota, a_volume_over_its_quota_keeps_what_it_has)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "12345678"), 0);
    set_quota(4, 1);
    mounted_assert_fails(mounted_write(&m, "f", O_APPEND, "9"), EDQUOT);
    cr_assert_eq(mounted_write(&m, "f", 0, "abcd"), 0, "%s", strerror(errno));
    cr_assert(remote_is(&m, "f", "abcd5678"));
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0600), 0);
    cr_assert_eq(rename(mounted_path(&m, "f"), mounted_path(&m, "g")), 0);
    cr_assert_eq(truncate(mounted_path(&m, "g"), 2), 0);
    set_quota(0, 0);
    cr_assert_eq(mounted_write(&m, "g", O_APPEND, "longer again"), 0, "%s", strerror(errno));
}

Test(mount_quota, it_is_the_size_of_the_volume)
{
    struct statvfs st;

    set_quota(1 << 20, 100);
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    cr_assert_eq(statvfs(m.mountpoint, &st), 0);
    cr_expect_eq(st.f_blocks * st.f_frsize, 1 << 20);
    cr_expect_eq(st.f_bavail, st.f_blocks - 1);
    cr_expect_eq(st.f_files, 100);
    cr_expect_eq(st.f_favail, 99);
    set_quota(1, 0);
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    cr_assert_eq(statvfs(m.mountpoint, &st), 0);
    cr_expect_eq(st.f_bavail, 0);
    cr_expect_gt(st.f_favail, 0);
}
