/* Commands as a whole: conditions, atomicity, revisions, changes, bad input. */
#include "volume.h"

#include "raft_cmdpb.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int run_bytes(struct volume *v, const void *bytes, size_t size)
{
    executor_run(v->executor, v->batch, bytes, size, &v->revision, &v->result);
    volume_commit(v);
    return v->result.code;
}

static int run_message(struct volume *v, const RaftCmdpb__RaftCmdRequest *message)
{
    uint8_t *bytes = malloc(raft_cmdpb__raft_cmd_request__get_packed_size(message) + 1);
    int code;

    cr_assert_not_null(bytes);
    code = run_bytes(v, bytes, raft_cmdpb__raft_cmd_request__pack(message, bytes));
    free(bytes);
    return code;
}

static void put_text(struct command *cmd, const char *path, const char *text)
{
    command_put(cmd, "default", path, strlen(path), text, strlen(text));
}

/* --- format --- */

Test(executor, a_fresh_volume_is_an_empty_root)
{
    struct volume v;
    struct attr attr;
    struct tree_usage usage;

    volume_open(&v);
    cr_assert_eq(volume_stat(&v, "", &attr), 0);
    cr_assert_eq(attr.id, ATTR_ROOT_ID);
    cr_assert_eq(attr.type, FILE_DIRECTORY);
    cr_assert_eq(attr.mode, 0755);
    cr_assert_eq(attr.uid, 0);
    cr_assert_eq(attr.mtime_ns, 0);
    volume_assert_names(&v, "", "");
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.files, 0);
    cr_assert_eq(usage.bytes, 0);
    volume_close(&v);
}

/* --- conditions --- */

static int put_if(struct volume *v, void (*require)(struct command *, const char *),
                  const char *path)
{
    struct command *cmd = volume_command();

    require(cmd, path);
    put_text(cmd, "out", "x");
    return volume_run(v, cmd);
}

Test(executor, conditions_of_presence_look_at_files_directories_and_links)
{
    struct volume v;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "file", "x"), 0);
    cr_assert_eq(volume_mkdir(&v, "dir"), 0);
    cr_assert_eq(volume_symlink(&v, "link", "x"), 0);
    cr_assert_eq(put_if(&v, command_require_absent, "file"), KE_EXISTS);
    cr_assert_eq(put_if(&v, command_require_absent, "dir"), KE_EXISTS);
    cr_assert_eq(put_if(&v, command_require_absent, "link"), KE_EXISTS);
    cr_assert_eq(put_if(&v, command_require_absent, ""), KE_EXISTS);
    cr_assert_eq(put_if(&v, command_require_exists, "none"), KE_NOT_FOUND);
    cr_assert_eq(put_if(&v, command_require_exists, "file/x"), KE_NOT_FOUND);
    volume_assert_names(&v, "", "dir/,file,link@");
    cr_assert_eq(put_if(&v, command_require_absent, "none"), 0);
    cr_assert_eq(put_if(&v, command_require_exists, "file"), 0);
    cr_assert_eq(put_if(&v, command_require_exists, "dir"), 0);
    cr_assert_eq(put_if(&v, command_require_exists, "link"), 0);
    cr_assert_eq(put_if(&v, command_require_exists, ""), 0);
    volume_close(&v);
}

static int put_if_version(struct volume *v, const char *path, uint64_t version)
{
    struct command *cmd = volume_command();

    command_require_version(cmd, path, version);
    put_text(cmd, path, "x");
    return volume_run(v, cmd);
}

static int put_if_id(struct volume *v, const char *path, uint64_t id)
{
    struct command *cmd = volume_command();

    command_require_id(cmd, path, id);
    put_text(cmd, path, "x");
    return volume_run(v, cmd);
}

Test(executor, a_condition_on_the_version_holds_for_one_change)
{
    struct volume v;
    struct attr attr;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "1"), 0);
    cr_assert_eq(volume_stat(&v, "f", &attr), 0);
    cr_assert_eq(put_if_version(&v, "f", attr.version), 0);
    cr_assert_eq(put_if_version(&v, "f", attr.version), KE_CONDITION);
    cr_assert_eq(put_if_version(&v, "f", v.result.attr.version), KE_CONDITION);
    cr_assert_eq(put_if_version(&v, "none", 1), KE_CONDITION);
    cr_assert_eq(put_if_version(&v, "none", 0), KE_CONDITION);
    volume_close(&v);
}

