/* From what an operator or a joiner asks for to the change that is proposed. */
#include "raftstore/membership.h"

#include "raftstore/members.h"
#include "raftstore/memory.h"
#include "raftstore/region_pb.h"

#include "keelfspb.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A change in the making. */
struct plan {
    const struct membership *membership;
    const struct member_op *op;
    struct raft_conf_change *change;
    struct member_change what;
    uint64_t store_id;
    struct err *e;
};

/* --- the parts of a change --- */

static void plan_step(struct plan *p, enum raft_conf_change_type type, uint64_t store_id)
{
    assert(p->change->change_count < RAFT_CONF_CHANGES_MAX);
    p->change->changes[p->change->change_count++] =
        (struct raft_conf_change_single){.type = type, .node = store_id};
}

static void plan_row(struct plan *p, const struct store_member *row)
{
    assert(p->what.store_count < STORE_MEMBERS_MAX);
    p->what.stores[p->what.store_count++] = *row;
}

/* The context of the change, malloc'ed. */
static void plan_pack(struct plan *p)
{
    Metapb__Store rows[STORE_MEMBERS_MAX];
    Metapb__Store *row_pointers[STORE_MEMBERS_MAX];
    for (size_t i = 0; i < p->what.store_count; i++) {
        member_pb_fill(&rows[i], &p->what.stores[i]);
        row_pointers[i] = &rows[i];
    }
    Keelfspb__MemberChange message = KEELFSPB__MEMBER_CHANGE__INIT;
    message.request_id = p->what.request_id;
    message.n_stores = p->what.store_count;
    message.stores = row_pointers;
    size_t size = keelfspb__member_change__get_packed_size(&message);
    uint8_t *packed = mem_alloc(size);
    keelfspb__member_change__pack(&message, packed);
    p->change->context = packed;
    p->change->context_size = size;
}

/* A part that leaves the configuration as it is: with RAFT_CONF_AUTO exactly one is
 * allowed, however many rows change. */
static void plan_update(struct plan *p, const struct store_member *stores, size_t count)
{
    plan_step(p, RAFT_CONF_UPDATE_NODE, stores[0].id);
    for (size_t i = 0; i < count; i++)
        plan_row(p, &stores[i]);
}

/* The one that takes over and the one that leaves change at the same moment, so the
 * cluster never has one voter less or more. */
static void plan_promotion(struct plan *p, const struct store_member *row)
{
    plan_step(p, RAFT_CONF_ADD_NODE, row->id);
    if (row->replaces != 0) {
        p->change->transition = RAFT_CONF_JOINT_IMPLICIT;
        plan_step(p, RAFT_CONF_REMOVE_NODE, row->replaces);
    }
}

static void row_set_address(struct store_member *row, const char *address)
{
    snprintf(row->address, sizeof(row->address), "%s", address);
}

static bool rows_equal(const struct store_member *a, const struct store_member *b)
{
    return a->id == b->id && strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
           a->data_id == b->data_id && a->promote == b->promote && a->replaces == b->replaces;
}

/* --- rules that have words --- */

static bool is_voter(const struct plan *p, const struct store_member *row)
{
    return (membership_role(p->membership, row->id) & MEMBER_VOTER) != 0;
}

static int plan_find(const struct plan *p, const char *name, const struct store_member **ret_row)
{
    *ret_row = membership_find_name(p->membership, name);
    if (*ret_row == NULL)
        return err_set(p->e, KE_NOT_FOUND, "there is no member %s", name);
    return 0;
}

/* `self`: the member that is to have the address; NULL when it is new. */
static int plan_check_address(const struct plan *p, const struct store_member *self)
{
    int rc = member_check_address(p->op->address, p->e);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < p->membership->store_count; i++) {
        const struct store_member *row = &p->membership->stores[i];
        if (row != self && strcmp(row->address, p->op->address) == 0)
            return err_set(p->e, KE_EXISTS, "address %s is member %s's", row->address, row->name);
    }
    return 0;
}

/* One voter more than there are and will be. */
static int plan_check_voters(const struct plan *p)
{
    if (membership_voter_count_ahead(p->membership) < STORE_VOTERS_MAX)
        return 0;
    return err_set(p->e, KE_INVALID,
                   "a cluster has at most %d voters, counting those to come: add it as a learner, "
                   "or remove a voter first",
                   STORE_VOTERS_MAX);
}

