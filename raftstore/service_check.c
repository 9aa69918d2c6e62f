#include "raftstore/service_check.h"

#include "raftstore/service_text.h"
#include "raftstore/store.h"

#include "keelfspb.pb-c.h"

/* ---- StartCheck ---- */

static void start_check_reply_leader(struct rpc_call *call)
{
    Keelfspb__StartCheckResponse response = KEELFSPB__START_CHECK_RESPONSE__INIT;
    struct store_status status;
    store_status(rpc_call_config(call)->store, &status);
    response.not_leader = true;
    for (size_t i = 0; i < status.member_count; i++) {
        const struct store_member *member = &status.members[i].member;
        if (member->id == status.leader_id && member->id != status.store_id)
            response.leader_address = service_text(member->address);
    }
    rpc_call_reply(call, &response.base);
}

static void start_check_done(struct op *op, const struct op_result *result)
{
    Keelfspb__StartCheckResponse response = KEELFSPB__START_CHECK_RESPONSE__INIT;
    struct rpc_call *call = rpc_call_of_op(op);
    struct err e;
    if (result->code == KE_NOT_LEADER) {
        start_check_reply_leader(call);
    } else if (result->code != 0) {
        err_set(&e, result->code, "%s", ke_text(result->code));
        rpc_call_fail(call, &e);
    } else {
        response.index = result->index;
        rpc_call_reply(call, &response.base);
    }
}

static void start_check_serve(struct rpc_call *call)
{
    store_start_check(rpc_call_config(call)->store, &call->op);
}

const struct rpc_method service_start_check = {
    .name = "/keelfspb.KeelFs/StartCheck",
    .request = &keelfspb__start_check_request__descriptor,
    .may_be_empty = true,
    .serve = start_check_serve,
    .done = start_check_done,
};

/* ---- CheckResult ---- */

static void check_result_serve(struct rpc_call *call)
{
    const Keelfspb__CheckResultRequest *request = (const void *)call->request;
    Keelfspb__CheckResultResponse response = KEELFSPB__CHECK_RESULT_RESPONSE__INIT;
    response.known =
        store_check_result(rpc_call_config(call)->store, request->index, &response.hash);
    rpc_call_reply(call, &response.base);
}

const struct rpc_method service_check_result = {
    .name = "/keelfspb.KeelFs/CheckResult",
    .request = &keelfspb__check_result_request__descriptor,
    .serve = check_result_serve,
};
