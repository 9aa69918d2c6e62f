/* A cluster that has lost its majority for good goes on from one survivor.
 *
 * Works on a data directory that no process uses. The survivor becomes the only
 * member of a new cluster: same data, same store id and name, but another cluster id
 * and another data id, so that the old members, should they come back, are refused,
 * and so is a copy of this directory. All entries of its log are kept and become
 * committed, also those it does not know to be: they may have been acknowledged. What
 * others acknowledged behind the end of this log is lost. A change of members that it
 * has not applied does not happen. It must be started without a list of initial
 * members, which is the old cluster's.
 */
#ifndef KEELFS_RAFTSTORE_RECOVER_H
#define KEELFS_RAFTSTORE_RECOVER_H

#include "raftstore/err.h"
#include "raftstore/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recover_report {
    char name[STORE_NAME_MAX + 1];
    uint64_t old_cluster_id;
    uint64_t new_cluster_id; /* set by recover_run() */
    uint64_t applied_index;
    uint64_t commit_index; /* known to be committed */
    uint64_t last_index;   /* of the log */
    uint64_t last_term;
    size_t member_count; /* of the old cluster */
    struct store_member members[STORE_MEMBERS_MAX];
};

/* Looks only. With words: KE_NOT_FOUND (no data directory, or one without data),
 * KE_REMOVED, KE_CORRUPT, KE_IO (also: in use), KE_BUSY when it stopped in the middle
 * of taking in a snapshot, which keelfs must go on with first. */
int recover_inspect(const char *data_dir, struct recover_report *ret_report, struct err *e);
/* Does it. Crash-safe: after a crash in the middle the node does not start until it
 * is run again. */
int recover_run(const char *data_dir, struct recover_report *ret_report, struct err *e);

#endif
