/* The rows that commands have read and written last, as they are now.
 *
 * A command looks at a few rows: the object, its directory, names that are to be free.
 * The next one mostly looks at the same, and each look at the engine is a search in
 * several tables. What is known here is what the engine and the batch would say
 * together: whoever writes a row tells, and whoever takes writes back clears it all.
 * That a row is absent is known as well.
 *
 * A table of fixed size: each key has one place, where the next key takes it over. Rows
 * that do not fit are not kept. Owned by the thread of its executor.
 */
#ifndef KEELFS_RAFTSTORE_ROW_CACHE_H
#define KEELFS_RAFTSTORE_ROW_CACHE_H

#include "raftstore/engine.h"

/* A power of two. */
#define ROW_CACHE_ROWS 4096
/* Of key and value together. */
#define ROW_CACHE_BYTES_MAX 240

struct row_cache;

struct row_cache *row_cache_new(void);
void row_cache_free(struct row_cache *cache);

/* ROW_THERE: `*ret_value` is borrowed until the next call. */
enum row_known { ROW_UNKNOWN, ROW_ABSENT, ROW_THERE };
enum row_known row_cache_find(struct row_cache *cache, struct bytes key, struct bytes *ret_value);

/* The row is this. */
void row_cache_put(struct row_cache *cache, struct bytes key, struct bytes value);
/* There is none. */
void row_cache_put_absent(struct row_cache *cache, struct bytes key);

/* Nothing is known any more. */
void row_cache_clear(struct row_cache *cache);

#endif
