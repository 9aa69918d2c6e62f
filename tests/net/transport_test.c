/* Raft messages between two stores: what arrives, what is dropped and reported. */
#include "raftstore/transport.h"

#include "raftstore/op.h"
#include "raftstore/thread.h"

#include "inbox.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1u << 20)

struct pair {
    struct inbox *inbox;
    struct rpc_server *server;
    struct transport *transport;
    char address[INBOX_ADDRESS_MAX];
};

static struct pair pair_open(void)
{
    struct pair pair = {.inbox = inbox_new()};
    pair.server = inbox_serve(pair.inbox, 1, 0, NULL);
    pair.transport = inbox_transport(pair.inbox, TEST_CLUSTER, 2);
    transport_set_address(pair.transport, 1, inbox_address(pair.server, pair.address));
    inbox_connect(pair.inbox, pair.transport);
    return pair;
}

static void pair_close(struct pair *pair)
{
    transport_free(pair->transport);
    inbox_stop(pair->server);
    inbox_free(pair->inbox);
}

Test(transport, messages_arrive_once_and_in_order, .timeout = 60)
{
    struct pair pair = pair_open();
    size_t before = inbox_count(pair.inbox);
    for (uint64_t i = 1; i <= 3000; i++)
        inbox_send(pair.transport, i, i % 3 == 0 ? 700 : 0);
    inbox_await(pair.inbox, before + 3000);
    for (uint64_t i = 1; i <= 3000; i++) {
        const struct raft_message *m = &pair.inbox->messages[before + i - 1];
        cr_assert_eq(m->index, i);
        cr_assert_eq(m->entry_count, i % 3 == 0 ? 1 : 0);
        cr_assert_eq(pair.inbox->envelopes[before + i - 1].from_store, 2);
    }
    cr_assert_eq(inbox_count(pair.inbox), before + 3000);
    pair_close(&pair);
}

Test(transport, the_largest_command_fits_into_one_message, .timeout = 60)
{
    struct pair pair = pair_open();
    size_t before = inbox_count(pair.inbox);
    inbox_send(pair.transport, 1, 9 * MIB);
    inbox_await(pair.inbox, before + 1);
    cr_assert_eq(pair.inbox->messages[before].entries[0]->size, 9 * MIB);
    pair_close(&pair);
}

Test(transport, a_message_too_large_to_receive_is_dropped_and_the_stream_goes_on, .timeout = 60)
{
    struct pair pair = pair_open();
    size_t before = inbox_count(pair.inbox);
    unsigned reports = inbox_unreachable(pair.inbox);
    inbox_send(pair.transport, 1, WIRE_MESSAGE_MAX);
    inbox_send(pair.transport, 2, 10);
    inbox_await(pair.inbox, before + 1);
    cr_assert_eq(pair.inbox->messages[before].index, 2);
    cr_assert_eq(inbox_unreachable(pair.inbox), reports);
    pair_close(&pair);
}

Test(transport, what_does_not_fit_into_the_queue_is_dropped_and_reported, .timeout = 60)
{
    struct pair pair = pair_open();
    size_t before = inbox_count(pair.inbox);
    unsigned reports = inbox_unreachable(pair.inbox);
    /* Nobody reads: after what the network buffers, the queue fills. */
    inbox_set_blocked(pair.inbox, true);
    unsigned sent = 0;
    for (; inbox_unreachable(pair.inbox) == reports; sent++) {
        cr_assert_lt(sent, 400, "400 MiB went into a queue of %u", TRANSPORT_QUEUE_BYTES_MAX);
        inbox_send(pair.transport, sent + 1, MIB);
    }
    cr_assert_gt(sent, TRANSPORT_QUEUE_BYTES_MAX / MIB - 2);
    cr_assert_eq(pair.inbox->unreachable_store, 1);
    inbox_set_blocked(pair.inbox, false);
    /* What was queued still comes, and in order. */
    inbox_await(pair.inbox, before + TRANSPORT_QUEUE_BYTES_MAX / MIB - 2);
    for (uint64_t i = 0; i < TRANSPORT_QUEUE_BYTES_MAX / MIB - 2; i++)
        cr_assert_eq(pair.inbox->messages[before + i].index, i + 1);
    pair_close(&pair);
}

Test(transport, the_stream_opens_again_when_the_peer_is_back, .timeout = 60)
{
    struct pair pair = pair_open();
    for (unsigned round = 0; round < 3; round++) {
        int port = rpc_server_port(pair.server);
        unsigned reports = inbox_unreachable(pair.inbox);
        inbox_stop(pair.server);
        inbox_await_unreachable(pair.inbox, reports);
        pair.server = inbox_serve(pair.inbox, 1, port, NULL);
        inbox_connect(pair.inbox, pair.transport);
    }
    pair_close(&pair);
}

