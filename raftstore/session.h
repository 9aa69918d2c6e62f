/* Which commands are applied already: what makes a retry inside keelfs safe.
 *
 * A session is one start of one store: (store id, incarnation). Its commands
 * carry sequence numbers; each batch also carries a floor below which the
 * session never sends again. The table keeps, a session, the results of
 * the sequence numbers from the floor on, and is part of the replicated state.
 * Owned by the apply thread.
 */
#ifndef KEELFS_RAFTSTORE_SESSION_H
#define KEELFS_RAFTSTORE_SESSION_H

#include "raftstore/engine.h"

#include <stdbool.h>
#include <stdint.h>

/* Commands of one session that may be outstanding: seq < floor + this. */
#define SESSION_WINDOW_MAX 16384
/* Stores with a session: all that ever were members. Batches of more are skipped. */
#define SESSION_COUNT_MAX 1024

struct session_table;

/* Reads the table of `region_id` from `kv`. */
int session_table_load(struct engine *kv, uint64_t region_id, struct session_table **ret_table,
                       struct err *e);
void session_table_free(struct session_table *table);

/* A batch of (store, incarnation) with this floor is being applied: moves the
 * session's floor up, never down; a newer incarnation replaces the older one.
 * False: the whole batch is of an older incarnation and must be skipped. */
bool session_begin_batch(struct session_table *table, uint64_t store_id, uint64_t incarnation,
                         uint64_t floor);

/* Whether `seq` of that session is still to be applied. False: applied before,
 * below the floor, or past the window. */
bool session_admits(const struct session_table *table, uint64_t store_id, uint64_t seq);

/* Notes that `seq` is applied with `code`. */
void session_record(struct session_table *table, uint64_t store_id, uint64_t seq, int code);

/* The result of `seq` of that session, or false when it is not recorded. */
bool session_result(const struct session_table *table, uint64_t store_id, uint64_t incarnation,
                    uint64_t seq, int *ret_code);

/* The store is no member any more: its session goes, with its row. */
void session_forget(struct session_table *table, uint64_t store_id);

/* Puts the rows of sessions that changed since the last call into `batch`. */
void session_table_save(struct session_table *table, struct engine *kv, struct engine_batch *batch);

#endif
