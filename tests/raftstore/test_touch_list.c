/* What an entry of the log says of what it changes. */
#include "raftstore/touch_list.h"

#include "raftstore/command.h"
#include "raftstore/op.h"
#include "raftstore/proposals.h"
#include "raftstore/touch.h"

#include "keelfspb.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct touch_list list;

static uint64_t key_of(const char *path)
{
    return touch_key(path, strlen(path));
}

static bool list_has(uint64_t key)
{
    for (size_t i = 0; i < list.count; i++) {
        if (list.keys[i] == key)
            return true;
    }
    return false;
}

static void release(void)
{
    touch_list_release(&list);
}

TestSuite(touch_list, .fini = release);

Test(touch_list, keys_are_the_same_everywhere_and_never_a_special_one)
{
    cr_assert_eq(key_of("a/b"), touch_key("a/bc", 3));
    cr_assert_neq(key_of("a/b"), key_of("a/c"));
    for (unsigned i = 0; i < 100000; i++) {
        char path[16];
        snprintf(path, sizeof(path), "%u", i);
        cr_assert_eq(key_of(path) & TOUCH_NAMES, 0);
        cr_assert_neq(key_of(path), TOUCH_NOTHING);
    }
}

Test(touch_list, the_same_object_comes_once_and_keeps_the_mark)
{
    touch_list_add(&list, key_of("a"));
    touch_list_add(&list, key_of("b") | TOUCH_NAMES);
    touch_list_add(&list, key_of("a") | TOUCH_NAMES);
    touch_list_add(&list, key_of("b"));
    touch_list_add(&list, key_of("c"));
    touch_list_add(&list, TOUCH_NOTHING);
    touch_list_unite(&list);
    cr_assert_eq(list.count, 3);
    cr_assert(list_has(key_of("a") | TOUCH_NAMES));
    cr_assert(list_has(key_of("b") | TOUCH_NAMES));
    cr_assert(list_has(key_of("c")));
}

Test(touch_list, everything_takes_the_place_of_all_others)
{
    touch_list_add(&list, key_of("a"));
    touch_list_add(&list, TOUCH_EVERYTHING);
    touch_list_add(&list, key_of("b"));
    cr_assert(touch_list_is_everything(&list));
    touch_list_unite(&list);
    cr_assert_eq(list.count, 1);
}

Test(touch_list, too_many_are_everything)
{
    for (uint64_t i = 0; i < TOUCH_LIST_MAX; i++)
        touch_list_add(&list, 2 * (i + 1));
    cr_assert(!touch_list_is_everything(&list));
    touch_list_add(&list, 2);
    cr_assert(touch_list_is_everything(&list));
}

static struct raft_entry *entry_of(const void *data, size_t size, enum raft_entry_type type)
{
    struct raft_entry *entry = raft_entry_new(type, data, size);
    cr_assert_not_null(entry);
    return entry;
}

static void add_entry(struct raft_entry *entry)
{
    touch_list_add_entry(&list, entry);
    raft_entry_unref(entry);
}

Test(touch_list, the_first_entry_of_a_leader_changes_nothing)
{
    add_entry(entry_of("", 0, RAFT_ENTRY_NORMAL));
    cr_assert_eq(list.count, 0);
}

Test(touch_list, a_change_of_members_is_everything)
{
    add_entry(entry_of("", 0, RAFT_ENTRY_CONF_CHANGE_V2));
    cr_assert(touch_list_is_everything(&list));
}

Test(touch_list, an_entry_that_is_no_batch_is_everything)
{
    add_entry(entry_of("\x0f\xff", 2, RAFT_ENTRY_NORMAL));
    cr_assert(touch_list_is_everything(&list));
}

static void pack(const Keelfspb__CommandBatch *batch)
{
    size_t size = keelfspb__command_batch__get_packed_size(batch);
    uint8_t *bytes = malloc(size);
    keelfspb__command_batch__pack(batch, bytes);
    add_entry(entry_of(bytes, size, RAFT_ENTRY_NORMAL));
    free(bytes);
}

Test(touch_list, a_batch_of_an_older_version_is_everything)
{
    Keelfspb__CommandBatch batch = KEELFSPB__COMMAND_BATCH__INIT;
    batch.store_id = 7;
    pack(&batch);
    cr_assert(touch_list_is_everything(&list));
}

Test(touch_list, keys_that_are_cut_short_are_everything)
{
    add_entry(entry_of("\x2a\x03\x01\x02\x03", 5, RAFT_ENTRY_NORMAL));
    cr_assert(touch_list_is_everything(&list));
}

/* --- what proposals_pack() writes --- */

static void ignore_end(struct op *op, const struct op_result *result)
{
    (void)op;
    (void)result;
}

static void propose(struct proposals *proposals, struct command *cmd, struct op *op)
{
    uint64_t seq;
    op_init(op, 1000, ignore_end, NULL);
    cr_assert(proposals_add(proposals, op, &cmd, &seq));
}

Test(touch_list, a_batch_names_what_its_commands_change)
{
    struct op ops[3];
    struct proposals *proposals = proposals_new(1, 1);
    struct command *create = command_new();
    command_create(create, &(struct command_create){.path = "d/new", .type = FILE_REGULAR});
    propose(proposals, create, &ops[0]);
    struct command *write = command_new();
    command_write(write, &(struct command_write){.path = "d/f", .append = "x", .append_size = 1});
    propose(proposals, write, &ops[1]);
    struct command *again = command_new();
    command_write(again, &(struct command_write){.path = "d/f", .append = "y", .append_size = 1});
    propose(proposals, again, &ops[2]);
    add_entry(proposals_pack(proposals));
    cr_assert_eq(list.count, 3);
    cr_assert(list_has(key_of("d/new") | TOUCH_NAMES));
    cr_assert(list_has(key_of("d")));
    cr_assert(list_has(key_of("d/f")));
    proposals_free(proposals);
}

Test(touch_list, a_batch_that_changes_nothing_says_so)
{
    struct op op;
    struct proposals *proposals = proposals_new(1, 1);
    struct command *cmd = command_new();
    command_compute_hash(cmd);
    propose(proposals, cmd, &op);
    add_entry(proposals_pack(proposals));
    cr_assert_eq(list.count, 0);
    proposals_free(proposals);
}
