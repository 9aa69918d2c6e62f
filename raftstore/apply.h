/* The apply thread: committed entries become data, and callers get their answer.
 *
 * Everything that one turn of its mailbox brings goes into one WriteBatch with
 * RaftApplyState and the session table, written without fsync (the log has it).
 * Then, in this order: the observer hears the changes, the ops of this node's
 * own commands are finished, read barriers that have waited for this index are
 * finished, and the raft thread is told.
 */
#ifndef KEELFS_RAFTSTORE_APPLY_H
#define KEELFS_RAFTSTORE_APPLY_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/reads.h"
#include "raftstore/states.h"
#include "raftstore/store.h"

#include <stdint.h>

struct apply;

/* What the raft thread hears back: `responses` are the answers of a STORAGE_APPLY
 * to step (the callee takes them), `seqs` the commands of this session that are
 * applied (borrowed). Called on the apply thread; must not block. */
typedef void apply_report_fn(void *ctx, struct raft_message *apply_message, const uint64_t *seqs,
                             size_t seq_count);

struct apply_config {
    struct engine *kv;
    const struct region *region; /* borrowed */
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

/* A STORAGE_APPLY, taken. */
void apply_entries(struct apply *apply, struct raft_message *message);

/* Ops to finish once `index` is applied; the list is taken. */
void apply_reads(struct apply *apply, uint64_t index, struct op_list *ops);

/* Any thread. */
uint64_t apply_index(const struct apply *apply);
uint64_t apply_revision(const struct apply *apply);

#endif
