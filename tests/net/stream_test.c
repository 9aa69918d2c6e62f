/* The receiving end of raft messages: who is let in, and what ends a stream. */
#include "inbox.h"
#include "raw_stream.h"

#include <criterion/criterion.h>
#include <grpc/status.h>
#include <stdlib.h>
#include <string.h>

#define RAFT "/tinykvpb.TinyKv/Raft"

/* Store 2, which means store 1 of cluster 7. */
static const struct raw_identity sender = {
    .cluster = "7", .store = "2", .to = "1", .data = "77", .address = TEST_ADDRESS};

struct host {
    struct inbox *inbox;
    struct rpc_server *server;
    char address[INBOX_ADDRESS_MAX];
    char words[RAW_STREAM_WORDS_MAX];
};

/* Store 1 of cluster 7. */
static struct host host_open(void)
{
    struct host host = {.inbox = inbox_new()};
    host.server = inbox_serve(host.inbox, 1, 0, NULL);
    (void)inbox_address(host.server, host.address);
    return host;
}

static void host_close(struct host *host)
{
    inbox_stop(host->server);
    inbox_free(host->inbox);
}

/* Sends a valid message from 2 to 1 in the envelope given. */
static bool send_message(struct raw_stream *stream, uint64_t from_store, uint64_t to_store)
{
    struct raft_message message;
    struct wire_envelope envelope;
    inbox_make_message(1, 1, 10, &message, &envelope);
    envelope.from_store = from_store;
    envelope.to_store = to_store;
    uint8_t *bytes;
    size_t size;
    wire_pack_message(&envelope, &message, &bytes, &size);
    bool sent = raw_stream_send(stream, bytes, size);
    free(bytes);
    raft_message_release(&message);
    return sent;
}

static void expect_refused(struct host *host, const struct raw_identity *identity,
                           const char *const *words, size_t count)
{
    struct raw_stream *stream = raw_stream_open(host->address, RAFT, identity);
    (void)send_message(stream, 2, 1);
    int code;
    cr_assert_eq(raw_stream_end_code(stream, host->words, &code), GRPC_STATUS_FAILED_PRECONDITION);
    cr_assert_eq(code, KE_MISMATCH);
    for (size_t i = 0; i < count; i++)
        cr_assert_not_null(strstr(host->words, words[i]), "%s: %s", words[i], host->words);
    cr_assert_eq(inbox_count(host->inbox), 0);
}

Test(stream, a_wrong_cluster_id_is_refused_naming_both, .timeout = 30)
{
    struct host host = host_open();
    struct raw_identity identity = sender;
    identity.cluster = "12345";
    expect_refused(&host, &identity,
                   (const char *[]){"cluster", "0000000000003039", "0000000000000007"}, 3);
    host_close(&host);
}

Test(stream, a_wrong_store_id_is_refused_naming_both, .timeout = 30)
{
    struct host host = host_open();
    struct raw_identity identity = sender;
    identity.to = "33";
    expect_refused(&host, &identity, (const char *[]){"store", "33", "1"}, 3);
    host_close(&host);
}

Test(stream, a_sender_with_the_id_of_the_receiver_is_refused, .timeout = 30)
{
    struct host host = host_open();
    struct raw_identity identity = sender;
    identity.store = "1";
    expect_refused(&host, &identity, (const char *[]){"calls itself store 1"}, 1);
    host_close(&host);
}

Test(stream, missing_or_malformed_ids_are_refused, .timeout = 30)
{
    struct host host = host_open();
    static const struct raw_identity wrong[] = {
        {NULL, "2", "1", "77", TEST_ADDRESS},
        {"7", NULL, "1", "77", TEST_ADDRESS},
        {"7", "2", NULL, "77", TEST_ADDRESS},
        {"7x", "2", "1", "77", TEST_ADDRESS},
        {"-7", "2", "1", "77", TEST_ADDRESS},
        {"", "2", "1", "77", TEST_ADDRESS},
        {"7", "2", "1111111111111111111111111", "77", TEST_ADDRESS},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        expect_refused(&host, &wrong[i], (const char *[]){TRANSPORT_METADATA_CLUSTER}, 1);
    host_close(&host);
}

Test(stream, a_sender_that_does_not_name_its_data_directory_is_refused_as_another_version,
     .timeout = 30)
{
    struct host host = host_open();
    static const char *const wrong[] = {NULL, "", "0", "x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct raw_identity identity = sender;
        identity.data = wrong[i];
        expect_refused(&host, &identity,
                       (const char *[]){TRANSPORT_METADATA_DATA, "another version"}, 2);
    }
    struct raw_identity identity = sender;
    identity.address = NULL;
    expect_refused(&host, &identity,
                   (const char *[]){TRANSPORT_METADATA_ADDRESS, "another version"}, 2);
    host_close(&host);
}

Test(stream, a_sender_with_an_address_that_is_none_is_refused, .timeout = 30)
{
    struct host host = host_open();
    struct raw_identity identity = sender;
    identity.address = "nowhere";
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, &identity);
    cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(host.words, "nowhere"), "%s", host.words);
    host_close(&host);
}

