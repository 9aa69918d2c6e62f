#include "raftstore/executor.h"

#include "raftstore/command.h"
#include "raftstore/executor_run.h"
#include "raftstore/keys.h"
#include "raftstore/memory.h"
#include "raftstore/usage_row.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What one command may unpack to: its content once more, and the objects that
 * describe it. A command that unpacks to more was made to do so. */
#define UNPACKED_MAX (COMMAND_BYTES_MAX * 8ul)

struct executor *executor_new(struct engine *kv)
{
    struct executor *executor = mem_zalloc(sizeof *executor);

    executor->kv = kv;
    executor->known.attr_rows = row_cache_new();
    arena_init(&executor->arena, UNPACKED_MAX);
    /* Bounded by the commands that one batch collects. */
    arena_init(&executor->change_paths, SIZE_MAX);
    return executor;
}

void executor_free(struct executor *executor)
{
    if (executor == NULL) {
        return;
    }
    row_cache_free(executor->known.attr_rows);
    arena_release(&executor->arena);
    arena_release(&executor->change_paths);
    free(executor->changes);
    free(executor);
}

const struct change *executor_changes(const struct executor *executor, size_t *ret_count)
{
    *ret_count = executor->change_count;
    return executor->changes;
}

struct executor_admin executor_admin(const struct executor *executor)
{
    return executor->admin;
}

void executor_clear_changes(struct executor *executor)
{
    executor->change_count = 0;
    arena_reset(&executor->change_paths);
}

void executor_format(struct engine *kv, struct engine_batch *batch)
{
    struct attr_row root = {
        .attr = {
            .type = FILE_DIRECTORY, .mode = 0755, .version = ATTR_ROOT_ID, .id = ATTR_ROOT_ID}};
    uint8_t row[ATTR_ROW_MAX];

    engine_batch_put(batch, kv, CF_ATTR, (struct bytes){.data = (const uint8_t *)"/", .size = 1},
                     attr_row_pack(&root, row));
}

static int check_condition(struct run *run, const Keelfspb__Condition *condition)
{
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    int code = run_take_path_or_root(condition->path, path);
    bool exists;

    if (code != 0) {
        return code;
    }
    exists = run_find(run, path, &row);
    switch (condition->kind) {
    case KEELFSPB__CONDITION__KIND__Absent:
        return exists ? KE_EXISTS : 0;
    case KEELFSPB__CONDITION__KIND__Exists:
        return exists ? 0 : KE_NOT_FOUND;
    case KEELFSPB__CONDITION__KIND__Version:
        return exists && row.attr.version == condition->value ? 0 : KE_CONDITION;
    case KEELFSPB__CONDITION__KIND__Id:
        return exists && row.attr.id == condition->value ? 0 : KE_STALE;
    default:
        return KE_INVALID;
    }
}

/* Get and Snap are known to the protocol, but reads do not go through the log. */
static int run_request(struct run *run, const RaftCmdpb__Request *request)
{
    run->result->has_attr = false;
    switch ((int)request->cmd_type) {
    case RAFT_CMDPB__CMD_TYPE__Put:
        return request->put != NULL ? run_raw_put(run, request->put) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__Delete:
        return request->delete_ != NULL ? run_raw_delete(run, request->delete_) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__Create:
        return request->create != NULL ? run_create(run, request->create) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__Write:
        return request->write != NULL ? run_write(run, request->write) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__SetAttr:
        return request->set_attr != NULL ? run_set_attr(run, request->set_attr) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__Remove:
        return request->remove != NULL ? run_remove(run, request->remove) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__Rename:
        return request->rename != NULL ? run_rename(run, request->rename) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__Link:
        return request->link != NULL ? run_link(run, request->link) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__SetXattr:
        return request->set_xattr != NULL ? run_set_xattr(run, request->set_xattr) : KE_INVALID;
    case RAFT_CMDPB__CMD_TYPE__SetQuota:
        if (request->set_quota == NULL) {
            return KE_INVALID;
        }
        run_set_quota(run, request->set_quota);
        return 0;
    default:
        return KE_INVALID;
    }
}

