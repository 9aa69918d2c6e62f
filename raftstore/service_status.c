#include "raftstore/service_status.h"

#include "raftstore/service_text.h"
#include "raftstore/store.h"

#include "keelfspb.pb-c.h"

#include <string.h>

static void describe_member(const struct store_status *status, size_t i,
                            Keelfspb__MemberStatus *member)
{
    const struct store_member_status *from = &status->members[i];
    keelfspb__member_status__init(member);
    member->store_id = from->member.id;
    member->name = service_text(from->member.name);
    member->address = service_text(from->member.address);
    member->is_self = from->member.id == status->store_id;
    member->is_leader = from->is_leader;
    member->match_index = from->match_index;
    member->active = from->active;
    member->role = from->role;
    member->progress = service_text(from->progress != NULL ? from->progress : "");
    member->promote = from->member.promote;
    member->replaces = from->member.replaces;
    member->data_id = from->member.data_id;
}

static void status_serve(struct rpc_call *call)
{
    struct store_status status;
    store_status(rpc_call_config(call)->store, &status);

    Keelfspb__MemberStatus members[STORE_MEMBERS_MAX];
    Keelfspb__MemberStatus *list[STORE_MEMBERS_MAX];
    for (size_t i = 0; i < status.member_count; i++) {
        describe_member(&status, i, &members[i]);
        list[i] = &members[i];
    }
    Keelfspb__StatusResponse response = KEELFSPB__STATUS_RESPONSE__INIT;
    response.cluster_id = status.cluster_id;
    response.store_id = status.store_id;
    response.region_id = status.region_id;
    response.name = status.name;
    response.role = service_text(status.role);
    response.leader_id = status.leader_id;
    response.term = status.term;
    response.commit_index = status.commit_index;
    response.applied_index = status.applied_index;
    response.first_index = status.first_index;
    response.last_index = status.last_index;
    response.revision = status.revision;
    response.no_space = status.no_space;
    response.n_members = status.member_count;
    response.members = list;
    response.version = service_text(KEELFS_VERSION);
    rpc_call_reply(call, &response.base);
}

const struct rpc_method service_status_method = {
    .name = "/keelfspb.KeelFs/Status",
    .request = &keelfspb__status_request__descriptor,
    .may_be_empty = true,
    .serve = status_serve,
};
