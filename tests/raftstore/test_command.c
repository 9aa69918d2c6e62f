#include "raftstore/command.h"

#include "raft_cmdpb.pb-c.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static RaftCmdpb__RaftCmdRequest *unpack(const struct command *cmd)
{
    RaftCmdpb__RaftCmdRequest *request;
    size_t size;
    const void *bytes = command_bytes(cmd, &size);

    request = raft_cmdpb__raft_cmd_request__unpack(NULL, size, bytes);
    cr_assert_not_null(request);
    return request;
}

static void release(RaftCmdpb__RaftCmdRequest *request, struct command *cmd)
{
    raft_cmdpb__raft_cmd_request__free_unpacked(request, NULL);
    command_free(cmd);
}

static bool is(ProtobufCBinaryData bytes, const char *text)
{
    return bytes.len == strlen(text) &&
           (bytes.len == 0 || memcmp(bytes.data, text, bytes.len) == 0);
}

Test(command, a_new_one_has_the_time_and_the_owner)
{
    struct command *cmd = command_new();
    RaftCmdpb__RaftCmdRequest *request = unpack(cmd);

    cr_assert_lt((uint64_t)time(NULL) - request->time_ns / 1000000000, 10);
    cr_assert_eq(request->uid, geteuid());
    cr_assert_eq(request->gid, getegid());
    cr_assert_eq(request->n_requests, 0);
    release(request, cmd);
}

Test(command, time_and_owner_can_be_set_at_any_moment_also_to_zero)
{
    struct command *cmd = command_new();
    RaftCmdpb__RaftCmdRequest *request;

    command_set_owner(cmd, 5, 6);
    command_put(cmd, "", "k", 1, "v", 1);
    command_set_time(cmd, 0);
    command_set_owner(cmd, 0, 7);
    request = unpack(cmd);
    cr_assert_eq(request->time_ns, 0);
    cr_assert_eq(request->uid, 0);
    cr_assert_eq(request->gid, 7);
    cr_assert_eq(request->n_requests, 1);
    release(request, cmd);
}

Test(command, bytes_are_the_same_when_asked_again)
{
    struct command *cmd = command_new();
    size_t first;
    size_t second;

    command_put(cmd, "", "k", 1, "v", 1);
    (void)command_bytes(cmd, &first);
    (void)command_bytes(cmd, &second);
    cr_assert_eq(first, second);
    command_free(cmd);
}

Test(command, requests_and_conditions_keep_their_order)
{
    struct command *cmd = command_new();
    RaftCmdpb__RaftCmdRequest *request;

    command_require_absent(cmd, "a");
    command_put(cmd, "lock", "k1", 2, "v1", 2);
    command_require_exists(cmd, "b");
    command_require_version(cmd, "c", 3);
    command_delete(cmd, "write", "k2", 2);
    command_require_id(cmd, "", 4);
    request = unpack(cmd);
    cr_assert_eq(request->n_requests, 2);
    cr_assert_eq(request->requests[0]->cmd_type, RAFT_CMDPB__CMD_TYPE__Put);
    cr_assert_str_eq(request->requests[0]->put->cf, "lock");
    cr_assert(is(request->requests[0]->put->key, "k1"));
    cr_assert(is(request->requests[0]->put->value, "v1"));
    cr_assert_eq(request->requests[1]->cmd_type, RAFT_CMDPB__CMD_TYPE__Delete);
    cr_assert_str_eq(request->requests[1]->delete_->cf, "write");
    cr_assert(is(request->requests[1]->delete_->key, "k2"));
    cr_assert_eq(request->n_conditions, 4);
    cr_assert_eq(request->conditions[0]->kind, KEELFSPB__CONDITION__KIND__Absent);
    cr_assert(is(request->conditions[0]->path, "a"));
    cr_assert_eq(request->conditions[1]->kind, KEELFSPB__CONDITION__KIND__Exists);
    cr_assert_eq(request->conditions[2]->kind, KEELFSPB__CONDITION__KIND__Version);
    cr_assert_eq(request->conditions[2]->value, 3);
    cr_assert_eq(request->conditions[3]->kind, KEELFSPB__CONDITION__KIND__Id);
    cr_assert(is(request->conditions[3]->path, ""));
    cr_assert_eq(request->conditions[3]->value, 4);
    release(request, cmd);
}