/* --- each kind --- */

static int plan_new_learner(struct plan *p, bool promote, uint64_t replaces)
{
    int rc = plan_check_address(p, NULL);
    if (rc != 0)
        return rc;
    if (p->membership->store_count == STORE_MEMBERS_MAX)
        return err_set(p->e, KE_INVALID, "a cluster has at most %d members", STORE_MEMBERS_MAX);
    if (promote && replaces == 0) {
        rc = plan_check_voters(p);
        if (rc != 0)
            return rc;
    }
    struct store_member row = {
        .id = p->membership->region.next_store_id,
        .data_id = p->op->kind == MEMBER_JOIN ? p->op->data_id : 0,
        .promote = promote,
        .replaces = replaces,
    };
    snprintf(row.name, sizeof(row.name), "%s", p->op->name);
    row_set_address(&row, p->op->address);
    plan_step(p, RAFT_CONF_ADD_LEARNER, row.id);
    plan_row(p, &row);
    p->store_id = row.id;
    return 0;
}

static int plan_changed_row(struct plan *p, const struct store_member *old,
                            const struct store_member *row)
{
    p->store_id = old->id;
    if (!rows_equal(old, row))
        plan_update(p, row, 1);
    return 0;
}

static int plan_add(struct plan *p, bool promote)
{
    if (membership_find_name(p->membership, p->op->name) != NULL)
        return err_set(p->e, KE_EXISTS, "there is a member %s already", p->op->name);
    return plan_new_learner(p, promote, 0);
}

static int plan_promote(struct plan *p)
{
    const struct store_member *row;
    int rc = plan_find(p, p->op->name, &row);
    if (rc != 0)
        return rc;
    p->store_id = row->id;
    if (is_voter(p, row))
        return 0;
    /* A voter that has never been there could only be missed. */
    if (row->data_id == 0)
        return err_set(p->e, KE_INVALID, "member %s has not joined yet", row->name);
    if (!row->promote && row->replaces == 0) {
        rc = plan_check_voters(p);
        if (rc != 0)
            return rc;
    }
    plan_promotion(p, row);
    return 0;
}

static int plan_remove(struct plan *p)
{
    const struct store_member *row;
    int rc = plan_find(p, p->op->name, &row);
    if (rc != 0)
        return rc;
    if (is_voter(p, row) && membership_voter_count(p->membership) == 1)
        return err_set(p->e, KE_INVALID, "member %s is the last voter", row->name);
    plan_step(p, RAFT_CONF_REMOVE_NODE, row->id);
    p->store_id = row->id;
    return 0;
}

static int plan_check_replaced(const struct plan *p, const struct store_member *old)
{
    if (!is_voter(p, old))
        return err_set(p->e, KE_INVALID, "member %s is a learner: it needs no replacement",
                       old->name);
    for (size_t i = 0; i < p->membership->store_count; i++) {
        const struct store_member *row = &p->membership->stores[i];
        if (row->replaces == old->id && strcmp(row->name, p->op->name) != 0)
            return err_set(p->e, KE_EXISTS, "member %s is about to replace %s already", row->name,
                           old->name);
    }
    return 0;
}

static int plan_replace(struct plan *p)
{
    const struct store_member *old;
    int rc = plan_find(p, p->op->old_name, &old);
    if (rc == 0)
        rc = plan_check_replaced(p, old);
    if (rc != 0)
        return rc;
    const struct store_member *row = membership_find_name(p->membership, p->op->name);
    if (row == NULL)
        return plan_new_learner(p, true, old->id);
    if (is_voter(p, row))
        return err_set(p->e, KE_EXISTS, "member %s is a voter already", row->name);
    struct store_member changed = *row;
    changed.promote = true;
    changed.replaces = old->id;
    if (p->op->address[0] != '\0') {
        rc = plan_check_address(p, row);
        if (rc != 0)
            return rc;
        row_set_address(&changed, p->op->address);
    }
    return plan_changed_row(p, row, &changed);
}

static int plan_set_address(struct plan *p)
{
    const struct store_member *row;
    int rc = plan_find(p, p->op->name, &row);
    if (rc == 0)
        rc = plan_check_address(p, row);
    if (rc != 0)
        return rc;
    struct store_member changed = *row;
    row_set_address(&changed, p->op->address);
    return plan_changed_row(p, row, &changed);
}

