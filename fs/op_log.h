/* `.keelfs/ops`: every operation as it is answered, for whoever has the file open.
 *
 * All readers read the same bounded ring, each at its own place, from when it was
 * opened on; one that is too slow loses lines and is told how many. While nobody has it
 * open nothing is formatted and nothing kept.
 *
 * Any thread; the log has a lock of its own, a leaf. op_log_add() ends waits, so that
 * steps of requests run inside it, without the lock.
 */
#ifndef KEELFS_FS_OP_LOG_H
#define KEELFS_FS_OP_LOG_H

#include "fs/op_record.h"
#include "fs/record_ring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* About 10,000 lines. */
#define OP_LOG_BYTES (1u << 20)
/* Open at a time. */
#define OP_LOG_READERS_MAX 64

struct control_handle;
struct fs;
struct op_log_reader;

struct op_log {
    atomic_uint reader_count;
    pthread_mutex_t lock;          /* guards the rest */
    struct record_ring ring;       /* while there are readers */
    struct op_log_reader *readers; /* a list */
};

void op_log_init(struct op_log *log);
/* No reader is left. */
void op_log_release(struct op_log *log);

/* Whether a line is wanted. */
static inline bool op_log_is_open(const struct op_log *log)
{
    return atomic_load_explicit(&log->reader_count, memory_order_relaxed) > 0;
}

/* What was done, in the words of op_record_describe(), with which result: 0 or a
 * negative errno. */
void op_log_add(struct op_log *log, const struct op_record *record, const char *words, int error,
                uint64_t elapsed_ns);

/* NULL with KE_BUSY: too many read it. */
struct control_handle *op_log_open(struct fs *fs, int *ret_code);

#endif
