/* The same random operations on a volume and on a directory of the local
 * filesystem must have the same outcomes and end in the same tree. */
#include "raftstore/path.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_DEPTH_MAX = 3, OPERATIONS = 4000 };

static int code_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return KE_NOT_FOUND;
    case EEXIST:
        return KE_EXISTS;
    case ENOTDIR:
        return KE_NOT_DIR;
    case EISDIR:
        return KE_IS_DIR;
    case ENOTEMPTY:
        return KE_NOT_EMPTY;
    case EINVAL:
        return KE_INVALID;
    default:
        return KE_IO; /* no outcome of ours */
    }
}

static int result(int returned)
{
    return returned >= 0 ? 0 : code_of_errno();
}

static void random_path(uint64_t *seed, char *out)
{
    static const char *const names[] = {"a", "a-", "a.b", "b", "c"};
    uint32_t depth = 1 + scratch_random(seed, NAME_DEPTH_MAX);

    out[0] = '\0';
    for (uint32_t i = 0; i < depth; i++) {
        (void)strcat(out, i > 0 ? "/" : "");
        (void)strcat(out, names[scratch_random(seed, 5)]);
    }
}

static int local_write(int dir, const char *path, off_t offset, const char *text)
{
    int fd = openat(dir, path, O_WRONLY | O_NOFOLLOW);

    if (fd < 0) {
        return errno == ELOOP ? KE_NOT_REGULAR : code_of_errno();
    }
    cr_assert_eq(pwrite(fd, text, strlen(text), offset), (ssize_t)strlen(text));
    cr_assert_eq(close(fd), 0);
    return 0;
}

static int local_truncate(int dir, const char *path, off_t size)
{
    int fd = openat(dir, path, O_WRONLY | O_NOFOLLOW);

    if (fd < 0) {
        return errno == ELOOP ? KE_NOT_REGULAR : code_of_errno();
    }
    cr_assert_eq(ftruncate(fd, size), 0);
    cr_assert_eq(close(fd), 0);
    return 0;
}

static int local_create(int dir, const char *path)
{
    int fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL, 0640);

    if (fd >= 0) {
        cr_assert_eq(close(fd), 0);
    }
    return result(fd);
}

/* A write by path finds no id where there is no file: stale, not missing. */
static int local_found(int code)
{
    return code == KE_NOT_FOUND || code == KE_NOT_DIR ? KE_STALE : code;
}

static int exchange(struct volume *v, const char *from, const char *to)
{
    struct command *cmd = volume_command();

    command_exchange(cmd, from, to);
    return volume_run(v, cmd);
}

static int link_names(struct volume *v, const char *from, const char *to)
{
    struct command *cmd;
    struct attr attr;
    int code = volume_stat(v, from, &attr);

    if (code != 0) {
        return code;
    }
    cmd = volume_command();
    command_link(cmd, from, attr.id, to);
    return volume_run(v, cmd);
}

static void one_operation(struct volume *v, int dir, uint64_t *seed, int step)
{
    char path[64];
    char other[64];
    char text[32];
    off_t offset = scratch_random(seed, 3 * TREE_CHUNK_SIZE);
    uint32_t kind = scratch_random(seed, 11);
    int ours;
    int theirs;

    random_path(seed, path);
    random_path(seed, other);
    (void)snprintf(text, sizeof text, "text %d", step);
    switch (kind) {
    case 0:
        ours = volume_mkdir(v, path);
        theirs = result(mkdirat(dir, path, 0750));
        break;
    case 1:
        ours = volume_create(v, path, true);
        theirs = local_create(dir, path);
        break;
    case 2:
        /* No directory, so that a path through the link fails on both sides. */
        ours = volume_symlink(v, path, "/dev/null");
        theirs = result(symlinkat("/dev/null", dir, path));
        break;
    case 3:
        ours = volume_remove(v, path, false);
        theirs = result(unlinkat(dir, path, 0));
        break;
    case 4:
        ours = volume_remove(v, path, true);
        theirs = result(unlinkat(dir, path, AT_REMOVEDIR));
        break;
    case 5:
        ours = volume_write(v, path, (uint64_t)offset, text, strlen(text));
        theirs = local_found(local_write(dir, path, offset, text));
        break;
    case 6:
        ours = volume_truncate(v, path, (uint64_t)offset);
        theirs = local_found(local_truncate(dir, path, offset));
        break;
    case 7:
        ours = exchange(v, path, other);
        theirs = result(renameat2(dir, path, dir, other, RENAME_EXCHANGE));
        break;
    case 8:
        /* Which of several reasons comes first is the kernel's to say. */
        ours = link_names(v, path, other) == 0 ? 0 : KE_INVALID;
        theirs = linkat(dir, path, dir, other, 0) == 0 ? 0 : KE_INVALID;
        break;
    default:
        ours = volume_rename(v, path, other);
        theirs = result(renameat(dir, path, dir, other));
        break;
    }
    cr_assert_eq(ours, theirs, "step %d, operation %u, %s, %s: %s, but locally %s", step, kind,
                 path, other, ke_text(ours), ke_text(theirs));
}

