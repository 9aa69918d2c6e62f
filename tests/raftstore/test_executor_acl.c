/* Access control lists of objects: kept in step with the mode, and inherited. */
#include "raftstore/acl.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct volume v;

static void setup(void)
{
    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_put(&v, "f", "text"), 0);
}

static void teardown(void)
{
    volume_close(&v);
}

TestSuite(executor_acl, .init = setup, .fini = teardown);

/* rwx for the owner, user 1000 as said, r-x for the group, --- for others. */
static struct acl list_of(uint32_t user, uint32_t mask)
{
    return (struct acl){.count = 5,
                        .entries = {{ACL_USER_OBJ, 7, 0},
                                    {ACL_USER, user, 1000},
                                    {ACL_GROUP_OBJ, 5, 0},
                                    {ACL_MASK, mask, 0},
                                    {ACL_OTHER, 0, 0}}};
}

static int set(const char *path, const char *name, const struct acl *acl,
               enum command_xattr_mode mode)
{
    uint8_t buffer[ACL_BYTES_MAX];
    struct bytes bytes = acl_pack(acl, buffer);
    struct command *cmd = volume_command();

    command_set_xattr(cmd, path, volume_id(&v, path), name, bytes.data, bytes.size, mode);
    return volume_run(&v, cmd);
}

static int get(const char *path, const char *name, struct acl *ret_acl)
{
    struct tree_view *view = tree_view_new(v.tree);
    uint8_t *value;
    size_t size;
    int code = tree_get_xattr(view, volume_id(&v, path), name, &value, &size);

    tree_view_unref(view);
    if (code == 0) {
        code = acl_unpack((struct bytes){.data = value, .size = size}, ret_acl);
        free(value);
    }
    return code;
}

static struct attr stat_of(const char *path)
{
    struct attr attr;

    cr_assert_eq(volume_stat(&v, path, &attr), 0);
    return attr;
}

static struct attr create(const char *path, enum file_type type, uint32_t mode, uint32_t umask)
{
    struct command *cmd = volume_command();

    command_create(cmd, &(struct command_create){.path = path,
                                                 .type = type,
                                                 .mode = mode,
                                                 .umask = umask,
                                                 .target = type == FILE_SYMLINK ? "x" : NULL,
                                                 .gid = 9,
                                                 .exclusive = true});
    cr_assert_eq(volume_run(&v, cmd), 0);
    return v.result.attr;
}

static void chmod_to(const char *path, uint32_t mode)
{
    struct command *cmd = volume_command();

    command_set_attr(
        cmd, &(struct command_set_attr){
                 .path = path, .id = volume_id(&v, path), .mask = COMMAND_SET_MODE, .mode = mode});
    cr_assert_eq(volume_run(&v, cmd), 0);
}

Test(executor_acl, a_list_sets_the_mode_and_a_mode_the_list)
{
    struct acl acl = list_of(6, 6);

    chmod_to("f", 04644);
    cr_assert_eq(set("f", ACL_ACCESS_NAME, &acl, COMMAND_XATTR_ANY), 0);
    cr_assert_eq(stat_of("f").mode, 04760);
    chmod_to("f", 0644);
    cr_assert_eq(get("f", ACL_ACCESS_NAME, &acl), 0);
    cr_assert_eq(acl_mode(&acl), 0644);
    cr_assert_eq(acl.entries[1].permissions, 6);
    cr_assert_eq(acl.entries[2].permissions, 5);
}

Test(executor_acl, a_list_that_says_what_the_mode_says_is_not_kept)
{
    struct acl acl = list_of(6, 6);
    const struct acl plain = {
        .count = 3, .entries = {{ACL_USER_OBJ, 6, 0}, {ACL_GROUP_OBJ, 4, 0}, {ACL_OTHER, 4, 0}}};

    cr_assert_eq(set("f", ACL_ACCESS_NAME, &acl, COMMAND_XATTR_ANY), 0);
    cr_assert_gt(stat_of("f").xattr_bytes, 0);
    cr_assert_eq(set("f", ACL_ACCESS_NAME, &plain, COMMAND_XATTR_ANY), 0);
    cr_assert_eq(stat_of("f").mode, 0644);
    cr_assert_eq(stat_of("f").xattr_bytes, 0);
    cr_assert_eq(get("f", ACL_ACCESS_NAME, &acl), KE_NO_XATTR);
}

