#include "raftstore/engine_private.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct engine_table {
    char *path;
    rocksdb_options_t *options;
    rocksdb_envoptions_t *env_options;
    rocksdb_sstfilewriter_t *writer;
    uint64_t rows;
};

/* --- making one --- */

int engine_table_new(const char *path, struct engine_table **ret_table, struct err *e)
{
    struct engine_table *table = mem_zalloc(sizeof *table);
    char *error = NULL;
    /* As the instance that it will be put into writes its own. */
    int code = engine_make_options(ENGINE_KV, &table->options, e);

    table->path = mem_strdup(path);
    if (code == 0) {
        table->env_options = rocksdb_envoptions_create();
        table->writer = rocksdb_sstfilewriter_create(table->env_options, table->options);
        rocksdb_sstfilewriter_open(table->writer, path, &error);
        if (error != NULL) {
            code = engine_take_error(&error, e);
            code = err_wrap(e, code, "cannot make table %s", path);
        }
    }
    if (code != 0) {
        engine_table_free(table);
        return code;
    }
    *ret_table = table;
    return 0;
}

int engine_table_put(struct engine_table *table, struct bytes key, struct bytes value,
                     struct err *e)
{
    char *error = NULL;

    rocksdb_sstfilewriter_put(table->writer, (const char *)key.data, key.size,
                              (const char *)value.data, value.size, &error);
    if (error != NULL) {
        int code = engine_take_error(&error, e);

        return err_wrap(e, code, "cannot write table %s", table->path);
    }
    table->rows++;
    return 0;
}

int engine_table_finish(struct engine_table *table, uint64_t *ret_size, struct err *e)
{
    char *error = NULL;
    uint64_t size = 0;

    /* RocksDB refuses to end a table without a row, and leaves its file. */
    if (table->rows == 0) {
        if (unlink(table->path) != 0) {
            return err_set(e, KE_IO, "cannot remove table %s: %s", table->path, strerror(errno));
        }
        *ret_size = 0;
        return 0;
    }
    rocksdb_sstfilewriter_finish(table->writer, &error);
    if (error != NULL) {
        int code = engine_take_error(&error, e);

        return err_wrap(e, code, "cannot write table %s", table->path);
    }
    rocksdb_sstfilewriter_file_size(table->writer, &size);
    *ret_size = size;
    return 0;
}

void engine_table_free(struct engine_table *table)
{
    if (table == NULL) {
        return;
    }
    if (table->writer != NULL) {
        rocksdb_sstfilewriter_destroy(table->writer);
        rocksdb_envoptions_destroy(table->env_options);
    }
    if (table->options != NULL) {
        rocksdb_options_destroy(table->options);
    }
    free(table->path);
    free(table);
}

/* --- putting it in --- */

/* RocksDB gives the rows of a table that it takes in one sequence number. Its manifest
 * has it; for the sake of older versions it also goes into the table, in a place that
 * is 0 in a table as made, and a table where it is not 0 is refused. In C++ that can
 * be switched off (write_global_seqno), in C it cannot: so the place is cleared
 * again. RocksDB reads a 0 there as "see the manifest".
 *
 * The place is the value of a property, of which this is the entry's end: the size of
 * the value, and the name without "rocksdb.", which the entry before it shares. */
static const char number_entry[] = "\x08"
                                   "external_sst_file.global_seqno";
#define NUMBER_ENTRY_BYTES (sizeof number_entry - 1)
#define NUMBER_BYTES       8

/* The block of properties is near the end of a table, not compressed, and behind
 * everything that comes from users. */
#define TAIL_BYTES 65536

/* Where in the last bytes of a table the number is; -1: nowhere. */
static ssize_t find_number(const uint8_t *tail, size_t size)
{
    const size_t whole = NUMBER_ENTRY_BYTES + NUMBER_BYTES;

    for (size_t end = size; end >= whole; end--) {
        if (memcmp(tail + end - whole, number_entry, NUMBER_ENTRY_BYTES) == 0) {
            return (ssize_t)(end - NUMBER_BYTES);
        }
    }
    return -1;
}

static int clear_number(int fd, off_t number_at)
{
    static const uint8_t none[NUMBER_BYTES];
    uint8_t number[NUMBER_BYTES];

    if (pread(fd, number, sizeof number, number_at) != (ssize_t)sizeof number) {
        return -1;
    }
    if (memcmp(number, none, sizeof none) == 0) {
        return 0;
    }
    return pwrite(fd, none, sizeof none, number_at) == (ssize_t)sizeof none ? fdatasync(fd) : -1;
}

