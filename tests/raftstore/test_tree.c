#include "raftstore/attr_row.h"
#include "raftstore/keys.h"
#include "raftstore/path.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- stat and links --- */

Test(tree, stat_finds_files_directories_links_and_the_root)
{
    struct volume v;
    struct attr attr;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/f", "12345"), 0);
    cr_assert_eq(volume_symlink(&v, "d/l", "target"), 0);
    cr_assert_eq(volume_stat(&v, "", &attr), 0);
    cr_assert_eq(attr.type, FILE_DIRECTORY);
    cr_assert_eq(volume_stat(&v, "d", &attr), 0);
    cr_assert_eq(attr.type, FILE_DIRECTORY);
    cr_assert_eq(attr.size, 0);
    cr_assert_eq(volume_stat(&v, "d/f", &attr), 0);
    cr_assert_eq(attr.type, FILE_REGULAR);
    cr_assert_eq(attr.size, 5);
    cr_assert_eq(volume_stat(&v, "d/l", &attr), 0);
    cr_assert_eq(attr.type, FILE_SYMLINK);
    cr_assert_eq(attr.size, 6);
    cr_assert_eq(volume_stat(&v, "none", &attr), KE_NOT_FOUND);
    cr_assert_eq(volume_stat(&v, "d/f/x", &attr), KE_NOT_FOUND);
    volume_close(&v);
}

Test(tree, only_a_link_has_a_target)
{
    struct volume v;
    struct tree_view *view;
    char target[PATH_BYTES_MAX + 1];

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "../\xff/ target"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_read_link(view, "l", target), 0);
    cr_assert_str_eq(target, "../\xff/ target");
    cr_assert_eq(tree_read_link(view, "f", target), KE_INVALID);
    cr_assert_eq(tree_read_link(view, "", target), KE_INVALID);
    cr_assert_eq(tree_read_link(view, "none", target), KE_NOT_FOUND);
    tree_view_unref(view);
    volume_close(&v);
}

/* --- views --- */

Test(tree, a_view_is_of_one_moment)
{
    struct volume v;
    struct tree_view *view;
    struct attr attr;
    struct tree_list *list;
    const char *name;
    char text[8] = {0};
    size_t size;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a", "old"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(volume_put(&v, "a", "newer"), 0);
    cr_assert_eq(volume_put(&v, "b", "new"), 0);
    cr_assert_eq(tree_stat(view, "a", &attr), 0);
    cr_assert_eq(attr.size, 3);
    cr_assert_eq(tree_read(view, &attr, 0, text, sizeof text, &size), 0);
    cr_assert_eq(size, 3);
    cr_assert_str_eq(text, "old");
    cr_assert_eq(volume_delete(&v, "a"), 0);
    cr_assert_eq(tree_read(view, &attr, 0, text, sizeof text, &size), 0);
    cr_assert_str_eq(text, "old");
    cr_assert_eq(tree_list_open(view, "", &list), 0);
    /* The list keeps the view. */
    tree_view_unref(view);
    cr_assert_eq(tree_list_next(list, &name, &attr), 1);
    cr_assert_str_eq(name, "a");
    cr_assert_eq(tree_list_next(list, &name, &attr), 0);
    cr_assert_eq(tree_list_next(list, &name, &attr), 0);
    tree_list_close(list);
    volume_close(&v);
}

struct reader {
    struct tree_view *view;
    int errors;
};

static void *read_many(void *arg)
{
    struct reader *reader = arg;

    for (int i = 0; i < 2000; i++) {
        struct attr attr;

        tree_view_ref(reader->view);
        reader->errors += tree_stat(reader->view, "d/f", &attr) != 0 || attr.size != 3;
        tree_view_unref(reader->view);
    }
    return NULL;
}

