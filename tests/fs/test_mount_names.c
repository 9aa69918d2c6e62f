/* The namespace on a mount: names, directories, attributes, the control
 * directory. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

TestSuite(mount_names, .init = setup, .fini = teardown, .timeout = 120);

/* --- making and removing --- */

Test(mount_names, only_the_first_exclusive_create_wins)
{
    remote_put(&m, "f", "x", 1);
    mounted_assert_fails(open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
    int fd = open(mounted_path(&m, "g"), O_CREAT | O_EXCL | O_WRONLY, 0644);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    mounted_assert_fails(mkdir(mounted_path(&m, "d"), 0755), EEXIST);
}

/* The kernel does not know the file when it sends the create. */
Test(mount_names, a_create_that_lost_a_race_decides_at_apply)
{
    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(mounted_path(&m, "f"), O_CREAT | O_EXCL | O_WRONLY, 0644);
        _exit(fd < 0 && errno == EEXIST ? 0 : 1);
    }
    fake_store_await_held(m.store, 1);
    remote_put(&m, "f", "theirs", 6);
    fake_store_release(m.store);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert(remote_is(&m, "f", "theirs"));
}

Test(mount_names, a_create_without_excl_that_lost_a_race_opens_what_is_there)
{
    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0) {
        char text[16];
        int fd = open(mounted_path(&m, "f"), O_CREAT | O_RDWR, 0644);
        ssize_t got = read(fd, text, sizeof(text));
        _exit(got == 6 && memcmp(text, "theirs", 6) == 0 && close(fd) == 0 ? 0 : 1);
    }
    fake_store_await_held(m.store, 1);
    remote_put(&m, "f", "theirs", 6);
    fake_store_release(m.store);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(mount_names, errors_are_those_of_a_file_system)
{
    char name[300];

    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(mounted_write(&m, "d/f", O_CREAT, "x"), 0);
    mounted_assert_fails(rmdir(mounted_path(&m, "d")), ENOTEMPTY);
    mounted_assert_fails(rmdir(mounted_path(&m, "d/f")), ENOTDIR);
    mounted_assert_fails(unlink(mounted_path(&m, "none")), ENOENT);
    mounted_assert_fails(open(mounted_path(&m, "d/f/g"), O_RDONLY), ENOTDIR);
    mounted_assert_fails(rename(mounted_path(&m, "d"), mounted_path(&m, "d/e")), EINVAL);
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    mounted_assert_fails(mkdir(mounted_path(&m, name), 0755), ENAMETOOLONG);
    name[255] = '\0';
    cr_assert_eq(mkdir(mounted_path(&m, name), 0755), 0);
}

Test(mount_names, a_path_longer_than_a_key_is_refused)
{
    char name[201];
    int code = 0;

    memset(name, 'n', 200);
    name[200] = '\0';
    cr_assert_eq(chdir(m.mountpoint), 0);
    for (int depth = 0; depth < 21 && code == 0; depth++) {
        code = mkdir(name, 0755);
        if (code == 0)
            cr_assert_eq(chdir(name), 0);
    }
    mounted_assert_fails(code, ENAMETOOLONG);
    cr_assert_eq(chdir("/"), 0);
}

Test(mount_names, symbolic_links_keep_their_target)
{
    char target[64] = "";
    struct stat st;

    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "text"), 0);
    cr_assert_eq(symlink("f", mounted_path(&m, "link")), 0);
    cr_assert_eq(readlink(mounted_path(&m, "link"), target, sizeof(target)), 1);
    cr_assert_str_eq(target, "f");
    cr_assert_eq(lstat(mounted_path(&m, "link"), &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    mounted_assert_content(&m, "link", "text");
}

Test(mount_names, what_is_made_in_a_set_group_id_directory_gets_its_group)
{
    struct stat st;

    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    cr_assert_eq(chown(mounted_path(&m, "d"), 0, 1234), 0);
    cr_assert_eq(chmod(mounted_path(&m, "d"), 02775), 0);
    cr_assert_eq(mounted_write(&m, "d/f", O_CREAT, "x"), 0);
    cr_assert_eq(mkdir(mounted_path(&m, "d/e"), 0755), 0);
    cr_assert_eq(stat(mounted_path(&m, "d/f"), &st), 0);
    cr_assert_eq(st.st_gid, 1234);
    cr_assert_eq(stat(mounted_path(&m, "d/e"), &st), 0);
    cr_assert_eq(st.st_gid, 1234);
    cr_assert(st.st_mode & S_ISGID);
}

/* --- renames --- */

Test(mount_names, rename_replaces_or_refuses_as_asked)
{
    cr_assert_eq(mounted_write(&m, "a", O_CREAT, "a"), 0);
    cr_assert_eq(mounted_write(&m, "b", O_CREAT, "b"), 0);
    mounted_assert_fails(renameat2(AT_FDCWD, mounted_path(&m, "a"), AT_FDCWD, mounted_path(&m, "b"),
                                   RENAME_NOREPLACE),
                         EEXIST);
    cr_assert_eq(rename(mounted_path(&m, "a"), mounted_path(&m, "b")), 0);
    mounted_assert_content(&m, "b", "a");
    cr_assert(remote_is(&m, "a", NULL));
}

Test(mount_names, a_directory_that_is_renamed_elsewhere_stays_the_same_one)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    int dir = open(mounted_path(&m, "d"), O_RDONLY | O_DIRECTORY);
    remote_rename(&m, "d", "e");
    remote_mkdir(&m, "d");

    int fd = openat(dir, "f", O_CREAT | O_WRONLY, 0644);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    cr_assert_eq(write(fd, "x", 1), 1);
    cr_assert_eq(close(fd), 0);
    cr_assert(remote_is(&m, "e/f", "x"));
    cr_assert(remote_is(&m, "d/f", NULL));
    close(dir);
}

