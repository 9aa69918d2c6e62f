/* Executes commands against the `kv` instance: the deterministic part of apply.
 *
 * The same commands in the same order make the same bytes on every node: no
 * clock, no random number, no pointer order. Owned by the apply thread.
 *
 * The caller collects any number of commands in one indexed batch; each command
 * sees those before it. A command that fails leaves nothing in the batch. Rows that
 * every command changes are put into it once, by executor_finish_batch().
 */
#ifndef KEELFS_RAFTSTORE_EXECUTOR_H
#define KEELFS_RAFTSTORE_EXECUTOR_H

#include "raftstore/engine.h"
#include "raftstore/op.h"
#include "raftstore/store.h"

struct executor;

struct executor *executor_new(struct engine *kv);
void executor_free(struct executor *executor);

/* Executes one packed RaftCmdRequest into `batch`. `*revision` is the counter
 * behind versions and ids: advanced by what the command changes, untouched when
 * it fails. `ret_result->code` is the outcome: a command that does not parse is
 * KE_INVALID, never a crash. Changes are appended to the executor's list. */
void executor_run(struct executor *executor, struct engine_batch *batch, const void *request,
                  size_t size, uint64_t *revision, struct op_result *ret_result);

/* Puts into `batch` what is still missing of the commands that were run into it. Before
 * it is written. */
void executor_finish_batch(struct executor *executor, struct engine_batch *batch);

/* What the last command asks of the store itself, and not of its data. */
struct executor_admin {
    enum executor_admin_kind { ADMIN_NONE, ADMIN_COMPACT_LOG, ADMIN_COMPUTE_HASH } kind;
    uint64_t index; /* COMPACT_LOG: up to here, */
    uint64_t term;  /* which is of this term */
};
struct executor_admin executor_admin(const struct executor *executor);

/* The changes since the last executor_clear_changes(); paths are owned by the
 * executor until then. */
const struct change *executor_changes(const struct executor *executor, size_t *ret_count);
void executor_clear_changes(struct executor *executor);

/* The rows of an empty volume: the root directory with id ATTR_ROOT_ID. Mode
 * 0755, owned by root, times zero: the same bytes on every node. */
void executor_format(struct engine *kv, struct engine_batch *batch);

#endif
