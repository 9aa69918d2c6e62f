/* Extended attributes, node types, exchanges, quotas and writes with a version. */
#include "raftstore/keys.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct volume v;

static void setup(void)
{
    volume_open(&v);
    cr_assert_eq(volume_put(&v, "f", "text"), 0);
}

static void teardown(void)
{
    volume_close(&v);
}

TestSuite(executor_xattr, .init = setup, .fini = teardown);
TestSuite(executor_node, .init = setup, .fini = teardown);
TestSuite(executor_exchange, .init = setup, .fini = teardown);
TestSuite(executor_quota, .init = setup, .fini = teardown);

static int set(const char *path, const char *name, const char *value, enum command_xattr_mode mode)
{
    struct command *cmd = volume_command();

    command_set_xattr(cmd, path, path[0] != '\0' ? volume_id(&v, path) : ATTR_ROOT_ID, name, value,
                      strlen(value), mode);
    return volume_run(&v, cmd);
}

static int get(const char *path, const char *name, char *out)
{
    struct tree_view *view = tree_view_new(v.tree);
    uint8_t *value;
    size_t size;
    int code = tree_get_xattr(view, volume_id(&v, path), name, &value, &size);

    tree_view_unref(view);
    if (code == 0) {
        memcpy(out, value, size);
        out[size] = '\0';
        free(value);
    }
    return code;
}

static void add_name(void *ctx, const void *name, size_t size)
{
    char *names = ctx;
    size_t used = strlen(names);

    snprintf(names + used, 100 - used, "%.*s,", (int)size, (const char *)name);
}

static void assert_names(const char *path, const char *expected)
{
    struct tree_view *view = tree_view_new(v.tree);
    char names[100] = "";

    cr_assert_eq(tree_list_xattrs(view, volume_id(&v, path), add_name, names), 0);
    tree_view_unref(view);
    cr_assert_str_eq(names, expected);
}

Test(executor_xattr, what_is_set_is_listed_and_read)
{
    char value[100];
    struct attr before, after;

    cr_assert_eq(volume_stat(&v, "f", &before), 0);
    cr_assert_eq(set("f", "user.b", "2", COMMAND_XATTR_ANY), 0);
    cr_assert_eq(set("f", "user.a", "", COMMAND_XATTR_ANY), 0);
    assert_names("f", "user.a,user.b,");
    cr_assert_eq(get("f", "user.b", value), 0);
    cr_assert_str_eq(value, "2");
    cr_assert_eq(get("f", "user.a", value), 0);
    cr_assert_str_eq(value, "");
    cr_assert_eq(get("f", "user", value), KE_NO_XATTR);
    cr_assert_eq(volume_stat(&v, "f", &after), 0);
    cr_assert_eq(after.xattr_bytes, 13);
    cr_assert_gt(after.version, before.version);
    cr_assert_eq(after.mtime_ns, before.mtime_ns);
    volume_assert_text(&v, "f", "text");
}

Test(executor_xattr, create_replace_and_remove_mind_what_is_there)
{
    char value[100];

    cr_assert_eq(set("f", "user.a", "1", COMMAND_XATTR_REPLACE), KE_NO_XATTR);
    cr_assert_eq(set("f", "user.a", "", COMMAND_XATTR_REMOVE), KE_NO_XATTR);
    cr_assert_eq(set("f", "user.a", "1", COMMAND_XATTR_CREATE), 0);
    cr_assert_eq(set("f", "user.a", "2", COMMAND_XATTR_CREATE), KE_EXISTS);
    cr_assert_eq(set("f", "user.a", "22", COMMAND_XATTR_REPLACE), 0);
    cr_assert_eq(get("f", "user.a", value), 0);
    cr_assert_str_eq(value, "22");
    cr_assert_eq(set("f", "user.a", "", COMMAND_XATTR_REMOVE), 0);
    assert_names("f", "");
}