/* As above, but the rename comes while the create is under way. */
Test(mount_names, a_create_follows_its_directory)
{
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
    fake_store_hold_proposals(m.store);
    pid_t child = fork();
    if (child == 0)
        _exit(mounted_write(&m, "d/f", O_CREAT, "x") == 0 ? 0 : 1);
    fake_store_await_held(m.store, 1);
    remote_rename(&m, "d", "e");
    remote_mkdir(&m, "d");
    fake_store_release(m.store);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert(remote_is(&m, "e/f", "x"));
    cr_assert(remote_is(&m, "d/f", NULL));
}

static atomic_bool stop_reading;

static void *read_again_and_again(void *arg)
{
    long *failures = arg;

    while (!atomic_load(&stop_reading)) {
        char *text = mounted_read(&m, "config");
        if (text == NULL || strlen(text) != 3000 || text[0] != text[2999])
            (*failures)++;
        free(text);
    }
    return NULL;
}

Test(mount_names, readers_of_a_file_that_is_replaced_all_the_time_never_fail)
{
    char text[3001] = "";
    long failures = 0;
    pthread_t reader;

    memset(text, 'a', 3000);
    remote_put(&m, "config", text, 3000);
    pthread_create(&reader, NULL, read_again_and_again, &failures);
    for (int i = 0; i < 2000; i++) {
        memset(text, 'a' + i % 26, 3000);
        remote_put(&m, "config.new", text, 3000);
        remote_rename(&m, "config.new", "config");
    }
    atomic_store(&stop_reading, true);
    pthread_join(reader, NULL);
    cr_assert_eq(failures, 0);
}

/* --- directories --- */

#define MANY 3000

Test(mount_names, a_large_directory_is_listed_whole_and_without_the_control_directory)
{
    static bool seen[MANY];
    char name[32];
    int dots = 0;

    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        remote_put(&m, name, "", 0);
    }
    DIR *dir = opendir(m.mountpoint);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') {
            cr_assert_str_neq(entry->d_name, ".keelfs");
            dots++;
            continue;
        }
        int i = atoi(entry->d_name + 1);
        cr_assert_not(seen[i], "%s is there twice", entry->d_name);
        seen[i] = true;
    }
    closedir(dir);
    cr_assert_eq(dots, 2);
    for (int i = 0; i < MANY; i++)
        cr_assert(seen[i], "f%d is missing", i);
}

static int count_entries(DIR *dir)
{
    int count = 0;

    while (readdir(dir) != NULL)
        count++;
    return count;
}

Test(mount_names, a_listing_is_of_one_moment_until_it_is_rewound)
{
    remote_put(&m, "a", "", 0);
    DIR *dir = opendir(m.mountpoint);
    remote_put(&m, "b", "", 0);
    cr_assert_geq(count_entries(dir), 3);
    cr_assert_eq(count_entries(dir), 0);
    rewinddir(dir);
    cr_assert_eq(count_entries(dir), 4);
    closedir(dir);
}

Test(mount_names, seekdir_goes_back_to_what_telldir_said)
{
    char name[256];
    char file[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(file, sizeof(file), "f%d", i);
        remote_put(&m, file, "", 0);
    }
    DIR *dir = opendir(m.mountpoint);
    for (int i = 0; i < 10; i++)
        readdir(dir);
    long place = telldir(dir);
    snprintf(name, sizeof(name), "%s", readdir(dir)->d_name);
    for (int i = 0; i < 2000; i++)
        cr_assert_not_null(readdir(dir));
    seekdir(dir, place);
    cr_assert_str_eq(readdir(dir)->d_name, name);
    cr_assert_eq(count_entries(dir), MANY + 2 - 11);
    seekdir(dir, place);
    cr_assert_str_eq(readdir(dir)->d_name, name);
    closedir(dir);
}

static void *look_up(void *arg)
{
    struct stat st;

    stat(arg, &st);
    return NULL;
}

