/* The raftlog-gc thread: deletes the front of the log once kv has its effects for
 * good, and has deleted data give its space back when the disk is short of it.
 *
 * The truncated state has moved already when a task comes, so nobody reads these
 * rows any more; here only space is given back. Before anything is deleted the kv
 * instance is synced: after a power cut it must not need what is gone. One range
 * deletion a task, not one tombstone an entry; of tasks that wait, the last one
 * covers the others.
 */
#ifndef KEELFS_RAFTSTORE_LOG_GC_H
#define KEELFS_RAFTSTORE_LOG_GC_H

#include "raftstore/engine.h"

#include <stdint.h>

struct log_gc;

/* The engines are borrowed. */
struct log_gc *log_gc_start(struct engine *raft, struct engine *kv, uint64_t region_id);
/* Drops what waits: it is done again at the next start. NULL is fine. */
void log_gc_stop(struct log_gc *gc);

/* Entries up to and including `index` are not needed any more. Any thread. */
void log_gc_delete(struct log_gc *gc, uint64_t index);
/* The disk is nearly full: what was deleted from the data is to give its space back
 * soon. To be called again and again as long as that is so; most calls do nothing.
 * Any thread. */
void log_gc_reclaim(struct log_gc *gc);
/* Waits until the tasks given so far are done. For tests and an orderly stop. */
void log_gc_wait(struct log_gc *gc);

#endif