Test(executor_xattr, they_follow_the_file_and_go_with_it)
{
    char value[100];

    cr_assert_eq(set("f", "user.a", "1", COMMAND_XATTR_ANY), 0);
    cr_assert_eq(set("f", "user.b", "2", COMMAND_XATTR_ANY), 0);
    cr_assert_eq(volume_rename(&v, "f", "g"), 0);
    cr_assert_eq(get("g", "user.a", value), 0);
    cr_assert_eq(volume_remove(&v, "g", false), 0);
    cr_assert_eq(volume_rows(&v, CF_ATTR), 1);
}

Test(executor_xattr, who_is_told_of_the_end_of_a_file_is_told_what_it_was)
{
    const struct change *change;
    size_t count;

    cr_assert_eq(set("f", "user.a", "1", COMMAND_XATTR_ANY), 0);
    cr_assert_eq(set("f", "user.b", "22", COMMAND_XATTR_ANY), 0);
    executor_clear_changes(v.executor);
    cr_assert_eq(volume_remove(&v, "f", false), 0);
    change = executor_changes(v.executor, &count);
    cr_assert_eq(change->kind, CHANGE_REMOVED);
    cr_assert_eq(change->last->size, 4);
    cr_assert_eq(change->last->nlink, 0);
    const struct change_xattr *b = change->last_xattrs;
    cr_assert_eq(b->name_size, 6);
    cr_assert_eq(memcmp(b->name, "user.b", 6), 0);
    cr_assert_eq(b->value_size, 2);
    cr_assert_eq(memcmp(b->value, "22", 2), 0);
    cr_assert_eq(memcmp(b->next->name, "user.a", 6), 0);
    cr_assert_null(b->next->next);
}

Test(executor_xattr, what_many_removed_files_were_is_not_all_kept)
{
    static char large[60000];
    const struct change *changes;
    char path[16];
    size_t count;
    size_t told = 0;

    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "f%d", i);
        cr_assert_eq(volume_put(&v, path, "x"), 0);
        cr_assert_eq(set(path, "user.a", large, COMMAND_XATTR_ANY), 0);
    }
    executor_clear_changes(v.executor);
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "f%d", i);
        cr_assert_eq(volume_remove(&v, path, false), 0);
    }
    changes = executor_changes(v.executor, &count);
    for (size_t i = 0; i < count; i++) {
        told += changes[i].last_xattrs != NULL;
    }
    cr_assert_gt(told, 100);
    cr_assert_lt(told, 150);
    /* But removed they are. */
    cr_assert_eq(volume_rows(&v, CF_ATTR), 2);
}

Test(executor_xattr, past_their_limits_they_are_refused)
{
    char name[XATTR_NAME_MAX + 2];
    char *large = calloc(1, COMMAND_XATTR_VALUE_MAX + 2);

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memset(large, 'x', COMMAND_XATTR_VALUE_MAX + 1);
    cr_assert_eq(set("f", name, "1", COMMAND_XATTR_ANY), KE_NAME_TOO_LONG);
    cr_assert_eq(set("f", "", "1", COMMAND_XATTR_ANY), KE_INVALID);
    cr_assert_eq(set("f", "user.a", large, COMMAND_XATTR_ANY), KE_TOO_LARGE);
    large[COMMAND_XATTR_VALUE_MAX] = '\0';
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "user.%d", i);
        cr_assert_eq(set("f", name, large, COMMAND_XATTR_ANY), 0);
    }
    cr_assert_eq(set("f", "user.3", large, COMMAND_XATTR_ANY), KE_NO_SPACE);
    assert_names("f", "user.0,user.1,user.2,");
    free(large);
}

static bool has_capability_after(struct command *cmd)
{
    char value[10];
    struct attr attr;
    int code;

    cr_assert_eq(set("f", "security.capability", "caps", COMMAND_XATTR_ANY), 0);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(get("f", "user.kept", value), 0);
    cr_assert_eq(volume_stat(&v, "f", &attr), 0);
    code = get("f", "security.capability", value);
    cr_assert_eq(attr.xattr_bytes, strlen("user.kept") + 1 + (code == 0 ? 23 : 0));
    return code == 0;
}

static struct command *set_attr_command(unsigned mask)
{
    struct command *cmd = volume_command();

