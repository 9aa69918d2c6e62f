/* keelctl check: whether all replicas are equal. */
#include "tools/keelctl_cluster.h"
#include "tools/keelctl_table.h"

#include "raftstore/op.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS     1000000ull
#define LOOK_PAUSE_MS 20

/* What became of one member's hash. */
struct replica {
    const Keelfspb__MemberStatus *member;
    bool known;
    uint64_t hash;
    char why[KEELCTL_MESSAGE_MAX]; /* it is not known */
};

struct check {
    const struct keelctl *ctl;
    uint64_t deadline_ns;
    uint64_t index;
    size_t count;
    struct replica replicas[STORE_MEMBERS_MAX];
    uint64_t hash; /* that most have */
    size_t unknown;
    size_t different;
};

static int start_check(struct check *check)
{
    Keelfspb__StartCheckRequest request = KEELFSPB__START_CHECK_REQUEST__INIT;
    struct keelctl_call call = {
        .method = "/keelfspb.KeelFs/StartCheck",
        .request = &request.base,
        .response = &keelfspb__start_check_response__descriptor,
        .read_only = true,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call_leader(check->ctl, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Keelfspb__StartCheckResponse *response = (const void *)reply;
    check->index = response->index;
    protobuf_c_message_free_unpacked(reply, NULL);
    return KEELCTL_OK;
}

/* ---- one member's hash ---- */

static int ask_replica(const struct keelctl *at, uint64_t index, struct replica *replica)
{
    Keelfspb__CheckResultRequest request = KEELFSPB__CHECK_RESULT_REQUEST__INIT;
    request.index = index;
    struct keelctl_call call = {
        .method = "/keelfspb.KeelFs/CheckResult",
        .request = &request.base,
        .response = &keelfspb__check_result_response__descriptor,
        .read_only = true,
        .ret_why = replica->why,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call(at, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Keelfspb__CheckResultResponse *response = (const void *)reply;
    replica->known = response->known;
    replica->hash = response->hash;
    protobuf_c_message_free_unpacked(reply, NULL);
    return KEELCTL_OK;
}

/* A node hashes when it gets to the entry: that is waited for, with what is left of
 * the time. One that is down costs no more than an attempt to connect. */
static void await_replica(const struct check *check, struct replica *replica)
{
    const struct timespec pause = {.tv_nsec = (long)(LOOK_PAUSE_MS * NS_PER_MS)};
    struct keelctl at = *check->ctl;
    at.endpoints[0] = replica->member->address;
    at.endpoint_count = 1;
    bool has_answered = false;
    uint64_t now_ns;
    do {
        now_ns = clock_ns();
        uint64_t left_ns = check->deadline_ns > now_ns ? check->deadline_ns - now_ns : 0;
        at.timeout_ms = (uint32_t)(left_ns / NS_PER_MS) + 1;
        bool answers = ask_replica(&at, check->index, replica) == KEELCTL_OK;
        if (replica->known || (!answers && !has_answered))
            return;
        has_answered = true;
        (void)nanosleep(&pause, NULL);
    } while (now_ns < check->deadline_ns);
    (void)snprintf(replica->why, sizeof(replica->why),
                   "no hash within %u ms: it may be behind, or got a snapshot instead",
                   check->ctl->timeout_ms);
}

/* ---- the verdict ---- */

static size_t count_equal(const struct check *check, uint64_t hash)
{
    size_t equal = 0;
    for (size_t i = 0; i < check->count; i++)
        equal += check->replicas[i].known && check->replicas[i].hash == hash;
    return equal;
}

static void judge(struct check *check)
{
    size_t most = 0;
    for (size_t i = 0; i < check->count; i++) {
        const struct replica *replica = &check->replicas[i];
        size_t equal = replica->known ? count_equal(check, replica->hash) : 0;
        check->unknown += !replica->known;
        if (equal > most) {
            most = equal;
            check->hash = replica->hash;
        }
    }
    check->different = check->count - check->unknown - most;
}

static int exit_status(const struct check *check)
{
    if (check->different > 0)
        return KEELCTL_CHECK_DIFFERENT;
    return check->unknown > 0 ? KEELCTL_CHECK_UNKNOWN : KEELCTL_OK;
}

static bool is_odd(const struct check *check, const struct replica *replica)
{
    return replica->known && replica->hash != check->hash;
}

/* With no more on the one side than on the other, nobody can say who is right. */
static bool has_majority(const struct check *check)
{
    return 2 * count_equal(check, check->hash) > check->count - check->unknown;
}

enum column { COLUMN_MEMBER, COLUMN_STORE, COLUMN_HASH };

static void print_replicas(const struct check *check)
{
    static const char *const header[] = {"MEMBER", "STORE", "HASH"};
    struct keelctl_table table;
    keelctl_table_init(&table, header, sizeof(header) / sizeof(header[0]));
    for (size_t i = 0; i < check->count; i++) {
        const struct replica *replica = &check->replicas[i];
        keelctl_table_add_row(&table);
        keelctl_table_set(&table, COLUMN_MEMBER, "%s", replica->member->name);
        keelctl_table_set(&table, COLUMN_STORE, "%" PRIu64, replica->member->store_id);
        if (replica->known)
            keelctl_table_set(&table, COLUMN_HASH, "%016" PRIx64 "%s", replica->hash,
                              is_odd(check, replica) ? "  differs" : "");
        else
            keelctl_table_set(&table, COLUMN_HASH, "not known: %s", replica->why);
    }
    keelctl_table_print(&table);
}

static void print_verdict(const struct check *check)
{
    if (check->different == 0) {
        printf("%zu of %zu replicas are equal at index %" PRIu64 "\n",
               check->count - check->unknown, check->count, check->index);
    } else if (!has_majority(check)) {
        printf("The replicas DIFFER at index %" PRIu64 ", and no majority of them is equal.\n",
               check->index);
    } else {
        printf("The replicas DIFFER at index %" PRIu64 ". The odd ones:", check->index);
        for (size_t i = 0; i < check->count; i++) {
            if (is_odd(check, &check->replicas[i]))
                printf(" %s", check->replicas[i].member->name);
        }
        printf("\nReplace each of them: keelctl member replace OLD NEW=HOST:PORT\n");
    }
}

static int print_json(const struct check *check)
{
    cJSON *object = cJSON_CreateObject();
    keelctl_json_add_number(object, "index", check->index);
    cJSON_AddBoolToObject(object, "equal", check->different == 0);
    cJSON *list = cJSON_AddArrayToObject(object, "replicas");
    for (size_t i = 0; i < check->count; i++) {
        const struct replica *replica = &check->replicas[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        cJSON_AddStringToObject(item, "name", replica->member->name);
        keelctl_json_add_number(item, "store_id", replica->member->store_id);
        if (replica->known) {
            keelctl_json_add_id(item, "hash", replica->hash);
            cJSON_AddBoolToObject(item, "differs", is_odd(check, replica));
        } else {
            cJSON_AddNullToObject(item, "hash");
            cJSON_AddStringToObject(item, "why", replica->why);
        }
    }
    return keelctl_json_print(object, false, "\n");
}

static int check_members(struct check *check, const Keelfspb__StatusResponse *members)
{
    int status = start_check(check);
    if (status != KEELCTL_OK)
        return status;
    for (size_t i = 0; i < members->n_members && i < STORE_MEMBERS_MAX; i++) {
        struct replica *replica = &check->replicas[check->count++];
        replica->member = members->members[i];
        await_replica(check, replica);
    }
    judge(check);
    if (check->ctl->json) {
        status = print_json(check);
    } else {
        print_replicas(check);
        print_verdict(check);
    }
    return status != KEELCTL_OK ? status : exit_status(check);
}

int keelctl_check(const struct keelctl *ctl)
{
    struct check check = {.ctl = ctl, .deadline_ns = clock_ns() + ctl->timeout_ms * NS_PER_MS};
    Keelfspb__StatusResponse *members;
    int status = keelctl_cluster_ask(ctl, NULL, &members);
    if (status != KEELCTL_OK)
        return status;
    status = check_members(&check, members);
    keelctl_cluster_free(members);
    return status;
}
