/* The server around its services: addresses, unknown methods, limits, the end. */
#include "raftstore/rpc_server.h"

#include "raftstore/rpc_client.h"

#include "fake_store.h"
#include "inbox.h"
#include "raw_stream.h"

#include "keelfspb.pb-c.h"
#include "kvrpcpb.pb-c.h"

#include <criterion/criterion.h>
#include <grpc/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS    10000
#define PATIENT_MS 3600000 /* such a client does not end the call itself */

static struct err call(const char *address, const char *method, const void *bytes, size_t size)
{
    struct rpc_client *client = rpc_client_new(address);
    uint8_t *reply;
    size_t reply_size;
    struct err e = {0};
    if (rpc_client_call(client, method, bytes, size, CALL_MS, &reply, &reply_size, &e) == 0)
        free(reply);
    rpc_client_free(client);
    return e;
}

static int try_to_serve(const char *listen, struct err *e)
{
    struct inbox *inbox = inbox_new();
    struct rpc_server *other = inbox_serve(inbox, 1, 0, NULL);
    char address[INBOX_ADDRESS_MAX];
    struct rpc_server_config config = {
        .loop = inbox->server_loop,
        .listen = listen != NULL ? listen : inbox_address(other, address),
        .admit = (int (*)(void *, const struct transport_identity *, struct err *))abort,
        .deliver = (void (*)(void *, const struct wire_envelope *, struct raft_message *))abort,
    };
    struct rpc_server *server = NULL;
    int rc = rpc_server_start(&config, &server, e);
    cr_assert_null(server);
    inbox_stop(other);
    inbox_free(inbox);
    return rc;
}

Test(server, a_port_in_use_is_one_clear_error, .timeout = 30)
{
    struct err e;
    cr_assert_eq(try_to_serve(NULL, &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "127.0.0.1:"), "%s", e.text);
    cr_assert_not_null(strstr(e.text, "another process"), "%s", e.text);
    cr_assert_null(strchr(e.text, '\n'));
}

Test(server, an_address_of_another_machine_is_one_clear_error, .timeout = 30)
{
    struct err e;
    cr_assert_eq(try_to_serve("192.0.2.1:20160", &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "no such address"), "%s", e.text);
}

Test(server, a_name_that_does_not_resolve_is_one_clear_error, .timeout = 30)
{
    struct err e;
    cr_assert_eq(try_to_serve("name.invalid:20160", &e), KE_IO);
    cr_assert_not_null(strstr(e.text, "name.invalid"), "%s", e.text);
    cr_assert_null(strchr(e.text, '\n'));
    cr_assert_eq(try_to_serve("no port here", &e), KE_IO);
}

Test(server, an_unknown_method_is_answered_unimplemented, .timeout = 30)
{
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    char address[INBOX_ADDRESS_MAX];
    (void)inbox_address(server, address);
    cr_assert_eq(call(address, "/no.Such/Method", "", 0).code, KE_NOT_SUPPORTED);
    cr_assert_eq(call(address, "/tinykvpb.TinyKv/Snapshot", "x", 1).code, KE_NOT_SUPPORTED);
    /* Not only the first time. */
    cr_assert_eq(call(address, "/tinykvpb.TinyKv/KvGet", "", 0).code, KE_NOT_SUPPORTED);
    inbox_stop(server);
    inbox_free(inbox);
}

Test(server, garbage_is_refused_with_the_name_of_what_was_expected, .timeout = 30)
{
    static const char *const names[][2] = {
        {"/tinykvpb.TinyKv/RawGet", "kvrpcpb.RawGetRequest"},
        {"/tinykvpb.TinyKv/RawPut", "kvrpcpb.RawPutRequest"},
        {"/tinykvpb.TinyKv/RawDelete", "kvrpcpb.RawDeleteRequest"},
        {"/tinykvpb.TinyKv/RawScan", "kvrpcpb.RawScanRequest"},
        {"/keelfspb.KeelFs/Status", "keelfspb.StatusRequest"}};
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    char address[INBOX_ADDRESS_MAX];
    (void)inbox_address(server, address);
    const size_t count = sizeof(names) / sizeof(names[0]);
    for (size_t i = 0; i < count; i++) {
        struct err e = call(address, names[i][0], "\xff\xff\xff\xff", 4);
        cr_assert_eq(e.code, KE_INVALID);
        cr_assert_not_null(strstr(e.text, names[i][1]), "%s", e.text);
        /* What gRPC makes of a body that is not even framed. */
        e = call(address, names[i][0], "", 0);
        cr_assert_eq(e.code, i + 1 < count ? KE_INVALID : 0, "%s", e.text);
    }
    inbox_stop(server);
    inbox_free(inbox);
}

Test(server, a_unary_call_without_a_message_is_refused, .timeout = 30)
{
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    char address[INBOX_ADDRESS_MAX], words[RAW_STREAM_WORDS_MAX];
    struct raw_stream *stream =
        raw_stream_open(inbox_address(server, address), "/tinykvpb.TinyKv/RawPut", NULL);
    raw_stream_half_close(stream);
    cr_assert_eq(raw_stream_end(stream, words), GRPC_STATUS_INVALID_ARGUMENT);
    inbox_stop(server);
    inbox_free(inbox);
}

