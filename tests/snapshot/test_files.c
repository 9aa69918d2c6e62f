#include "raftstore/snap_files.h"
#include "replica.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* A file in a scratch directory. */
#define FILE_PATH_MAX (SCRATCH_PATH_MAX + 64)

static const struct snap_id id = {.kind = SNAP_RECEIVED, .region_id = 1, .term = 5, .index = 10};

struct fixture {
    char dir[SCRATCH_PATH_MAX];
    struct snap_files *files;
    struct snapshot_meta meta;
};

static void open_files(struct fixture *f, const struct snap_id *keep)
{
    struct err e = {0};

    cr_assert_eq(snap_files_open(f->dir, keep, &f->files, &e), 0, "%s", e.text);
}

static void start(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    scratch_make(f->dir);
    open_files(f, NULL);
}

static void stop(struct fixture *f)
{
    snap_files_close(f->files);
    scratch_remove(f->dir);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    cr_assert_eq(fclose(file), 0);
}

static void write_table(struct fixture *f, enum engine_cf cf, const char *text)
{
    char path[PATH_MAX];

    snap_files_path(f->files, &id, cf, true, path);
    write_file(path, text);
    f->meta.files[cf] = (struct snapshot_file){
        .cf = cf, .size = strlen(text), .checksum = XXH32(text, strlen(text), 0)};
}

/* Two tables, committed, one reference. */
static void make_set(struct fixture *f)
{
    struct err e = {0};

    cr_assert(snap_files_begin(f->files, &id));
    write_table(f, CF_DEFAULT, "content");
    write_table(f, CF_META, "sessions");
    cr_assert_eq(snap_files_commit(f->files, &id, &f->meta, &e), 0, "%s", e.text);
}

static bool exists(struct fixture *f, enum engine_cf cf, bool temporary)
{
    char path[PATH_MAX];

    snap_files_path(f->files, &id, cf, temporary, path);
    return access(path, F_OK) == 0;
}

static void touch(struct fixture *f, const char *name)
{
    char path[FILE_PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/snap/%s", f->dir, name);
    write_file(path, "x");
}

Test(snap_files, files_are_named_after_what_they_are)
{
    struct fixture f;
    char path[PATH_MAX];
    char expected[FILE_PATH_MAX];

    start(&f);
    snap_files_path(f.files, &id, CF_ATTR, false, path);
    (void)snprintf(expected, sizeof expected, "%s/snap/rev_1_5_10_attr.sst", f.dir);
    cr_assert_str_eq(path, expected);
    snap_files_path(f.files, &(struct snap_id){SNAP_GENERATED, 2, 3, 4}, CF_WRITE, true, path);
    (void)snprintf(expected, sizeof expected, "%s/snap/gen_2_3_4_write.sst.tmp", f.dir);
    cr_assert_str_eq(path, expected);
    stop(&f);
}

Test(snap_files, a_set_is_whole_when_it_is_committed)
{
    struct fixture f;
    struct err e = {0};

    start(&f);
    cr_assert(snap_files_begin(f.files, &id));
    cr_assert_not(snap_files_begin(f.files, &id), "there is one");
    cr_assert_not(snap_files_ref(f.files, &id), "not complete");
    write_table(&f, CF_DEFAULT, "content");
    cr_assert_eq(snap_files_commit(f.files, &id, &f.meta, &e), 0, "%s", e.text);
    cr_assert(exists(&f, CF_DEFAULT, false));
    cr_assert_not(exists(&f, CF_DEFAULT, true));
    cr_assert(snap_files_ref(f.files, &id));
    snap_files_unref(f.files, &id);
    snap_files_unref(f.files, &id);
    stop(&f);
}

Test(snap_files, a_commit_without_the_files_fails)
{
    struct fixture f;
    struct err e = {0};

    start(&f);
    cr_assert(snap_files_begin(f.files, &id));
    f.meta.files[CF_LOCK].size = 5;
    cr_assert_eq(snap_files_commit(f.files, &id, &f.meta, &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "rev_1_5_10_lock.sst.tmp"));
    cr_assert_not(snap_files_ref(f.files, &id));
    snap_files_unref(f.files, &id);
    cr_assert(snap_files_begin(f.files, &id), "the name is free again");
    snap_files_unref(f.files, &id);
    stop(&f);
}

Test(snap_files, files_go_with_the_last_reference)
{
    struct fixture f;

    start(&f);
    make_set(&f);
    cr_assert(snap_files_ref(f.files, &id));
    snap_files_unref(f.files, &id);
    cr_assert(exists(&f, CF_DEFAULT, false));
    snap_files_unref(f.files, &id);
    cr_assert_not(exists(&f, CF_DEFAULT, false));
    cr_assert_not(exists(&f, CF_META, false));
    cr_assert_not(snap_files_ref(f.files, &id));
    stop(&f);
}

Test(snap_files, what_was_written_of_a_broken_set_goes)
{
    struct fixture f;

    start(&f);
    cr_assert(snap_files_begin(f.files, &id));
    write_table(&f, CF_DEFAULT, "half");
    snap_files_unref(f.files, &id);
    cr_assert_not(exists(&f, CF_DEFAULT, true));
    stop(&f);
}

Test(snap_files, there_is_a_limit_on_sets)
{
    struct fixture f;
    struct snap_id other = id;

    start(&f);
    for (other.index = 100; other.index < 100 + SNAP_FILES_MAX; other.index++) {
        cr_assert(snap_files_begin(f.files, &other));
    }
    cr_assert_not(snap_files_begin(f.files, &other));
    other.index = 101;
    snap_files_unref(f.files, &other);
    cr_assert(snap_files_begin(f.files, &id));
    stop(&f);
}

/* --- checks --- */

Test(snap_files, a_whole_set_passes_the_check)
{
    struct fixture f;
    struct err e = {0};

    start(&f);
    make_set(&f);
    cr_assert_eq(snap_files_verify(f.files, &id, &f.meta, &e), 0, "%s", e.text);
    cr_assert_eq(snap_files_verify_sizes(f.files, &id, &f.meta, &e), 0, "%s", e.text);
    stop(&f);
}

Test(snap_files, a_changed_byte_is_found_and_the_file_named)
{
    struct fixture f;
    char path[PATH_MAX];
    struct err e = {0};

    start(&f);
    make_set(&f);
    snap_files_path(f.files, &id, CF_META, false, path);
    write_file(path, "sessionS");
    cr_assert_eq(snap_files_verify(f.files, &id, &f.meta, &e), KE_CORRUPT);
    cr_assert_not_null(strstr(e.text, "rev_1_5_10_meta.sst"));
    cr_assert_eq(snap_files_verify_sizes(f.files, &id, &f.meta, &e), 0);
    stop(&f);
}

Test(snap_files, a_short_and_a_missing_file_are_found)
{
    struct fixture f;
    char path[PATH_MAX];
    struct err e = {0};

    start(&f);
    make_set(&f);
    snap_files_path(f.files, &id, CF_DEFAULT, false, path);
    cr_assert_eq(truncate(path, 3), 0);
    cr_assert_eq(snap_files_verify(f.files, &id, &f.meta, &e), KE_CORRUPT);
    cr_assert_eq(snap_files_verify_sizes(f.files, &id, &f.meta, &e), KE_CORRUPT);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(snap_files_verify(f.files, &id, &f.meta, &e), KE_CORRUPT);
    cr_assert_eq(snap_files_verify_sizes(f.files, &id, &f.meta, &e), KE_CORRUPT);
    cr_assert_not_null(strstr(e.text, "missing"));
    stop(&f);
}

Test(snap_files, the_checksum_covers_files_of_many_pieces)
{
    static uint8_t data[(3u << 20) + 77];
    struct fixture f;
    char path[FILE_PATH_MAX];
    uint64_t size;
    uint32_t checksum;
    FILE *file;

    start(&f);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * i >> 3);
    }
    (void)snprintf(path, sizeof path, "%s/large", f.dir);
    file = fopen(path, "w");
    cr_assert_eq(fwrite(data, 1, sizeof data, file), sizeof data);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(snap_files_checksum(path, &size, &checksum, NULL), 0);
    cr_assert_eq(size, sizeof data);
    cr_assert_eq(checksum, XXH32(data, sizeof data, 0));
    stop(&f);
}

