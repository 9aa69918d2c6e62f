/* keelctl member: who belongs to the cluster. */
#include "tools/keelctl_cluster.h"
#include "tools/keelctl_table.h"

#include "raftstore/members.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How often and how long --wait looks: a day. */
#define WAIT_PAUSE_MS  500
#define WAIT_LOOKS_MAX (24 * 3600 * (1000 / WAIT_PAUSE_MS))

#define CHANGE(kind) KEELFSPB__CHANGE_MEMBERS_REQUEST__KIND__##kind

/* The generated structs have no const; packing does not write. */
static char *text_of(const char *text)
{
    union {
        const char *in;
        char *out;
    } pointer = {.in = text};
    return pointer.out;
}

/* ---- list ---- */

enum column { COLUMN_MEMBER, COLUMN_STORE, COLUMN_ADDRESS, COLUMN_ROLE, COLUMN_STATE };

static void print_list(const Keelfspb__StatusResponse *status)
{
    static const char *const header[] = {"MEMBER", "STORE", "ADDRESS", "ROLE", "STATE"};
    struct keelctl_table table;
    char state[KEELCTL_STATE_MAX];
    keelctl_table_init(&table, header, sizeof(header) / sizeof(header[0]));
    for (size_t i = 0; i < status->n_members && i < STORE_MEMBERS_MAX; i++) {
        const Keelfspb__MemberStatus *member = status->members[i];
        keelctl_member_state(status, member, state);
        keelctl_table_add_row(&table);
        keelctl_table_set(&table, COLUMN_MEMBER, "%s", member->name);
        keelctl_table_set(&table, COLUMN_STORE, "%" PRIu64, member->store_id);
        keelctl_table_set(&table, COLUMN_ADDRESS, "%s", member->address);
        keelctl_table_set(&table, COLUMN_ROLE, "%s", keelctl_member_role(member));
        keelctl_table_set(&table, COLUMN_STATE, "%s", state);
    }
    keelctl_table_print(&table);
}

static int print_list_json(const Keelfspb__StatusResponse *status)
{
    char state[KEELCTL_STATE_MAX];
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < status->n_members; i++) {
        const Keelfspb__MemberStatus *member = status->members[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        cJSON_AddStringToObject(item, "name", member->name);
        keelctl_json_add_number(item, "store_id", member->store_id);
        cJSON_AddStringToObject(item, "address", member->address);
        cJSON_AddStringToObject(item, "role", keelctl_member_role(member));
        keelctl_member_state(status, member, state);
        cJSON_AddStringToObject(item, "state", state);
    }
    return keelctl_json_print(list, false, "\n");
}

static int member_list(const struct keelctl *ctl)
{
    Keelfspb__StatusResponse *reply;
    int status = keelctl_cluster_ask_leader(ctl, NULL, &reply);
    if (status != KEELCTL_OK)
        return status;
    if (ctl->json)
        status = print_list_json(reply);
    else
        print_list(reply);
    keelctl_cluster_free(reply);
    return status;
}

/* ---- one change ---- */

/* NAME=HOST:PORT */
static int parse_member(const struct keelctl *ctl, const char *text,
                        struct store_member *ret_member)
{
    struct store_member members[STORE_MEMBERS_MAX];
    struct err e;
    size_t count;
    int rc = members_parse(text, members, &count, &e);
    if (rc == 0 && count != 1)
        rc = err_set(&e, KE_INVALID, "'%s' is more than one member", text);
    if (rc != 0)
        return keelctl_fail(KEELCTL_USAGE, "%s: %s", ctl->command, e.text);
    *ret_member = members[0];
    return KEELCTL_OK;
}