Test(command, a_create_carries_all_its_fields)
{
    struct command *cmd = command_new();
    RaftCmdpb__RaftCmdRequest *request;

    command_create(cmd, &(struct command_create){.path = "l",
                                                 .type = FILE_SYMLINK,
                                                 .mode = 0777,
                                                 .uid = 1,
                                                 .gid = 2,
                                                 .target = "t",
                                                 .exclusive = true});
    request = unpack(cmd);
    cr_assert_eq(request->requests[0]->cmd_type, RAFT_CMDPB__CMD_TYPE__Create);

    const Keelfspb__CreateRequest *create = request->requests[0]->create;

    cr_assert(is(create->path, "l"));
    cr_assert_eq(create->type, KEELFSPB__FILE_TYPE__Symlink);
    cr_assert_eq(create->mode, 0777);
    cr_assert_eq(create->uid, 1);
    cr_assert_eq(create->gid, 2);
    cr_assert(is(create->target, "t"));
    cr_assert(create->exclusive);
    release(request, cmd);
}

Test(command, a_write_carries_all_its_fields)
{
    struct command *cmd = command_new();
    struct command_extent extents[] = {{.offset = 0, .data = "abc", .size = 3},
                                       {.offset = 1ull << 33, .data = "", .size = 0}};
    RaftCmdpb__RaftCmdRequest *request;

    command_write(cmd, &(struct command_write){.path = "f",
                                               .id = 9,
                                               .truncate = true,
                                               .truncate_size = 5,
                                               .extents = extents,
                                               .extent_count = 2,
                                               .append = "end",
                                               .append_size = 3,
                                               .clear_suid = true});
    request = unpack(cmd);
    cr_assert_eq(request->requests[0]->cmd_type, RAFT_CMDPB__CMD_TYPE__Write);

    const Keelfspb__WriteRequest *write = request->requests[0]->write;

    cr_assert(is(write->path, "f"));
    cr_assert_eq(write->id, 9);
    cr_assert(write->truncate);
    cr_assert_eq(write->truncate_size, 5);
    cr_assert_eq(write->n_extents, 2);
    cr_assert(is(write->extents[0]->data, "abc"));
    cr_assert_eq(write->extents[1]->offset, 1ull << 33);
    cr_assert(is(write->append, "end"));
    cr_assert(write->clear_suid);
    release(request, cmd);
}

Test(command, attributes_remove_and_rename_carry_all_their_fields)
{
    struct command *cmd = command_new();
    RaftCmdpb__RaftCmdRequest *request;

    command_set_attr(cmd, &(struct command_set_attr){.path = "",
                                                     .id = 1,
                                                     .mask = COMMAND_SET_MODE | COMMAND_SET_MTIME,
                                                     .mode = 0700,
                                                     .uid = 2,
                                                     .gid = 3,
                                                     .size = 4,
                                                     .atime_ns = -5,
                                                     .mtime_ns = 6});
    command_remove(cmd, "d", true);
    command_rename(cmd, "a", "b", true);
    request = unpack(cmd);
    cr_assert_eq(request->n_requests, 3);

    const Keelfspb__SetAttrRequest *set = request->requests[0]->set_attr;

    cr_assert_eq(request->requests[0]->cmd_type, RAFT_CMDPB__CMD_TYPE__SetAttr);
    cr_assert(is(set->path, ""));
    cr_assert_eq(set->mask, 1 | 32);
    cr_assert_eq(set->mode, 0700);
    cr_assert_eq(set->uid, 2);
    cr_assert_eq(set->gid, 3);
    cr_assert_eq(set->size, 4);
    cr_assert_eq(set->atime_ns, -5);
    cr_assert_eq(set->mtime_ns, 6);
    cr_assert_eq(request->requests[1]->cmd_type, RAFT_CMDPB__CMD_TYPE__Remove);
    cr_assert(is(request->requests[1]->remove->path, "d"));
    cr_assert(request->requests[1]->remove->directory);
    cr_assert_eq(request->requests[2]->cmd_type, RAFT_CMDPB__CMD_TYPE__Rename);
    cr_assert(is(request->requests[2]->rename->from, "a"));
    cr_assert(is(request->requests[2]->rename->to, "b"));
    cr_assert(request->requests[2]->rename->no_replace);
    release(request, cmd);
}

Test(command, the_bits_and_types_are_those_of_the_protocol)
{
    cr_assert_eq(COMMAND_SET_MODE, KEELFSPB__SET_ATTR_MASK__SetMode);
    cr_assert_eq(COMMAND_SET_UID, KEELFSPB__SET_ATTR_MASK__SetUid);
    cr_assert_eq(COMMAND_SET_GID, KEELFSPB__SET_ATTR_MASK__SetGid);
    cr_assert_eq(COMMAND_SET_SIZE, KEELFSPB__SET_ATTR_MASK__SetSize);
    cr_assert_eq(COMMAND_SET_ATIME, KEELFSPB__SET_ATTR_MASK__SetAtime);
    cr_assert_eq(COMMAND_SET_MTIME, KEELFSPB__SET_ATTR_MASK__SetMtime);
    cr_assert_eq(FILE_REGULAR, KEELFSPB__FILE_TYPE__RegularFile);
    cr_assert_eq(FILE_DIRECTORY, KEELFSPB__FILE_TYPE__Directory);
    cr_assert_eq(FILE_SYMLINK, KEELFSPB__FILE_TYPE__Symlink);
}

