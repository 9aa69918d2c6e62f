/* RocksDB as keelfs uses it: nobody else includes rocksdb/c.h.
 *
 * A node has two instances. `raft` holds the log and RaftLocalState: written
 * with fsync. `kv` holds the data and RaftApplyState: written without; the log
 * is replayed after a crash. A failed write ends the process (log_fatal): after
 * a failed fsync nothing can be known about the disk. So does a read that meets a
 * wrong checksum: who has one damaged block may have others, and must not vote.
 *
 * An engine may be used by any thread; a batch and an iterator by one at a time.
 */
#ifndef KEELFS_RAFTSTORE_ENGINE_H
#define KEELFS_RAFTSTORE_ENGINE_H

#include "raftstore/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum engine_kind { ENGINE_RAFT, ENGINE_KV };

/* Column families. `raft` has only the first. */
enum engine_cf {
    CF_DEFAULT, /* kv: content rows; raft: log and RaftLocalState */
    CF_ATTR,    /* kv: a row of attributes a path */
    CF_LOCK,    /* kv: plain pairs */
    CF_WRITE,   /* kv: plain pairs */
    CF_META,    /* kv: apply state, region state, sessions, members */
    CF_COUNT
};

struct engine;
struct engine_snapshot;
struct engine_batch;
struct engine_iterator;

struct bytes {
    const uint8_t *data;
    size_t size;
};

int engine_open(const char *dir, enum engine_kind kind, struct engine **ret_engine, struct err *e);
void engine_close(struct engine *engine);

/* `*ret_value` is malloc'ed. KE_NOT_FOUND, KE_IO. `snapshot` may be NULL: latest. */
int engine_get(struct engine *engine, const struct engine_snapshot *snapshot, enum engine_cf cf,
               struct bytes key, uint8_t **ret_value, size_t *ret_size);

const struct engine_snapshot *engine_snapshot_new(struct engine *engine);
void engine_snapshot_free(struct engine *engine, const struct engine_snapshot *snapshot);

/* A group of writes that become visible and durable together. An indexed batch
 * can be read through: its own writes over the engine's. */
struct engine_batch *engine_batch_new(bool indexed);
void engine_batch_free(struct engine_batch *batch);
void engine_batch_clear(struct engine_batch *batch);
/* What it will write, more or less: each range counts as ENGINE_RANGE_COST, since
 * whoever reads has to look at all of them. */
#define ENGINE_RANGE_COST (64u << 10)
size_t engine_batch_bytes(const struct engine_batch *batch);
void engine_batch_put(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                      struct bytes key, struct bytes value);
void engine_batch_delete(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                         struct bytes key);
/* [from, to). In an indexed batch they have at most ENGINE_RANGE_KEY_MAX bytes each, the
 * cost is that of the rows which the batch itself has there, and no iterator over the
 * batch and this column family may be made until the batch is written. */
#define ENGINE_RANGE_KEY_MAX 24
void engine_batch_delete_range(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                               struct bytes from, struct bytes to);
/* Undo of a part: back to the last save point. Indexed batches only. */
void engine_batch_set_save_point(struct engine_batch *batch);
void engine_batch_rollback(struct engine_batch *batch);
/* Through the batch (indexed) to the engine. */
int engine_batch_get(struct engine_batch *batch, struct engine *engine, enum engine_cf cf,
                     struct bytes key, uint8_t **ret_value, size_t *ret_size);

/* Never returns on failure. */
void engine_write(struct engine *engine, struct engine_batch *batch, bool sync);

/* Over the engine at `snapshot` (NULL: latest) or, where `batch` is given, over
 * an indexed batch on top of it. `to` (exclusive; empty for no end) is borrowed
 * while the iterator lives. */
struct engine_iterator *engine_iterator_new(struct engine *engine,
                                            const struct engine_snapshot *snapshot,
                                            struct engine_batch *batch, enum engine_cf cf,
                                            struct bytes to);
/* The same over the engine alone, for much that is read in order: it does not drive what
 * is read again and again out of the cache. */
struct engine_iterator *engine_stream_new(struct engine *engine,
                                          const struct engine_snapshot *snapshot, enum engine_cf cf,
                                          struct bytes to);
void engine_iterator_seek(struct engine_iterator *it, struct bytes key);
bool engine_iterator_valid(const struct engine_iterator *it);
void engine_iterator_next(struct engine_iterator *it);
struct bytes engine_iterator_key(const struct engine_iterator *it);
struct bytes engine_iterator_value(const struct engine_iterator *it);
/* 0, or why the iterator stopped being valid. */
int engine_iterator_status(const struct engine_iterator *it);
void engine_iterator_free(struct engine_iterator *it);

/* Makes everything written so far survive a power cut: one fsync of the
 * write-ahead log. Does not return when it fails. */
void engine_sync(struct engine *engine);

/* Gives back the disk space of whole files in [from, to) at once. Only for rows
 * that a range deletion covers already and that no snapshot needs. */
void engine_drop_files(struct engine *engine, enum engine_cf cf, struct bytes from,
                       struct bytes to);

/* Has RocksDB begin to give back the space of what was deleted, which it would do only
 * after many more writes. Returns at once; a call takes deletions one level further
 * down, so it wants to be repeated, a few seconds apart. */
void engine_reclaim(struct engine *engine);

/* --- tables: sorted files of rows that can be put into an engine at once --- */

struct engine_table;
/* Makes the file; rows then come in ascending order. The C API has no fsync for it:
 * the caller syncs the file. */
int engine_table_new(const char *path, struct engine_table **ret_table, struct err *e);
int engine_table_put(struct engine_table *table, struct bytes key, struct bytes value,
                     struct err *e);
/* Ends the file. One without a row is removed: `*ret_size` is 0. */
int engine_table_finish(struct engine_table *table, uint64_t *ret_size, struct err *e);
void engine_table_free(struct engine_table *table); /* NULL is fine; after any of the above */

/* Puts a table's rows in, durably. What was in its range must have been deleted. The
 * file is there as before and can be put in again, after a crash for instance: it is
 * linked, or copied when RocksDB may have it already. So it may be removed, but not
 * written to. On the way it is changed for a moment, and has a second name,
 * `path`.ingest. */
int engine_ingest(struct engine *engine, enum engine_cf cf, const char *path, struct err *e);
/* Takes back that change where a crash came in between. To be called before a
 * checksum over a file that may have been put in is looked at. */
int engine_table_reset(const char *path, struct err *e);

/* Writes all memtables to disk and syncs: everything written so far is durable. */
int engine_flush(struct engine *engine, struct err *e);

/* A numeric property such as "rocksdb.estimate-num-keys"; 0 when unknown. */
uint64_t engine_property(struct engine *engine, enum engine_cf cf, const char *name);

#endif
