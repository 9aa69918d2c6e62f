/* What may be asked of the members, what comes of it, and what every node turns down. */
#include "rows.h"

#include "raftstore/region_pb.h"

#include "keelfspb.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_ID 77

static struct membership m;

static int plan(const struct member_op *op, struct raft_conf_change *ret_change,
                uint64_t *ret_store_id, struct err *e)
{
    *e = (struct err){0};
    return membership_plan(&m, op, REQUEST_ID, ret_change, ret_store_id, e);
}

/* Carries out what `op` asks for; the id of the member. */
static uint64_t change(struct member_op op)
{
    struct raft_conf_change planned;
    uint64_t store_id = 0;
    struct err e;
    cr_assert_eq(plan(&op, &planned, &store_id, &e), 0, "%s", e.text);
    cr_assert_gt(planned.change_count, 0, "nothing to do");
    cr_assert(membership_follow(&m, &planned));
    free((void *)planned.context);
    return store_id;
}

static void expect_refusal(struct member_op op, int code, const char *words)
{
    struct raft_conf_change planned;
    uint64_t store_id = 0;
    struct err e;
    cr_assert_eq(plan(&op, &planned, &store_id, &e), code, "%s", e.text);
    cr_assert_eq(e.code, code);
    cr_assert_not_null(strstr(e.text, words), "%s", e.text);
}

static void expect_nothing_to_do(struct member_op op, uint64_t expected_id)
{
    struct raft_conf_change planned;
    uint64_t store_id = 0;
    struct err e;
    cr_assert_eq(plan(&op, &planned, &store_id, &e), 0, "%s", e.text);
    cr_assert_eq(planned.change_count, 0);
    cr_assert_null(planned.context);
    cr_assert_eq(store_id, expected_id);
}

static struct member_op replace_op(const char *old_name, const char *name, const char *address)
{
    struct member_op op = rows_op(MEMBER_REPLACE, name, address);
    snprintf(op.old_name, sizeof(op.old_name), "%s", old_name);
    return op;
}

static struct member_op join_op(const char *name, const char *address, uint64_t data_id)
{
    struct member_op op = rows_op(MEMBER_JOIN, name, address);
    op.data_id = data_id;
    op.promote = true;
    return op;
}

static void promote(uint64_t store_id)
{
    struct raft_conf_change planned;
    membership_plan_promotion(&m, store_id, REQUEST_ID, &planned);
    cr_assert(membership_follow(&m, &planned));
    free((void *)planned.context);
}

static void leave_joint(void)
{
    struct raft_conf_change leave = {0};
    cr_assert(membership_follow(&m, &leave));
}

/* Learners until there are `count` members. */
static void fill(size_t count, bool promoted)
{
    while (m.store_count < count) {
        char name[16], address[16];
        snprintf(name, sizeof(name), "n%zu", m.store_count + 1);
        snprintf(address, sizeof(address), "h:%zu", m.store_count + 1);
        change(rows_op(promoted ? MEMBER_ADD : MEMBER_ADD_LEARNER, name, address));
    }
}

/* --- add, promote --- */

Test(membership_plan, a_new_member_is_a_learner_with_the_next_id)
{
    m = rows_founding(3);
    cr_assert_eq(change(rows_op(MEMBER_ADD, "n4", "h:4")), 4);
    cr_assert_eq(membership_role(&m, 4), MEMBER_LEARNER);
    cr_assert(membership_find(&m, 4)->promote);
    cr_assert_str_eq(membership_find_name(&m, "n4")->address, "h:4");
    cr_assert_eq(m.region.next_store_id, 5);
    cr_assert_eq(m.region.conf_ver, 2);
    change(rows_op(MEMBER_ADD_LEARNER, "n5", "h:5"));
    cr_assert_not(membership_find(&m, 5)->promote);
    cr_assert_eq(membership_voter_count(&m), 3);
    cr_assert_eq(membership_voter_count_ahead(&m), 4);
}

