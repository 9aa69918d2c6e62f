#include "raftstore/join.h"

#include "raftstore/log.h"
#include "raftstore/members.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/region_pb.h"
#include "raftstore/rpc_client.h"

#include "keelfspb.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOIN_METHOD "/keelfspb.KeelFs/Join"
/* A member that is there answers within its own time for operations. */
#define JOIN_CONNECT_MS 2000
#define JOIN_CALL_MS    8000
/* Between two rounds through the members. */
#define JOIN_PAUSE_MS 250
#define NS_PER_MS     1000000u
/* From a member to the leader it knows, and on when that has just changed. */
#define JOIN_HOPS_MAX 3

struct join {
    size_t endpoint_count;
    char endpoints[STORE_MEMBERS_MAX][STORE_ADDRESS_MAX + 1];
    uint8_t *request;
    size_t request_size;
};

static int join_parse_endpoints(struct join *join, const char *text, struct err *e)
{
    for (const char *part = text;; part++) {
        size_t size = strcspn(part, ",");
        if (join->endpoint_count == STORE_MEMBERS_MAX)
            return err_set(e, KE_INVALID, "at most %d members can be asked to join",
                           STORE_MEMBERS_MAX);
        if (size > STORE_ADDRESS_MAX)
            return err_set(e, KE_INVALID, "address \"%.*s\" is too long", (int)size, part);
        char *endpoint = join->endpoints[join->endpoint_count++];
        memcpy(endpoint, part, size);
        endpoint[size] = '\0';
        int rc = member_check_address(endpoint, e);
        if (rc != 0)
            return rc;
        part += size;
        if (*part == '\0')
            return 0;
    }
}

static void join_pack_request(struct join *join, const struct store_config *config,
                              const char *address, uint64_t data_id)
{
    Keelfspb__JoinRequest request = KEELFSPB__JOIN_REQUEST__INIT;
    /* protobuf-c has no const strings; packing only reads them. */
    request.name = (char *)config->name;
    request.address = (char *)address;
    request.data_id = data_id;
    request.learner = config->join_as_learner;
    join->request_size = keelfspb__join_request__get_packed_size(&request);
    join->request = mem_alloc(join->request_size);
    keelfspb__join_request__pack(&request, join->request);
}

/* One call to one member. `*ret_response` is to be freed. */
static int join_call(const struct join *join, const char *endpoint,
                     Keelfspb__JoinResponse **ret_response, struct err *e)
{
    struct rpc_client *client = rpc_client_new(endpoint);
    uint8_t *data = NULL;
    size_t size = 0;
    int rc = rpc_client_connect(client, JOIN_CONNECT_MS, e);
    if (rc == 0)
        rc = rpc_client_call(client, JOIN_METHOD, join->request, join->request_size, JOIN_CALL_MS,
                             &data, &size, e);
    rpc_client_free(client);
    if (rc != 0)
        return rc;
    *ret_response = keelfspb__join_response__unpack(NULL, size, data);
    free(data);
    return *ret_response != NULL ? 0 : err_set(e, KE_CORRUPT, "the answer makes no sense");
}

static int join_parse_answer(const Keelfspb__JoinResponse *response, struct join_answer *ret_answer,
                             struct err *e)
{
    struct join_answer answer = {
        .cluster_id = response->cluster_id,
        .store_id = response->store_id,
        .region_id = response->region_id,
    };
    bool named = false;
    bool good = answer.cluster_id != 0 && answer.store_id != 0 && answer.region_id != 0 &&
                response->n_stores <= STORE_MEMBERS_MAX;
    for (size_t i = 0; good && i < response->n_stores; i++) {
        good = member_pb_parse(response->stores[i], &answer.stores[i]);
        named = named || response->stores[i]->id == answer.store_id;
    }
    if (!good || !named)
        return err_set(e, KE_CORRUPT, "the answer makes no sense");
    answer.store_count = response->n_stores;
    *ret_answer = answer;
    return 0;
}

/* An answer, or in `ret_leader` (else empty) whom to ask. */
static int join_read(const Keelfspb__JoinResponse *response, struct join_answer *ret_answer,
                     char ret_leader[STORE_ADDRESS_MAX + 1], struct err *e)
{
    ret_leader[0] = '\0';
    if (!response->not_leader)
        return join_parse_answer(response, ret_answer, e);
    if (member_check_address(response->leader_address, NULL) != 0)
        return err_set(e, KE_NOT_LEADER, "it knows no leader");
    snprintf(ret_leader, STORE_ADDRESS_MAX + 1, "%s", response->leader_address);
    return 0;
}

/* Asks one member, and the leader it names. */
static int join_ask_from(const struct join *join, const char *first, struct join_answer *ret_answer,
                         struct err *e)
{
    char endpoint[STORE_ADDRESS_MAX + 1];
    char leader[STORE_ADDRESS_MAX + 1];
    snprintf(endpoint, sizeof(endpoint), "%s", first);
    for (int hop = 0; hop < JOIN_HOPS_MAX; hop++) {
        Keelfspb__JoinResponse *response = NULL;
        int rc = join_call(join, endpoint, &response, e);
        if (rc == 0) {
            rc = join_read(response, ret_answer, leader, e);
            keelfspb__join_response__free_unpacked(response, NULL);
        }
        if (rc != 0)
            return err_wrap(e, rc, "member at %s", endpoint);
        if (leader[0] == '\0')
            return 0;
        memcpy(endpoint, leader, sizeof(endpoint));
    }
    return err_set(e, KE_NOT_LEADER, "the members name one another as the leader");
}

/* Nobody has said no; in a while there may be an answer. */
static bool join_may_pass(int code)
{
    return code == KE_SHUTDOWN || code == KE_TIMEOUT || code == KE_BUSY || code == KE_CANCELLED ||
           code == KE_NOT_LEADER;
}

static int join_ask_all(const struct join *join, struct join_answer *ret_answer, struct err *e)
{
    int rc = KE_INVALID;
    for (size_t i = 0; i < join->endpoint_count; i++) {
        rc = join_ask_from(join, join->endpoints[i], ret_answer, e);
        if (rc == 0 || !join_may_pass(rc))
            break;
    }
    return rc;
}

static int join_ask_patiently(const struct join *join, struct join_answer *ret_answer,
                              struct err *e)
{
    uint64_t deadline = clock_ns() + (uint64_t)JOIN_PATIENCE_MS * NS_PER_MS;
    const struct timespec pause = {.tv_nsec = JOIN_PAUSE_MS * (long)NS_PER_MS};
    bool told = false;
    for (;;) {
        int rc = join_ask_all(join, ret_answer, e);
        if (rc == 0 || !join_may_pass(rc))
            return rc;
        if (clock_ns() >= deadline) {
            struct err why = *e;
            return err_set(e, KE_TIMEOUT, "nobody let this node join within %d s: %s",
                           JOIN_PATIENCE_MS / 1000, why.text);
        }
        if (!told)
            log_info("waiting to join: %s", e->text);
        told = true;
        nanosleep(&pause, NULL);
    }
}

int join_ask(const struct store_config *config, const char *address, uint64_t data_id,
             struct join_answer *ret_answer, struct err *e)
{
    assert(config->join != NULL && data_id != 0);
    struct err why = {0};
    struct join join = {0};
    int rc = join_parse_endpoints(&join, config->join, &why);
    if (rc == 0) {
        join_pack_request(&join, config, address, data_id);
        rc = join_ask_patiently(&join, ret_answer, &why);
        free(join.request);
    }
    return rc == 0 ? 0 : err_set(e, rc, "cannot join: %s", why.text);
}