Test(transport, a_new_address_is_used_and_the_old_one_left, .timeout = 60)
{
    struct pair pair = pair_open();
    struct inbox *other = inbox_new();
    struct rpc_server *server = inbox_serve(other, 1, 0, NULL);
    char address[INBOX_ADDRESS_MAX];
    transport_set_address(pair.transport, 1, inbox_address(server, address));
    inbox_connect(other, pair.transport);
    size_t old = inbox_count(pair.inbox), now = inbox_count(other);
    for (uint64_t i = 0; i < 100; i++)
        inbox_send(pair.transport, i, 10);
    inbox_await(other, now + 100);
    cr_assert_eq(inbox_count(pair.inbox), old);
    pair_close(&pair);
    inbox_stop(server);
    inbox_free(other);
}

Test(transport, a_message_to_a_store_without_connection_is_reported, .timeout = 60)
{
    struct inbox *inbox = inbox_new();
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER, 2);
    transport_set_address(transport, 1, "127.0.0.1:1");
    for (unsigned reports = 0; reports < 5; reports++) {
        unsigned before = inbox_unreachable(inbox);
        inbox_send(transport, 1, 10);
        inbox_await_unreachable(inbox, before);
    }
    cr_assert_eq(inbox->unreachable_store, 1);
    transport_free(transport);
    inbox_free(inbox);
}

Test(transport, a_message_to_an_unknown_store_is_dropped, .timeout = 60)
{
    struct inbox *inbox = inbox_new();
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER, 2);
    inbox_send(transport, 1, 10);
    transport_free(transport);
    inbox_free(inbox);
}

Test(transport, a_peer_of_another_cluster_gets_no_message, .timeout = 60)
{
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER + 1, 2);
    char address[INBOX_ADDRESS_MAX];
    transport_set_address(transport, 1, inbox_address(server, address));
    for (unsigned reports = 0; reports < 6; reports++) {
        unsigned before = inbox_unreachable(inbox);
        inbox_send(transport, 1, 10);
        inbox_await_unreachable(inbox, before);
    }
    cr_assert_eq(inbox_count(inbox), 0);
    transport_free(transport);
    inbox_stop(server);
    inbox_free(inbox);
}

Test(transport, a_refusal_for_good_is_reported_with_its_code, .timeout = 60)
{
    static const int codes[] = {KE_REMOVED, KE_WIPED};
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER, 2);
    char address[INBOX_ADDRESS_MAX];
    inbox_set_admits(inbox, codes[0]);
    transport_set_address(transport, 1, inbox_address(server, address));
    cr_assert_eq(inbox_await_refused(inbox, 0), codes[0]);
    inbox_set_admits(inbox, codes[1]);
    while (inbox_await_refused(inbox, inbox->refused) != codes[1]) {
    }
    cr_assert_eq(inbox->refused_store, 1);
    cr_assert_eq(inbox_count(inbox), 0);
    transport_free(transport);
    inbox_stop(server);
    inbox_free(inbox);
}

Test(transport, a_refusal_for_another_reason_is_not_reported_as_one_for_good, .timeout = 60)
{
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER, 2);
    char address[INBOX_ADDRESS_MAX];
    inbox_set_admits(inbox, KE_BUSY);
    transport_set_address(transport, 1, inbox_address(server, address));
    inbox_await_unreachable(inbox, 1);
    cr_assert_eq(inbox->refused, 0);
    inbox_set_admits(inbox, 0);
    inbox_connect(inbox, transport);
    transport_free(transport);
    inbox_stop(server);
    inbox_free(inbox);
}

Test(transport, a_removed_store_loses_its_open_stream_and_is_told, .timeout = 60)
{
    struct pair pair = pair_open();
    inbox_set_admits(pair.inbox, KE_REMOVED);
    rpc_server_drop_store(pair.server, 2);
    cr_assert_eq(inbox_await_refused(pair.inbox, 0), KE_REMOVED);
    pair_close(&pair);
}

Test(transport, an_address_is_learned_only_while_none_is_known, .timeout = 60)
{
    struct inbox *inbox = inbox_new(), *other = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    struct rpc_server *wrong = inbox_serve(other, 1, 0, NULL);
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER, 2);
    char address[INBOX_ADDRESS_MAX];
    transport_learn_address(transport, 1, inbox_address(server, address));
    inbox_connect(inbox, transport);
    transport_learn_address(transport, 1, inbox_address(wrong, address));
    inbox_connect(inbox, transport);
    cr_assert_eq(inbox_count(other), 0);
    transport_set_address(transport, 1, address);
    inbox_connect(other, transport);
    transport_free(transport);
    inbox_stop(wrong);
    inbox_stop(server);
    inbox_free(other);
    inbox_free(inbox);
}