static int change_members(const struct keelctl *ctl, const Keelfspb__ChangeMembersRequest *request,
                          uint64_t *ret_store_id)
{
    struct keelctl_call call = {
        .method = "/keelfspb.KeelFs/ChangeMembers",
        .request = &request->base,
        .response = &keelfspb__change_members_response__descriptor,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call_leader(ctl, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Keelfspb__ChangeMembersResponse *response = (const void *)reply;
    *ret_store_id = response->store_id;
    protobuf_c_message_free_unpacked(reply, NULL);
    return KEELCTL_OK;
}

static int change_name(const struct keelctl *ctl, Keelfspb__ChangeMembersRequest__Kind kind,
                       uint64_t *ret_store_id)
{
    Keelfspb__ChangeMembersRequest request = KEELFSPB__CHANGE_MEMBERS_REQUEST__INIT;
    request.kind = kind;
    request.name = text_of(ctl->args[0]);
    return change_members(ctl, &request, ret_store_id);
}

/* ---- add, add-learner and replace ---- */

/* The voters but `old_name`, as --join takes them. Without an answer, whom keelctl was
 * told to ask. */
static void print_addresses(const struct keelctl *ctl, const char *old_name)
{
    Keelfspb__StatusResponse *reply;
    char why[KEELCTL_MESSAGE_MAX];
    const char *comma = "";
    if (keelctl_cluster_ask(ctl, why, &reply) != KEELCTL_OK) {
        for (size_t i = 0; i < ctl->endpoint_count; i++)
            printf("%s%s", i > 0 ? "," : "", ctl->endpoints[i]);
        return;
    }
    for (size_t i = 0; i < reply->n_members; i++) {
        const Keelfspb__MemberStatus *member = reply->members[i];
        if (!keelctl_member_is_voter(member) || strcmp(member->name, old_name) == 0)
            continue;
        printf("%s%s", comma, member->address);
        comma = ",";
    }
    keelctl_cluster_free(reply);
}

static void print_how_to_start(const struct keelctl *ctl, const struct store_member *member,
                               const char *old_name)
{
    printf("Start it on its machine, with an empty data directory and a mount point:\n"
           "  keelfs --name %s --listen %s --join ",
           member->name, member->address);
    print_addresses(ctl, old_name);
    printf(" /mnt/kv\n");
}

/* What --wait has seen so far. */
struct wait {
    const char *name;
    bool was_member;
    char said[KEELCTL_MESSAGE_MAX]; /* last */
};

/* Says how the member does when that has changed. */
static void show_progress(struct wait *wait, const Keelfspb__StatusResponse *status,
                          const Keelfspb__MemberStatus *member)
{
    char state[KEELCTL_STATE_MAX];
    char line[KEELCTL_MESSAGE_MAX];
    keelctl_member_state(status, member, state);
    if (keelctl_member_is_voter(member))
        (void)snprintf(line, sizeof(line), "%s is a voter", wait->name);
    else if (member->active && member->match_index > 0)
        (void)snprintf(line, sizeof(line), "%s: has the log up to %" PRIu64 " of %" PRIu64,
                       wait->name, member->match_index, status->last_index);
    else
        (void)snprintf(line, sizeof(line), "%s: %s", wait->name, state);
    if (strcmp(line, wait->said) == 0)
        return;
    printf("%s\n", line);
    (void)fflush(stdout);
    memcpy(wait->said, line, sizeof(line));
}

/* True: there is nothing more to wait for, and `*ret_status` says how it ended. */
static bool look_at_member(const struct keelctl *ctl, struct wait *wait, int *ret_status)
{
    char why[KEELCTL_MESSAGE_MAX];
    Keelfspb__StatusResponse *reply;
    bool ends = false;
    if (keelctl_cluster_ask_leader(ctl, why, &reply) != KEELCTL_OK)
        return false;
    const Keelfspb__MemberStatus *member = keelctl_cluster_find(reply, wait->name);
    bool is_leaders = keelctl_cluster_is_leaders(reply);
    if (is_leaders && member != NULL) {
        wait->was_member = true;
        show_progress(wait, reply, member);
        ends = keelctl_member_is_voter(member);
    } else if (is_leaders && wait->was_member) {
        ends = true;
        *ret_status =
            keelctl_fail(KEELCTL_REFUSED, "%s: %s was removed meanwhile", ctl->command, wait->name);
    }
    keelctl_cluster_free(reply);
    return ends;
}

/* Until the member is a voter. The leader may change meanwhile. */
static int wait_for_promotion(const struct keelctl *ctl, const char *name)
{
    const struct timespec pause = {.tv_nsec = WAIT_PAUSE_MS * 1000000l};
    struct wait wait = {.name = name};
    int status = KEELCTL_OK;
    for (unsigned looks = 0; looks < WAIT_LOOKS_MAX; looks++) {
        if (look_at_member(ctl, &wait, &status))
            return status;
        (void)nanosleep(&pause, NULL);
    }
    return keelctl_fail(KEELCTL_UNAVAILABLE, "%s: %s is no voter after a day", ctl->command, name);
}

static int add_member(const struct keelctl *ctl, const char *text, const char *old_name,
                      Keelfspb__ChangeMembersRequest__Kind kind)
{
    Keelfspb__ChangeMembersRequest request = KEELFSPB__CHANGE_MEMBERS_REQUEST__INIT;
    struct store_member member;
    uint64_t store_id;
    int status = parse_member(ctl, text, &member);
    if (status != KEELCTL_OK)
        return status;
    request.kind = kind;
    request.name = member.name;
    request.address = member.address;
    request.old_name = text_of(old_name);
    status = change_members(ctl, &request, &store_id);
    if (status != KEELCTL_OK)
        return status;
    printf("%s is a member now, a learner with store id %" PRIu64, member.name, store_id);
    if (kind == CHANGE(Add))
        printf("; it becomes a voter when it has caught up.\n");
    else if (kind == CHANGE(Replace))
        printf("; it takes the place of %s when it has caught up.\n", old_name);
    else
        printf(".\n");
    print_how_to_start(ctl, &member, old_name);
    if (!ctl->wait)
        return KEELCTL_OK;
    (void)fflush(stdout);
    return wait_for_promotion(ctl, member.name);
}

static int member_add(const struct keelctl *ctl)
{
    return add_member(ctl, ctl->args[0], "", CHANGE(Add));
}

static int member_add_learner(const struct keelctl *ctl)
{
    if (ctl->wait)
        return keelctl_fail(KEELCTL_USAGE,
                            "%s: a learner is not promoted; there is nothing to "
                            "wait for",
                            ctl->command);
    return add_member(ctl, ctl->args[0], "", CHANGE(AddLearner));
}

static int member_replace(const struct keelctl *ctl)
{
    return add_member(ctl, ctl->args[1], ctl->args[0], CHANGE(Replace));
}

/* ---- the others ---- */

static int member_promote(const struct keelctl *ctl)
{
    uint64_t store_id;
    int status = change_name(ctl, CHANGE(Promote), &store_id);
    if (status == KEELCTL_OK)
        printf("%s is a voter now.\n", ctl->args[0]);
    return status;
}

static int member_remove(const struct keelctl *ctl)
{
    uint64_t store_id;
    int status = change_name(ctl, CHANGE(Remove), &store_id);
    if (status == KEELCTL_OK)
        printf("%s is no member any more, and store id %" PRIu64 " is never given again.\n"
               "It stops by itself. Its data directory is refused from now on; with an empty one\n"
               "it can join anew.\n",
               ctl->args[0], store_id);
    return status;
}

static int member_set_address(const struct keelctl *ctl)
{
    Keelfspb__ChangeMembersRequest request = KEELFSPB__CHANGE_MEMBERS_REQUEST__INIT;
    struct store_member member;
    uint64_t store_id;
    int status = parse_member(ctl, ctl->args[0], &member);
    if (status != KEELCTL_OK)
        return status;
    request.kind = CHANGE(SetAddress);
    request.name = member.name;
    request.address = member.address;
    status = change_members(ctl, &request, &store_id);
    if (status == KEELCTL_OK)
        printf("The others look for %s at %s now. Start it with:\n"
               "  keelfs --name %s --listen %s --advertise %s /mnt/kv\n",
               member.name, member.address, member.name, member.address, member.address);
    return status;
}

static int member_transfer_leader(const struct keelctl *ctl)
{
    Keelfspb__TransferLeaderRequest request = KEELFSPB__TRANSFER_LEADER_REQUEST__INIT;
    request.name = text_of(ctl->arg_count > 0 ? ctl->args[0] : "");
    struct keelctl_call call = {
        .method = "/keelfspb.KeelFs/TransferLeader",
        .request = &request.base,
        .response = &keelfspb__transfer_leader_response__descriptor,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call_leader(ctl, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Keelfspb__TransferLeaderResponse *response = (const void *)reply;
    printf("%s leads now.\n", response->name);
    protobuf_c_message_free_unpacked(reply, NULL);
    return KEELCTL_OK;
}

/* ---- the family ---- */

static const char family_help[] =
    "usage: keelctl [OPTION...] member COMMAND\n"
    "\n"
    "  list                        the members: name, store id, address, role, state\n"
    "  add NAME=HOST:PORT          a new member, which becomes a voter by itself when it\n"
    "                              has caught up\n"
    "  add-learner NAME=HOST:PORT  a new member that has the data and does not vote\n"
    "  promote NAME                makes a learner a voter\n"
    "  remove NAME                 takes a member out, for good\n"
    "  replace OLD NEW=HOST:PORT   adds NEW, and when it has caught up takes OLD out and\n"
    "                              makes NEW a voter, in one step\n"
    "  set-address NAME=HOST:PORT  where the others reach a member from now on\n"
    "  transfer-leader [NAME]      has another member lead: NAME, or whoever is furthest\n"
    "\n"
    "Any member may be asked: what the leader alone can do is passed on to it. The\n"
    "options are those of keelctl --help; `keelctl member COMMAND --help` says more.\n";

static const struct keelctl_command commands[] = {
    {"list", 0, 0, "", member_list,
     "usage: keelctl [OPTION...] member list\n"
     "\n"
     "The members as the leader sees them; without a leader, as the node that is asked\n"
     "does. With --json a list of objects.\n"},
    {"add", 1, 1, "NAME=HOST:PORT", member_add,
     "usage: keelctl [OPTION...] member add [--wait] NAME=HOST:PORT\n"
     "\n"
     "Makes room for a new member, which the others will reach at HOST:PORT, and says\n"
     "how to start it. It gets all data, and becomes a voter by itself when it has caught\n"
     "up. Until then it does not count for majorities: a slow one holds nobody up.\n"
     "\n"
     "A node started with --join also adds itself. Said here first, nobody else gets in\n"
     "under that name.\n"
     "\n"
     "  --wait   shows how it catches up, until it is a voter\n"},
    {"add-learner", 1, 1, "NAME=HOST:PORT", member_add_learner,
     "usage: keelctl [OPTION...] member add-learner NAME=HOST:PORT\n"
     "\n"
     "As `member add`, but the member stays a learner: it has all data and serves a mount,\n"
     "and no majority needs it. `member promote` makes it a voter.\n"},
    {"promote", 1, 1, "NAME", member_promote,
     "usage: keelctl [OPTION...] member promote NAME\n"
     "\n"
     "Makes a learner a voter. One that was never started is refused.\n"},
    {"remove", 1, 1, "NAME", member_remove,
     "usage: keelctl [OPTION...] member remove NAME\n"
     "\n"
     "Takes a member out of the cluster. It stops by itself, with a line in its log, and\n"
     "its data directory cannot be used again. A member that is down can be removed too,\n"
     "as long as a majority is up. So can the leader: another one is elected.\n"},
    {"replace", 2, 2, "OLD NEW=HOST:PORT", member_replace,
     "usage: keelctl [OPTION...] member replace [--wait] OLD NEW=HOST:PORT\n"
     "\n"
     "Adds NEW as a learner; when it has caught up, it becomes a voter and OLD is removed,\n"
     "in one step. OLD may be down or have lost its disk. The number of voters stays\n"
     "the same all the time.\n"
     "\n"
     "  --wait   shows how NEW catches up, until it is a voter\n"},
    {"set-address", 1, 1, "NAME=HOST:PORT", member_set_address,
     "usage: keelctl [OPTION...] member set-address NAME=HOST:PORT\n"
     "\n"
     "Where the others reach a member from now on. A node that is started with another\n"
     "--advertise tells its new address itself, as long as it reaches a majority.\n"},
    {"transfer-leader", 0, 1, "", member_transfer_leader,
     "usage: keelctl [OPTION...] member transfer-leader [NAME]\n"
     "\n"
     "Has another member lead: NAME, or without it whoever has most of the log. Answers\n"
     "when that is so. Before the leader's machine goes down, this saves the others from\n"
     "finding out by a timeout.\n"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

const char *keelctl_member_help(char *const *args, size_t arg_count)
{
    const struct keelctl_command *command =
        arg_count > 0 ? keelctl_find_command(commands, COMMAND_COUNT, args[0]) : NULL;
    return command != NULL ? command->help : family_help;
}

int keelctl_member(const struct keelctl *ctl)
{
    char name[64];
    struct keelctl own = *ctl;
    const struct keelctl_command *command =
        keelctl_find_command(commands, COMMAND_COUNT, ctl->args[0]);
    if (command == NULL)
        return keelctl_fail(KEELCTL_USAGE, "unknown command 'member %s'; see keelctl member --help",
                            ctl->args[0]);
    (void)snprintf(name, sizeof(name), "member %s", command->name);
    own.command = name;
    own.args = ctl->args + 1;
    own.arg_count = ctl->arg_count - 1;
    return keelctl_run_command(&own, command);
}