Test(membership_plan, names_and_addresses_are_given_once)
{
    m = rows_founding(3);
    expect_refusal(rows_op(MEMBER_ADD, "n3", "h:9"), KE_EXISTS, "member n3");
    expect_refusal(rows_op(MEMBER_ADD, "n4", "h:2"), KE_EXISTS, "member n2's");
    expect_refusal(rows_op(MEMBER_ADD, "n 4", "h:4"), KE_INVALID, "name");
    expect_refusal(rows_op(MEMBER_ADD, "n4", "h"), KE_INVALID, "HOST:PORT");
    expect_refusal(rows_op(MEMBER_SET_ADDRESS, "n1", "h:2"), KE_EXISTS, "member n2's");
    expect_refusal(rows_op(MEMBER_SET_ADDRESS, "n9", "h:9"), KE_NOT_FOUND, "no member n9");
}

Test(membership_plan, a_changed_address_changes_nothing_else)
{
    m = rows_founding(3);
    cr_assert_eq(change(rows_op(MEMBER_SET_ADDRESS, "n2", "other:1")), 2);
    cr_assert_str_eq(membership_find(&m, 2)->address, "other:1");
    cr_assert_eq(membership_find(&m, 2)->data_id, 102);
    cr_assert_eq(membership_role(&m, 2), MEMBER_VOTER);
    expect_nothing_to_do(rows_op(MEMBER_SET_ADDRESS, "n2", "other:1"), 2);
}

Test(membership_plan, members_and_voters_have_a_limit)
{
    m = rows_founding(3);
    fill(STORE_VOTERS_MAX, true);
    expect_refusal(rows_op(MEMBER_ADD, "x", "x:1"), KE_INVALID, "at most 9 voters");
    struct member_op joiner = join_op("x", "x:1", 5);
    expect_refusal(joiner, KE_INVALID, "at most 9 voters");
    fill(STORE_MEMBERS_MAX, false);
    expect_refusal(rows_op(MEMBER_ADD_LEARNER, "x", "x:1"), KE_INVALID, "at most 16 members");
    joiner = join_op("n10", "h:10", 5);
    change(joiner);
    expect_refusal(rows_op(MEMBER_PROMOTE, "n10", ""), KE_INVALID, "at most 9 voters");
}

Test(membership_plan, a_learner_that_has_joined_can_be_promoted)
{
    m = rows_founding(3);
    change(rows_op(MEMBER_ADD_LEARNER, "n4", "h:4"));
    expect_refusal(rows_op(MEMBER_PROMOTE, "n4", ""), KE_INVALID, "has not joined");
    change(join_op("n4", "h:4", 5));
    cr_assert_eq(change(rows_op(MEMBER_PROMOTE, "n4", "")), 4);
    cr_assert_eq(membership_role(&m, 4), MEMBER_VOTER);
    cr_assert_not(membership_is_joint(&m));
    expect_nothing_to_do(rows_op(MEMBER_PROMOTE, "n4", ""), 4);
}

/* --- remove, replace --- */

Test(membership_plan, a_removed_member_s_id_is_not_given_again)
{
    m = rows_founding(3);
    cr_assert_eq(change(rows_op(MEMBER_REMOVE, "n3", "")), 3);
    cr_assert_null(membership_find(&m, 3));
    cr_assert_eq(m.store_count, 2);
    cr_assert(membership_has_removed(&m, 3));
    cr_assert_not(membership_has_removed(&m, 2));
    cr_assert_not(membership_has_removed(&m, 4));
    cr_assert_not(membership_has_removed(&m, 0));
    cr_assert_eq(change(rows_op(MEMBER_ADD, "n3", "h:3")), 4);
    cr_assert(membership_has_removed(&m, 3));
    expect_refusal(rows_op(MEMBER_REMOVE, "n9", ""), KE_NOT_FOUND, "no member n9");
}

Test(membership_plan, the_last_voter_stays)
{
    m = rows_founding(1);
    fill(2, true);
    expect_refusal(rows_op(MEMBER_REMOVE, "n1", ""), KE_INVALID, "last voter");
    change(rows_op(MEMBER_REMOVE, "n2", ""));
    cr_assert_eq(m.store_count, 1);
}

