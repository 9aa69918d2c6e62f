/* RawGet, RawPut, RawDelete and RawScan at the server, over a store that answers
 * as told. */
#include "raftstore/rpc_client.h"
#include "raftstore/rpc_status.h"

#include "fake_store.h"
#include "inbox.h"

#include "kvrpcpb.pb-c.h"

#include <criterion/criterion.h>
#include <grpc/status.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALL_MS 10000
#define MIB     (1u << 20)

struct host {
    struct inbox *inbox;
    struct store *store;
    struct rpc_server *server;
    struct rpc_client *client;
};

static struct host host_open(void)
{
    struct host host = {.inbox = inbox_new(), .store = fake_store_new()};
    host.server = inbox_serve(host.inbox, 1, 0, host.store);
    char address[INBOX_ADDRESS_MAX];
    host.client = rpc_client_new(inbox_address(host.server, address));
    return host;
}

static void host_close(struct host *host)
{
    rpc_client_free(host->client);
    inbox_stop(host->server);
    fake_store_free(host->store);
    inbox_free(host->inbox);
}

static int call(struct host *host, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *type, void *ret_response, struct err *e)
{
    size_t size = protobuf_c_message_get_packed_size(request);
    uint8_t *bytes = malloc(size + 1), *reply;
    protobuf_c_message_pack(request, bytes);
    int rc = rpc_client_call(host->client, method, bytes, size, CALL_MS, &reply, &size, e);
    free(bytes);
    if (rc != 0)
        return rc;
    ProtobufCMessage *response = protobuf_c_message_unpack(type, NULL, size, reply);
    cr_assert_not_null(response);
    memcpy(ret_response, &response, sizeof(response));
    free(reply);
    return 0;
}

static ProtobufCBinaryData bytes_of(char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

static int get(struct host *host, char *key, char *cf, Kvrpcpb__RawGetResponse **ret, struct err *e)
{
    Kvrpcpb__RawGetRequest request = KVRPCPB__RAW_GET_REQUEST__INIT;
    request.key = bytes_of(key);
    request.cf = cf;
    return call(host, "/tinykvpb.TinyKv/RawGet", &request.base,
                &kvrpcpb__raw_get_response__descriptor, ret, e);
}

static int put(struct host *host, char *key, void *value, size_t size, struct err *e)
{
    Kvrpcpb__RawPutRequest request = KVRPCPB__RAW_PUT_REQUEST__INIT;
    Kvrpcpb__RawPutResponse *response;
    request.key = bytes_of(key);
    request.value = (ProtobufCBinaryData){.data = value, .len = size};
    int rc = call(host, "/tinykvpb.TinyKv/RawPut", &request.base,
                  &kvrpcpb__raw_put_response__descriptor, &response, e);
    if (rc == 0)
        kvrpcpb__raw_put_response__free_unpacked(response, NULL);
    return rc;
}

Test(raw, get_tells_an_empty_value_from_a_missing_key, .timeout = 30)
{
    struct host host = host_open();
    fake_store_answer_all(host.store, 0);
    Kvrpcpb__RawGetResponse *response;
    struct err e;
    cr_assert_eq(get(&host, "a/b", "", &response, &e), 0, "%s", e.text);
    cr_assert(response->not_found);
    kvrpcpb__raw_get_response__free_unpacked(response, NULL);

    fake_store_set_value(host.store, "", 0);
    cr_assert_eq(get(&host, "a/b", "", &response, &e), 0, "%s", e.text);
    cr_assert_not(response->not_found);
    cr_assert_eq(response->value.len, 0);
    kvrpcpb__raw_get_response__free_unpacked(response, NULL);
    host_close(&host);
}

Test(raw, get_returns_values_of_every_size_up_to_the_limit, .timeout = 60)
{
    struct host host = host_open();
    fake_store_answer_all(host.store, 0);
    uint8_t *value = malloc(20 * MIB);
    memset(value, 'v', 20 * MIB);
    static const size_t sizes[] = {1, 1000, 64u << 10, (64u << 10) + 1, 8 * MIB, 15 * MIB};
    Kvrpcpb__RawGetResponse *response;
    struct err e;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fake_store_set_value(host.store, value, sizes[i]);
        cr_assert_eq(get(&host, "k", "default", &response, &e), 0, "%s", e.text);
        cr_assert_eq(response->value.len, sizes[i]);
        cr_assert_eq(memcmp(response->value.data, value, sizes[i]), 0);
        kvrpcpb__raw_get_response__free_unpacked(response, NULL);
    }
    fake_store_set_value(host.store, value, 20 * MIB);
    cr_assert_eq(get(&host, "k", "default", &response, &e), KE_TOO_LARGE);
    free(value);
    host_close(&host);
}

