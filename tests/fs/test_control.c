/* The control directory: what its files say, and that they say it without a majority. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

TestSuite(control, .init = setup, .fini = teardown, .timeout = 60);

Test(control, members_and_leader_are_words_for_scripts)
{
    mounted_assert_content(&m, ".keelfs/members", "n1 1 host:1 leader self\n");
    mounted_assert_content(&m, ".keelfs/leader", "n1 host:1\n");
}

Test(control, without_a_leader_there_is_none_to_read)
{
    fake_store_hold(m.store);
    fake_store_set_leader(m.store, 0);
    mounted_assert_content(&m, ".keelfs/leader", "");
}

Test(control, the_version_is_that_of_the_program)
{
    mounted_assert_content(&m, ".keelfs/version", "keelfs " KEELFS_VERSION "\n");
}

Test(control, a_file_is_read_in_pieces_and_again)
{
    char piece[3] = "";
    int fd = open(mounted_path(&m, ".keelfs/version"), O_RDONLY);

    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, piece, 2, 4), 2);
    cr_assert_str_eq(piece, "fs");
    cr_assert_eq(pread(fd, piece, 2, 0), 2);
    cr_assert_str_eq(piece, "ke");
    cr_assert_eq(pread(fd, piece, 2, 1000), 0);
    close(fd);
}

Test(control, the_files_are_the_mounters_and_cannot_be_written)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, ".keelfs/members"), &st), 0);
    cr_assert_eq(st.st_uid, geteuid());
    cr_assert_eq(st.st_mode, S_IFREG | 0444);
}