/* --- leftovers --- */

Test(snap_files, a_start_removes_all_files)
{
    struct fixture f;

    start(&f);
    make_set(&f);
    touch(&f, "gen_1_5_10_default.sst");
    touch(&f, "rev_1_5_11_default.sst.tmp");
    touch(&f, "anything");
    snap_files_close(f.files);
    open_files(&f, NULL);
    cr_assert_not(exists(&f, CF_DEFAULT, false));
    cr_assert_eq(snap_files_sweep(f.files), 0);
    cr_assert_not(snap_files_ref(f.files, &id));
    stop(&f);
}

Test(snap_files, a_start_keeps_the_set_that_is_being_applied)
{
    struct fixture f;
    struct err e = {0};

    start(&f);
    make_set(&f);
    touch(&f, "rev_1_5_1_default.sst");
    touch(&f, "rev_1_5_100_default.sst");
    touch(&f, "gen_1_5_10_default.sst");
    snap_files_close(f.files);
    open_files(&f, &id);
    cr_assert_eq(snap_files_verify(f.files, &id, &f.meta, &e), 0, "%s", e.text);
    cr_assert_eq(snap_files_sweep(f.files), 0);
    snap_files_unref(f.files, &id);
    cr_assert_not(exists(&f, CF_DEFAULT, false), "it held the only reference");
    stop(&f);
}

Test(snap_files, a_sweep_leaves_what_is_in_use)
{
    struct fixture f;
    struct snap_id written = {.kind = SNAP_GENERATED, .region_id = 1, .term = 5, .index = 11};
    char path[PATH_MAX];

    start(&f);
    make_set(&f);
    cr_assert(snap_files_begin(f.files, &written));
    touch(&f, "gen_1_5_11_attr.sst.tmp");
    touch(&f, "rev_1_5_10_default.sst.ingest");
    touch(&f, "gen_1_5_12_attr.sst.tmp");
    touch(&f, "rev_1_5_12_attr.sst");
    cr_assert_eq(snap_files_sweep(f.files), 2);
    cr_assert(exists(&f, CF_DEFAULT, false));
    snap_files_path(f.files, &written, CF_ATTR, true, path);
    cr_assert_eq(access(path, F_OK), 0);
    snap_files_unref(f.files, &written);
    cr_assert_neq(access(path, F_OK), 0);
    stop(&f);
}

Test(snap_files, a_directory_that_cannot_be_made_is_named)
{
    struct fixture f;
    char missing[SCRATCH_PATH_MAX + 16];
    struct err e = {0};

    start(&f);
    (void)snprintf(missing, sizeof missing, "%s/none/there", f.dir);
    snap_files_close(f.files);
    cr_assert_eq(snap_files_open(missing, NULL, &f.files, &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "none/there/snap"));
    scratch_remove(f.dir);
}