Test(membership_plan, a_replacement_takes_over_in_one_joint_change)
{
    m = rows_founding(3);
    cr_assert_eq(change(replace_op("n2", "n4", "h:4")), 4);
    cr_assert_eq(membership_role(&m, 4), MEMBER_LEARNER);
    cr_assert_eq(membership_find(&m, 4)->replaces, 2);
    cr_assert_eq(membership_voter_count_ahead(&m), 3);
    expect_nothing_to_do(replace_op("n2", "n4", ""), 4);
    expect_refusal(replace_op("n2", "n5", "h:5"), KE_EXISTS, "n4 is about to replace n2");
    promote(4);
    cr_assert(membership_is_joint(&m));
    cr_assert(m.region.auto_leave);
    cr_assert_eq(membership_role(&m, 1), MEMBER_VOTER | MEMBER_VOTER_OUTGOING);
    cr_assert_eq(membership_role(&m, 2), MEMBER_VOTER_OUTGOING);
    cr_assert_eq(membership_role(&m, 4), MEMBER_VOTER);
    cr_assert_not_null(membership_find(&m, 2), "needed until the joint configuration ends");
    expect_refusal(rows_op(MEMBER_ADD, "n5", "h:5"), KE_BUSY, "under way");
    leave_joint();
    cr_assert_not(membership_is_joint(&m));
    cr_assert_not(m.region.auto_leave);
    cr_assert_eq(membership_voter_count(&m), 3);
    cr_assert(membership_has_removed(&m, 2));
    cr_assert_eq(membership_find(&m, 4)->replaces, 0);
    cr_assert_not(membership_find(&m, 4)->promote);
}

Test(membership_plan, a_learner_can_be_told_to_replace_a_voter)
{
    m = rows_founding(3);
    change(rows_op(MEMBER_ADD_LEARNER, "n4", "h:4"));
    cr_assert_eq(change(replace_op("n1", "n4", "")), 4);
    cr_assert_eq(membership_find(&m, 4)->replaces, 1);
    cr_assert(membership_find(&m, 4)->promote);
    cr_assert_str_eq(membership_find(&m, 4)->address, "h:4");
    expect_refusal(replace_op("n4", "n5", "h:5"), KE_INVALID, "learner");
    expect_refusal(replace_op("n2", "n3", ""), KE_EXISTS, "voter already");
    expect_refusal(replace_op("n9", "n5", "h:5"), KE_NOT_FOUND, "no member n9");
}

Test(membership_plan, who_was_to_replace_a_removed_member_is_promoted_all_the_same)
{
    m = rows_founding(3);
    change(replace_op("n2", "n4", "h:4"));
    change(rows_op(MEMBER_REMOVE, "n2", ""));
    cr_assert_eq(membership_find(&m, 4)->replaces, 0);
    cr_assert(membership_find(&m, 4)->promote);
    promote(4);
    cr_assert_not(membership_is_joint(&m));
    cr_assert_eq(membership_role(&m, 4), MEMBER_VOTER);
}

/* --- join --- */

Test(membership_plan, a_joiner_is_added_once)
{
    m = rows_founding(3);
    cr_assert_eq(change(join_op("n4", "h:4", 900)), 4);
    cr_assert_eq(membership_find(&m, 4)->data_id, 900);
    cr_assert(membership_find(&m, 4)->promote);
    expect_nothing_to_do(join_op("n4", "h:4", 900), 4);
    cr_assert_eq(change(join_op("n4", "h:44", 900)), 4);
    cr_assert_str_eq(membership_find(&m, 4)->address, "h:44");
    struct member_op learner = join_op("n5", "h:5", 901);
    learner.promote = false;
    change(learner);
    cr_assert_not(membership_find(&m, 5)->promote);
}

Test(membership_plan, a_joiner_takes_the_place_that_was_made_for_it)
{
    m = rows_founding(3);
    change(rows_op(MEMBER_ADD_LEARNER, "n4", "h:4"));
    cr_assert_eq(change(join_op("n4", "h:4", 900)), 4);
    cr_assert_eq(membership_find(&m, 4)->data_id, 900);
    cr_assert_not(membership_find(&m, 4)->promote, "it was added as a learner");
    cr_assert_eq(membership_role(&m, 4), MEMBER_LEARNER);
}