Test(raw, keys_that_are_no_path_are_refused_before_the_store_sees_them, .timeout = 30)
{
    struct host host = host_open();
    char long_key[5001];
    memset(long_key, 'k', 5000);
    long_key[5000] = '\0';
    char *keys[] = {"", "/a", "a/", "a//b", "..", "a/../b", ".", ".keelfs/status", long_key};
    Kvrpcpb__RawGetResponse *response;
    struct err e;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        cr_assert_eq(put(&host, keys[i], "v", 1, &e), KE_INVALID, "%s", keys[i]);
        cr_assert_eq(get(&host, keys[i], "default", &response, &e), KE_INVALID, "%s", keys[i]);
        cr_assert_gt(strlen(e.text), 10);
    }
    /* The other families know no paths. */
    fake_store_answer_all(host.store, 0);
    cr_assert_eq(get(&host, "a//b", "lock", &response, &e), 0, "%s", e.text);
    kvrpcpb__raw_get_response__free_unpacked(response, NULL);
    cr_assert_eq(get(&host, "", "write", &response, &e), KE_INVALID);
    host_close(&host);
}

Test(raw, an_unknown_column_family_is_refused, .timeout = 30)
{
    struct host host = host_open();
    Kvrpcpb__RawGetResponse *response;
    struct err e;
    cr_assert_eq(get(&host, "k", "raft", &response, &e), KE_INVALID);
    cr_assert_not_null(strstr(e.text, "raft"), "%s", e.text);
    host_close(&host);
}

Test(raw, a_value_larger_than_a_command_is_refused, .timeout = 60)
{
    struct host host = host_open();
    fake_store_answer_all(host.store, 0);
    uint8_t *value = calloc(1, COMMAND_CONTENT_MAX + 1);
    struct err e;
    cr_assert_eq(put(&host, "k", value, COMMAND_CONTENT_MAX + 1, &e), KE_INVALID);
    cr_assert_eq(fake_store_last_command_size(host.store), 0);
    cr_assert_eq(put(&host, "k", value, COMMAND_CONTENT_MAX, &e), 0, "%s", e.text);
    cr_assert_gt(fake_store_last_command_size(host.store), COMMAND_CONTENT_MAX);
    free(value);
    host_close(&host);
}

/* The code the client sees for each outcome of the store. */
Test(raw, an_outcome_of_the_store_becomes_a_status_with_words, .timeout = 30)
{
    static const int codes[][2] = {{KE_TIMEOUT, KE_TIMEOUT},     {KE_SHUTDOWN, KE_SHUTDOWN},
                                   {KE_IS_DIR, KE_CONDITION},    {KE_NOT_DIR, KE_CONDITION},
                                   {KE_BUSY, KE_BUSY},           {KE_NO_SPACE, KE_BUSY},
                                   {KE_TOO_LARGE, KE_TOO_LARGE}, {KE_CORRUPT, KE_CORRUPT}};
    struct host host = host_open();
    struct err e;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        fake_store_answer_all(host.store, codes[i][0]);
        cr_assert_eq(put(&host, "k", "v", 1, &e), codes[i][1], "%s", e.text);
        cr_assert_str_eq(e.text, ke_text(codes[i][0]));
    }
    host_close(&host);
}

Test(raw, a_context_of_another_region_or_store_is_answered_as_region_error, .timeout = 30)
{
    struct host host = host_open();
    Metapb__Peer peer = METAPB__PEER__INIT;
    Kvrpcpb__Context context = KVRPCPB__CONTEXT__INIT;
    context.region_id = 5;
    context.peer = &peer;
    peer.store_id = 1;
    Kvrpcpb__RawPutRequest request = KVRPCPB__RAW_PUT_REQUEST__INIT;
    request.key = bytes_of("k");
    request.context = &context;
    Kvrpcpb__RawPutResponse *response;
    struct err e;
    const char *method = "/tinykvpb.TinyKv/RawPut";
    const ProtobufCMessageDescriptor *type = &kvrpcpb__raw_put_response__descriptor;
    cr_assert_eq(call(&host, method, &request.base, type, &response, &e), 0, "%s", e.text);
    cr_assert_not_null(response->region_error);
    cr_assert_eq(response->region_error->region_not_found->region_id, 5);
    kvrpcpb__raw_put_response__free_unpacked(response, NULL);

    context.region_id = TEST_REGION;
    peer.store_id = 3;
    cr_assert_eq(call(&host, method, &request.base, type, &response, &e), 0, "%s", e.text);
    cr_assert_eq(response->region_error->store_not_match->actual_store_id, 1);
    cr_assert_eq(response->region_error->store_not_match->request_store_id, 3);
    kvrpcpb__raw_put_response__free_unpacked(response, NULL);

    peer.store_id = 1;
    fake_store_answer_all(host.store, 0);
    cr_assert_eq(call(&host, method, &request.base, type, &response, &e), 0, "%s", e.text);
    cr_assert_null(response->region_error);
    kvrpcpb__raw_put_response__free_unpacked(response, NULL);
    host_close(&host);
}

