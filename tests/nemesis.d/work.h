/* What a client does all the time: operations at random on keys at random, and a
 * line in its history for each.
 *
 * Keys are of four sorts: registers that are replaced and removed, registers that
 * are overwritten in place, names that are created with O_EXCL, and logs. Every
 * few seconds all clients of a group go on to new keys, so that the history of a
 * key stays short enough to be checked; what was written to the old ones is read
 * at the end of the run.
 */
#ifndef KEELFS_TESTS_NEMESIS_D_WORK_H
#define KEELFS_TESTS_NEMESIS_D_WORK_H

#include "access.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct work {
    struct access *access;
    uint32_t process;
    uint32_t group;
    uint32_t keys;     /* of each sort, at a time */
    uint32_t pause_us; /* between operations, on average */
    uint64_t random;   /* state; not 0 */
    FILE *history;
    uint64_t written; /* values so far: no two are equal */
};

/* One operation. */
void work_step(struct work *work);

/* Gets the key, or reads it when it is a log, until that succeeds or `timeout_ms`
 * is over. */
bool work_read_key(struct work *work, const char *key, uint64_t timeout_ms);

#endif
