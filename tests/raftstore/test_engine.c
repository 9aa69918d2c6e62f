#include "raftstore/engine.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct bytes text(const char *s)
{
    return (struct bytes){.data = (const uint8_t *)s, .size = strlen(s)};
}

static struct engine *open_engine(const char *dir, enum engine_kind kind)
{
    struct engine *engine;
    struct err e = {0};

    cr_assert_eq(engine_open(dir, kind, &engine, &e), 0, "%s", e.text);
    return engine;
}

static void put(struct engine *engine, enum engine_cf cf, const char *key, const char *value)
{
    struct engine_batch *batch = engine_batch_new(false);

    engine_batch_put(batch, engine, cf, text(key), text(value));
    engine_write(engine, batch, true);
    engine_batch_free(batch);
}

/* Whether the row has this value; `value` NULL: whether there is none. */
static bool has(struct engine *engine, const struct engine_snapshot *snapshot, enum engine_cf cf,
                const char *key, const char *value)
{
    uint8_t *got;
    size_t size;
    int code = engine_get(engine, snapshot, cf, text(key), &got, &size);
    bool same;

    if (code != 0) {
        cr_assert_eq(code, KE_NOT_FOUND);
        return value == NULL;
    }
    same = value != NULL && size == strlen(value) && memcmp(got, value, size) == 0;
    free(got);
    return same;
}

/* --- rows --- */

Test(engine, a_row_survives_a_restart_in_each_column_family)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    for (int cf = 0; cf < CF_COUNT; cf++) {
        char value[8];

        (void)snprintf(value, sizeof value, "v%d", cf);
        put(engine, (enum engine_cf)cf, "key", value);
    }
    engine_close(engine);
    engine = open_engine(dir, ENGINE_KV);
    cr_assert(has(engine, NULL, CF_DEFAULT, "key", "v0"));
    cr_assert(has(engine, NULL, CF_ATTR, "key", "v1"));
    cr_assert(has(engine, NULL, CF_LOCK, "key", "v2"));
    cr_assert(has(engine, NULL, CF_WRITE, "key", "v3"));
    cr_assert(has(engine, NULL, CF_META, "key", "v4"));
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, an_empty_value_is_not_a_missing_row)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    uint8_t *value = NULL;
    size_t size = 7;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    put(engine, CF_LOCK, "empty", "");
    cr_assert_eq(engine_get(engine, NULL, CF_LOCK, text("empty"), &value, &size), 0);
    cr_assert_not_null(value);
    cr_assert_eq(size, 0);
    free(value);
    cr_assert_eq(engine_get(engine, NULL, CF_LOCK, text("absent"), &value, &size), KE_NOT_FOUND);
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, a_snapshot_does_not_see_later_writes)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    const struct engine_snapshot *snapshot;
    struct engine_iterator *it;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    put(engine, CF_LOCK, "a", "old");
    snapshot = engine_snapshot_new(engine);
    put(engine, CF_LOCK, "a", "new");
    put(engine, CF_LOCK, "b", "new");
    cr_assert(has(engine, snapshot, CF_LOCK, "a", "old"));
    cr_assert(has(engine, snapshot, CF_LOCK, "b", NULL));
    cr_assert(has(engine, NULL, CF_LOCK, "a", "new"));
    it = engine_iterator_new(engine, snapshot, NULL, CF_LOCK, (struct bytes){0});
    engine_iterator_seek(it, text(""));
    cr_assert(engine_iterator_valid(it));
    engine_iterator_next(it);
    cr_assert_not(engine_iterator_valid(it));
    cr_assert_eq(engine_iterator_status(it), 0);
    engine_iterator_free(it);
    engine_snapshot_free(engine, snapshot);
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, a_range_is_deleted_without_its_end)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    struct engine_batch *batch;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_RAFT);
    put(engine, CF_DEFAULT, "a", "1");
    put(engine, CF_DEFAULT, "b", "2");
    put(engine, CF_DEFAULT, "c", "3");
    batch = engine_batch_new(false);
    engine_batch_delete_range(batch, engine, CF_DEFAULT, text("a"), text("c"));
    engine_write(engine, batch, true);
    engine_batch_free(batch);
    cr_assert(has(engine, NULL, CF_DEFAULT, "a", NULL));
    cr_assert(has(engine, NULL, CF_DEFAULT, "b", NULL));
    cr_assert(has(engine, NULL, CF_DEFAULT, "c", "3"));
    engine_close(engine);
    scratch_remove(dir);
}