    command_set_attr(cmd, &(struct command_set_attr){
                              .path = "f", .id = volume_id(&v, "f"), .mask = mask, .mode = 0700});
    return cmd;
}

static struct command *write_command(size_t size)
{
    struct command *cmd = volume_command();

    command_write(cmd,
                  &(struct command_write){
                      .path = "f", .id = volume_id(&v, "f"), .append = "x", .append_size = size});
    return cmd;
}

Test(executor_xattr, a_change_of_content_or_owner_takes_capabilities_away)
{
    struct command *put = volume_command();

    cr_assert_eq(set("f", "user.kept", "v", COMMAND_XATTR_ANY), 0);
    cr_assert(has_capability_after(set_attr_command(COMMAND_SET_MODE)));
    cr_assert(has_capability_after(set_attr_command(COMMAND_SET_MTIME)));
    cr_assert(has_capability_after(write_command(0)));
    cr_assert_not(has_capability_after(write_command(1)));
    cr_assert_not(has_capability_after(set_attr_command(COMMAND_SET_UID)));
    cr_assert_not(has_capability_after(set_attr_command(COMMAND_SET_GID)));
    cr_assert_not(has_capability_after(set_attr_command(COMMAND_SET_SIZE)));
    command_put(put, "default", "f", 1, "new", 3);
    cr_assert_not(has_capability_after(put));
}

Test(executor_xattr, a_directory_and_the_root_have_them_too)
{
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(set("d", "user.a", "1", COMMAND_XATTR_ANY), 0);
    cr_assert_eq(set("", "user.a", "1", COMMAND_XATTR_ANY), 0);
    assert_names("d", "user.a,");
    volume_assert_names(&v, "", "d/,f");
}

/* --- nodes --- */

Test(executor_node, fifos_sockets_and_devices_are_kept_as_they_are)
{
    static const enum file_type types[] = {FILE_FIFO, FILE_SOCKET, FILE_CHAR_DEVICE,
                                           FILE_BLOCK_DEVICE};
    char path[8];
    struct attr attr;

    for (size_t i = 0; i < 4; i++) {
        struct command *cmd = volume_command();
        uint64_t rdev = i >= 2 ? 0x801 : 0;

        snprintf(path, sizeof path, "n%zu", i);
        command_create(cmd, &(struct command_create){
                                .path = path, .type = types[i], .mode = 0644, .rdev = rdev});
        cr_assert_eq(volume_run(&v, cmd), 0);
        cr_assert_eq(volume_stat(&v, path, &attr), 0);
        cr_assert_eq(attr.type, types[i]);
        cr_assert_eq(attr.rdev, rdev);
        cr_assert_eq(attr.nlink, 1);
    }
}

Test(executor_node, only_a_device_has_a_number)
{
    struct command *cmd = volume_command();

    command_create(cmd, &(struct command_create){.path = "n", .type = FILE_FIFO, .rdev = 1});
    cr_assert_eq(volume_run(&v, cmd), KE_INVALID);
}

Test(executor_node, a_raw_client_does_not_see_them)
{
    struct command *cmd = volume_command();

    command_create(cmd, &(struct command_create){.path = "n", .type = FILE_FIFO});
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(volume_put(&v, "n", "x"), KE_NOT_REGULAR);
    cr_assert_eq(volume_delete(&v, "n"), KE_NOT_REGULAR);
}

/* --- exchange --- */

static int exchange(const char *from, const char *to)
{
    struct command *cmd = volume_command();

    command_exchange(cmd, from, to);
    return volume_run(&v, cmd);
}

Test(executor_exchange, two_files_change_places)
{
    uint64_t f = volume_id(&v, "f");

    cr_assert_eq(volume_put(&v, "d/g", "other"), 0);
    cr_assert_eq(exchange("f", "d/g"), 0);
    volume_assert_text(&v, "f", "other");
    volume_assert_text(&v, "d/g", "text");
    cr_assert_eq(volume_id(&v, "d/g"), f);
}