Test(mount_names, lookups_in_one_directory_go_on_side_by_side)
{
    char paths[2][256];
    pthread_t threads[2];

    fake_store_set_leader(m.store, 0); /* so that the root is answered for here */
    fake_store_hold(m.store);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/name%d", m.mountpoint, i);
        pthread_create(&threads[i], NULL, look_up, paths[i]);
    }
    fake_store_await_held(m.store, 2);
    fake_store_release(m.store);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* --- attributes --- */

Test(mount_names, attributes_are_what_was_set)
{
    const struct timespec times[2] = {{.tv_sec = -5, .tv_nsec = 7}, {.tv_sec = 9, .tv_nsec = 8}};
    struct stat st;

    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "text"), 0);
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0640), 0);
    cr_assert_eq(chown(mounted_path(&m, "f"), 12, 34), 0);
    cr_assert_eq(utimensat(AT_FDCWD, mounted_path(&m, "f"), times, 0), 0);
    cr_assert_eq(stat(mounted_path(&m, "f"), &st), 0);
    cr_assert_eq(st.st_mode, S_IFREG | 0640);
    cr_assert_eq(st.st_uid, 12);
    cr_assert_eq(st.st_gid, 34);
    cr_assert_eq(st.st_size, 4);
    cr_assert_eq(st.st_nlink, 1);
    cr_assert_eq(st.st_atim.tv_sec, -5);
    cr_assert_eq(st.st_atim.tv_nsec, 7);
    cr_assert_eq(st.st_mtim.tv_sec, 9);
    cr_assert_eq(st.st_mtim.tv_nsec, 8);
}

static nlink_t links_of(const char *name)
{
    struct stat st;

    cr_assert_eq(stat(mounted_path(&m, name), &st), 0);
    return st.st_nlink;
}

Test(mount_names, a_directory_has_a_link_for_each_directory_in_it)
{
    cr_assert_eq(links_of(""), 2);
    remote_mkdir(&m, "a");
    remote_mkdir(&m, "b");
    remote_put(&m, "f", "x", 1);
    cr_assert_eq(links_of(""), 4);
    cr_assert_eq(mkdir(mounted_path(&m, "a/c"), 0755), 0);
    cr_assert_eq(links_of("a"), 3);
    cr_assert_eq(rename(mounted_path(&m, "a/c"), mounted_path(&m, "b/c")), 0);
    cr_assert_eq(links_of("a"), 2);
    cr_assert_eq(links_of("b"), 3);
    cr_assert_eq(renameat2(AT_FDCWD, mounted_path(&m, "b/c"), AT_FDCWD, mounted_path(&m, "f"),
                           RENAME_EXCHANGE),
                 0);
    cr_assert_eq(links_of("b"), 2);
    cr_assert_eq(links_of(""), 5);
    cr_assert_eq(rmdir(mounted_path(&m, "f")), 0);
    cr_assert_eq(links_of(""), 4);
}

Test(mount_names, permissions_are_checked)
{
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "secret"), 0);
    cr_assert_eq(chmod(mounted_path(&m, "f"), 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        bool refused = setuid(1000) == 0 && open(mounted_path(&m, "f"), O_RDONLY) < 0;
        _exit(refused && errno == EACCES ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(mount_names, statfs_tells_of_names_and_room)
{
    struct statvfs st;

    cr_assert_eq(statvfs(m.mountpoint, &st), 0);
    cr_assert_eq(st.f_namemax, 255);
    cr_assert_gt(st.f_blocks, 0);
    cr_assert_leq(st.f_bavail, st.f_blocks);
}

/* --- the control directory --- */

Test(mount_names, the_control_directory_tells_of_the_node)
{
    char *text = mounted_read(&m, ".keelfs/status");

    cr_assert_not_null(text);
    cr_assert_not_null(strstr(text, "leader     n1 at host:1\n"));
    cr_assert_not_null(strstr(text, "term       7\n"));
    free(text);
    DIR *dir = opendir(mounted_path(&m, ".keelfs"));
    cr_assert_geq(count_entries(dir), 3);
    closedir(dir);
}

Test(mount_names, the_control_directory_cannot_be_changed)
{
    mounted_assert_fails(mounted_write(&m, ".keelfs/status", 0, "x"), EACCES);
    mounted_assert_fails(mounted_write(&m, ".keelfs/new", O_CREAT, "x"), EPERM);
    mounted_assert_fails(unlink(mounted_path(&m, ".keelfs/status")), EPERM);
    mounted_assert_fails(rmdir(mounted_path(&m, ".keelfs")), EPERM);
    mounted_assert_fails(mkdir(mounted_path(&m, ".keelfs"), 0755), EEXIST);
    mounted_assert_fails(rename(mounted_path(&m, ".keelfs"), mounted_path(&m, "x")), EPERM);
    mounted_assert_fails(chmod(mounted_path(&m, ".keelfs/status"), 0777), EPERM);
    cr_assert_eq(mounted_write(&m, "f", O_CREAT, "x"), 0);
    mounted_assert_fails(rename(mounted_path(&m, "f"), mounted_path(&m, ".keelfs/status")), EPERM);
}
