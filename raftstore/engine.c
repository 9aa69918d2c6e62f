#include "raftstore/engine.h"

#include "raftstore/engine_private.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct engine_snapshot {
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read_options;
};

struct engine_iterator {
    const struct engine *engine;
    rocksdb_iterator_t *rocks;
    rocksdb_readoptions_t *read_options;
    struct bytes to;
};

static const char *const cf_names[CF_COUNT] = {"default", "attr", "lock", "write", "meta"};

/* --- errors --- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

int engine_take_error(char **error, struct err *e)
{
    int code = starts_with(*error, "Corruption") ? KE_CORRUPT : KE_IO;

    err_set(e, code, "%s", *error);
    rocksdb_free(*error);
    *error = NULL;
    return code;
}

/* --- open and close --- */

/* What differs between the two instances. Together with the caches below an
 * instance stays under 64 MiB, whatever the number of files. */
struct tuning {
    size_t cf_count;
    size_t block_cache_bytes;
    const char *options;
};

static const struct tuning tunings[] = {
    [ENGINE_RAFT] =
        {
            .cf_count = 1,
            .block_cache_bytes = 8u << 20,
            /* The log is the node's promise: an entry that was acknowledged must
             * not vanish. Recovery accepts a write-ahead log that ends in the
             * middle of a record, which is what a power cut during an append
             * leaves and nobody was told of; a bad checksum anywhere fails the
             * open instead of silently dropping all that follows it, as RocksDB's
             * default would. It cannot see a tail that is gone whole:
             * RaftLocalState is in the same write-ahead log and goes with it. What kv
             * has applied tells, when it reaches further (peer_storage.c). */
            .options = "wal_recovery_mode=kTolerateCorruptedTailRecords;"
                       "write_buffer_size=8M;max_write_buffer_number=3;wal_bytes_per_sync=1M;"
                       /* The files of the log overlap, for each has RaftLocalState, so
                        * compaction rewrites them: of large entries the keys alone. */
                       "enable_blob_files=true;min_blob_size=64K;",
        },
    [ENGINE_KV] =
        {
            .cf_count = CF_COUNT,
            .block_cache_bytes = 32u << 20,
            /* Written without fsync, so after a power cut its write-ahead log may
             * be damaged anywhere. What is before the damage is a state this node
             * was in; the raft log replays the rest. */
            .options = "wal_recovery_mode=kPointInTimeRecovery;"
                       "write_buffer_size=8M;max_write_buffer_number=3;"
                       "db_write_buffer_size=24M;max_total_wal_size=64M;wal_bytes_per_sync=1M;"
                       /* Most lookups of a new name find nothing. */
                       "memtable_whole_key_filtering=true;"
                       "memtable_prefix_bloom_size_ratio=0.02;",
        },
};

static const char common_options[] = "create_if_missing=true;"
                                     "create_missing_column_families=true;"
                                     "paranoid_checks=true;"
                                     "compression=kLZ4Compression;"
                                     "max_open_files=256;"
                                     "max_background_jobs=2;"
                                     "bytes_per_sync=1M;"
                                     "target_file_size_base=16M;"
                                     "max_bytes_for_level_base=64M;"
                                     "level_compaction_dynamic_level_bytes=true;"
                                     "max_manifest_file_size=4M;"
                                     "manifest_preallocation_size=64K;"
                                     "info_log_level=WARN_LEVEL;"
                                     "max_log_file_size=1M;"
                                     "keep_log_file_num=4;"
                                     "stats_dump_period_sec=0;"
                                     "stats_persist_period_sec=0;";

/* Bits of a Bloom filter for each key: one lookup in a hundred that should find
 * nothing reads a block. */
#define BLOOM_BITS 10.0

static int apply_options(rocksdb_options_t **options, const char *text, struct err *e)
{
    rocksdb_options_t *next = rocksdb_options_create();
    char *error = NULL;

    rocksdb_get_options_from_string(*options, text, next, &error);
    rocksdb_options_destroy(*options);
    *options = next;
    return error != NULL ? engine_take_error(&error, e) : 0;
}

/* Few threads read, so few shards: each must hold many blocks. */
#define CACHE_SHARD_BITS 2