Test(tree, threads_share_a_view)
{
    enum { THREADS = 4 };
    struct volume v;
    struct reader readers[THREADS];
    pthread_t threads[THREADS];
    struct tree_view *view;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/f", "abc"), 0);
    view = tree_view_new(v.tree);
    for (int i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.view = view};
        cr_assert_eq(pthread_create(&threads[i], NULL, read_many, &readers[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        cr_assert_eq(volume_put(&v, "d/f", i % 2 == 0 ? "longer" : ""), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(readers[i].errors, 0);
    }
    tree_view_unref(view);
    volume_close(&v);
}

Test(tree, what_is_of_the_other_kind_is_not_found)
{
    struct volume v;
    struct tree_view *view;
    struct attr attr;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/f", "abc"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_stat_kind(view, "d/f", false, &attr), 0);
    cr_assert_eq(attr.size, 3);
    cr_assert_eq(tree_stat_kind(view, "d/f", true, &attr), KE_NOT_FOUND);
    cr_assert_eq(tree_stat_kind(view, "d", true, &attr), 0);
    cr_assert_eq(attr.type, FILE_DIRECTORY);
    cr_assert_eq(tree_stat_kind(view, "d", false, &attr), KE_NOT_FOUND);
    cr_assert_eq(tree_stat_kind(view, "", true, &attr), 0);
    cr_assert_eq(attr.id, ATTR_ROOT_ID);
    tree_view_unref(view);
    volume_close(&v);
}

/* --- content --- */

Test(tree, reads_stop_at_the_end_of_the_file)
{
    struct volume v;
    struct tree_view *view;
    struct attr attr;
    char buffer[16];
    size_t size;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "0123456789"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_stat(view, "f", &attr), 0);
    cr_assert_eq(tree_read(view, &attr, 0, buffer, 4, &size), 0);
    cr_assert_eq(size, 4);
    cr_assert_eq(memcmp(buffer, "0123", 4), 0);
    cr_assert_eq(tree_read(view, &attr, 7, buffer, 16, &size), 0);
    cr_assert_eq(size, 3);
    cr_assert_eq(memcmp(buffer, "789", 3), 0);
    cr_assert_eq(tree_read(view, &attr, 10, buffer, 16, &size), 0);
    cr_assert_eq(size, 0);
    cr_assert_eq(tree_read(view, &attr, UINT64_MAX, buffer, 16, &size), 0);
    cr_assert_eq(size, 0);
    cr_assert_eq(tree_read(view, &attr, 3, buffer, 0, &size), 0);
    cr_assert_eq(size, 0);
    tree_view_unref(view);
    volume_close(&v);
}

Test(tree, reads_cross_chunks_and_holes_at_any_offset)
{
    enum { SIZE = 12 * TREE_CHUNK_SIZE + 100 };
    struct volume v;
    struct tree_view *view;
    struct attr attr;
    uint8_t *whole;
    uint8_t *buffer = malloc(SIZE);
    size_t size;
    uint64_t seed = scratch_seed("tree");

    volume_open(&v);
    cr_assert_not_null(buffer);
    memset(buffer, 'x', SIZE);
    cr_assert_eq(volume_create(&v, "f", true), 0);
    cr_assert_eq(volume_write(&v, "f", 10, buffer, TREE_CHUNK_SIZE), 0);
    cr_assert_eq(volume_write(&v, "f", SIZE - 50, buffer, 50), 0);
    whole = volume_bytes(&v, "f", &size);
    cr_assert_eq(size, SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        bool written = (i >= 10 && i < TREE_CHUNK_SIZE + 10) || i >= SIZE - 50;

        cr_assert_eq(whole[i], written ? 'x' : 0, "%zu", i);
    }
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_stat(view, "f", &attr), 0);
    for (int i = 0; i < 500; i++) {
        uint32_t offset = scratch_random(&seed, SIZE);
        uint32_t want = scratch_random(&seed, SIZE);

        cr_assert_eq(tree_read(view, &attr, offset, buffer, want, &size), 0);
        cr_assert_eq(size, want < SIZE - offset ? want : SIZE - offset);
        cr_assert_eq(memcmp(buffer, whole + offset, size), 0);
    }
    tree_view_unref(view);
    free(whole);
    free(buffer);
    volume_close(&v);
}

/* --- lists --- */

Test(tree, names_come_in_byte_order_each_once)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a/x", "1"), 0);
    cr_assert_eq(volume_put(&v, "a-b", "1"), 0);
    cr_assert_eq(volume_put(&v, "a.b/y", "1"), 0);
    cr_assert_eq(volume_put(&v, "a-/z", "1"), 0);
    cr_assert_eq(volume_put(&v, "a-b.c", "1"), 0);
    cr_assert_eq(volume_put(&v, "a.", "1"), 0);
    cr_assert_eq(volume_put(&v, "a0", "1"), 0);
    cr_assert_eq(volume_put(&v, "ab", "1"), 0);
    cr_assert_eq(volume_put(&v, "!", "1"), 0);
    cr_assert_eq(volume_put(&v, "-/deep/er", "1"), 0);
    volume_assert_names(&v, "", "!,-/,a/,a-/,a-b,a-b.c,a.,a.b/,a0,ab");
    volume_assert_names(&v, "a", "x");
    volume_assert_names(&v, "-", "deep/");
    volume_close(&v);
}