/* --- batches --- */

static bool batch_has(struct engine_batch *batch, struct engine *engine, const char *key,
                      const char *value)
{
    uint8_t *got;
    size_t size;
    int code = engine_batch_get(batch, engine, CF_ATTR, text(key), &got, &size);
    bool same;

    if (code != 0) {
        cr_assert_eq(code, KE_NOT_FOUND);
        return value == NULL;
    }
    same = value != NULL && size == strlen(value) && memcmp(got, value, size) == 0;
    free(got);
    return same;
}

/* Keys that the batch over the engine shows in [from, to), joined. */
static void assert_keys(struct engine *engine, struct engine_batch *batch, const char *from,
                        const char *to, const char *keys)
{
    struct engine_iterator *it = engine_iterator_new(engine, NULL, batch, CF_ATTR, text(to));
    char joined[256] = "";

    for (engine_iterator_seek(it, text(from)); engine_iterator_valid(it);
         engine_iterator_next(it)) {
        struct bytes key = engine_iterator_key(it);

        (void)strncat(joined, (const char *)key.data, key.size);
    }
    cr_assert_eq(engine_iterator_status(it), 0);
    cr_assert_str_eq(joined, keys);
    engine_iterator_free(it);
}

Test(engine, an_indexed_batch_is_read_over_the_engine)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    struct engine_batch *batch;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    put(engine, CF_ATTR, "a", "1");
    put(engine, CF_ATTR, "c", "3");
    put(engine, CF_ATTR, "d", "4");
    batch = engine_batch_new(true);
    engine_batch_put(batch, engine, CF_ATTR, text("b"), text("2"));
    engine_batch_delete(batch, engine, CF_ATTR, text("c"));
    engine_batch_put(batch, engine, CF_ATTR, text("d"), text("5"));
    engine_batch_put(batch, engine, CF_ATTR, text("e"), text(""));
    engine_batch_put(batch, engine, CF_ATTR, text("g"), text(""));
    cr_assert(batch_has(batch, engine, "a", "1"));
    cr_assert(batch_has(batch, engine, "b", "2"));
    cr_assert(batch_has(batch, engine, "c", NULL));
    cr_assert(batch_has(batch, engine, "d", "5"));
    cr_assert(batch_has(batch, engine, "e", ""));
    assert_keys(engine, batch, "", "", "abdeg");
    /* The bound holds for rows of the batch and of the engine. */
    assert_keys(engine, batch, "a", "d", "ab");
    assert_keys(engine, batch, "b", "g", "bde");
    cr_assert(has(engine, NULL, CF_ATTR, "b", NULL));
    engine_write(engine, batch, false);
    cr_assert(has(engine, NULL, CF_ATTR, "b", "2"));
    cr_assert(has(engine, NULL, CF_ATTR, "c", NULL));
    engine_batch_free(batch);
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, a_rollback_undoes_to_the_last_save_point)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    struct engine_batch *batch;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    put(engine, CF_ATTR, "c", "3");
    batch = engine_batch_new(true);
    engine_batch_put(batch, engine, CF_ATTR, text("a"), text("1"));
    engine_batch_set_save_point(batch);
    engine_batch_put(batch, engine, CF_ATTR, text("a"), text("2"));
    engine_batch_set_save_point(batch);
    engine_batch_put(batch, engine, CF_ATTR, text("a"), text("3"));
    engine_batch_put(batch, engine, CF_ATTR, text("b"), text("3"));
    engine_batch_delete(batch, engine, CF_ATTR, text("c"));
    engine_batch_rollback(batch);
    cr_assert(batch_has(batch, engine, "a", "2"));
    cr_assert(batch_has(batch, engine, "b", NULL));
    cr_assert(batch_has(batch, engine, "c", "3"));
    assert_keys(engine, batch, "", "", "ac");
    engine_batch_rollback(batch);
    cr_assert(batch_has(batch, engine, "a", "1"));
    engine_write(engine, batch, false);
    cr_assert(has(engine, NULL, CF_ATTR, "a", "1"));
    cr_assert(has(engine, NULL, CF_ATTR, "b", NULL));
    engine_batch_free(batch);
    engine_close(engine);
    scratch_remove(dir);
}

