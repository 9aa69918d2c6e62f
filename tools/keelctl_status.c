#include "tools/keelctl_cluster.h"
#include "tools/keelctl_table.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum column {
    COLUMN_MEMBER,
    COLUMN_STORE,
    COLUMN_ADDRESS,
    COLUMN_ROLE,
    COLUMN_MATCH,
    COLUMN_STATE
};

static void print_members(const Keelfspb__StatusResponse *status)
{
    static const char *const header[] = {"MEMBER", "STORE", "ADDRESS", "ROLE", "MATCH", "STATE"};
    struct keelctl_table table;
    char state[KEELCTL_STATE_MAX];
    keelctl_table_init(&table, header, sizeof(header) / sizeof(header[0]));
    for (size_t i = 0; i < status->n_members && i < STORE_MEMBERS_MAX; i++) {
        const Keelfspb__MemberStatus *member = status->members[i];
        keelctl_table_add_row(&table);
        keelctl_table_set(&table, COLUMN_MEMBER, "%s%s", member->name,
                          member->is_self ? " (asked)" : "");
        keelctl_table_set(&table, COLUMN_STORE, "%" PRIu64, member->store_id);
        keelctl_table_set(&table, COLUMN_ADDRESS, "%s", member->address);
        keelctl_table_set(&table, COLUMN_ROLE, "%s", keelctl_member_role(member));
        /* Only the leader knows how the others do. */
        if (keelctl_cluster_is_leaders(status))
            keelctl_table_set(&table, COLUMN_MATCH, "%" PRIu64, member->match_index);
        else
            keelctl_table_set(&table, COLUMN_MATCH, "-");
        keelctl_member_state(status, member, state);
        keelctl_table_set(&table, COLUMN_STATE, "%s", state);
    }
    keelctl_table_print(&table);
}

static void print_text(const Keelfspb__StatusResponse *status)
{
    const Keelfspb__MemberStatus *leader = keelctl_cluster_leader(status);
    printf("cluster   %016" PRIx64 "\n", status->cluster_id);
    printf("node      %s (store %" PRIu64 "), %s, keelfs %s\n", status->name, status->store_id,
           status->role, status->version);
    printf("leader    %s\n", leader != NULL ? leader->name : "none known");
    printf("term      %" PRIu64 "\n", status->term);
    printf("commit    %" PRIu64 "\n", status->commit_index);
    printf("applied   %" PRIu64 "\n", status->applied_index);
    printf("log       %" PRIu64 " to %" PRIu64 "\n", status->first_index, status->last_index);
    printf("revision  %" PRIu64 "\n\n", status->revision);
    if (status->no_space)
        printf("Disks are nearly full: only what frees space is accepted.\n\n");
    print_members(status);
}

static void add_member(cJSON *members, const Keelfspb__StatusResponse *status,
                       const Keelfspb__MemberStatus *member)
{
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(members, item);
    keelctl_json_add_number(item, "store_id", member->store_id);
    cJSON_AddStringToObject(item, "name", member->name);
    cJSON_AddStringToObject(item, "address", member->address);
    cJSON_AddBoolToObject(item, "is_self", member->is_self);
    cJSON_AddBoolToObject(item, "is_leader", member->is_leader);
    cJSON_AddBoolToObject(item, "is_voter", keelctl_member_is_voter(member));
    cJSON_AddBoolToObject(item, "promote", member->promote);
    keelctl_json_add_number(item, "replaces", member->replaces);
    keelctl_json_add_id(item, "data_id", member->data_id);
    /* Null where this node cannot know. */
    if (keelctl_cluster_is_leaders(status)) {
        keelctl_json_add_number(item, "match_index", member->match_index);
        cJSON_AddBoolToObject(item, "active", member->active || member->is_self);
        cJSON_AddStringToObject(item, "progress", member->progress);
    } else {
        cJSON_AddNullToObject(item, "match_index");
        cJSON_AddNullToObject(item, "active");
        cJSON_AddNullToObject(item, "progress");
    }
}

static int print_json(const Keelfspb__StatusResponse *status)
{
    cJSON *object = cJSON_CreateObject();
    keelctl_json_add_id(object, "cluster_id", status->cluster_id);
    keelctl_json_add_number(object, "store_id", status->store_id);
    keelctl_json_add_number(object, "region_id", status->region_id);
    cJSON_AddStringToObject(object, "name", status->name);
    cJSON_AddStringToObject(object, "version", status->version);
    cJSON_AddStringToObject(object, "role", status->role);
    keelctl_json_add_number(object, "leader_id", status->leader_id);
    keelctl_json_add_number(object, "term", status->term);
    keelctl_json_add_number(object, "commit_index", status->commit_index);
    keelctl_json_add_number(object, "applied_index", status->applied_index);
    keelctl_json_add_number(object, "first_index", status->first_index);
    keelctl_json_add_number(object, "last_index", status->last_index);
    keelctl_json_add_number(object, "revision", status->revision);
    cJSON_AddBoolToObject(object, "no_space", status->no_space);
    cJSON *members = cJSON_AddArrayToObject(object, "members");
    for (size_t i = 0; i < status->n_members; i++)
        add_member(members, status, status->members[i]);
    return keelctl_json_print(object, false, "\n");
}

int keelctl_status(const struct keelctl *ctl)
{
    Keelfspb__StatusResponse *reply;
    int status = keelctl_cluster_ask(ctl, NULL, &reply);
    if (status != KEELCTL_OK)
        return status;
    if (ctl->json)
        status = print_json(reply);
    else
        print_text(reply);
    keelctl_cluster_free(reply);
    return status;
}