Test(executor, a_condition_on_the_id_holds_until_the_file_is_replaced)
{
    struct volume v;
    uint64_t id;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "1"), 0);
    id = volume_id(&v, "f");
    cr_assert_eq(put_if_id(&v, "f", id), 0);
    cr_assert_eq(put_if_id(&v, "f", id), 0);
    cr_assert_eq(volume_delete(&v, "f"), 0);
    cr_assert_eq(put_if_id(&v, "f", id), KE_STALE);
    cr_assert_eq(volume_put(&v, "f", "2"), 0);
    cr_assert_eq(put_if_id(&v, "f", id), KE_STALE);
    volume_close(&v);
}

Test(executor, all_conditions_are_checked_before_any_request)
{
    struct volume v;
    struct command *cmd = volume_command();

    volume_open(&v);
    put_text(cmd, "a", "x");
    command_require_absent(cmd, "b");
    command_require_exists(cmd, "a");
    cr_assert_eq(volume_run(&v, cmd), KE_NOT_FOUND);
    volume_assert_names(&v, "", "");
    volume_close(&v);
}

/* --- atomicity --- */

Test(executor, a_failing_request_leaves_nothing_of_its_command)
{
    struct volume v;
    struct command *cmd;
    uint64_t revision;
    size_t changes;
    char *before;
    char *after;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "d/keep", "old"), 0);
    cr_assert_eq(volume_put(&v, "d/gone", "old"), 0);
    before = volume_dump(&v);
    revision = v.revision;
    executor_clear_changes(v.executor);
    cmd = volume_command();
    put_text(cmd, "d/keep", "new");
    put_text(cmd, "x/y/z", "new");
    command_delete(cmd, "default", "d/gone", 6);
    command_put(cmd, "lock", "k", 1, "v", 1);
    command_rename(cmd, "d", "e", false);
    command_remove(cmd, "none", false);
    cr_assert_eq(volume_run(&v, cmd), KE_NOT_FOUND);
    cr_assert_not(v.result.has_attr);
    cr_assert_eq(v.revision, revision);
    (void)executor_changes(v.executor, &changes);
    cr_assert_eq(changes, 0);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    volume_close(&v);
}

Test(executor, a_failing_command_spares_the_others_of_its_batch)
{
    struct volume v;
    struct command *cmd;

    volume_open(&v);
    v.hold = true;
    cr_assert_eq(volume_put(&v, "a", "1"), 0);
    cmd = volume_command();
    put_text(cmd, "a", "2");
    put_text(cmd, "b", "2");
    command_remove(cmd, "none", false);
    cr_assert_eq(volume_run(&v, cmd), KE_NOT_FOUND);
    cr_assert_eq(volume_put(&v, "c", "3"), 0);
    cmd = volume_command();
    put_text(cmd, "c", "4");
    put_text(cmd, "c/d", "4");
    cr_assert_eq(volume_run(&v, cmd), KE_NOT_DIR);
    volume_commit(&v);
    volume_assert_names(&v, "", "a,c");
    volume_assert_text(&v, "a", "1");
    volume_assert_text(&v, "c", "3");
    volume_close(&v);
}

Test(executor, each_command_sees_those_before_it_in_the_batch)
{
    struct volume v;

    volume_open(&v);
    v.hold = true;
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_mkdir(&v, "d"), KE_EXISTS);
    cr_assert_eq(volume_create(&v, "d/f", true), 0);
    cr_assert_eq(volume_create(&v, "d/f", true), KE_EXISTS);
    cr_assert_eq(volume_remove(&v, "d", true), KE_NOT_EMPTY);
    cr_assert_eq(volume_rename(&v, "d", "e"), 0);
    cr_assert_eq(volume_remove(&v, "d/f", false), KE_NOT_FOUND);
    cr_assert_eq(volume_remove(&v, "e/f", false), 0);
    cr_assert_eq(volume_remove(&v, "e", true), 0);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    volume_commit(&v);
    volume_assert_names(&v, "", "d/");
    volume_close(&v);
}