static void compare_file(struct volume *v, const char *local, const char *path)
{
    FILE *file = fopen(local, "rb");
    size_t size;
    uint8_t *bytes = volume_bytes(v, path, &size);

    cr_assert_not_null(file);
    cr_assert_not_null(bytes, "%s", path);
    for (size_t i = 0; i < size; i++) {
        cr_assert_eq(fgetc(file), bytes[i], "%s: byte %zu", path, i);
    }
    cr_assert_eq(fgetc(file), EOF, "%s", path);
    free(bytes);
    (void)fclose(file);
}

/* Counted here: not every local filesystem does. */
static void check_links(struct tree_view *view, const char *path, uint32_t directories)
{
    struct attr attr;

    cr_assert_eq(tree_stat(view, path, &attr), 0);
    cr_assert_eq(attr.nlink, 1 + directories, "%s: %u links", path, attr.nlink);
}

/* Directory `path` of both sides; returns the number of files below it, of which each
 * name of a file with several is a part. */
static double compare_directory(struct volume *v, const char *root, const char *path)
{
    char local[SCRATCH_PATH_MAX + 128];
    struct dirent **entries;
    struct tree_view *view = tree_view_new(v->tree);
    struct tree_list *list;
    uint32_t directories = 0;
    double total = 0;
    int count;

    (void)snprintf(local, sizeof local, "%s/%s", root, path);
    count = scandir(local, &entries, NULL, alphasort);
    cr_assert_geq(count, 2);
    cr_assert_eq(tree_list_open(view, path, &list), 0);
    for (int i = 2; i < count; i++) { /* past "." and ".." */
        char child[64];
        struct attr attr;
        struct stat stat;
        const char *name;

        cr_assert_eq(tree_list_next(list, &name, &attr), 1);
        cr_assert_str_eq(name, entries[i]->d_name);
        cr_assert_eq(path_join(path, name, child), 0);
        (void)snprintf(local, sizeof local, "%s/%s", root, child);
        cr_assert_eq(lstat(local, &stat), 0);
        cr_assert_eq(attr.type == FILE_DIRECTORY, S_ISDIR(stat.st_mode) != 0);
        cr_assert_eq(attr.type == FILE_SYMLINK, S_ISLNK(stat.st_mode) != 0);
        if (attr.type != FILE_DIRECTORY) {
            cr_assert_eq(attr.nlink, stat.st_nlink);
            total += 1.0 / attr.nlink;
        }
        if (attr.type == FILE_REGULAR) {
            cr_assert_eq(attr.size, (uint64_t)stat.st_size);
            compare_file(v, local, child);
        } else if (attr.type == FILE_DIRECTORY) {
            directories++;
            total += 1 + compare_directory(v, root, child);
        }
    }
    cr_assert_eq(tree_list_next(list, &(const char *){NULL}, &(struct attr){0}), 0);
    tree_list_close(list);
    check_links(view, path, directories);
    tree_view_unref(view);
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
    return total;
}

Test(posix, random_operations_end_as_on_the_local_filesystem, .timeout = 120)
{
    struct volume v;
    char local[SCRATCH_PATH_MAX];
    struct tree_usage usage;
    uint64_t seed = scratch_seed("posix");
    int dir;

    /* One order of names on both sides. */
    cr_assert_eq(setenv("LC_ALL", "C", 1), 0);
    volume_open(&v);
    scratch_make(local);
    dir = open(local, O_RDONLY | O_DIRECTORY);
    cr_assert_geq(dir, 0);
    for (int i = 0; i < OPERATIONS; i++) {
        one_operation(&v, dir, &seed, i);
        if (i % 100 == 99) {
            double files = compare_directory(&v, local, "");

            cr_assert_eq(tree_usage(v.tree, &usage), 0);
            cr_assert_eq(usage.files, (uint64_t)(files + 0.5));
            executor_clear_changes(v.executor);
        }
    }
    cr_assert_eq(close(dir), 0);
    scratch_remove(local);
    volume_close(&v);
}