Test(server, a_request_over_the_limit_is_refused_and_the_next_is_served, .timeout = 60)
{
    struct inbox *inbox = inbox_new();
    struct store *store = fake_store_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, store);
    char address[INBOX_ADDRESS_MAX];
    (void)inbox_address(server, address);
    uint8_t *bytes = calloc(1, 100u << 20);
    cr_assert_eq(call(address, "/tinykvpb.TinyKv/RawPut", bytes, 100u << 20).code, KE_BUSY);
    free(bytes);
    cr_assert_eq(call(address, "/keelfspb.KeelFs/Status", "", 0).code, 0);
    inbox_stop(server);
    fake_store_free(store);
    inbox_free(inbox);
}

Test(server, status_says_what_the_store_knows, .timeout = 30)
{
    struct inbox *inbox = inbox_new();
    struct store *store = fake_store_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, store);
    char address[INBOX_ADDRESS_MAX];
    struct rpc_client *client = rpc_client_new(inbox_address(server, address));
    uint8_t *reply;
    size_t size;
    struct err e;
    cr_assert_eq(
        rpc_client_call(client, "/keelfspb.KeelFs/Status", NULL, 0, CALL_MS, &reply, &size, &e), 0);
    Keelfspb__StatusResponse *status = keelfspb__status_response__unpack(NULL, size, reply);
    cr_assert_not_null(status);
    cr_assert_eq(status->cluster_id, 7);
    cr_assert_str_eq(status->role, "leader");
    cr_assert_eq(status->commit_index, 100);
    cr_assert_eq(status->applied_index, 99);
    cr_assert_gt(strlen(status->version), 0);
    cr_assert_eq(status->n_members, 2);
    cr_assert(status->members[0]->is_self);
    cr_assert(status->members[0]->is_leader);
    cr_assert_not(status->members[1]->is_self);
    cr_assert_str_eq(status->members[1]->address, "h2:2");
    cr_assert_eq(status->members[1]->match_index, 98);
    keelfspb__status_response__free_unpacked(status, NULL);
    free(reply);
    rpc_client_free(client);
    inbox_stop(server);
    fake_store_free(store);
    inbox_free(inbox);
}

/* ---- ends ---- */

struct pending {
    unsigned ended;
    int status;
};

static void on_reply(void *ctx, const struct rpc_reply *reply)
{
    struct pending *pending = ctx;
    pending->ended++;
    pending->status = reply->status;
}

static const uint8_t get_request[] = {0x12, 0x01, 'k'};

Test(server, stops_while_calls_wait_for_the_store, .timeout = 30)
{
    struct inbox *inbox = inbox_new();
    struct store *store = fake_store_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, store);
    char address[INBOX_ADDRESS_MAX];
    struct rpc_client *client = rpc_client_new(inbox_address(server, address));
    struct pending pending = {0};
    struct op *ops[20];
    for (size_t i = 0; i < 20; i++)
        rpc_client_start(client, "/tinykvpb.TinyKv/RawGet", get_request, sizeof(get_request),
                         PATIENT_MS, on_reply, &pending);
    for (size_t i = 0; i < 20; i++)
        ops[i] = fake_store_take(store);
    /* Nobody answers: the calls are cancelled. */
    rpc_server_stop(server);
    /* Ops that are cancelled do not mind an answer that comes late. */
    for (size_t i = 0; i < 20; i++)
        fake_store_end(ops[i], KE_SHUTDOWN);
    rpc_server_free(server);
    while (pending.ended < 20)
        rpc_client_poll(client);
    cr_assert_neq(pending.status, GRPC_STATUS_OK);
    rpc_client_free(client);
    fake_store_free(store);
    inbox_free(inbox);
}

struct stopper {
    struct rpc_server *server;
    pthread_t thread;
};

static void *stop(void *arg)
{
    struct stopper *stopper = arg;
    rpc_server_stop(stopper->server);
    return NULL;
}

Test(server, answers_that_come_while_it_stops_still_arrive, .timeout = 30)
{
    struct inbox *inbox = inbox_new();
    struct store *store = fake_store_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, store);
    char address[INBOX_ADDRESS_MAX];
    struct rpc_client *client = rpc_client_new(inbox_address(server, address));
    struct pending pending = {0};
    rpc_client_start(client, "/tinykvpb.TinyKv/RawGet", get_request, sizeof(get_request), CALL_MS,
                     on_reply, &pending);
    struct op *op = fake_store_take(store);
    struct stopper stopper = {.server = server};
    cr_assert_eq(pthread_create(&stopper.thread, NULL, stop, &stopper), 0);
    fake_store_end(op, 0);
    while (pending.ended == 0)
        rpc_client_poll(client);
    cr_assert_eq(pending.status, GRPC_STATUS_OK);
    cr_assert_eq(pthread_join(stopper.thread, NULL), 0);
    rpc_server_free(server);
    rpc_client_free(client);
    fake_store_free(store);
    inbox_free(inbox);
}