Test(tree, a_directory_comes_before_the_longer_names_whose_rows_precede_its_own)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/n.tar.gz", "1"), 0);
    cr_assert_eq(volume_mkdir(&v, "d/n.tar"), 0);
    cr_assert_eq(volume_mkdir(&v, "d/n"), 0);
    cr_assert_eq(volume_mkdir(&v, "d/n.tar.gz.d"), 0);
    cr_assert_eq(volume_mkdir(&v, "d/n-"), 0);
    volume_assert_names(&v, "d", "n/,n-/,n.tar/,n.tar.gz,n.tar.gz.d/");
    cr_assert_eq(volume_remove(&v, "d/n.tar.gz", false), 0);
    volume_assert_names(&v, "d", "n/,n-/,n.tar/,n.tar.gz.d/");
    cr_assert_eq(volume_remove(&v, "d/n", true), 0);
    volume_assert_names(&v, "d", "n-/,n.tar/,n.tar.gz.d/");
    volume_close(&v);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Random names over few letters, so that many are beginnings of others. */
static void check_random_directory(struct volume *v, const char *dir, uint64_t *seed)
{
    enum { NAMES = 200, NAME_SIZE = 6 };
    static const char letters[] = "\x01!-./a0\xff";
    static char names[NAMES][NAME_SIZE + 1];
    char *sorted[NAMES];
    size_t count = 0;

    for (int i = 0; i < NAMES; i++) {
        char path[PATH_BYTES_MAX + 1];
        size_t size = 1 + scratch_random(seed, NAME_SIZE);

        memset(names[count], 0, NAME_SIZE + 1);
        for (size_t j = 0; j < size; j++) {
            names[count][j] = letters[scratch_random(seed, sizeof letters - 1)];
        }
        if (path_join(dir, names[count], path) != 0) {
            continue; /* a slash, or dots */
        }
        if ((scratch_random(seed, 2) == 0 ? volume_mkdir(v, path) : volume_create(v, path, true)) ==
            0) {
            sorted[count] = names[count];
            count++;
        }
    }
    volume_commit(v);
    qsort(sorted, count, sizeof sorted[0], compare_names);

    struct tree_view *view = tree_view_new(v->tree);
    struct tree_list *list;
    struct attr attr;
    const char *name;

    cr_assert_eq(tree_list_open(view, dir, &list), 0);
    tree_view_unref(view);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(tree_list_next(list, &name, &attr), 1);
        cr_assert_str_eq(name, sorted[i]);
    }
    cr_assert_eq(tree_list_next(list, &name, &attr), 0);
    for (size_t i = 0; i < count; i++) {
        tree_list_seek(list, sorted[i]);
        for (size_t j = i + 1; j < count && j < i + 4; j++) {
            cr_assert_eq(tree_list_next(list, &name, &attr), 1);
            cr_assert_str_eq(name, sorted[j], "%s behind %s", name, sorted[i]);
        }
    }
    tree_list_close(list);
}

Test(tree, random_names_come_in_byte_order_each_once)
{
    struct volume v;
    uint64_t seed = scratch_seed("tree");

    volume_open(&v);
    v.hold = true;
    for (int i = 0; i < 40; i++) {
        char dir[16];

        (void)snprintf(dir, sizeof dir, "d%d", i);
        cr_assert_eq(volume_mkdir(&v, dir), 0);
        check_random_directory(&v, dir, &seed);
    }
    volume_close(&v);
}