static void assert_clear_empties(struct engine *engine, bool indexed)
{
    struct engine_batch *batch = engine_batch_new(indexed);
    size_t empty = engine_batch_bytes(batch);

    engine_batch_put(batch, engine, CF_LOCK, text("key"), text("value"));
    cr_assert_geq(engine_batch_bytes(batch), empty + strlen("keyvalue"));
    engine_batch_clear(batch);
    cr_assert_eq(engine_batch_bytes(batch), empty);
    engine_write(engine, batch, false);
    cr_assert(has(engine, NULL, CF_LOCK, "key", NULL));
    engine_batch_free(batch);
}

static void assert_clear_empties_large(struct engine *engine, bool indexed)
{
    struct engine_batch *batch = engine_batch_new(indexed);
    size_t empty = engine_batch_bytes(batch);
    size_t size = 4u << 20;
    uint8_t *value = calloc(1, size);

    cr_assert_not_null(value);
    engine_batch_put(batch, engine, CF_LOCK, text("key"),
                     (struct bytes){.data = value, .size = size});
    engine_batch_clear(batch);
    cr_assert_eq(engine_batch_bytes(batch), empty);
    engine_batch_put(batch, engine, CF_LOCK, text("other"), text("value"));
    engine_write(engine, batch, false);
    cr_assert(has(engine, NULL, CF_LOCK, "key", NULL));
    cr_assert(has(engine, NULL, CF_LOCK, "other", "value"));
    engine_batch_free(batch);
    free(value);
}

Test(engine, a_cleared_batch_writes_nothing)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    assert_clear_empties(engine, false);
    assert_clear_empties(engine, true);
    assert_clear_empties_large(engine, false);
    assert_clear_empties_large(engine, true);
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, counts_its_keys)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    put(engine, CF_LOCK, "a", "1");
    put(engine, CF_LOCK, "b", "1");
    cr_assert_eq(engine_property(engine, CF_LOCK, "rocksdb.estimate-num-keys"), 2);
    cr_assert_eq(engine_property(engine, CF_LOCK, "rocksdb.no-such-thing"), 0);
    engine_close(engine);
    scratch_remove(dir);
}

/* --- open --- */

static void assert_refused(const char *dir, enum engine_kind kind, int code, const char *words)
{
    struct engine *engine = NULL;
    struct err e = {0};

    cr_assert_eq(engine_open(dir, kind, &engine, &e), code, "%s", e.text);
    cr_assert_null(engine);
    cr_assert_not_null(strstr(e.text, words), "%s", e.text);
    cr_assert_not_null(strstr(e.text, dir), "%s", e.text);
}