Test(membership_plan, a_joiner_with_another_data_directory_is_told_how_to_rejoin)
{
    m = rows_founding(3);
    expect_refusal(join_op("n3", "h:3", 900), KE_WIPED, "keelctl member remove n3");
    m.stores[2].data_id = 0;
    expect_refusal(join_op("n3", "h:3", 900), KE_WIPED, "initial members");
    expect_refusal(join_op("n4", "h:4", 101), KE_EXISTS, "belongs to member n1");
    expect_refusal(join_op("n4", "h:4", 0), KE_INVALID, "data directory");
}

/* --- what every node turns down --- */

/* `change` with these rows as its context. */
static bool admits(struct raft_conf_change change, const struct store_member *rows, size_t count)
{
    struct raft_conf_change with_rows = change;
    if (count > 0) {
        struct raft_conf_change update;
        membership_plan_update(rows, count, REQUEST_ID, &update);
        with_rows.context = update.context;
        with_rows.context_size = update.context_size;
    }
    struct member_change what;
    struct membership before = m;
    bool admitted = membership_admits(&m, &with_rows, &what);
    cr_assert(rows_membership_equal(&m, &before));
    if (count > 0) {
        cr_assert_eq(what.request_id, REQUEST_ID, "who asked must be told");
        cr_assert_eq(what.store_count, admitted ? count : 0);
        free((void *)with_rows.context);
    }
    return admitted;
}

static struct raft_conf_change single(enum raft_conf_change_type type, uint64_t node)
{
    return (struct raft_conf_change){.change_count = 1, .changes = {{.type = type, .node = node}}};
}

Test(membership_admits, only_known_ids_and_the_next_one)
{
    m = rows_founding(3);
    struct store_member row = {.id = 4, .name = "n4", .address = "h:4"};
    cr_assert(admits(single(RAFT_CONF_ADD_LEARNER, 4), &row, 1));
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 4), NULL, 0), "it has no row");
    row.id = 5;
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 5), &row, 1));
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 4), &row, 1));
    cr_assert_not(admits(single(RAFT_CONF_REMOVE_NODE, 4), NULL, 0));
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 4), NULL, 0));
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 0), NULL, 0));
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 1), &row, 1), "a row for no member");
    cr_assert(admits(single(RAFT_CONF_REMOVE_NODE, 3), NULL, 0));
    change(rows_op(MEMBER_REMOVE, "n3", ""));
    row = (struct store_member){.id = 3, .name = "n3", .address = "h:3"};
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 3), &row, 1), "the id was used before");
}

Test(membership_admits, rows_keep_name_and_data_directory)
{
    m = rows_founding(3);
    struct store_member row = m.stores[1];
    snprintf(row.address, sizeof(row.address), "h:9");
    cr_assert(admits(single(RAFT_CONF_UPDATE_NODE, 2), &row, 1));
    struct store_member wrong = row;
    wrong.data_id++;
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 2), &wrong, 1));
    wrong = row;
    wrong.data_id = 0;
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 2), &wrong, 1));
    wrong = row;
    snprintf(wrong.name, sizeof(wrong.name), "m2");
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 2), &wrong, 1));
    m.stores[1].data_id = 0;
    cr_assert(admits(single(RAFT_CONF_UPDATE_NODE, 2), &row, 1), "it was not known yet");
    row.data_id = m.stores[0].data_id;
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 2), &row, 1), "it is another's");
}

Test(membership_admits, rows_are_valid_and_distinct)
{
    m = rows_founding(3);
    struct store_member row = {.id = 4, .name = "n3", .address = "h:4"};
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 4), &row, 1));
    row = (struct store_member){.id = 4, .name = "n4", .address = "h:3"};
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 4), &row, 1));
    row = (struct store_member){.id = 4, .name = "n/4", .address = "h:4"};
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 4), &row, 1));
    row = (struct store_member){.id = 4, .name = "n4", .address = "h:0"};
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 4), &row, 1));
    change(replace_op("n1", "n4", "h:4"));
    row = (struct store_member){.id = 5, .name = "n5", .address = "h:5", .replaces = 1};
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 5), &row, 1), "two for one place");
}

Test(membership_admits, two_addresses_can_be_swapped_in_one_change)
{
    m = rows_founding(3);
    struct store_member rows[2] = {m.stores[0], m.stores[1]};
    memcpy(rows[0].address, m.stores[1].address, sizeof(rows[0].address));
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 1), rows, 1));
    memcpy(rows[1].address, m.stores[0].address, sizeof(rows[1].address));
    cr_assert(admits(single(RAFT_CONF_UPDATE_NODE, 1), rows, 2));
}

