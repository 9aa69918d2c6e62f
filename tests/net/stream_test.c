/* The receiving end of raft messages: who is let in, and what ends a stream. */
#include "inbox.h"
#include "raw_stream.h"

#include <criterion/criterion.h>
#include <grpc/status.h>
#include <stdlib.h>
#include <string.h>

#define RAFT "/tinykvpb.TinyKv/Raft"

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

static void expect_refused(struct host *host, const char *cluster, const char *store,
                           const char *to, const char *const *words, size_t count)
{
    struct raw_stream *stream = raw_stream_open(host->address, RAFT, cluster, store, to);
    (void)send_message(stream, 2, 1);
    cr_assert_eq(raw_stream_end(stream, host->words), GRPC_STATUS_FAILED_PRECONDITION);
    for (size_t i = 0; i < count; i++)
        cr_assert_not_null(strstr(host->words, words[i]), "%s: %s", words[i], host->words);
    cr_assert_eq(inbox_count(host->inbox), 0);
}

Test(stream, a_wrong_cluster_id_is_refused_naming_both, .timeout = 30)
{
    struct host host = host_open();
    expect_refused(&host, "12345", "2", "1",
                   (const char *[]){"cluster", "0000000000003039", "0000000000000007"}, 3);
    host_close(&host);
}

Test(stream, a_wrong_store_id_is_refused_naming_both, .timeout = 30)
{
    struct host host = host_open();
    expect_refused(&host, "7", "2", "33", (const char *[]){"store", "33", "1"}, 3);
    host_close(&host);
}

Test(stream, a_sender_with_the_id_of_the_receiver_is_refused, .timeout = 30)
{
    struct host host = host_open();
    expect_refused(&host, "7", "1", "1", (const char *[]){"calls itself store 1"}, 1);
    host_close(&host);
}

Test(stream, missing_or_malformed_ids_are_refused, .timeout = 30)
{
    struct host host = host_open();
    const char *words[] = {TRANSPORT_METADATA_CLUSTER};
    expect_refused(&host, NULL, "2", "1", words, 1);
    expect_refused(&host, "7", NULL, "1", words, 1);
    expect_refused(&host, "7", "2", NULL, words, 1);
    expect_refused(&host, "7x", "2", "1", words, 1);
    expect_refused(&host, "-7", "2", "1", words, 1);
    expect_refused(&host, "", "2", "1", words, 1);
    expect_refused(&host, "7", "2", "1111111111111111111111111", words, 1);
    host_close(&host);
}

Test(stream, a_message_of_another_store_ends_the_stream, .timeout = 30)
{
    struct host host = host_open();
    static const uint64_t wrong[][2] = {{3, 1}, {2, 3}};
    for (size_t i = 0; i < 2; i++) {
        struct raw_stream *stream = raw_stream_open(host.address, RAFT, "7", "2", "1");
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
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, "7", "2", "1");
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
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, "7", "2", "1");
    cr_assert(raw_stream_send(stream, "", 0));
    cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_INVALID_ARGUMENT);
    host_close(&host);
}

Test(stream, a_message_over_the_limit_ends_the_stream, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, "7", "2", "1");
    uint8_t *bytes = calloc(1, WIRE_MESSAGE_MAX + 1);
    (void)raw_stream_send(stream, bytes, WIRE_MESSAGE_MAX + 1);
    free(bytes);
    cr_assert_eq(raw_stream_end(stream, host.words), GRPC_STATUS_RESOURCE_EXHAUSTED);
    host_close(&host);
}

Test(stream, a_sender_that_has_finished_is_told_that_all_arrived, .timeout = 30)
{
    struct host host = host_open();
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, "7", "2", "1");
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
        streams[i] = raw_stream_open(host.address, RAFT, "7", "2", "1");
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
        struct raw_stream *stream = raw_stream_open(host.address, RAFT, "7", "2", "1");
        cr_assert(send_message(stream, 2, 1));
        raw_stream_cancel(stream);
    }
    /* More than the server holds open at one time went through. */
    struct raw_stream *stream = raw_stream_open(host.address, RAFT, "7", "2", "1");
    size_t before = inbox_count(host.inbox);
    cr_assert(send_message(stream, 2, 1));
    inbox_await(host.inbox, before + 1);
    raw_stream_cancel(stream);
    host_close(&host);
}