Test(executor_acl, what_is_made_in_a_directory_with_a_default_list_inherits_it)
{
    struct acl acl = list_of(7, 7);

    cr_assert_eq(set("d", ACL_DEFAULT_NAME, &acl, COMMAND_XATTR_ANY), 0);
    cr_assert_eq(stat_of("d").mode & 0777, 0755 & stat_of("d").mode);
    /* The umask does not count then. */
    cr_assert_eq(create("d/f", FILE_REGULAR, 0666, 077).mode, 0660);
    cr_assert_eq(get("d/f", ACL_ACCESS_NAME, &acl), 0);
    cr_assert_eq(acl.entries[1].permissions, 7);
    cr_assert_eq(acl.entries[3].permissions, 6);
    cr_assert_eq(get("d/f", ACL_DEFAULT_NAME, &acl), KE_NO_XATTR);
    cr_assert_eq(create("d/s", FILE_DIRECTORY, 0777, 077).mode, 0770);
    cr_assert_eq(get("d/s", ACL_ACCESS_NAME, &acl), 0);
    cr_assert_eq(get("d/s", ACL_DEFAULT_NAME, &acl), 0);
    cr_assert_eq(acl_mode(&acl), 0770);
    cr_assert_eq(create("d/l", FILE_SYMLINK, 0777, 077).mode, 0777);
    cr_assert_eq(stat_of("d/l").xattr_bytes, 0);
}

Test(executor_acl, what_a_raw_client_makes_inherits_too)
{
    struct acl acl = list_of(7, 7);

    cr_assert_eq(set("d", ACL_DEFAULT_NAME, &acl, COMMAND_XATTR_ANY), 0);
    cr_assert_eq(volume_put(&v, "d/a/b", "x"), 0);
    cr_assert_eq(stat_of("d/a").mode, 0750);
    cr_assert_eq(get("d/a/b", ACL_ACCESS_NAME, &acl), 0);
    cr_assert_eq(stat_of("d/a/b").mode, 0640);
}

Test(executor_acl, without_a_default_list_the_umask_counts)
{
    cr_assert_eq(create("d/f", FILE_REGULAR, 04666, 027).mode, 04640);
    cr_assert_eq(create("d/s", FILE_DIRECTORY, 0777, 022).mode, 0755);
    cr_assert_eq(create("d/l", FILE_SYMLINK, 0777, 077).mode, 0777);
    cr_assert_eq(stat_of("d/f").xattr_bytes, 0);
}

Test(executor_acl, a_set_group_id_directory_gives_its_group)
{
    chmod_to("d", 02755);
    cr_assert_eq(create("d/f", FILE_REGULAR, 0644, 0).gid, 8);
    cr_assert_eq(v.result.attr.mode, 0644);
    cr_assert_eq(create("d/s", FILE_DIRECTORY, 0755, 0).gid, 8);
    cr_assert_eq(v.result.attr.mode, 02755);
    cr_assert_eq(create("d/l", FILE_SYMLINK, 0777, 0).gid, 8);
}

Test(executor_acl, a_list_that_has_no_place_is_refused_and_changes_nothing)
{
    struct acl acl = list_of(7, 7);
    struct command *cmd = volume_command();
    char *before;
    char *after;

    cr_assert_eq(volume_symlink(&v, "l", "f"), 0);
    before = volume_dump(&v);
    cr_assert_eq(set("f", ACL_DEFAULT_NAME, &acl, COMMAND_XATTR_ANY), KE_INVALID);
    cr_assert_eq(set("l", ACL_ACCESS_NAME, &acl, COMMAND_XATTR_ANY), KE_INVALID);
    cr_assert_eq(set("f", ACL_ACCESS_NAME, &acl, COMMAND_XATTR_REPLACE), KE_NO_XATTR);
    command_set_xattr(cmd, "f", volume_id(&v, "f"), ACL_ACCESS_NAME, "acl?", 4, COMMAND_XATTR_ANY);
    cr_assert_eq(volume_run(&v, cmd), KE_INVALID);
    after = volume_dump(&v);
    cr_assert_str_eq(after, before);
    free(before);
    free(after);
}

Test(executor_acl, the_set_group_id_bit_goes_when_asked)
{
    struct command *cmd = volume_command();

    chmod_to("f", 06745);
    command_set_attr(cmd, &(struct command_set_attr){
                              .path = "f", .id = volume_id(&v, "f"), .mask = COMMAND_CLEAR_SGID});
    cr_assert_eq(volume_run(&v, cmd), 0);
    cr_assert_eq(v.result.attr.mode, 04745);
}
