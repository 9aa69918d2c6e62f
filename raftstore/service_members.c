#include "raftstore/service_members.h"

#include "raftstore/members.h"
#include "raftstore/memory.h"
#include "raftstore/service_text.h"
#include "raftstore/store.h"

#include "keelfspb.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull

struct change_call;
/* Sends the response: of a change that is in force, or where the leader is. */
typedef void change_answer_fn(const struct change_call *change, bool not_leader);

/* A change under way. Its call lives on until it has ended, also when the client
 * goes away: a change cannot be taken back. */
struct change_call {
    struct member_op member;
    struct rpc_call *call; /* with a reference of its op */
    change_answer_fn *answer;
};

static struct change_call *change_of_op(struct op *op)
{
    return (struct change_call *)(void *)((char *)op - offsetof(struct change_call, member.op));
}

static void change_release(struct op *op)
{
    struct change_call *change = change_of_op(op);
    struct rpc_call *call = change->call;
    free(change);
    op_unref(&call->op);
}

/* The words of the store, unless it was not the store that ended the op: then it
 * may be writing them at this moment. */
static void change_fail(const struct change_call *change, int code)
{
    struct err e;
    if (code == KE_TIMEOUT || code == KE_CANCELLED || code == KE_SHUTDOWN)
        err_set(&e, code, "%s", ke_text(code));
    else
        e = change->member.error;
    rpc_call_fail(change->call, &e);
}

static void change_done(struct op *op, const struct op_result *result)
{
    struct change_call *change = change_of_op(op);
    /* Not ours to answer when the client is gone. */
    if (!op_cancel(&change->call->op))
        return;
    if (result->code == 0 || result->code == KE_NOT_LEADER)
        change->answer(change, result->code == KE_NOT_LEADER);
    else
        change_fail(change, result->code);
}

static struct change_call *change_new(struct rpc_call *call, enum member_change_kind kind,
                                      change_answer_fn *answer)
{
    struct change_call *change = mem_zalloc(sizeof(*change));
    uint64_t now_ns = clock_ns();
    uint64_t left_ns = call->op.deadline_ns > now_ns ? call->op.deadline_ns - now_ns : 0;
    change->member.kind = kind;
    change->call = call;
    change->answer = answer;
    op_ref(&call->op);
    op_init(&change->member.op, (uint32_t)(left_ns / NS_PER_MS), change_done, change_release);
    return change;
}

/* ---- ChangeMembers ---- */

static void change_members_answer(const struct change_call *change, bool not_leader)
{
    Keelfspb__ChangeMembersResponse response = KEELFSPB__CHANGE_MEMBERS_RESPONSE__INIT;
    response.not_leader = not_leader;
    if (not_leader)
        response.leader_address = service_text(change->member.leader_address);
    response.store_id = change->member.store_id;
    rpc_call_reply(change->call, &response.base);
}

static int take_name(const char *name, char *out, struct err *e)
{
    int rc = member_check_name(name, e);
    if (rc == 0)
        memcpy(out, name, strlen(name) + 1);
    return rc;
}

static int take_address(const char *address, char *out, struct err *e)
{
    int rc = member_check_address(address, e);
    if (rc == 0)
        memcpy(out, address, strlen(address) + 1);
    return rc;
}