/* Sends one message and waits for it: the stream is open. */
static struct raw_stream *open_stream(struct host *host)
{
    size_t before = inbox_count(host->inbox);
    struct raw_stream *stream = raw_stream_open(host->address, RAFT, &sender);
    cr_assert(send_message(stream, 2, 1));
    inbox_await(host->inbox, before + 1);
    return stream;
}

Test(stream, the_host_is_told_who_calls, .timeout = 30)
{
    struct host host = host_open();
    raw_stream_cancel(open_stream(&host));
    struct transport_identity caller = inbox_caller(host.inbox);
    cr_assert_eq(caller.cluster_id, TEST_CLUSTER);
    cr_assert_eq(caller.store_id, 2);
    cr_assert_eq(caller.data_id, TEST_DATA);
    cr_assert_str_eq(caller.address, TEST_ADDRESS);
    host_close(&host);
}

Test(stream, whom_the_host_does_not_admit_is_told_why_by_code_and_words, .timeout = 30)
{
    struct host host = host_open();
    static const int codes[] = {KE_REMOVED, KE_WIPED};
    for (size_t i = 0; i < 2; i++) {
        inbox_set_admits(host.inbox, codes[i]);
        struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
        int code;
        cr_assert_eq(raw_stream_end_code(stream, host.words, &code),
                     GRPC_STATUS_FAILED_PRECONDITION);
        cr_assert_eq(code, codes[i]);
        cr_assert_str_eq(host.words, ke_text(codes[i]));
    }
    host_close(&host);
}

Test(stream, the_open_streams_of_a_removed_store_are_ended_and_no_others, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *streams[] = {open_stream(&host), open_stream(&host)};
    struct raw_identity other = sender;
    other.store = "3";
    struct raw_stream *stays = raw_stream_open(host.address, RAFT, &other);
    rpc_server_drop_store(host.server, 2);
    rpc_server_drop_store(host.server, 2);
    for (size_t i = 0; i < 2; i++) {
        int code;
        cr_assert_eq(raw_stream_end_code(streams[i], host.words, &code),
                     GRPC_STATUS_FAILED_PRECONDITION);
        cr_assert_eq(code, KE_REMOVED);
        cr_assert_not_null(strstr(host.words, "store 2"), "%s", host.words);
    }
    size_t before = inbox_count(host.inbox);
    cr_assert(send_message(stays, 3, 1));
    inbox_await(host.inbox, before + 1);
    raw_stream_cancel(stays);
    host_close(&host);
}

Test(stream, a_message_of_another_store_ends_the_stream, .timeout = 30)
{
    struct host host = host_open();
    static const uint64_t wrong[][2] = {{3, 1}, {2, 3}};
    for (size_t i = 0; i < 2; i++) {
        struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
        cr_assert(send_message(stream, wrong[i][0], wrong[i][1]));
        cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_FAILED_PRECONDITION);
        cr_assert_not_null(strstr(host.words, "store 3"), "%s", host.words);
    }
    cr_assert_eq(inbox_count(host.inbox), 0);
    host_close(&host);
}

Test(stream, a_malformed_message_ends_the_stream_after_the_good_ones, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
    cr_assert(send_message(stream, 2, 1));
    cr_assert(raw_stream_send(stream, "\xff\xff\xff", 3));
    cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_INVALID_ARGUMENT);
    cr_assert_not_null(strstr(host.words, "raft_serverpb.RaftMessage"), "%s", host.words);
    cr_assert_eq(inbox_count(host.inbox), 1);
    host_close(&host);
}

Test(stream, an_empty_message_ends_the_stream, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
    cr_assert(raw_stream_send(stream, "", 0));
    cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_INVALID_ARGUMENT);
    host_close(&host);
}

Test(stream, a_message_over_the_limit_ends_the_stream, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
    uint8_t *bytes = calloc(1, WIRE_MESSAGE_MAX + 1);
    (void)raw_stream_send(stream, bytes, WIRE_MESSAGE_MAX + 1);
    free(bytes);
    cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_RESOURCE_EXHAUSTED);
    host_close(&host);
}

Test(stream, a_sender_that_has_finished_is_told_that_all_arrived, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
    for (unsigned i = 0; i < 10; i++)
        cr_assert(send_message(stream, 2, 1));
    raw_stream_half_close(stream);
    cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_OK);
    cr_assert_eq(inbox_count(host.inbox), 10);
    host_close(&host);
}

Test(stream, a_server_stops_while_streams_are_open, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *streams[5];
    for (size_t i = 0; i < 5; i++) {
        streams[i] = raw_stream_open(host.address, RAFT, &sender);
        cr_assert(send_message(streams[i], 2, 1));
    }
    inbox_await(host.inbox, 5);
    host_close(&host);
    for (size_t i = 0; i < 5; i++)
        cr_assert_neq(raw_stream_end(streams[i], host.words), GRPC_STATUS_OK);
}

Test(stream, a_sender_that_goes_away_leaves_nothing, .timeout = 30)
{
    struct host host = host_open();
    for (size_t i = 0; i < 300; i++) {
        struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
        cr_assert(send_message(stream, 2, 1));
        raw_stream_cancel(stream);
    }
    /* More than the server holds open at one time went through. */
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, &sender);
    size_t before = inbox_count(host.inbox);
    cr_assert(send_message(stream, 2, 1));
    inbox_await(host.inbox, before + 1);
    raw_stream_cancel(stream);
    host_close(&host);
}