/* Whether the data directory of a joiner may take the place of `row`. */
static int plan_check_data_id(const struct plan *p, const struct store_member *row)
{
    if (row->data_id == 0 && is_voter(p, row))
        return err_set(p->e, KE_WIPED,
                       "member %s is one of the first and has not been seen yet: start it with "
                       "the list of initial members; if its disk was lost, remove it first: "
                       "keelctl member remove %s",
                       row->name, row->name);
    if (row->data_id != 0 && row->data_id != p->op->data_id)
        return err_set(p->e, KE_WIPED,
                       "member %s has another data directory on record; if its disk was lost, "
                       "remove it first: keelctl member remove %s",
                       row->name, row->name);
    return 0;
}

static int plan_join(struct plan *p)
{
    const struct member_op *op = p->op;
    if (op->data_id == 0)
        return err_set(p->e, KE_INVALID, "a joiner names its data directory");
    for (size_t i = 0; i < p->membership->store_count; i++) {
        const struct store_member *row = &p->membership->stores[i];
        if (row->data_id == op->data_id && strcmp(row->name, op->name) != 0)
            return err_set(p->e, KE_EXISTS, "this data directory belongs to member %s", row->name);
    }
    const struct store_member *row = membership_find_name(p->membership, op->name);
    if (row == NULL)
        return plan_new_learner(p, op->promote, 0);
    int rc = plan_check_data_id(p, row);
    if (rc == 0)
        rc = plan_check_address(p, row);
    if (rc != 0)
        return rc;
    struct store_member changed = *row;
    changed.data_id = op->data_id;
    row_set_address(&changed, op->address);
    return plan_changed_row(p, row, &changed);
}

static int plan_any(struct plan *p)
{
    int rc = member_check_name(p->op->name, p->e);
    if (rc != 0)
        return rc;
    switch (p->op->kind) {
    case MEMBER_ADD:
        return plan_add(p, true);
    case MEMBER_ADD_LEARNER:
        return plan_add(p, false);
    case MEMBER_PROMOTE:
        return plan_promote(p);
    case MEMBER_REMOVE:
        return plan_remove(p);
    case MEMBER_REPLACE:
        return plan_replace(p);
    case MEMBER_SET_ADDRESS:
        return plan_set_address(p);
    case MEMBER_JOIN:
        return plan_join(p);
    }
    return err_set(p->e, KE_INVALID, "unknown change of members");
}

/* --- the calls --- */

static struct plan plan_begin(const struct membership *membership, uint64_t request_id,
                              struct raft_conf_change *ret_change)
{
    memset(ret_change, 0, sizeof(*ret_change));
    return (struct plan){
        .membership = membership,
        .change = ret_change,
        .what = {.request_id = request_id},
    };
}

int membership_plan(const struct membership *membership, const struct member_op *op,
                    uint64_t request_id, struct raft_conf_change *ret_change,
                    uint64_t *ret_store_id, struct err *e)
{
    if (membership_is_joint(membership))
        return err_set(e, KE_BUSY, "another change of members is under way: try again");
    struct raft_conf_change change;
    struct plan plan = plan_begin(membership, request_id, &change);
    plan.op = op;
    plan.e = e;
    int rc = plan_any(&plan);
    if (rc != 0)
        return rc;
    if (change.change_count > 0)
        plan_pack(&plan);
    *ret_change = change;
    *ret_store_id = plan.store_id;
    return 0;
}

void membership_plan_promotion(const struct membership *membership, uint64_t store_id,
                               uint64_t request_id, struct raft_conf_change *ret_change)
{
    const struct store_member *row = membership_find(membership, store_id);
    assert(row != NULL);
    struct plan plan = plan_begin(membership, request_id, ret_change);
    plan_promotion(&plan, row);
    plan_pack(&plan);
}

void membership_plan_update(const struct store_member *stores, size_t count, uint64_t request_id,
                            struct raft_conf_change *ret_change)
{
    assert(count > 0);
    struct plan plan = plan_begin(NULL, request_id, ret_change);
    plan_update(&plan, stores, count);
    plan_pack(&plan);
}