static int run_admin(struct run *run, const RaftCmdpb__RaftCmdRequest *command)
{
    const RaftCmdpb__AdminRequest *admin = command->admin_request;
    struct executor_admin *out = &run->executor->admin;

    if (command->n_requests > 0 || command->n_conditions > 0) {
        return KE_INVALID;
    }
    switch ((int)admin->cmd_type) {
    case RAFT_CMDPB__ADMIN_CMD_TYPE__CompactLog:
        if (admin->compact_log == NULL) {
            return KE_INVALID;
        }
        *out = (struct executor_admin){.kind = ADMIN_COMPACT_LOG,
                                       .index = admin->compact_log->compact_index,
                                       .term = admin->compact_log->compact_term};
        return 0;
    case RAFT_CMDPB__ADMIN_CMD_TYPE__ComputeHash:
        *out = (struct executor_admin){.kind = ADMIN_COMPUTE_HASH};
        return 0;
    default:
        return KE_INVALID;
    }
}

static int run_all(struct run *run, const RaftCmdpb__RaftCmdRequest *command)
{
    if (command->admin_request != NULL) {
        return run_admin(run, command);
    }
    for (size_t i = 0; i < command->n_conditions; i++) {
        int code = check_condition(run, command->conditions[i]);

        if (code != 0) {
            return code;
        }
    }
    for (size_t i = 0; i < command->n_requests; i++) {
        int code = run_request(run, command->requests[i]);

        if (code != 0) {
            return code;
        }
    }
    return run_add_usage(run);
}

static const RaftCmdpb__RaftCmdRequest *unpack(struct executor *executor, const void *request,
                                               size_t size)
{
    ProtobufCAllocator allocator = arena_allocator(&executor->arena);

    arena_reset(&executor->arena);
    if (size > COMMAND_BYTES_MAX) {
        return NULL;
    }
    return raft_cmdpb__raft_cmd_request__unpack(&allocator, size, request);
}

/* The volume is in another state than the last command left it in. */
static void forget_known(struct executor *executor, uint64_t revision)
{
    struct known *known = &executor->known;

    assert(!known->usage_changed); /* a batch is one run of states */
    row_cache_clear(known->attr_rows);
    known->has_usage = false;
    known->revision = revision;
}

static void undo(struct run *run, size_t changes_before)
{
    run->result->has_attr = false;
    run->executor->change_count = changes_before;
    if (run->wrote) {
        engine_batch_rollback(run->batch);
        row_cache_clear(run->executor->known.attr_rows);
    }
}

void executor_run(struct executor *executor, struct engine_batch *batch, const void *request,
                  size_t size, uint64_t *revision, struct op_result *ret_result)
{
    const RaftCmdpb__RaftCmdRequest *command = unpack(executor, request, size);
    size_t changes_before = executor->change_count;
    struct run run = {
        .executor = executor,
        .batch = batch,
        .result = ret_result,
        /* The root has the first number. */
        .revision = *revision > ATTR_ROOT_ID ? *revision : ATTR_ROOT_ID,
    };
    uint64_t first_revision = run.revision;

    *ret_result = (struct op_result){.code = KE_INVALID};
    executor->admin = (struct executor_admin){.kind = ADMIN_NONE};
    if (command == NULL) {
        return;
    }
    if (executor->known.revision != first_revision) {
        forget_known(executor, first_revision);
    }
    run.time_ns = (int64_t)command->time_ns;
    run.uid = command->uid;
    run.gid = command->gid;
    ret_result->code = run_all(&run, command);
    if (ret_result->code != 0) {
        undo(&run, changes_before);
        return;
    }
    if (run.revision != first_revision) {
        *revision = run.revision;
        executor->known.revision = run.revision;
    }
}

void executor_finish_batch(struct executor *executor, struct engine_batch *batch)
{
    struct known *known = &executor->known;
    struct key key = key_usage();
    uint8_t row[USAGE_ROW_SIZE];

    if (known->usage_changed) {
        usage_row_pack(&known->usage, row);
        engine_batch_put(batch, executor->kv, CF_META, key_bytes(&key),
                         (struct bytes){.data = row, .size = sizeof row});
        known->usage_changed = false;
    }
}