Test(executor, requests_of_one_command_see_those_before_them)
{
    struct volume v;
    struct command *cmd = volume_command();

    volume_open(&v);
    command_create(cmd, &(struct command_create){.path = "d", .type = FILE_DIRECTORY});
    command_create(cmd, &(struct command_create){.path = "d/f", .exclusive = true});
    put_text(cmd, "d/f", "text");
    command_rename(cmd, "d/f", "g", false);
    cr_assert_eq(volume_run(&v, cmd), 0);
    volume_assert_text(&v, "g", "text");
    volume_assert_names(&v, "", "d/,g");
    cr_assert(v.result.has_attr);
    cr_assert_eq(v.result.attr.id, volume_id(&v, "g"));
    cr_assert_eq(v.result.attr.size, 4);
    volume_close(&v);
}

/* --- revisions and changes --- */

Test(executor, every_change_takes_the_next_revision)
{
    struct volume v;
    struct attr file;
    struct attr root;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "1"), 0);
    cr_assert_eq(volume_stat(&v, "f", &file), 0);
    cr_assert_eq(volume_stat(&v, "", &root), 0);
    cr_assert_eq(file.id, 2);
    cr_assert_eq(file.version, 2);
    cr_assert_eq(root.version, 3);
    cr_assert_eq(v.revision, 3);
    cr_assert_eq(volume_put(&v, "f", "2"), 0);
    cr_assert_eq(volume_stat(&v, "f", &file), 0);
    cr_assert_eq(file.id, 2);
    cr_assert_eq(file.version, 4);
    cr_assert_eq(v.result.attr.version, 4);
    cr_assert_eq(volume_stat(&v, "", &root), 0);
    cr_assert_eq(root.version, 3);
    volume_close(&v);
}

Test(executor, what_changes_nothing_takes_no_revision)
{
    struct volume v;
    struct command *cmd;
    uint64_t revision;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "1"), 0);
    revision = v.revision;
    cr_assert_eq(volume_delete(&v, "none"), 0);
    cr_assert_eq(volume_create(&v, "f", false), 0);
    cr_assert_eq(volume_rename(&v, "f", "f"), 0);
    cr_assert_eq(volume_write(&v, "f", 1, "", 0), 0);
    cr_assert_eq(volume_run(&v, volume_command()), 0);
    cmd = volume_command();
    command_put(cmd, "lock", "k", 1, "v", 1);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(v.revision, revision);
    volume_close(&v);
}

static void assert_change(struct volume *v, size_t at, enum change_kind kind, const char *path,
                          const char *to, uint64_t id)
{
    size_t count;
    const struct change *changes = executor_changes(v->executor, &count);

    cr_assert_lt(at, count);
    cr_assert_eq(changes[at].kind, kind, "%zu", at);
    cr_assert_str_eq(changes[at].path, path);
    if (to != NULL) {
        cr_assert_str_eq(changes[at].to, to);
    } else {
        cr_assert_null(changes[at].to);
    }
    cr_assert_eq(changes[at].id, id);
    cr_assert_leq(changes[at].version, v->revision);
}

Test(executor, changes_are_listed_until_cleared)
{
    struct volume v;
    uint64_t a;
    uint64_t b;
    size_t count;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a", "1"), 0);
    cr_assert_eq(volume_put(&v, "a", "2"), 0);
    a = volume_id(&v, "a");
    cr_assert_eq(volume_put(&v, "d/b", "2"), 0);
    b = volume_id(&v, "d/b");
    assert_change(&v, 0, CHANGE_CREATED, "a", NULL, a);
    assert_change(&v, 1, CHANGE_CONTENT, "", NULL, ATTR_ROOT_ID);
    assert_change(&v, 2, CHANGE_CONTENT, "a", NULL, a);
    assert_change(&v, 3, CHANGE_CREATED, "d", NULL, volume_id(&v, "d"));
    assert_change(&v, 4, CHANGE_CONTENT, "", NULL, ATTR_ROOT_ID);
    assert_change(&v, 5, CHANGE_CREATED, "d/b", NULL, b);
    assert_change(&v, 6, CHANGE_CONTENT, "d", NULL, volume_id(&v, "d"));
    executor_clear_changes(v.executor);
    cr_assert_eq(volume_rename(&v, "a", "d/b"), 0);
    assert_change(&v, 0, CHANGE_REMOVED, "d/b", NULL, b);
    assert_change(&v, 1, CHANGE_RENAMED, "a", "d/b", a);
    assert_change(&v, 2, CHANGE_CONTENT, "", NULL, ATTR_ROOT_ID);
    assert_change(&v, 3, CHANGE_CONTENT, "d", NULL, volume_id(&v, "d"));
    executor_clear_changes(v.executor);
    cr_assert_eq(volume_remove(&v, "d/b", false), 0);
    assert_change(&v, 0, CHANGE_REMOVED, "d/b", NULL, a);
    assert_change(&v, 1, CHANGE_CONTENT, "d", NULL, volume_id(&v, "d"));
    (void)executor_changes(v.executor, &count);
    cr_assert_eq(count, 2);
    volume_close(&v);
}