static int reset_open_table(int fd, const char *path, struct err *e)
{
    uint8_t *tail = mem_alloc(TAIL_BYTES);
    off_t end = lseek(fd, 0, SEEK_END);
    off_t start = end > TAIL_BYTES ? end - TAIL_BYTES : 0;
    ssize_t size = end >= 0 ? pread(fd, tail, TAIL_BYTES, start) : -1;
    ssize_t at = size >= 0 ? find_number(tail, (size_t)size) : -1;
    int code = 0;

    if (size < 0) {
        code = err_set(e, KE_IO, "cannot read table %s: %s", path, strerror(errno));
    } else if (at < 0) {
        code = err_set(e, KE_CORRUPT, "table %s is damaged: its end has no properties", path);
    } else if (clear_number(fd, start + at) != 0) {
        code = err_set(e, KE_IO, "cannot write table %s: %s", path, strerror(errno));
    }
    free(tail);
    return code;
}

int engine_table_reset(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int code;

    if (fd < 0) {
        return err_set(e, KE_IO, "cannot open table %s: %s", path, strerror(errno));
    }
    code = reset_open_table(fd, path, e);
    (void)close(fd);
    return code;
}

/* Copied at once; small enough that the kernel writes the last piece while the next
 * one is copied, instead of all at the end. */
#define COPY_PIECE_BYTES (4u << 20)

static int copy_content(int from, int to)
{
    ssize_t copied;

    do {
        copied = copy_file_range(from, NULL, to, NULL, COPY_PIECE_BYTES, 0);
        if (copied > 0 && sync_file_range(to, 0, 0, SYNC_FILE_RANGE_WRITE) != 0) {
            return -1;
        }
    } while (copied > 0);
    return (int)copied;
}

static int copy_file(const char *path, const char *to, struct err *e)
{
    int source = open(path, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int code = 0;

    /* RocksDB syncs what it is given. */
    if (source < 0 || target < 0 || copy_content(source, target) != 0) {
        code = err_set(e, KE_IO, "cannot copy table %s: %s", path, strerror(errno));
    }
    if (source >= 0) {
        (void)close(source);
    }
    if (target >= 0) {
        (void)close(target);
    }
    return code;
}

/* Makes the second name `to` that RocksDB takes away again. A link is enough, unless
 * RocksDB has the file already, from a try that a crash cut short: it would write
 * the new number of the rows into a table that it knows by the old one, and find
 * that damaged. */
static int make_second_file(const char *path, const char *to, struct err *e)
{
    struct stat found;

    if (unlink(to) != 0 && errno != ENOENT) {
        return err_set(e, KE_IO, "cannot remove %s: %s", to, strerror(errno));
    }
    if (stat(path, &found) != 0) {
        return err_set(e, KE_IO, "cannot open table %s: %s", path, strerror(errno));
    }
    if (found.st_nlink > 1) {
        return copy_file(path, to, e);
    }
    return link(path, to) == 0
               ? 0
               : err_set(e, KE_IO, "cannot link table %s: %s", path, strerror(errno));
}

static int ingest(struct engine *engine, enum engine_cf cf, const char *path, struct err *e)
{
    rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
    char *error = NULL;

    rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
    rocksdb_ingestexternalfileoptions_set_allow_global_seqno(options, 1);
    rocksdb_ingestexternalfileoptions_set_allow_blocking_flush(options, 1);
    rocksdb_ingest_external_file_cf(engine->db, engine_handle(engine, cf), &path, 1, options,
                                    &error);
    rocksdb_ingestexternalfileoptions_destroy(options);
    return error != NULL ? engine_take_error(&error, e) : 0;
}

int engine_ingest(struct engine *engine, enum engine_cf cf, const char *path, struct err *e)
{
    char second[PATH_MAX];
    int size = snprintf(second, sizeof second, "%s.ingest", path);
    int code;

    assert(size > 0 && (size_t)size < sizeof second);
    code = engine_table_reset(path, e);
    if (code == 0) {
        code = make_second_file(path, second, e);
    }
    if (code == 0) {
        code = ingest(engine, cf, second, e);
    }
    if (code == 0) {
        code = engine_table_reset(path, e);
    }
    if (code != 0) {
        (void)unlink(second);
        return err_wrap(e, code, "cannot put table %s into %s", path, engine->dir);
    }
    return 0;
}