Test(tree, a_list_goes_on_behind_any_name)
{
    struct volume v;
    struct tree_view *view;
    struct tree_list *list;
    struct attr attr;
    const char *name;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/a/x", "1"), 0);
    cr_assert_eq(volume_put(&v, "d/a-b", "1"), 0);
    cr_assert_eq(volume_put(&v, "d/c", "1"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_list_open(view, "d", &list), 0);
    tree_list_seek(list, "a-");
    cr_assert_eq(tree_list_next(list, &name, &attr), 1);
    cr_assert_str_eq(name, "a-b");
    cr_assert_eq(tree_list_next(list, &name, &attr), 1);
    cr_assert_str_eq(name, "c");
    tree_list_seek(list, "Z");
    cr_assert_eq(tree_list_next(list, &name, &attr), 1);
    cr_assert_str_eq(name, "a");
    tree_list_seek(list, "");
    cr_assert_eq(tree_list_next(list, &name, &attr), 1);
    cr_assert_str_eq(name, "a");
    tree_list_seek(list, "c");
    cr_assert_eq(tree_list_next(list, &name, &attr), 0);
    tree_list_close(list);
    tree_view_unref(view);
    volume_close(&v);
}

Test(tree, a_list_has_the_attributes_of_its_children)
{
    struct volume v;
    struct tree_view *view;
    struct tree_list *list;
    struct attr attr;
    struct attr stat;
    const char *name;
    char path[PATH_BYTES_MAX + 1];

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/a.b", "12345"), 0);
    cr_assert_eq(volume_put(&v, "d/a/x", "1"), 0);
    cr_assert_eq(volume_symlink(&v, "d/l", "12"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_list_open(view, "d", &list), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(tree_list_next(list, &name, &attr), 1);
        cr_assert_eq(path_join("d", name, path), 0);
        cr_assert_eq(tree_stat(view, path, &stat), 0);
        cr_assert_eq(memcmp(&attr, &stat, sizeof attr), 0);
    }
    cr_assert_eq(tree_list_next(list, &name, &attr), 0);
    tree_list_close(list);
    tree_view_unref(view);
    volume_close(&v);
}

Test(tree, only_a_directory_can_be_listed)
{
    struct volume v;
    struct tree_view *view;
    struct tree_list *list = NULL;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "f"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_list_open(view, "none", &list), KE_NOT_FOUND);
    cr_assert_eq(tree_list_open(view, "f", &list), KE_NOT_DIR);
    cr_assert_eq(tree_list_open(view, "l", &list), KE_NOT_DIR);
    cr_assert_eq(tree_list_open(view, "f/x", &list), KE_NOT_FOUND);
    cr_assert_null(list);
    tree_list_close(NULL);
    tree_view_unref(view);
    volume_close(&v);
}

Test(tree, the_longest_names_are_listed)
{
    struct volume v;
    char path[2 * PATH_COMPONENT_MAX + 2];
    char *names;

    memset(path, 'a', sizeof path);
    path[PATH_COMPONENT_MAX] = '/';
    path[2 * PATH_COMPONENT_MAX + 1] = '\0';
    volume_open(&v);
    cr_assert_eq(volume_put(&v, path, "x"), 0);
    path[PATH_COMPONENT_MAX] = '\0';
    names = volume_names(&v, path);
    cr_assert_str_eq(names, path + PATH_COMPONENT_MAX + 1);
    free(names);
    memset(path, '-', PATH_COMPONENT_MAX);
    cr_assert_eq(volume_put(&v, path, "x"), 0);
    names = volume_names(&v, "");
    cr_assert_eq(strlen(names), 2 * PATH_COMPONENT_MAX + 2);
    free(names);
    volume_close(&v);
}

/* Rows below child directories are passed by a seek: damage there goes unseen. */
Test(tree, a_list_does_not_read_what_is_below_its_children)
{
    struct volume v;
    struct engine_batch *batch = engine_batch_new(false);

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_mkdir(&v, "d/sub"), 0);
    cr_assert_eq(volume_put(&v, "d/z", "x"), 0);
    for (int i = 0; i < 1000; i++) {
        uint8_t key[PATH_ROW_MAX];
        char path[64];

        (void)snprintf(path, sizeof path, "d/sub/%d", i);
        engine_batch_put(batch, v.kv, CF_ATTR, key_attr(path, i % 2 == 0, key),
                         (struct bytes){.data = (const uint8_t *)"\xff", .size = 1});
    }
    engine_write(v.kv, batch, false);
    engine_batch_free(batch);
    volume_assert_names(&v, "d", "sub/,z");
    volume_assert_names(&v, "", "d/");
    volume_close(&v);
}

