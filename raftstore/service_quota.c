#include "raftstore/service_quota.h"

#include "raftstore/command.h"
#include "raftstore/store.h"

#include "keelfspb.pb-c.h"

static void quota_done(struct op *op, const struct op_result *result)
{
    Keelfspb__QuotaResponse response = KEELFSPB__QUOTA_RESPONSE__INIT;
    struct rpc_call *call = rpc_call_of_op(op);
    struct tree_usage usage;
    struct err e;
    int code = result->code;
    if (code == 0)
        code = tree_usage(store_tree(rpc_call_config(call)->store), &usage);
    if (code != 0) {
        err_set(&e, code, "%s", ke_text(code));
        rpc_call_fail(call, &e);
        return;
    }
    response.bytes = usage.bytes;
    response.files = usage.files;
    response.quota_bytes = usage.quota.bytes;
    response.quota_files = usage.quota.files;
    rpc_call_reply(call, &response.base);
}

static void quota_serve(struct rpc_call *call)
{
    const Keelfspb__QuotaRequest *request = (const void *)call->request;
    struct store *store = rpc_call_config(call)->store;
    if (!request->set) {
        store_barrier(store, &call->op);
        return;
    }
    struct command *cmd = command_new();
    command_set_quota(cmd, request->bytes, request->files);
    store_propose(store, &cmd, &call->op);
}

const struct rpc_method service_quota = {
    .name = "/keelfspb.KeelFs/Quota",
    .request = &keelfspb__quota_request__descriptor,
    .may_be_empty = true,
    .serve = quota_serve,
    .done = quota_done,
};
