/* Inside the engine: what engine.c, engine_batch.c and engine_table.c share. These four
 * files alone know rocksdb/c.h. */
#ifndef KEELFS_RAFTSTORE_ENGINE_PRIVATE_H
#define KEELFS_RAFTSTORE_ENGINE_PRIVATE_H

#include "raftstore/engine.h"

#include <rocksdb/c.h>

struct engine {
    char *dir;
    rocksdb_t *db;
    size_t cf_count;
    rocksdb_column_family_handle_t *cfs[CF_COUNT];
    /* Of every read at the latest state and of every write; never changed after
     * open, so shared by all threads. */
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_writeoptions_t *write_sync_options;
};

rocksdb_column_family_handle_t *engine_handle(const struct engine *engine, enum engine_cf cf);

/* What RocksDB says about a failure, as a code and, in `e` (may be NULL), in its
 * words. The one place that frees its error strings: `*error` is NULL afterwards. */
int engine_take_error(char **error, struct err *e);

/* The code for a failed read that may be tried again; does not return where data is
 * damaged. */
int engine_take_read_error(const struct engine *engine, char **error);

/* Does not return. */
void engine_stop_after_failed_write(const struct engine *engine, char **error)
    __attribute__((noreturn));

static inline const char *engine_chars(struct bytes bytes)
{
    return (const char *)bytes.data;
}

/* The order of rows. */
int engine_compare(struct bytes a, struct bytes b);

/* Whether the indexed batch deletes ranges of the column family, which no iterator over
 * it knows of. */
bool engine_batch_has_range(const struct engine_batch *batch, enum engine_cf cf);

/* The iterator `base`, which is taken, with the indexed batch over it. */
rocksdb_iterator_t *engine_batch_lay_over(const struct engine_batch *batch, struct engine *engine,
                                          enum engine_cf cf, rocksdb_iterator_t *base);

/* The options that an instance is opened with; the caller destroys them. */
int engine_make_options(enum engine_kind kind, rocksdb_options_t **ret_options, struct err *e);

#endif