Test(executor_exchange, two_directories_change_places_with_all_that_is_in_them)
{
    cr_assert_eq(volume_put(&v, "a/x", "ax"), 0);
    cr_assert_eq(volume_put(&v, "a/s/y", "ay"), 0);
    cr_assert_eq(volume_put(&v, "b/x", "bx"), 0);
    cr_assert_eq(exchange("a", "b"), 0);
    volume_assert_text(&v, "b/x", "ax");
    volume_assert_text(&v, "b/s/y", "ay");
    volume_assert_text(&v, "a/x", "bx");
    volume_assert_names(&v, "a", "x");
    volume_assert_names(&v, "b", "s/,x");
}

Test(executor_exchange, a_file_and_a_directory_change_places)
{
    cr_assert_eq(volume_put(&v, "d/g", "in"), 0);
    cr_assert_eq(exchange("d", "f"), 0);
    volume_assert_text(&v, "d", "text");
    volume_assert_text(&v, "f/g", "in");
}

Test(executor_exchange, what_cannot_be_exchanged_is_refused)
{
    cr_assert_eq(volume_put(&v, "d/g", "in"), 0);
    cr_assert_eq(exchange("f", "none"), KE_NOT_FOUND);
    cr_assert_eq(exchange("none", "f"), KE_NOT_FOUND);
    cr_assert_eq(exchange("d", "d/g"), KE_INVALID);
    cr_assert_eq(exchange("d/g", "d"), KE_INVALID);
    volume_assert_text(&v, "d/g", "in");
}

/* --- quota --- */

static void set_quota(uint64_t bytes, uint64_t files)
{
    struct command *cmd = volume_command();

    command_set_quota(cmd, bytes, files);
    cr_assert_eq(volume_run(&v, cmd), 0);
}

Test(executor_quota, what_adds_past_it_is_refused_and_what_removes_is_not)
{
    set_quota(10, 0);
    cr_assert_eq(volume_put(&v, "f", "0123456789"), 0);
    cr_assert_eq(volume_append(&v, "f", "x"), KE_QUOTA);
    cr_assert_eq(volume_put(&v, "g", "x"), KE_QUOTA);
    volume_assert_names(&v, "", "f");
    volume_assert_text(&v, "f", "0123456789");
    cr_assert_eq(volume_truncate(&v, "f", 3), 0);
    cr_assert_eq(volume_put(&v, "g", "x"), 0);
    cr_assert_eq(volume_delete(&v, "f"), 0);
}

Test(executor_quota, the_number_of_files_is_limited_too)
{
    set_quota(0, 2);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_create(&v, "g", true), KE_QUOTA);
    cr_assert_eq(volume_put(&v, "f", "longer than before"), 0);
    cr_assert_eq(volume_remove(&v, "d", true), 0);
    cr_assert_eq(volume_create(&v, "g", true), 0);
}

Test(executor_quota, a_volume_over_a_new_quota_keeps_what_it_has)
{
    struct tree_usage usage;

    set_quota(2, 1);
    volume_assert_text(&v, "f", "text");
    cr_assert_eq(volume_append(&v, "f", "x"), KE_QUOTA);
    set_quota(0, 0);
    cr_assert_eq(volume_append(&v, "f", "x"), 0);
    cr_assert_eq(tree_usage(v.tree, &usage), 0);
    cr_assert_eq(usage.bytes, 5);
    cr_assert_eq(usage.quota.bytes, 0);
}

/* --- versions --- */

Test(executor_quota, a_write_for_another_version_changes_nothing)
{
    struct attr attr;

    cr_assert_eq(volume_stat(&v, "f", &attr), 0);
    struct command_write write = {
        .path = "f", .id = attr.id, .append = "x", .append_size = 1, .if_version = attr.version};
    struct command *cmd = volume_command();
    command_write(cmd, &write);
    cr_assert_eq(volume_run(&v, cmd), 0);
    cmd = volume_command();
    command_write(cmd, &write);
    cr_assert_eq(volume_run(&v, cmd), KE_STALE);
    volume_assert_text(&v, "f", "textx");
}