/* --- raw reads --- */

static int get(struct volume *v, const char *cf, const char *key, size_t max, uint8_t **ret_value)
{
    struct tree_view *view = tree_view_new(v->tree);
    size_t size;
    int code = tree_get(view, cf, key, strlen(key), max, ret_value, &size);

    tree_view_unref(view);
    return code;
}

Test(tree, only_regular_files_are_keys)
{
    struct volume v;
    uint8_t *value;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/f", "12345"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "d/f"), 0);
    cr_assert_eq(get(&v, "", "d/f", 5, &value), 0);
    free(value);
    cr_assert_eq(get(&v, "default", "d/f", 4, &value), KE_TOO_LARGE);
    cr_assert_eq(get(&v, "default", "d", 5, &value), KE_NOT_FOUND);
    cr_assert_eq(get(&v, "default", "l", 5, &value), KE_NOT_FOUND);
    cr_assert_eq(get(&v, "default", "none", 5, &value), KE_NOT_FOUND);
    cr_assert_eq(get(&v, "default", "d/f/x", 5, &value), KE_NOT_FOUND);
    cr_assert_eq(get(&v, "default", "", 5, &value), KE_INVALID);
    cr_assert_eq(get(&v, "default", "d/", 5, &value), KE_INVALID);
    cr_assert_eq(get(&v, "meta", "f", 5, &value), KE_INVALID);
    volume_close(&v);
}

struct scan {
    char text[512];
    int stop_after;
};

static int collect(void *ctx, const void *key, size_t key_size, const void *value,
                   size_t value_size)
{
    struct scan *scan = ctx;
    size_t used = strlen(scan->text);

    (void)snprintf(scan->text + used, sizeof scan->text - used, "%.*s=%.*s ", (int)key_size,
                   (const char *)key, (int)value_size, (const char *)value);
    return --scan->stop_after != 0;
}

static int scan(struct volume *v, const char *cf, const char *start, uint32_t limit, size_t max,
                const char *text)
{
    struct tree_view *view = tree_view_new(v->tree);
    struct scan state = {.stop_after = 100};
    int code = tree_scan(view, cf, start, strlen(start), limit, max, collect, &state);

    tree_view_unref(view);
    if (code == 0) {
        cr_assert_str_eq(state.text, text);
    }
    return code;
}

Test(tree, a_scan_gives_the_files_in_byte_order_of_their_keys)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a/x", "1"), 0);
    cr_assert_eq(volume_put(&v, "a-b", "2"), 0);
    cr_assert_eq(volume_put(&v, "a0", ""), 0);
    cr_assert_eq(volume_put(&v, "b/c/d", "4"), 0);
    cr_assert_eq(volume_mkdir(&v, "b/empty"), 0);
    cr_assert_eq(volume_symlink(&v, "b/l", "target"), 0);
    cr_assert_eq(volume_put(&v, "c", "5"), 0);
    cr_assert_eq(scan(&v, "default", "", 100, 1000, "a-b=2 a/x=1 a0= b/c/d=4 c=5 "), 0);
    cr_assert_eq(scan(&v, "", "a/x", 100, 1000, "a/x=1 a0= b/c/d=4 c=5 "), 0);
    cr_assert_eq(scan(&v, "", "a/x\x01", 2, 1000, "a0= b/c/d=4 "), 0);
    cr_assert_eq(scan(&v, "", "b/", 1, 1000, "b/c/d=4 "), 0);
    cr_assert_eq(scan(&v, "", "d", 100, 1000, ""), 0);
    cr_assert_eq(scan(&v, "", "", 0, 1000, ""), 0);
    cr_assert_eq(scan(&v, "meta", "", 1, 1000, ""), KE_INVALID);
    volume_close(&v);
}

Test(tree, a_scan_is_bounded_by_its_bytes_and_stopped_by_its_caller)
{
    struct volume v;
    struct tree_view *view;
    struct scan state = {.stop_after = 2};

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a", "1234"), 0);
    cr_assert_eq(volume_put(&v, "b", "1234"), 0);
    cr_assert_eq(volume_put(&v, "c", "1234"), 0);
    cr_assert_eq(scan(&v, "", "", 3, 15, "a=1234 b=1234 c=1234 "), 0);
    cr_assert_eq(scan(&v, "", "", 3, 14, ""), KE_TOO_LARGE);
    cr_assert_eq(scan(&v, "", "", 2, 10, "a=1234 b=1234 "), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_scan(view, "", "", 0, 100, 1000, collect, &state), 0);
    cr_assert_str_eq(state.text, "a=1234 b=1234 ");
    tree_view_unref(view);
    volume_close(&v);
}

