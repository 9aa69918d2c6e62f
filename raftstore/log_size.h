/* About how many bytes the log has from any of its entries on, in little memory.
 *
 * Keeps marks (index, bytes appended so far) at growing distances; answers are
 * right to within one distance. Owned by the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_LOG_SIZE_H
#define KEELFS_RAFTSTORE_LOG_SIZE_H

#include <stddef.h>
#include <stdint.h>

#define LOG_SIZE_MARKS_MAX    256
#define LOG_SIZE_DISTANCE_MIN (64u << 10)

struct log_size {
    uint64_t appended; /* bytes, ever */
    uint64_t distance; /* between marks, bytes */
    size_t count;
    struct log_size_mark {
        uint64_t index; /* the last entry counted in `appended` */
        uint64_t appended;
    } marks[LOG_SIZE_MARKS_MAX]; /* ascending */
};

/* An empty log behind `index`. */
void log_size_init(struct log_size *size, uint64_t index);

/* The entry at `index` has so many bytes; it replaces what was there and behind. */
void log_size_append(struct log_size *size, uint64_t index, uint64_t bytes);

/* Bytes behind `index`. */
uint64_t log_size_behind(const struct log_size *size, uint64_t index);

/* The smallest index that has at most about `bytes` behind it. */
uint64_t log_size_find(const struct log_size *size, uint64_t bytes);

/* Entries up to `index` are gone. */
void log_size_cut(struct log_size *size, uint64_t index);

#endif