static int scan(struct host *host, uint32_t limit, Kvrpcpb__RawScanResponse **ret, struct err *e)
{
    Kvrpcpb__RawScanRequest request = KVRPCPB__RAW_SCAN_REQUEST__INIT;
    request.limit = limit;
    return call(host, "/tinykvpb.TinyKv/RawScan", &request.base,
                &kvrpcpb__raw_scan_response__descriptor, ret, e);
}

Test(raw, scan_returns_up_to_limit_pairs_in_order, .timeout = 30)
{
    struct host host = host_open();
    fake_store_answer_all(host.store, 0);
    fake_store_set_pairs(host.store, 1000, 20);
    static const uint32_t limits[] = {1, 999, 1000, UINT32_MAX};
    Kvrpcpb__RawScanResponse *response;
    struct err e;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t expected = limits[i] < 1000 ? limits[i] : 1000;
        cr_assert_eq(scan(&host, limits[i], &response, &e), 0, "%s", e.text);
        cr_assert_eq(response->n_kvs, expected);
        for (size_t k = 1; k < expected; k++)
            cr_assert_lt(memcmp(response->kvs[k - 1]->key.data, response->kvs[k]->key.data, 7), 0);
        kvrpcpb__raw_scan_response__free_unpacked(response, NULL);
    }
    host_close(&host);
}

Test(raw, a_scan_that_does_not_fit_into_a_reply_is_an_error_and_not_cut, .timeout = 60)
{
    struct host host = host_open();
    fake_store_answer_all(host.store, 0);
    fake_store_set_pairs(host.store, 17, MIB);
    Kvrpcpb__RawScanResponse *response;
    struct err e;
    cr_assert_eq(scan(&host, 17, &response, &e), KE_TOO_LARGE, "%s", e.text);
    cr_assert_eq(scan(&host, 15, &response, &e), 0, "%s", e.text);
    cr_assert_eq(response->n_kvs, 15);
    kvrpcpb__raw_scan_response__free_unpacked(response, NULL);
    host_close(&host);
}

static void on_reply(void *ctx, const struct rpc_reply *reply)
{
    *(int *)ctx = reply->status;
}

/* The caller's going away reaches the op without any event to wait for here. */
static bool becomes_cancelled(struct op *op)
{
    for (unsigned ms = 0; ms < 10000; ms++) {
        if (atomic_load(&op->claimed))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return false;
}

Test(raw, a_call_whose_client_gave_up_is_cancelled_in_the_store, .timeout = 30)
{
    struct host host = host_open();
    static const uint8_t request[] = {0x12, 0x01, 'k'};
    int status = -1;
    rpc_client_start(host.client, "/tinykvpb.TinyKv/RawPut", request, sizeof(request), 100,
                     on_reply, &status);
    struct op *op = fake_store_take(host.store);
    cr_assert_leq(op->deadline_ns, clock_ns() + 100000000ull);
    while (status == -1)
        rpc_client_poll(host.client);
    cr_assert_eq(status, GRPC_STATUS_DEADLINE_EXCEEDED);
    cr_assert(becomes_cancelled(op));
    fake_store_end(op, 0);
    host_close(&host);
}

Test(raw, the_deadline_of_an_op_is_never_later_than_the_servers, .timeout = 30)
{
    struct host host = host_open();
    static const uint8_t request[] = {0x12, 0x01, 'k'};
    int status = -1;
    rpc_client_start(host.client, "/tinykvpb.TinyKv/RawPut", request, sizeof(request), 3600000,
                     on_reply, &status);
    struct op *op = fake_store_take(host.store);
    cr_assert_leq(op->deadline_ns, clock_ns() + 5000000000ull);
    fake_store_end(op, 0);
    while (status == -1)
        rpc_client_poll(host.client);
    cr_assert_eq(status, GRPC_STATUS_OK);
    host_close(&host);
}