Test(executor, many_changes_keep_their_paths)
{
    struct volume v;
    char path[300];
    size_t count;

    volume_open(&v);
    v.hold = true;
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(path, sizeof path, "%0200d", i);
        cr_assert_eq(volume_create(&v, path, true), 0);
    }
    const struct change *changes = executor_changes(v.executor, &count);

    cr_assert_eq(count, 4000);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(path, sizeof path, "%0200d", i);
        cr_assert_str_eq(changes[2 * i].path, path);
    }
    volume_close(&v);
}

/* --- usage --- */

Test(executor, usage_follows_every_kind_of_change)
{
    struct volume v;
    struct tree_usage usage;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "a/b", "12345"), 0);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.files, 2);
    cr_assert_eq(usage.bytes, 5);
    cr_assert_eq(volume_put(&v, "a/b", "12"), 0);
    cr_assert_eq(volume_symlink(&v, "l", "target"), 0);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.files, 3);
    cr_assert_eq(usage.bytes, 2);
    cr_assert_eq(volume_write(&v, "a/b", 1000000, "x", 1), 0);
    cr_assert_eq(volume_append(&v, "a/b", "yz"), 0);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.bytes, 1000003);
    cr_assert_eq(volume_truncate(&v, "a/b", 500), 0);
    cr_assert_eq(volume_put(&v, "c", "1234567"), 0);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.bytes, 507);
    cr_assert_eq(volume_rename(&v, "c", "a/b"), 0);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.files, 3);
    cr_assert_eq(usage.bytes, 7);
    cr_assert_eq(volume_remove(&v, "a/b", false), 0);
    cr_assert_eq(volume_remove(&v, "a", true), 0);
    cr_assert_eq(volume_remove(&v, "l", false), 0);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.files, 0);
    cr_assert_eq(usage.bytes, 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    cr_assert_eq(volume_rows(&v, CF_ATTR), 1);
    volume_close(&v);
}

/* --- bad input --- */

Test(executor, a_command_that_is_none_is_invalid)
{
    struct volume v;
    uint64_t seed = scratch_seed("executor");
    char *before;
    char *after;

    volume_open(&v);
    before = volume_dump(&v);
    cr_assert_eq(run_bytes(&v, "\xff", 1), KE_INVALID);
    cr_assert_eq(run_bytes(&v, "\x12\x7f", 2), KE_INVALID);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        size_t size = scratch_random(&seed, sizeof bytes);

        for (size_t j = 0; j < size; j++) {
            bytes[j] = (uint8_t)scratch_random(&seed, 256);
        }
        (void)run_bytes(&v, bytes, size);
    }
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    volume_close(&v);
}

Test(executor, a_command_too_large_is_invalid)
{
    struct volume v;
    struct command *cmd = volume_command();
    uint8_t *value = calloc(1, COMMAND_BYTES_MAX);

    volume_open(&v);
    command_put(cmd, "", "f", 1, value, COMMAND_BYTES_MAX);
    cr_assert_eq(volume_run(&v, cmd), KE_INVALID);
    volume_assert_names(&v, "", "");
    free(value);
    volume_close(&v);
}

static long memory_peak_kib(void)
{
    struct rusage usage;

    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* Two bytes a request that unpack to much more. */
Test(executor, a_command_of_millions_of_empty_requests_is_invalid_and_costs_little)
{
    struct volume v;
    size_t size = COMMAND_CONTENT_MAX;
    uint8_t *bytes = calloc(1, size);
    long before;

    volume_open(&v);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i += 2) {
        bytes[i] = 0x12;
    }
    before = memory_peak_kib();
    cr_assert_eq(run_bytes(&v, bytes, size), KE_INVALID);
    cr_assert_lt(memory_peak_kib() - before, 200 * 1024);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    free(bytes);
    volume_close(&v);
}