/* What each kind of change is told. */
static const struct {
    Keelfspb__ChangeMembersRequest__Kind requested;
    enum member_change_kind kind;
    bool has_address;
    bool has_old_name;
} kinds[] = {
    {KEELFSPB__CHANGE_MEMBERS_REQUEST__KIND__Add, MEMBER_ADD, true, false},
    {KEELFSPB__CHANGE_MEMBERS_REQUEST__KIND__AddLearner, MEMBER_ADD_LEARNER, true, false},
    {KEELFSPB__CHANGE_MEMBERS_REQUEST__KIND__Promote, MEMBER_PROMOTE, false, false},
    {KEELFSPB__CHANGE_MEMBERS_REQUEST__KIND__Remove, MEMBER_REMOVE, false, false},
    {KEELFSPB__CHANGE_MEMBERS_REQUEST__KIND__Replace, MEMBER_REPLACE, true, true},
    {KEELFSPB__CHANGE_MEMBERS_REQUEST__KIND__SetAddress, MEMBER_SET_ADDRESS, true, false},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static int take_change(const Keelfspb__ChangeMembersRequest *request, struct member_op *member,
                       struct err *e)
{
    size_t i = 0;
    while (i < KIND_COUNT && kinds[i].requested != request->kind)
        i++;
    if (i == KIND_COUNT)
        return err_set(e, KE_INVALID, "no change of members has the number %d", (int)request->kind);
    member->kind = kinds[i].kind;
    int rc = take_name(request->name, member->name, e);
    if (rc == 0 && kinds[i].has_address)
        rc = take_address(request->address, member->address, e);
    if (rc == 0 && kinds[i].has_old_name)
        rc = take_name(request->old_name, member->old_name, e);
    return rc;
}

static void change_members_serve(struct rpc_call *call)
{
    struct change_call *change = change_new(call, MEMBER_ADD, change_members_answer);
    struct err e;
    if (take_change((const void *)call->request, &change->member, &e) == 0)
        store_change_members(rpc_call_config(call)->store, &change->member);
    else
        rpc_call_fail(call, &e);
    op_unref(&change->member.op);
}

const struct rpc_method service_change_members = {
    .name = "/keelfspb.KeelFs/ChangeMembers",
    .request = &keelfspb__change_members_request__descriptor,
    .serve = change_members_serve,
};

/* ---- TransferLeader ---- */

static void transfer_leader_answer(const struct change_call *change, bool not_leader)
{
    Keelfspb__TransferLeaderResponse response = KEELFSPB__TRANSFER_LEADER_RESPONSE__INIT;
    response.not_leader = not_leader;
    if (not_leader)
        response.leader_address = service_text(change->member.leader_address);
    else
        response.name = service_text(change->member.name);
    rpc_call_reply(change->call, &response.base);
}

static void transfer_leader_serve(struct rpc_call *call)
{
    const Keelfspb__TransferLeaderRequest *request = (const void *)call->request;
    /* The kind says nothing here. */
    struct change_call *change = change_new(call, MEMBER_PROMOTE, transfer_leader_answer);
    struct err e;
    int rc = request->name[0] != '\0' ? take_name(request->name, change->member.name, &e) : 0;
    if (rc == 0)
        store_transfer_leader(rpc_call_config(call)->store, &change->member);
    else
        rpc_call_fail(call, &e);
    op_unref(&change->member.op);
}

const struct rpc_method service_transfer_leader = {
    .name = "/keelfspb.KeelFs/TransferLeader",
    .request = &keelfspb__transfer_leader_request__descriptor,
    .may_be_empty = true,
    .serve = transfer_leader_serve,
};

/* ---- Join ---- */

static void join_describe(const struct store_member *from, Metapb__Store *store)
{
    metapb__store__init(store);
    store->id = from->id;
    store->name = service_text(from->name);
    store->address = service_text(from->address);
    store->data_id = from->data_id;
    store->promote = from->promote;
    store->replaces = from->replaces;
}

static void join_answer_members(const struct change_call *change)
{
    const struct rpc_server_config *config = rpc_call_config(change->call);
    struct store_member members[STORE_MEMBERS_MAX];
    Metapb__Store stores[STORE_MEMBERS_MAX];
    Metapb__Store *list[STORE_MEMBERS_MAX];
    Keelfspb__JoinResponse response = KEELFSPB__JOIN_RESPONSE__INIT;
    response.cluster_id = config->cluster_id;
    response.region_id = config->region_id;
    response.store_id = change->member.store_id;
    store_members(config->store, members, &response.n_stores);
    for (size_t i = 0; i < response.n_stores; i++) {
        join_describe(&members[i], &stores[i]);
        list[i] = &stores[i];
    }
    response.stores = list;
    rpc_call_reply(change->call, &response.base);
}

static void join_answer(const struct change_call *change, bool not_leader)
{
    if (!not_leader) {
        join_answer_members(change);
        return;
    }
    Keelfspb__JoinResponse response = KEELFSPB__JOIN_RESPONSE__INIT;
    response.not_leader = true;
    response.leader_address = service_text(change->member.leader_address);
    rpc_call_reply(change->call, &response.base);
}

static int take_join(const Keelfspb__JoinRequest *request, struct member_op *member, struct err *e)
{
    int rc = take_name(request->name, member->name, e);
    if (rc == 0)
        rc = take_address(request->address, member->address, e);
    if (rc == 0 && request->data_id == 0)
        rc = err_set(e, KE_INVALID, "the joiner %s does not say which data directory it has",
                     request->name);
    member->data_id = request->data_id;
    member->promote = !request->learner;
    return rc;
}

static void join_serve(struct rpc_call *call)
{
    struct change_call *change = change_new(call, MEMBER_JOIN, join_answer);
    struct err e;
    if (take_join((const void *)call->request, &change->member, &e) == 0)
        store_change_members(rpc_call_config(call)->store, &change->member);
    else
        rpc_call_fail(call, &e);
    op_unref(&change->member.op);
}

const struct rpc_method service_join = {
    .name = "/keelfspb.KeelFs/Join",
    .request = &keelfspb__join_request__descriptor,
    .serve = join_serve,
};