Test(engine, a_directory_in_use_is_refused_by_name)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    int status;
    pid_t child;

    scratch_make(dir);
    /* RocksDB starts threads, so the child opens first. */
    int ready[2];
    int done[2];

    cr_assert_eq(pipe(ready) | pipe(done), 0);
    child = fork();
    if (child == 0) {
        char byte;

        (void)close(done[1]);
        engine = open_engine(dir, ENGINE_KV);
        if (write(ready[1], "x", 1) != 1 || read(done[0], &byte, 1) != 0) {
            _exit(1);
        }
        engine_close(engine);
        _exit(0);
    }
    (void)close(done[0]);
    char byte;

    cr_assert_eq(read(ready[0], &byte, 1), 1);
    assert_refused(dir, ENGINE_KV, KE_IO, "is in use by another process");
    (void)close(done[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    engine = open_engine(dir, ENGINE_KV);
    assert_refused(dir, ENGINE_KV, KE_IO, "is in use by another process");
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, a_directory_that_cannot_be_is_refused_with_words)
{
    char dir[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 32];

    scratch_make(dir);
    (void)snprintf(path, sizeof path, "%s/no/such", dir);
    assert_refused(path, ENGINE_KV, KE_IO, "No such file or directory");
    (void)snprintf(path, sizeof path, "%s/file", dir);
    (void)close(creat(path, 0600));
    assert_refused(path, ENGINE_KV, KE_IO, "cannot use data directory");
    scratch_remove(dir);
}

Test(engine, a_missing_directory_is_made)
{
    char dir[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 32];
    struct stat stat_of;

    scratch_make(dir);
    (void)snprintf(path, sizeof path, "%s/kv", dir);
    engine_close(open_engine(path, ENGINE_KV));
    cr_assert_eq(stat(path, &stat_of), 0);
    cr_assert_eq(stat_of.st_mode & 07777, 0700);
    scratch_remove(dir);
}

Test(engine, the_other_kind_of_instance_is_refused)
{
    char dir[SCRATCH_PATH_MAX];

    scratch_make(dir);
    engine_close(open_engine(dir, ENGINE_KV));
    assert_refused(dir, ENGINE_RAFT, KE_IO, "cannot open data directory");
    scratch_remove(dir);
}

/* --- damage --- */

/* The only file that matches in `dir`. */
static void find_file(const char *dir, const char *pattern, char *out)
{
    char path[SCRATCH_PATH_MAX + 32];
    glob_t found;

    (void)snprintf(path, sizeof path, "%s/%s", dir, pattern);
    cr_assert_eq(glob(path, 0, NULL, &found), 0);
    cr_assert_eq(found.gl_pathc, 1);
    (void)snprintf(out, SCRATCH_PATH_MAX, "%s", found.gl_pathv[0]);
    globfree(&found);
}

static long file_size(const char *path)
{
    struct stat stat_of;

    cr_assert_eq(stat(path, &stat_of), 0);
    return (long)stat_of.st_size;
}

static void flip_byte(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    int byte;

    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    byte = fgetc(file);
    cr_assert_eq(fseek(file, at, SEEK_SET), 0);
    cr_assert_eq(fputc(byte ^ 0x40, file), byte ^ 0x40);
    cr_assert_eq(fclose(file), 0);
}

/* A hundred rows of about 1 KiB in the write-ahead log, whose path goes to `wal`. */
static void write_log(const char *dir, enum engine_kind kind, char *wal)
{
    struct engine *engine = open_engine(dir, kind);
    char value[1024];

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 100; i < 200; i++) {
        char key[8];

        (void)snprintf(key, sizeof key, "%d", i);
        put(engine, CF_DEFAULT, key, value);
    }
    engine_close(engine);
    find_file(dir, "*.log", wal);
    cr_assert_gt(file_size(wal), 100 * 1024);
}

static size_t count_rows(struct engine *engine)
{
    struct engine_iterator *it =
        engine_iterator_new(engine, NULL, NULL, CF_DEFAULT, (struct bytes){0});
    size_t count = 0;

    for (engine_iterator_seek(it, text("")); engine_iterator_valid(it); engine_iterator_next(it)) {
        count++;
    }
    cr_assert_eq(engine_iterator_status(it), 0);
    engine_iterator_free(it);
    return count;
}

Test(engine, a_torn_tail_of_the_raft_log_is_cut_off)
{
    char dir[SCRATCH_PATH_MAX];
    char wal[SCRATCH_PATH_MAX];
    struct engine *engine;

    scratch_make(dir);
    write_log(dir, ENGINE_RAFT, wal);
    cr_assert_eq(truncate(wal, file_size(wal) - 500), 0);
    engine = open_engine(dir, ENGINE_RAFT);
    cr_assert_eq(count_rows(engine), 99);
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, damage_in_the_middle_of_the_raft_log_fails_the_open)
{
    char dir[SCRATCH_PATH_MAX];
    char wal[SCRATCH_PATH_MAX];

    scratch_make(dir);
    write_log(dir, ENGINE_RAFT, wal);
    flip_byte(wal, file_size(wal) / 2);
    assert_refused(dir, ENGINE_RAFT, KE_CORRUPT, "is damaged");
    /* Once more: the first try repaired nothing behind our back. */
    assert_refused(dir, ENGINE_RAFT, KE_CORRUPT, "is damaged");
    scratch_remove(dir);
}

Test(engine, damage_in_the_last_record_of_the_raft_log_fails_the_open)
{
    char dir[SCRATCH_PATH_MAX];
    char wal[SCRATCH_PATH_MAX];

    scratch_make(dir);
    write_log(dir, ENGINE_RAFT, wal);
    flip_byte(wal, file_size(wal) - 100);
    assert_refused(dir, ENGINE_RAFT, KE_CORRUPT, "is damaged");
    scratch_remove(dir);
}

