#include "tools/keelctl.h"

#include "keelfspb.pb-c.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CELL_MAX 300

enum column {
    COLUMN_MEMBER,
    COLUMN_STORE,
    COLUMN_ADDRESS,
    COLUMN_ROLE,
    COLUMN_MATCH,
    COLUMN_STATE
};
#define COLUMN_COUNT 6

struct row {
    char cells[COLUMN_COUNT][CELL_MAX];
};

static const Keelfspb__MemberStatus *find_leader(const Keelfspb__StatusResponse *status)
{
    for (size_t i = 0; i < status->n_members; i++) {
        if (status->members[i]->is_leader)
            return status->members[i];
    }
    return NULL;
}

static void fill_row(const Keelfspb__StatusResponse *status, const Keelfspb__MemberStatus *member,
                     struct row *row)
{
    /* Only the leader knows how the others do. */
    bool leads = strcmp(status->role, "leader") == 0;
    const char *role = member->is_self ? status->role : "-";
    const char *state = "-";
    if (leads && !member->is_self)
        state = member->active ? "up" : "silent";
    if (member->is_self)
        state = "up";
    (void)snprintf(row->cells[COLUMN_MEMBER], CELL_MAX, "%s%s", member->name,
                   member->is_self ? " (asked)" : "");
    (void)snprintf(row->cells[COLUMN_STORE], CELL_MAX, "%" PRIu64, member->store_id);
    (void)snprintf(row->cells[COLUMN_ADDRESS], CELL_MAX, "%s", member->address);
    (void)snprintf(row->cells[COLUMN_ROLE], CELL_MAX, "%s", member->is_leader ? "leader" : role);
    if (leads)
        (void)snprintf(row->cells[COLUMN_MATCH], CELL_MAX, "%" PRIu64, member->match_index);
    else
        (void)snprintf(row->cells[COLUMN_MATCH], CELL_MAX, "-");
    (void)snprintf(row->cells[COLUMN_STATE], CELL_MAX, "%s", state);
}

static void widen(size_t *widths, const struct row *row)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        size_t length = strlen(row->cells[i]);
        widths[i] = length > widths[i] ? length : widths[i];
    }
}

static void print_row(const size_t *widths, const struct row *row)
{
    for (size_t i = 0; i + 1 < COLUMN_COUNT; i++)
        printf("%-*s  ", (int)widths[i], row->cells[i]);
    printf("%s\n", row->cells[COLUMN_COUNT - 1]);
}

static void print_members(const Keelfspb__StatusResponse *status)
{
    static const struct row header = {{"MEMBER", "STORE", "ADDRESS", "ROLE", "MATCH", "STATE"}};
    size_t widths[COLUMN_COUNT] = {0};
    struct row row;
    widen(widths, &header);
    for (size_t i = 0; i < status->n_members; i++) {
        fill_row(status, status->members[i], &row);
        widen(widths, &row);
    }
    print_row(widths, &header);
    for (size_t i = 0; i < status->n_members; i++) {
        fill_row(status, status->members[i], &row);
        print_row(widths, &row);
    }
}

static void print_text(const Keelfspb__StatusResponse *status)
{
    const Keelfspb__MemberStatus *leader = find_leader(status);
    printf("cluster   %016" PRIx64 "\n", status->cluster_id);
    printf("node      %s (store %" PRIu64 "), %s, keelfs %s\n", status->name, status->store_id,
           status->role, status->version);
    printf("leader    %s\n", leader != NULL ? leader->name : "none known");
    printf("term      %" PRIu64 "\n", status->term);
    printf("commit    %" PRIu64 "\n", status->commit_index);
    printf("applied   %" PRIu64 "\n", status->applied_index);
    printf("log       %" PRIu64 " to %" PRIu64 "\n", status->first_index, status->last_index);
    printf("revision  %" PRIu64 "\n\n", status->revision);
    print_members(status);
}

static int print_json(const Keelfspb__StatusResponse *status)
{
    char cluster[24];
    cJSON *object = cJSON_CreateObject();
    (void)snprintf(cluster, sizeof(cluster), "%016" PRIx64, status->cluster_id);
    cJSON_AddStringToObject(object, "cluster_id", cluster);
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
    bool leads = strcmp(status->role, "leader") == 0;
    cJSON *members = cJSON_AddArrayToObject(object, "members");
    for (size_t i = 0; i < status->n_members; i++) {
        const Keelfspb__MemberStatus *member = status->members[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(members, item);
        keelctl_json_add_number(item, "store_id", member->store_id);
        cJSON_AddStringToObject(item, "name", member->name);
        cJSON_AddStringToObject(item, "address", member->address);
        cJSON_AddBoolToObject(item, "is_self", member->is_self);
        cJSON_AddBoolToObject(item, "is_leader", member->is_leader);
        /* Null where this node cannot know. */
        if (leads) {
            keelctl_json_add_number(item, "match_index", member->match_index);
            cJSON_AddBoolToObject(item, "active", member->active || member->is_self);
        } else {
            cJSON_AddNullToObject(item, "match_index");
            cJSON_AddNullToObject(item, "active");
        }
    }
    return keelctl_json_print(object, false, "\n");
}

int keelctl_status(const struct keelctl *ctl)
{
    Keelfspb__StatusRequest request = KEELFSPB__STATUS_REQUEST__INIT;
    struct keelctl_call call = {
        .method = "/keelfspb.KeelFs/Status",
        .request = &request.base,
        .response = &keelfspb__status_response__descriptor,
        .read_only = true,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call(ctl, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    if (ctl->json)
        status = print_json((const void *)reply);
    else
        print_text((const void *)reply);
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}
