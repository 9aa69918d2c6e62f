#include "tools/keelctl_cluster.h"

#include "raftstore/store.h"

#include <stdio.h>
#include <string.h>

int keelctl_cluster_ask(const struct keelctl *ctl, char *ret_why,
                        Keelfspb__StatusResponse **ret_status)
{
    Keelfspb__StatusRequest request = KEELFSPB__STATUS_REQUEST__INIT;
    struct keelctl_call call = {
        .method = "/keelfspb.KeelFs/Status",
        .request = &request.base,
        .response = &keelfspb__status_response__descriptor,
        .read_only = true,
        .ret_why = ret_why,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call(ctl, &call, &reply);
    if (status == KEELCTL_OK)
        *ret_status = (Keelfspb__StatusResponse *)(void *)reply;
    return status;
}

void keelctl_cluster_free(Keelfspb__StatusResponse *status)
{
    keelfspb__status_response__free_unpacked(status, NULL);
}

bool keelctl_cluster_is_leaders(const Keelfspb__StatusResponse *status)
{
    return strcmp(status->role, "leader") == 0;
}

int keelctl_cluster_ask_leader(const struct keelctl *ctl, char *ret_why,
                               Keelfspb__StatusResponse **ret_status)
{
    Keelfspb__StatusResponse *first, *own;
    char why[KEELCTL_MESSAGE_MAX];
    int status = keelctl_cluster_ask(ctl, ret_why, &first);
    if (status != KEELCTL_OK)
        return status;
    const Keelfspb__MemberStatus *leader = keelctl_cluster_leader(first);
    *ret_status = first;
    if (leader == NULL || keelctl_cluster_is_leaders(first))
        return KEELCTL_OK;
    struct keelctl there = *ctl;
    there.endpoints[0] = leader->address;
    there.endpoint_count = 1;
    if (keelctl_cluster_ask(&there, why, &own) == KEELCTL_OK) {
        *ret_status = own;
        keelctl_cluster_free(first);
    }
    return KEELCTL_OK;
}

const Keelfspb__MemberStatus *keelctl_cluster_leader(const Keelfspb__StatusResponse *status)
{
    for (size_t i = 0; i < status->n_members; i++) {
        if (status->members[i]->is_leader)
            return status->members[i];
    }
    return NULL;
}

const Keelfspb__MemberStatus *keelctl_cluster_find(const Keelfspb__StatusResponse *status,
                                                   const char *name)
{
    for (size_t i = 0; i < status->n_members; i++) {
        if (strcmp(status->members[i]->name, name) == 0)
            return status->members[i];
    }
    return NULL;
}

bool keelctl_member_is_voter(const Keelfspb__MemberStatus *member)
{
    return member->role == 0 || (member->role & MEMBER_VOTER) != 0;
}

const char *keelctl_member_role(const Keelfspb__MemberStatus *member)
{
    if (member->is_leader)
        return "leader";
    if (keelctl_member_is_voter(member))
        return "voter";
    if ((member->role & MEMBER_VOTER_OUTGOING) != 0)
        return "leaving";
    return "learner";
}

/* What a learner is there for. */
static const char *describe_purpose(const Keelfspb__StatusResponse *status,
                                    const Keelfspb__MemberStatus *member, char *space, size_t size)
{
    if (keelctl_member_is_voter(member))
        return "";
    for (size_t i = 0; i < status->n_members && member->replaces != 0; i++) {
        if (status->members[i]->store_id == member->replaces) {
            (void)snprintf(space, size, ", takes the place of %s", status->members[i]->name);
            return space;
        }
    }
    return member->promote ? ", becomes a voter" : "";
}

void keelctl_member_state(const Keelfspb__StatusResponse *status,
                          const Keelfspb__MemberStatus *member, char *ret_state)
{
    /* The longest state and its end fit beside it. */
    char space[KEELCTL_STATE_MAX - sizeof("gets a snapshot")];
    const char *purpose = describe_purpose(status, member, space, sizeof(space));
    const char *state = "-";
    if (member->is_self)
        state = "up";
    else if (!keelctl_cluster_is_leaders(status))
        state = "-";
    else if (member->data_id == 0 && member->match_index == 0)
        state = "not started yet";
    else if (!member->active)
        state = "silent";
    else if (strcmp(member->progress, "snapshot") == 0)
        state = "gets a snapshot";
    else if (strcmp(member->progress, "probe") == 0)
        state = "up, probing";
    else
        state = "up";
    (void)snprintf(ret_state, KEELCTL_STATE_MAX, "%s%s", state, purpose);
}