Test(engine, the_data_stops_before_damage_since_the_raft_log_replays_the_rest)
{
    char dir[SCRATCH_PATH_MAX];
    char wal[SCRATCH_PATH_MAX];
    struct engine *engine;
    size_t rows;

    scratch_make(dir);
    write_log(dir, ENGINE_KV, wal);
    flip_byte(wal, file_size(wal) / 2);
    engine = open_engine(dir, ENGINE_KV);
    rows = count_rows(engine);
    cr_assert_gt(rows, 30);
    cr_assert_lt(rows, 60);
    engine_close(engine);
    scratch_remove(dir);
}

static void read_key(struct engine *engine)
{
    uint8_t *value;
    size_t size;

    (void)engine_get(engine, NULL, CF_DEFAULT, text("key"), &value, &size);
}

static void read_key_through_batch(struct engine *engine)
{
    struct engine_batch *batch = engine_batch_new(true);
    uint8_t *value;
    size_t size;

    (void)engine_batch_get(batch, engine, CF_DEFAULT, text("key"), &value, &size);
}

static void iterate(struct engine *engine)
{
    struct engine_iterator *it =
        engine_iterator_new(engine, NULL, NULL, CF_DEFAULT, (struct bytes){0});

    engine_iterator_seek(it, text(""));
    if (!engine_iterator_valid(it)) {
        (void)engine_iterator_status(it);
    }
}

/* The read ends a process of its own, which says nothing wrong before. */
static void assert_ends(const char *dir, void (*read_damage)(struct engine *))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        read_damage(open_engine(dir, ENGINE_RAFT));
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 74);
}

Test(engine, a_read_that_meets_a_damaged_table_ends_the_process)
{
    char dir[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX];
    int status;
    pid_t child;

    scratch_make(dir);
    child = fork();
    if (child == 0) {
        struct engine *engine = open_engine(dir, ENGINE_RAFT);

        put(engine, CF_DEFAULT, "key", "value");
        cr_assert_eq(engine_flush(engine, NULL), 0);
        engine_close(engine);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    find_file(dir, "*.sst", path);
    flip_byte(path, 2);
    assert_ends(dir, read_key);
    assert_ends(dir, read_key_through_batch);
    assert_ends(dir, iterate);
    scratch_remove(dir);
}

/* --- durability --- */

Test(engine, what_was_flushed_needs_no_write_ahead_log)
{
    char dir[SCRATCH_PATH_MAX];
    char wal[SCRATCH_PATH_MAX];
    struct engine *engine;
    struct err e = {0};

    scratch_make(dir);
    engine = open_engine(dir, ENGINE_KV);
    put(engine, CF_LOCK, "a", "1");
    put(engine, CF_META, "b", "2");
    cr_assert_eq(engine_flush(engine, &e), 0, "%s", e.text);
    put(engine, CF_META, "c", "3");
    engine_close(engine);
    find_file(dir, "*.log", wal);
    cr_assert_eq(truncate(wal, 0), 0);
    engine = open_engine(dir, ENGINE_KV);
    cr_assert(has(engine, NULL, CF_LOCK, "a", "1"));
    cr_assert(has(engine, NULL, CF_META, "b", "2"));
    cr_assert(has(engine, NULL, CF_META, "c", NULL));
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine, an_unsynced_write_survives_the_end_of_the_process)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    int status;
    pid_t child;

    scratch_make(dir);
    child = fork();
    if (child == 0) {
        struct engine_batch *batch = engine_batch_new(true);

        engine = open_engine(dir, ENGINE_KV);
        engine_batch_put(batch, engine, CF_ATTR, text("key"), text("value"));
        engine_write(engine, batch, false);
        (void)kill(getpid(), SIGKILL);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status));
    engine = open_engine(dir, ENGINE_KV);
    cr_assert(has(engine, NULL, CF_ATTR, "key", "value"));
    engine_close(engine);
    scratch_remove(dir);
}

/* Writes of the process to `file`-size limit and beyond fail with EFBIG. */
Test(engine, a_failed_write_ends_the_process)
{
    char dir[SCRATCH_PATH_MAX];
    int status;
    pid_t child;

    scratch_make(dir);
    child = fork();
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = 64 << 10, .rlim_max = 64 << 10};
        struct engine *engine = open_engine(dir, ENGINE_RAFT);
        char value[1024];

        memset(value, 'v', sizeof value - 1);
        value[sizeof value - 1] = '\0';
        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
            _exit(1);
        }
        for (int i = 0; i < 100; i++) {
            put(engine, CF_DEFAULT, "key", value);
        }
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 74);
    scratch_remove(dir);
}