Test(command, the_largest_publish_fits_the_largest_command)
{
    static uint8_t content[COMMAND_CONTENT_MAX];
    char path[4096];
    struct command *cmd = command_new();
    struct command_extent extent = {.data = content, .size = sizeof content};
    size_t size;

    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    command_write(cmd,
                  &(struct command_write){.path = path, .extents = &extent, .extent_count = 1});
    (void)command_bytes(cmd, &size);
    cr_assert_leq(size, COMMAND_BYTES_MAX);
    command_free(cmd);
}

/* --- the store's own --- */

Test(command, the_log_is_cut_up_to_an_index_and_its_term)
{
    struct command *cmd = command_new();
    RaftCmdpb__RaftCmdRequest *request;

    command_compact_log(cmd, UINT64_MAX, 7);
    request = unpack(cmd);
    cr_assert_eq(request->n_requests, 0);
    cr_assert_not_null(request->admin_request);
    cr_assert_eq(request->admin_request->cmd_type, RAFT_CMDPB__ADMIN_CMD_TYPE__CompactLog);
    cr_assert_not_null(request->admin_request->compact_log);
    cr_assert_eq(request->admin_request->compact_log->compact_index, UINT64_MAX);
    cr_assert_eq(request->admin_request->compact_log->compact_term, 7);
    release(request, cmd);
}

Test(command, a_hash_is_asked_for)
{
    struct command *cmd = command_new();
    RaftCmdpb__RaftCmdRequest *request;

    command_compute_hash(cmd);
    request = unpack(cmd);
    cr_assert_eq(request->n_requests, 0);
    cr_assert_not_null(request->admin_request);
    cr_assert_eq(request->admin_request->cmd_type, RAFT_CMDPB__ADMIN_CMD_TYPE__ComputeHash);
    release(request, cmd);
}

/* --- what a command does to the disk --- */

/* Whether the command frees space alone, and no longer does behind one that takes
 * some. */
static bool frees(struct command *cmd)
{
    bool alone = command_frees_space(cmd);

    command_put(cmd, "", "k", 1, "", 0);
    cr_assert_not(command_frees_space(cmd));
    command_free(cmd);
    return alone;
}

static bool write_frees(const struct command_write *write)
{
    struct command *cmd = command_new();

    command_write(cmd, write);
    return frees(cmd);
}

static bool set_attr_frees(unsigned mask, uint64_t size)
{
    struct command *cmd = command_new();

    command_set_attr(cmd, &(struct command_set_attr){.path = "f", .mask = mask, .size = size});
    return frees(cmd);
}

Test(command, removals_free_space)
{
    struct command *cmd = command_new();

    command_require_exists(cmd, "f");
    command_remove(cmd, "f", false);
    command_remove(cmd, "d", true);
    command_delete(cmd, "lock", "k", 1);
    cr_assert(frees(cmd));
}

Test(command, the_stores_own_commands_free_space)
{
    struct command *cmd = command_new();

    command_compact_log(cmd, 5, 1);
    cr_assert(frees(cmd));
    cmd = command_new();
    command_compute_hash(cmd);
    cr_assert(frees(cmd));
}

Test(command, only_a_truncation_to_nothing_frees_space)
{
    struct command_extent extent = {.data = "x", .size = 1};

    cr_assert(write_frees(&(struct command_write){.path = "f", .truncate = true}));
    cr_assert_not(
        write_frees(&(struct command_write){.path = "f", .truncate = true, .truncate_size = 1}));
    cr_assert_not(write_frees(&(struct command_write){
        .path = "f", .truncate = true, .extents = &extent, .extent_count = 1}));
    cr_assert_not(write_frees(
        &(struct command_write){.path = "f", .truncate = true, .append = "x", .append_size = 1}));
    cr_assert_not(write_frees(&(struct command_write){.path = "f"}));
    cr_assert(set_attr_frees(COMMAND_SET_SIZE | COMMAND_SET_MTIME, 0));
    cr_assert_not(set_attr_frees(COMMAND_SET_SIZE, 1));
    cr_assert_not(set_attr_frees(COMMAND_SET_MODE, 0));
}

Test(command, what_makes_or_moves_files_frees_no_space)
{
    struct command *cmd = command_new();

    command_create(cmd, &(struct command_create){.path = "f", .type = FILE_REGULAR});
    cr_assert_not(frees(cmd));
    cmd = command_new();
    command_rename(cmd, "f", "g", false);
    cr_assert_not(frees(cmd));
}