Test(membership_admits, limits_hold_whoever_proposed)
{
    m = rows_founding(1);
    cr_assert_not(admits(single(RAFT_CONF_REMOVE_NODE, 1), NULL, 0));
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 1), NULL, 0), "no voter would be left");
    fill(STORE_MEMBERS_MAX, false);
    struct store_member row = {.id = 17, .name = "x", .address = "x:1"};
    cr_assert_not(admits(single(RAFT_CONF_ADD_LEARNER, 17), &row, 1));
    for (uint64_t id = 2; id <= STORE_VOTERS_MAX; id++)
        promote(id);
    cr_assert_eq(membership_voter_count(&m), STORE_VOTERS_MAX);
    cr_assert_not(admits(single(RAFT_CONF_ADD_NODE, 10), NULL, 0));
    row = m.stores[9];
    row.promote = true;
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 10), &row, 1));
}

Test(membership_admits, a_joint_configuration_can_only_be_left)
{
    m = rows_founding(3);
    cr_assert_not(admits((struct raft_conf_change){0}, NULL, 0), "there is none");
    struct raft_conf_change joint = {
        .transition = RAFT_CONF_JOINT_EXPLICIT,
        .change_count = 1,
        .changes = {{.type = RAFT_CONF_REMOVE_NODE, .node = 3}},
    };
    cr_assert_not(admits(joint, NULL, 0), "nobody would end it");
    joint.transition = RAFT_CONF_JOINT_IMPLICIT;
    cr_assert(admits(joint, NULL, 0));
    cr_assert(membership_follow(&m, &joint));
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 1), NULL, 0));
    cr_assert_not(admits(joint, NULL, 0));
    cr_assert(admits((struct raft_conf_change){0}, NULL, 0));
}

Test(membership_admits, a_voter_that_is_demoted_in_a_joint_change_learns_when_it_ends)
{
    m = rows_founding(3);
    struct raft_conf_change joint = {
        .transition = RAFT_CONF_JOINT_IMPLICIT,
        .change_count = 1,
        .changes = {{.type = RAFT_CONF_ADD_LEARNER, .node = 3}},
    };
    cr_assert(membership_follow(&m, &joint));
    cr_assert_eq(membership_role(&m, 3), MEMBER_VOTER_OUTGOING | MEMBER_LEARNER_NEXT);
    struct raft_conf_state conf;
    membership_conf_state(&m, &conf);
    cr_assert(raft_id_set_has(&conf.learners_next, 3));
    cr_assert_eq(conf.learners.count, 0);
    leave_joint();
    cr_assert_eq(membership_role(&m, 3), MEMBER_LEARNER);
}

Test(membership_admits, a_context_that_is_none_is_turned_down)
{
    m = rows_founding(3);
    struct raft_conf_change broken = single(RAFT_CONF_UPDATE_NODE, 1);
    uint8_t noise[] = {0xff, 0xff, 0xff};
    broken.context = noise;
    broken.context_size = sizeof(noise);
    cr_assert_not(admits(broken, NULL, 0));
    struct store_member twice[2] = {m.stores[0], m.stores[0]};
    cr_assert_not(admits(single(RAFT_CONF_UPDATE_NODE, 1), twice, 2));
    Metapb__Store row;
    Metapb__Store *rows[STORE_MEMBERS_MAX + 1];
    Keelfspb__MemberChange many = KEELFSPB__MEMBER_CHANGE__INIT;
    many.request_id = REQUEST_ID;
    member_pb_fill(&row, &m.stores[0]);
    for (size_t i = 0; i <= STORE_MEMBERS_MAX; i++)
        rows[i] = &row;
    many.n_stores = STORE_MEMBERS_MAX + 1;
    many.stores = rows;
    uint8_t *packed = malloc(keelfspb__member_change__get_packed_size(&many));
    broken.context_size = keelfspb__member_change__pack(&many, packed);
    broken.context = packed;
    cr_assert_not(admits(broken, NULL, 0));
    free(packed);
}
