/* Unary calls of our tools, and the codes of what can go wrong. */
#include "raftstore/rpc_client.h"
#include "raftstore/rpc_status.h"

#include "fake_store.h"
#include "inbox.h"

#include <criterion/criterion.h>
#include <grpc/status.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 5000

Test(client, a_server_that_is_not_there_is_told_when_connecting, .timeout = 30)
{
    struct rpc_client *client = rpc_client_new("127.0.0.1:1");
    struct err e;
    cr_assert_eq(rpc_client_connect(client, CALL_MS, &e), KE_SHUTDOWN);
    cr_assert_not_null(strstr(e.text, "127.0.0.1:1"), "%s", e.text);
    rpc_client_free(client);
}

Test(client, a_call_to_a_server_that_is_not_there_fails, .timeout = 30)
{
    struct rpc_client *client = rpc_client_new("127.0.0.1:1");
    struct err e;
    uint8_t *reply;
    size_t size;
    cr_assert_eq(rpc_client_call(client, "/a/b", "x", 1, CALL_MS, &reply, &size, &e), KE_SHUTDOWN);
    cr_assert_gt(strlen(e.text), 0);
    rpc_client_free(client);
}

Test(client, connecting_to_a_server_that_is_there_succeeds, .timeout = 30)
{
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    char address[INBOX_ADDRESS_MAX];
    struct rpc_client *client = rpc_client_new(inbox_address(server, address));
    struct err e;
    cr_assert_eq(rpc_client_connect(client, CALL_MS, &e), 0, "%s", e.text);
    cr_assert_eq(rpc_client_connect(client, CALL_MS, &e), 0, "%s", e.text);
    rpc_client_free(client);
    inbox_stop(server);
    inbox_free(inbox);
}

struct counter {
    unsigned replies;
};

static void on_reply(void *ctx, const struct rpc_reply *reply)
{
    struct counter *counter = ctx;
    cr_assert_eq(reply->status, GRPC_STATUS_OK, "%s", reply->message);
    counter->replies++;
}

Test(client, a_thousand_calls_at_once_are_all_answered, .timeout = 60)
{
    struct inbox *inbox = inbox_new();
    struct store *store = fake_store_new();
    fake_store_answer_all(store, 0);
    struct rpc_server *server = inbox_serve(inbox, 1, 0, store);
    char address[INBOX_ADDRESS_MAX];
    struct rpc_client *client = rpc_client_new(inbox_address(server, address));
    static const uint8_t put[] = {0x12, 0x01, 'k', 0x1a, 0x01, 'v'};
    struct counter counter = {0};
    for (unsigned i = 0; i < 1000; i++)
        rpc_client_start(client, "/tinykvpb.TinyKv/RawPut", put, sizeof(put), CALL_MS, on_reply,
                         &counter);
    /* Waits for all of them. */
    rpc_client_free(client);
    cr_assert_eq(counter.replies, 1000);
    inbox_stop(server);
    fake_store_free(store);
    inbox_free(inbox);
}

Test(status, every_code_has_a_status_and_every_status_a_code)
{
    cr_assert_eq(rpc_status_from_code(0), GRPC_STATUS_OK);
    cr_assert_eq(rpc_status_to_code(GRPC_STATUS_OK), 0);
    for (int code = -1; code >= KE_CODE_MIN; code--) {
        int status = rpc_status_from_code(code);
        cr_assert_neq(status, GRPC_STATUS_OK, "%d", code);
        cr_assert_lt(rpc_status_to_code(status), 0);
    }
    for (int status = 1; status <= GRPC_STATUS_UNAUTHENTICATED; status++)
        cr_assert_lt(rpc_status_to_code(status), 0);
}