Test(transport, strangers_never_take_the_place_of_members, .timeout = 60)
{
    struct inbox *inbox = inbox_new();
    struct rpc_server *server = inbox_serve(inbox, 1, 0, NULL);
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER, 2);
    for (uint64_t id = 100; id < 300; id++)
        transport_learn_address(transport, id, "127.0.0.1:1");
    char address[INBOX_ADDRESS_MAX];
    transport_set_address(transport, 1, inbox_address(server, address));
    inbox_connect(inbox, transport);
    transport_free(transport);
    inbox_stop(server);
    inbox_free(inbox);
}

Test(transport, a_removed_store_gets_nothing_more_and_can_come_back, .timeout = 60)
{
    struct pair pair = pair_open();
    for (unsigned round = 0; round < 20; round++) {
        inbox_send(pair.transport, 1, MIB);
        transport_remove(pair.transport, 1);
        size_t before = inbox_count(pair.inbox);
        inbox_send(pair.transport, 2, 10);
        cr_assert_leq(inbox_count(pair.inbox), before + 1);
        transport_set_address(pair.transport, 1, pair.address);
        inbox_connect(pair.inbox, pair.transport);
    }
    transport_remove(pair.transport, 9);
    for (size_t i = 0; i < inbox_count(pair.inbox); i++)
        cr_assert_neq(pair.inbox->messages[i].index, 2);
    pair_close(&pair);
}

Test(transport, ends_while_streams_are_open_and_the_queue_is_full, .timeout = 60)
{
    struct pair pair = pair_open();
    transport_set_address(pair.transport, 3, "127.0.0.1:1");
    transport_set_address(pair.transport, 4, "name.invalid:1");
    inbox_set_blocked(pair.inbox, true);
    for (uint64_t i = 0; i < 40; i++)
        inbox_send(pair.transport, i, MIB);
    transport_free(pair.transport);
    inbox_set_blocked(pair.inbox, false);
    inbox_stop(pair.server);
    inbox_free(pair.inbox);
}

/* Pings keep watch over it; a server that finds them too many ends the connection
 * within 5 s. */
Test(transport, a_stream_without_messages_stays_open, .timeout = 60)
{
    struct pair pair = pair_open();
    unsigned reports = inbox_unreachable(pair.inbox);
    uint64_t end_ns = clock_ns() + 6000000000ull;
    pthread_mutex_lock(&pair.inbox->lock);
    while (pair.inbox->unreachable == reports && clock_ns() < end_ns)
        (void)thread_cond_wait_ms(&pair.inbox->changed, &pair.inbox->lock, 6000);
    pthread_mutex_unlock(&pair.inbox->lock);
    cr_assert_eq(inbox_unreachable(pair.inbox), reports);
    pair_close(&pair);
}

/* A server in a process of its own, so that it can be stopped; fork() comes
 * before gRPC starts here. */
static pid_t serve_in_child(int *ret_port)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(ends[0]);
        int port = rpc_server_port(inbox_serve(inbox_new(), 1, 0, NULL));
        if (write(ends[1], &port, sizeof(port)) != (ssize_t)sizeof(port))
            _exit(1);
        /* Until the test kills it, or is gone itself. */
        for (pid_t parent = getppid(); getppid() == parent;)
            (void)sleep(1);
        _exit(0);
    }
    close(ends[1]);
    cr_assert_eq(read(ends[0], ret_port, sizeof(*ret_port)), (ssize_t)sizeof(*ret_port));
    close(ends[0]);
    return child;
}

Test(transport, a_peer_that_stopped_without_a_word_is_found, .timeout = 60)
{
    int port;
    pid_t child = serve_in_child(&port);
    struct inbox *inbox = inbox_new();
    struct transport *transport = inbox_transport(inbox, TEST_CLUSTER, 2);
    char address[INBOX_ADDRESS_MAX];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    transport_set_address(transport, 1, address);
    /* The child has the inbox; here, a send that nobody reports went through. */
    unsigned before;
    do {
        before = inbox_unreachable(inbox);
        inbox_send(transport, 1, 10);
        pthread_mutex_lock(&inbox->lock);
        if (inbox->unreachable == before)
            (void)thread_cond_wait_ms(&inbox->changed, &inbox->lock, 200);
        pthread_mutex_unlock(&inbox->lock);
    } while (inbox_unreachable(inbox) > before);

    cr_assert_eq(kill(child, SIGSTOP), 0);
    uint64_t start_ns = clock_ns();
    inbox_await_unreachable(inbox, before);
    uint64_t took_ms = (clock_ns() - start_ns) / 1000000;
    cr_assert_lt(took_ms, 4000, "%llu ms", (unsigned long long)took_ms);
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    transport_free(transport);
    inbox_free(inbox);
}