static rocksdb_cache_t *make_cache(size_t bytes)
{
    rocksdb_lru_cache_options_t *options = rocksdb_lru_cache_options_create();
    rocksdb_cache_t *cache;

    rocksdb_lru_cache_options_set_capacity(options, bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(options, CACHE_SHARD_BITS);
    cache = rocksdb_cache_create_lru_opts(options);
    rocksdb_lru_cache_options_destroy(options);
    return cache;
}

/* Indexes and filters are charged to the cache, so that a million files cost no
 * more memory than a few; they are in parts of a block's size, since a filter of
 * a whole table that does not fit would be read again for each lookup. */
static void set_table_options(rocksdb_options_t *options, size_t cache_bytes)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = make_cache(cache_bytes);

    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_index_type(
        table, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(table, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(table, 1);
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
    rocksdb_cache_destroy(cache);
}

int engine_make_options(enum engine_kind kind, rocksdb_options_t **ret_options, struct err *e)
{
    const struct tuning *tuning = &tunings[kind];
    rocksdb_options_t *options = rocksdb_options_create();
    int code = apply_options(&options, common_options, e);

    if (code == 0) {
        code = apply_options(&options, tuning->options, e);
    }
    if (code != 0) {
        rocksdb_options_destroy(options);
        return code;
    }
    set_table_options(options, tuning->block_cache_bytes);
    *ret_options = options;
    return 0;
}

/* Makes the last component of `dir`, durably. */
static int make_dir(const char *dir, struct err *e)
{
    char *parent;
    char *slash;
    int fd;
    int code = 0;

    if (mkdir(dir, 0700) != 0) {
        return errno == EEXIST
                   ? 0
                   : err_set(e, KE_IO, "cannot make directory %s: %s", dir, strerror(errno));
    }
    parent = mem_strdup(dir);
    slash = strrchr(parent, '/');
    if (slash != NULL) {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    fd = open(slash != NULL ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        code = err_set(e, KE_IO, "cannot sync the directory above %s: %s", dir, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(parent);
    return code;
}

static int check_dir(const char *dir, struct err *e)
{
    struct stat found;
    int code = make_dir(dir, e);

    if (code != 0) {
        return code;
    }
    if (stat(dir, &found) == 0 && !S_ISDIR(found.st_mode)) {
        return err_set(e, KE_IO, "cannot use data directory %s: it is a file", dir);
    }
    if (access(dir, R_OK | W_OK | X_OK) != 0) {
        return err_set(e, KE_IO, "cannot use data directory %s: %s", dir, strerror(errno));
    }
    return 0;
}

static int explain_open_error(const char *dir, char **error, struct err *e)
{
    /* RocksDB has no code for it; every way to say it names the lock file. */
    bool locked = strstr(*error, "/LOCK") != NULL && strstr(*error, "lock") != NULL;
    int code = engine_take_error(error, e);

    if (locked) {
        return err_set(e, KE_IO, "data directory %s is in use by another process", dir);
    }
    if (code == KE_CORRUPT) {
        return err_wrap(e, code, "data directory %s is damaged", dir);
    }
    return err_wrap(e, code, "cannot open data directory %s", dir);
}

static int open_db(struct engine *engine, const rocksdb_options_t *options, struct err *e)
{
    const rocksdb_options_t *cf_options[CF_COUNT];
    char *error = NULL;

    for (size_t i = 0; i < engine->cf_count; i++) {
        cf_options[i] = options;
    }
    engine->db = rocksdb_open_column_families(options, engine->dir, (int)engine->cf_count, cf_names,
                                              cf_options, engine->cfs, &error);
    if (error != NULL) {
        engine->db = NULL;
        return explain_open_error(engine->dir, &error, e);
    }
    return 0;
}

int engine_open(const char *dir, enum engine_kind kind, struct engine **ret_engine, struct err *e)
{
    rocksdb_options_t *options = NULL;
    struct engine *engine;
    int code = check_dir(dir, e);

    if (code != 0) {
        return code;
    }
    code = engine_make_options(kind, &options, e);
    if (code != 0) {
        return code;
    }
    engine = mem_zalloc(sizeof *engine);
    engine->dir = mem_strdup(dir);
    engine->cf_count = tunings[kind].cf_count;
    engine->read_options = rocksdb_readoptions_create();
    engine->write_options = rocksdb_writeoptions_create();
    engine->write_sync_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(engine->write_sync_options, 1);
    code = open_db(engine, options, e);
    rocksdb_options_destroy(options);
    if (code != 0) {
        engine_close(engine);
        return code;
    }
    *ret_engine = engine;
    return 0;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    if (engine->db != NULL) {
        for (size_t i = 0; i < engine->cf_count; i++) {
            rocksdb_column_family_handle_destroy(engine->cfs[i]);
        }
        rocksdb_close(engine->db);
    }
    rocksdb_readoptions_destroy(engine->read_options);
    rocksdb_writeoptions_destroy(engine->write_options);
    rocksdb_writeoptions_destroy(engine->write_sync_options);
    free(engine->dir);
    free(engine);
}

rocksdb_column_family_handle_t *engine_handle(const struct engine *engine, enum engine_cf cf)
{
    assert(cf < engine->cf_count);
    return engine->cfs[cf];
}

/* --- reads --- */

int engine_take_read_error(const struct engine *engine, char **error)
{
    struct err e;
    int code = engine_take_error(error, &e);

    if (code == KE_CORRUPT) {
        log_fatal("data directory %s is damaged: %s; stopping, since what else is wrong with it "
                  "is unknown",
                  engine->dir, e.text);
    }
    return code;
}

int engine_compare(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

int engine_get(struct engine *engine, const struct engine_snapshot *snapshot, enum engine_cf cf,
               struct bytes key, uint8_t **ret_value, size_t *ret_size)
{
    const rocksdb_readoptions_t *options =
        snapshot != NULL ? snapshot->read_options : engine->read_options;
    char *error = NULL;
    rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned_cf(
        engine->db, options, engine_handle(engine, cf), engine_chars(key), key.size, &error);
    const char *value;
    size_t size;

    if (error != NULL) {
        return engine_take_read_error(engine, &error);
    }
    if (pinned == NULL) {
        return KE_NOT_FOUND;
    }
    value = rocksdb_pinnableslice_value(pinned, &size);
    *ret_value = mem_dup(value, size);
    *ret_size = size;
    rocksdb_pinnableslice_destroy(pinned);
    return 0;
}

const struct engine_snapshot *engine_snapshot_new(struct engine *engine)
{
    struct engine_snapshot *snapshot = mem_alloc(sizeof *snapshot);

    snapshot->snapshot = rocksdb_create_snapshot(engine->db);
    snapshot->read_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(snapshot->read_options, snapshot->snapshot);
    return snapshot;
}

void engine_snapshot_free(struct engine *engine, const struct engine_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    rocksdb_readoptions_destroy(snapshot->read_options);
    rocksdb_release_snapshot(engine->db, snapshot->snapshot);
    free((void *)snapshot);
}

void engine_stop_after_failed_write(const struct engine *engine, char **error)
{
    struct err e;

    (void)engine_take_error(error, &e);
    log_fatal("cannot write to %s: %s; stopping, since what is on the disk is unknown now",
              engine->dir, e.text);
}

/* --- iterators --- */

static struct engine_iterator *iterator_new(struct engine *engine,
                                            const struct engine_snapshot *snapshot,
                                            enum engine_cf cf, struct bytes to, bool fills_cache)
{
    struct engine_iterator *it = mem_alloc(sizeof *it);

    it->engine = engine;
    it->to = to;
    it->read_options = rocksdb_readoptions_create();
    if (snapshot != NULL) {
        rocksdb_readoptions_set_snapshot(it->read_options, snapshot->snapshot);
    }
    if (to.size > 0) {
        rocksdb_readoptions_set_iterate_upper_bound(it->read_options, engine_chars(to), to.size);
    }
    rocksdb_readoptions_set_fill_cache(it->read_options, fills_cache);
    it->rocks = rocksdb_create_iterator_cf(engine->db, it->read_options, engine_handle(engine, cf));
    return it;
}

struct engine_iterator *engine_iterator_new(struct engine *engine,
                                            const struct engine_snapshot *snapshot,
                                            struct engine_batch *batch, enum engine_cf cf,
                                            struct bytes to)
{
    struct engine_iterator *it = iterator_new(engine, snapshot, cf, to, true);

    if (batch != NULL) {
        assert(!engine_batch_has_range(batch, cf));
        it->rocks = engine_batch_lay_over(batch, engine, cf, it->rocks);
    }
    return it;
}

struct engine_iterator *engine_stream_new(struct engine *engine,
                                          const struct engine_snapshot *snapshot, enum engine_cf cf,
                                          struct bytes to)
{
    return iterator_new(engine, snapshot, cf, to, false);
}

void engine_iterator_seek(struct engine_iterator *it, struct bytes key)
{
    rocksdb_iter_seek(it->rocks, engine_chars(key), key.size);
}

bool engine_iterator_valid(const struct engine_iterator *it)
{
    if (!rocksdb_iter_valid(it->rocks)) {
        return false;
    }
    /* RocksDB applies the bound to the engine's rows, not to the batch's. */
    return it->to.size == 0 || engine_compare(engine_iterator_key(it), it->to) < 0;
}

void engine_iterator_next(struct engine_iterator *it)
{
    rocksdb_iter_next(it->rocks);
}

struct bytes engine_iterator_key(const struct engine_iterator *it)
{
    size_t size;
    const char *key = rocksdb_iter_key(it->rocks, &size);

    return (struct bytes){.data = (const uint8_t *)key, .size = size};
}

struct bytes engine_iterator_value(const struct engine_iterator *it)
{
    size_t size;
    const char *value = rocksdb_iter_value(it->rocks, &size);

    return (struct bytes){.data = (const uint8_t *)value, .size = size};
}

int engine_iterator_status(const struct engine_iterator *it)
{
    char *error = NULL;

    rocksdb_iter_get_error(it->rocks, &error);
    return error != NULL ? engine_take_read_error(it->engine, &error) : 0;
}

void engine_iterator_free(struct engine_iterator *it)
{
    if (it == NULL) {
        return;
    }
    rocksdb_iter_destroy(it->rocks);
    rocksdb_readoptions_destroy(it->read_options);
    free(it);
}

/* --- maintenance --- */

void engine_sync(struct engine *engine)
{
    char *error = NULL;

    rocksdb_flush_wal(engine->db, 1, &error);
    if (error != NULL) {
        engine_stop_after_failed_write(engine, &error);
    }
}

/* So many 0xff bytes stand for "all that is longer": file borders below the end
 * that differ only behind them are not looked for. */
#define LAST_KEY_PADDING 8

/* A key below `to` with as few keys as possible between the two. RocksDB removes
 * files up to and including the end it is given, so the end itself must not be
 * that. */
static struct bytes make_last_key(struct bytes to, uint8_t *out)
{
    size_t size = to.size;

    assert(size > 0);
    memcpy(out, to.data, size);
    if (out[size - 1] == 0) {
        return (struct bytes){.data = out, .size = size - 1};
    }
    out[size - 1]--;
    memset(out + size, 0xff, LAST_KEY_PADDING);
    return (struct bytes){.data = out, .size = size + LAST_KEY_PADDING};
}

void engine_drop_files(struct engine *engine, enum engine_cf cf, struct bytes from, struct bytes to)
{
    uint8_t *room = mem_alloc(to.size + LAST_KEY_PADDING);
    struct bytes last = make_last_key(to, room);
    char *error = NULL;

    rocksdb_delete_file_in_range_cf(engine->db, engine_handle(engine, cf), engine_chars(from),
                                    from.size, engine_chars(last), last.size, &error);
    free(room);
    if (error != NULL) {
        engine_stop_after_failed_write(engine, &error);
    }
}

int engine_flush(struct engine *engine, struct err *e)
{
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    char *error = NULL;

    rocksdb_flushoptions_set_wait(options, 1);
    for (size_t i = 0; i < engine->cf_count && error == NULL; i++) {
        rocksdb_flush_cf(engine->db, options, engine->cfs[i], &error);
    }
    rocksdb_flushoptions_destroy(options);
    if (error != NULL) {
        int code = engine_take_error(&error, e);

        return err_wrap(e, code, "cannot flush %s", engine->dir);
    }
    return 0;
}

void engine_reclaim(struct engine *engine)
{
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    char *error = NULL;

    rocksdb_flushoptions_set_wait(options, 0);
    for (size_t i = 0; i < engine->cf_count && error == NULL; i++) {
        rocksdb_flush_cf(engine->db, options, engine->cfs[i], &error);
        if (error == NULL) {
            rocksdb_suggest_compact_range_cf(engine->db, engine->cfs[i], NULL, 0, NULL, 0, &error);
        }
    }
    rocksdb_flushoptions_destroy(options);
    if (error != NULL) {
        engine_stop_after_failed_write(engine, &error);
    }
}

uint64_t engine_property(struct engine *engine, enum engine_cf cf, const char *name)
{
    uint64_t value;

    return rocksdb_property_int_cf(engine->db, engine_handle(engine, cf), name, &value) == 0 ? value
                                                                                             : 0;
}
