/* The apply thread: committed entries become data, and callers get their answer.
 *
 * Everything that one turn of its mailbox brings goes into one WriteBatch with
 * RaftApplyState and the session table, written without fsync (the log has it).
 * Then, in this order: the observer hears the changes, the ops of this node's
 * own commands are finished, read barriers that have waited for this index are
 * finished, and the raft thread is told.
 *
 * A snapshot that arrives takes its place in the same queue: all entries before it
 * are applied, then the region worker installs it while this thread waits.
 */
#ifndef KEELFS_RAFTSTORE_APPLY_H
#define KEELFS_RAFTSTORE_APPLY_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/membership.h"
#include "raftstore/reads.h"
#include "raftstore/region_worker.h"
#include "raftstore/states.h"
#include "raftstore/store.h"

#include <stdint.h>

struct apply;

/* What the raft thread hears back. */
struct apply_report {
    struct raft_message *message; /* a STORAGE_APPLY that is done, to be taken; or NULL */
    const uint64_t *seqs;         /* commands of this session that are applied; borrowed */
    size_t seq_count;
    uint64_t truncated_index; /* where the log is cut now */
    uint64_t truncated_term;
    bool installed; /* the snapshot of apply_install() is in place */
};
/* Called on the apply thread; must not block. */
typedef void apply_report_fn(void *ctx, const struct apply_report *report);

struct apply_config {
    struct engine *kv;
    struct region_worker *region_worker;
    const struct membership *membership; /* copied */
    uint64_t store_id;
    uint64_t incarnation;
    struct apply_state state; /* where to go on */
    store_observer_fn *observer;
    void *observer_ctx;
    apply_report_fn *report;
    void *report_ctx;
};

/* Loads the session table and starts the thread. */
int apply_start(const struct apply_config *config, struct apply **ret_apply, struct err *e);
/* Applies what is queued, then stops. Barriers still waiting fail. NULL is fine. */
void apply_stop(struct apply *apply);

/* All below: from the raft thread, in the order that things happened there. */

/* `op` is told the result of the session's command `seq`. Takes a reference. Before the
 * command can be committed. */
void apply_expect(struct apply *apply, uint64_t seq, struct op *op);

/* The members as the entry at `index` leaves them. */
struct apply_members {
    uint64_t index;
    struct membership membership;
};

/* A STORAGE_APPLY, taken. `*members`: one for each of its entries that changes members,
 * in order; malloc'ed, taken and nulled. */
void apply_entries(struct apply *apply, struct raft_message *message,
                   struct apply_members **members, size_t member_count);

/* Has a snapshot built of the state as it is when all before this is applied. */
void apply_build_snapshot(struct apply *apply);

/* Puts a snapshot in the place of everything. `meta` and `local` are copied. */
void apply_install(struct apply *apply, const struct snapshot_meta *meta,
                   const struct raft_local_state *local);

/* Ops to finish once `index` is applied; the list is taken. */
void apply_reads(struct apply *apply, uint64_t index, struct op_list *ops);

/* Any thread. */
uint64_t apply_index(const struct apply *apply);
uint64_t apply_revision(const struct apply *apply);

#endif