Test(executor, reads_admin_requests_and_unknown_types_are_invalid)
{
    static const int types[] = {RAFT_CMDPB__CMD_TYPE__Invalid, RAFT_CMDPB__CMD_TYPE__Get,
                                RAFT_CMDPB__CMD_TYPE__Snap, 99};
    struct volume v;
    RaftCmdpb__GetRequest get = RAFT_CMDPB__GET_REQUEST__INIT;
    RaftCmdpb__AdminRequest admin = RAFT_CMDPB__ADMIN_REQUEST__INIT;

    volume_open(&v);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        RaftCmdpb__RaftCmdRequest message = RAFT_CMDPB__RAFT_CMD_REQUEST__INIT;
        RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
        RaftCmdpb__Request *requests = &request;

        request.cmd_type = (RaftCmdpb__CmdType)types[i];
        request.get = &get;
        message.n_requests = 1;
        message.requests = &requests;
        cr_assert_eq(run_message(&v, &message), KE_INVALID);
    }

    RaftCmdpb__RaftCmdRequest message = RAFT_CMDPB__RAFT_CMD_REQUEST__INIT;

    message.admin_request = &admin;
    cr_assert_eq(run_message(&v, &message), KE_INVALID);
    volume_close(&v);
}

Test(executor, a_type_without_its_request_is_invalid)
{
    static const RaftCmdpb__CmdType types[] = {
        RAFT_CMDPB__CMD_TYPE__Put,   RAFT_CMDPB__CMD_TYPE__Delete,  RAFT_CMDPB__CMD_TYPE__Create,
        RAFT_CMDPB__CMD_TYPE__Write, RAFT_CMDPB__CMD_TYPE__SetAttr, RAFT_CMDPB__CMD_TYPE__Remove,
        RAFT_CMDPB__CMD_TYPE__Rename};
    struct volume v;

    volume_open(&v);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        RaftCmdpb__RaftCmdRequest message = RAFT_CMDPB__RAFT_CMD_REQUEST__INIT;
        RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
        RaftCmdpb__Request *requests = &request;

        request.cmd_type = types[i];
        message.n_requests = 1;
        message.requests = &requests;
        cr_assert_eq(run_message(&v, &message), KE_INVALID);
    }
    volume_close(&v);
}

/* A peer may have sent anything: apply checks paths itself. */
static void run_with_path(struct volume *v, const char *path, int code)
{
    struct command *commands[9];
    size_t count = 0;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        commands[i] = volume_command();
    }
    command_put(commands[count++], "", path, strlen(path), "x", 1);
    command_delete(commands[count++], "", path, strlen(path));
    command_create(commands[count++], &(struct command_create){.path = path});
    command_write(commands[count++],
                  &(struct command_write){.path = path, .append = "x", .append_size = 1});
    command_remove(commands[count++], path, false);
    command_rename(commands[count++], path, "f", false);
    command_rename(commands[count++], "f", path, false);
    if (path[0] != '\0') {
        command_require_absent(commands[count++], path);
        command_set_attr(commands[count++],
                         &(struct command_set_attr){.path = path, .mask = COMMAND_SET_MODE});
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (i < count) {
            cr_assert_eq(volume_run(v, commands[i]), code, "%zu %s", i, path);
        } else {
            command_free(commands[i]);
        }
    }
}

Test(executor, paths_are_checked_again_at_apply)
{
    struct volume v;
    char path[5000];
    char *before;
    char *after;

    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "x"), 0);
    before = volume_dump(&v);
    run_with_path(&v, "", KE_INVALID);
    run_with_path(&v, "/", KE_INVALID);
    run_with_path(&v, "/f", KE_INVALID);
    run_with_path(&v, "f/", KE_INVALID);
    run_with_path(&v, "a//b", KE_INVALID);
    run_with_path(&v, "../f", KE_INVALID);
    run_with_path(&v, ".", KE_INVALID);
    run_with_path(&v, ".keelfs/status", KE_INVALID);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    run_with_path(&v, path, KE_NAME_TOO_LONG);
    path[256] = '\0';
    run_with_path(&v, path, KE_NAME_TOO_LONG);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
    volume_close(&v);
}