Test(tree, plain_pairs_are_scanned_as_they_are)
{
    struct volume v;
    struct command *cmd = volume_command();

    volume_open(&v);
    command_put(cmd, "write", "k/", 2, "1", 1);
    command_put(cmd, "write", "k", 1, "", 0);
    command_put(cmd, "lock", "other", 5, "1", 1);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(scan(&v, "write", "", 100, 1000, "k= k/=1 "), 0);
    cr_assert_eq(scan(&v, "write", "k\x01", 100, 1000, "k/=1 "), 0);
    volume_close(&v);
}

/* --- damage --- */

static void put_row(struct volume *v, enum engine_cf cf, struct bytes key, const char *value,
                    size_t size)
{
    struct engine_batch *batch = engine_batch_new(false);

    engine_batch_put(batch, v->kv, cf, key,
                     (struct bytes){.data = (const uint8_t *)value, .size = size});
    engine_write(v->kv, batch, false);
    engine_batch_free(batch);
}

Test(tree, damaged_rows_are_errors_to_readers)
{
    struct volume v;
    struct tree_view *view;
    struct tree_list *list;
    struct attr attr;
    struct tree_usage usage;
    static char large[TREE_CHUNK_SIZE + 1];
    const char *name;
    uint8_t key[PATH_ROW_MAX];
    uint8_t *value;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "good", "x"), 0);
    cr_assert_eq(volume_stat(&v, "good", &attr), 0);
    put_row(&v, CF_ATTR, key_attr("bad", false, key), "\xff\xff", 2);
    put_row(&v, CF_ATTR, key_attr("empty", false, key), "", 0);
    struct key content = key_content(attr.id, 0);
    struct key usage_key = key_usage();

    put_row(&v, CF_DEFAULT, key_bytes(&content), large, sizeof large);
    put_row(&v, CF_META, key_bytes(&usage_key), "short", 5);
    cr_assert_eq(volume_stat(&v, "bad", &attr), KE_CORRUPT);
    cr_assert_eq(volume_stat(&v, "empty", &attr), KE_CORRUPT);
    cr_assert_eq(get(&v, "", "good", 100, &value), KE_CORRUPT);
    cr_assert_eq(tree_usage(v.tree, &usage), KE_CORRUPT);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_list_open(view, "", &list), 0);
    cr_assert_eq(tree_list_next(list, &name, &attr), KE_CORRUPT);
    tree_list_close(list);
    tree_view_unref(view);
    volume_close(&v);
}

Test(tree, a_damaged_row_ends_the_process_that_would_apply_to_it, .exit_code = 74)
{
    struct volume v;
    uint8_t key[PATH_ROW_MAX];

    volume_open(&v);
    put_row(&v, CF_ATTR, key_attr("bad", false, key), "\xff\xff", 2);
    (void)volume_put(&v, "bad", "x");
}

Test(tree, a_row_of_attributes_survives_its_packing)
{
    struct attr_row row = {.attr = {.type = FILE_SYMLINK,
                                    .mode = 07777,
                                    .uid = UINT32_MAX,
                                    .gid = UINT32_MAX,
                                    .size = TREE_FILE_MAX,
                                    .atime_ns = INT64_MIN,
                                    .mtime_ns = INT64_MAX,
                                    .ctime_ns = -1,
                                    .version = UINT64_MAX,
                                    .id = UINT64_MAX,
                                    .nlink = UINT32_MAX,
                                    .xattr_bytes = UINT32_MAX,
                                    .rdev = UINT64_MAX},
                           .target_size = ATTR_TARGET_MAX};
    struct attr_row back;
    uint8_t out[ATTR_ROW_MAX];

    memset(row.target, 't', ATTR_TARGET_MAX);
    cr_assert_eq(attr_row_unpack(attr_row_pack(&row, out), &back), 0);
    cr_assert_eq(memcmp(&row, &back, sizeof row), 0);
}
