/* Files with several names. */
#include "volume.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct volume v;

static void setup(void)
{
    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    cr_assert_eq(volume_put(&v, "a", "text"), 0);
}

static void teardown(void)
{
    volume_close(&v);
}

TestSuite(executor_link, .init = setup, .fini = teardown);

static int link_to(const char *from, const char *to)
{
    struct command *cmd = volume_command();

    command_link(cmd, from, volume_id(&v, from), to);
    return volume_run(&v, cmd);
}

static uint32_t links(const char *path)
{
    struct attr attr;

    cr_assert_eq(volume_stat(&v, path, &attr), 0);
    return attr.nlink;
}

Test(executor_link, both_names_are_of_one_file)
{
    struct attr a, b;

    cr_assert_eq(links("a"), 1);
    cr_assert_eq(link_to("a", "d/b"), 0);
    cr_assert_eq(volume_stat(&v, "a", &a), 0);
    cr_assert_eq(volume_stat(&v, "d/b", &b), 0);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0);
    cr_assert_eq(a.nlink, 2);
    cr_assert_eq(volume_append(&v, "d/b", " more"), 0);
    volume_assert_text(&v, "a", "text more");
    cr_assert_eq(volume_put(&v, "a", "new"), 0);
    volume_assert_text(&v, "d/b", "new");
}

Test(executor_link, a_raw_client_sees_a_key_a_name)
{
    cr_assert_eq(link_to("a", "b"), 0);
    volume_assert_text(&v, "a", "text");
    volume_assert_text(&v, "b", "text");
    volume_assert_names(&v, "", "a,b,d/");
    cr_assert_eq(volume_delete(&v, "a"), 0);
    volume_assert_text(&v, "b", "text");
    volume_assert_names(&v, "", "b,d/");
}

Test(executor_link, the_file_goes_with_its_last_name)
{
    cr_assert_eq(link_to("a", "b"), 0);
    cr_assert_eq(link_to("b", "c"), 0);
    cr_assert_eq(links("a"), 3);
    cr_assert_eq(volume_remove(&v, "a", false), 0);
    cr_assert_eq(v.result.attr.nlink, 2);
    cr_assert_eq(links("c"), 2);
    cr_assert_eq(volume_remove(&v, "b", false), 0);
    volume_assert_text(&v, "c", "text");
    cr_assert_eq(volume_remove(&v, "c", false), 0);
    cr_assert_eq(v.result.attr.nlink, 0);
    cr_assert_eq(volume_rows(&v, CF_DEFAULT), 0);
    /* What is left is the root and d. */
    cr_assert_eq(volume_rows(&v, CF_ATTR), 2);
}

Test(executor_link, a_name_moves_like_any_other)
{
    cr_assert_eq(link_to("a", "d/b"), 0);
    cr_assert_eq(volume_rename(&v, "a", "z"), 0);
    cr_assert_eq(volume_rename(&v, "d", "e"), 0);
    volume_assert_text(&v, "z", "text");
    volume_assert_text(&v, "e/b", "text");
    cr_assert_eq(links("e/b"), 2);
}

Test(executor_link, a_rename_onto_another_name_of_the_file_does_nothing)
{
    cr_assert_eq(link_to("a", "b"), 0);
    cr_assert_eq(volume_rename(&v, "a", "b"), 0);
    cr_assert_eq(links("a"), 2);
    cr_assert_eq(links("b"), 2);
}

Test(executor_link, a_rename_onto_a_name_takes_that_name_only)
{
    cr_assert_eq(link_to("a", "b"), 0);
    cr_assert_eq(volume_put(&v, "c", "other"), 0);
    cr_assert_eq(volume_rename(&v, "c", "b"), 0);
    volume_assert_text(&v, "b", "other");
    volume_assert_text(&v, "a", "text");
    cr_assert_eq(links("a"), 1);
}

Test(executor_link, a_write_by_a_name_that_has_gone_finds_the_file_by_another)
{
    uint64_t id = volume_id(&v, "a");
    struct command *cmd = volume_command();

    cr_assert_eq(link_to("a", "b"), 0);
    cr_assert_eq(volume_remove(&v, "a", false), 0);
    command_write(cmd,
                  &(struct command_write){.path = "a", .id = id, .append = "!", .append_size = 1});
    cr_assert_eq(volume_run(&v, cmd), 0);
    volume_assert_text(&v, "b", "text!");
}

Test(executor_link, what_cannot_be_linked_is_refused)
{
    struct command *cmd = volume_command();

    cr_assert_eq(link_to("d", "e"), KE_IS_DIR);
    cr_assert_eq(link_to("a", "d"), KE_EXISTS);
    cr_assert_eq(link_to("a", "none/b"), KE_NOT_FOUND);
    command_link(cmd, "a", volume_id(&v, "a") + 100, "b");
    cr_assert_eq(volume_run(&v, cmd), KE_STALE);
    cr_assert_eq(links("a"), 1);
    volume_assert_names(&v, "", "a,d/");
}

Test(executor_link, names_do_not_count_as_files)
{
    struct tree_usage before, after;

    cr_assert_eq(tree_usage(v.tree, &before), 0);
    cr_assert_eq(link_to("a", "b"), 0);
    cr_assert_eq(tree_usage(v.tree, &after), 0);
    cr_assert_eq(before.files, after.files);
    cr_assert_eq(before.bytes, after.bytes);
}

Test(executor_link, the_file_is_found_by_its_id_too)
{
    struct tree_view *view;
    struct attr attr;
    uint64_t id = volume_id(&v, "a");

    view = tree_view_new(v.tree);
    cr_assert_eq(tree_stat_id(view, id, &attr), KE_NOT_FOUND);
    tree_view_unref(view);
    cr_assert_eq(link_to("a", "b"), 0);
    view = tree_view_new(v.tree);
    cr_assert_eq(tree_stat_id(view, id, &attr), 0);
    cr_assert_eq(attr.nlink, 2);
    tree_view_unref(view);
}
