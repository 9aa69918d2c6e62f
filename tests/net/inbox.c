#include "inbox.h"

#include "raftstore/memory.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUND_MS      20
#define CONNECT_MS    30000
#define OP_TIMEOUT_MS 5000
#define NS_PER_MS     1000000ull

struct inbox *inbox_new(void)
{
    struct inbox *inbox = mem_zalloc(sizeof(*inbox));
    pthread_mutex_init(&inbox->lock, NULL);
    thread_cond_init(&inbox->changed);
    inbox->server_loop = rpc_loop_start();
    inbox->sender_loop = rpc_loop_start();
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    rpc_loop_stop(inbox->sender_loop);
    rpc_loop_stop(inbox->server_loop);
    for (size_t i = 0; i < inbox->count; i++)
        raft_message_release(&inbox->messages[i]);
    pthread_cond_destroy(&inbox->changed);
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
}

void inbox_put(struct inbox *inbox, const struct wire_envelope *envelope,
               struct raft_message *message)
{
    pthread_mutex_lock(&inbox->lock);
    while (inbox->blocked)
        pthread_cond_wait(&inbox->changed, &inbox->lock);
    assert(inbox->count < INBOX_MESSAGES_MAX);
    inbox->envelopes[inbox->count] = *envelope;
    raft_message_move(&inbox->messages[inbox->count], message);
    inbox->count++;
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}

static void deliver(void *ctx, const struct wire_envelope *envelope, struct raft_message *message)
{
    inbox_put(ctx, envelope, message);
}

static void unreachable(void *ctx, uint64_t store_id)
{
    struct inbox *inbox = ctx;
    pthread_mutex_lock(&inbox->lock);
    inbox->unreachable++;
    inbox->unreachable_store = store_id;
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}

static void refused(void *ctx, uint64_t store_id, int code)
{
    struct inbox *inbox = ctx;
    pthread_mutex_lock(&inbox->lock);
    inbox->refused++;
    inbox->refused_store = store_id;
    inbox->refused_code = code;
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}

static int admit(void *ctx, const struct transport_identity *from, struct err *e)
{
    struct inbox *inbox = ctx;
    pthread_mutex_lock(&inbox->lock);
    inbox->caller = *from;
    int code = inbox->admits;
    pthread_mutex_unlock(&inbox->lock);
    return code == 0 ? 0 : err_set(e, code, "%s", ke_text(code));
}

int inbox_await_refused(struct inbox *inbox, unsigned before)
{
    pthread_mutex_lock(&inbox->lock);
    while (inbox->refused <= before)
        pthread_cond_wait(&inbox->changed, &inbox->lock);
    int code = inbox->refused_code;
    pthread_mutex_unlock(&inbox->lock);
    return code;
}

void inbox_set_admits(struct inbox *inbox, int code)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->admits = code;
    pthread_mutex_unlock(&inbox->lock);
}

struct transport_identity inbox_caller(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    struct transport_identity caller = inbox->caller;
    pthread_mutex_unlock(&inbox->lock);
    return caller;
}

void inbox_await(struct inbox *inbox, size_t count)
{
    pthread_mutex_lock(&inbox->lock);
    while (inbox->count < count)
        pthread_cond_wait(&inbox->changed, &inbox->lock);
    pthread_mutex_unlock(&inbox->lock);
}

void inbox_await_unreachable(struct inbox *inbox, unsigned before)
{
    pthread_mutex_lock(&inbox->lock);
    while (inbox->unreachable <= before)
        pthread_cond_wait(&inbox->changed, &inbox->lock);
    pthread_mutex_unlock(&inbox->lock);
}

unsigned inbox_unreachable(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    unsigned count = inbox->unreachable;
    pthread_mutex_unlock(&inbox->lock);
    return count;
}

size_t inbox_count(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    size_t count = inbox->count;
    pthread_mutex_unlock(&inbox->lock);
    return count;
}

void inbox_set_blocked(struct inbox *inbox, bool blocked)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->blocked = blocked;
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}

struct rpc_server *inbox_serve(struct inbox *inbox, uint64_t store_id, int port,
                               struct store *store)
{
    char listen[INBOX_ADDRESS_MAX];
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
    struct rpc_server_config config = {
        .loop = inbox->server_loop,
        .listen = listen,
        .cluster_id = TEST_CLUSTER,
        .store_id = store_id,
        .region_id = TEST_REGION,
        .op_timeout_ms = OP_TIMEOUT_MS,
        .store = store,
        .admit = admit,
        .snap_runner = inbox->snap_runner,
        .deliver = deliver,
        .ctx = inbox,
    };
    struct rpc_server *server;
    struct err e;
    cr_assert_eq(rpc_server_start(&config, &server, &e), 0, "%s", e.text);
    return server;
}

void inbox_stop(struct rpc_server *server)
{
    rpc_server_stop(server);
    rpc_server_free(server);
}

const char *inbox_address(const struct rpc_server *server, char *out)
{
    (void)snprintf(out, INBOX_ADDRESS_MAX, "127.0.0.1:%d", rpc_server_port(server));
    return out;
}

struct transport *inbox_transport(struct inbox *inbox, uint64_t cluster_id, uint64_t store_id)
{
    struct transport_config config = {
        .loop = inbox->sender_loop,
        .identity = {.cluster_id = cluster_id,
                     .store_id = store_id,
                     .data_id = TEST_DATA,
                     .address = TEST_ADDRESS},
        .unreachable = unreachable,
        .refused = refused,
        .ctx = inbox,
    };
    return transport_new(&config);
}

void inbox_make_message(uint64_t index, size_t count, size_t size, struct raft_message *ret_message,
                        struct wire_envelope *ret_envelope)
{
    raft_message_init(ret_message, RAFT_MESSAGE_APPEND);
    ret_message->from = 2;
    ret_message->to = 1;
    ret_message->term = 6;
    ret_message->log_term = 5;
    ret_message->index = index;
    ret_message->commit = index;
    struct raft_entry *entries[RAFT_MESSAGE_ENTRIES_MAX];
    for (size_t i = 0; i < count; i++) {
        entries[i] = raft_entry_alloc(RAFT_ENTRY_NORMAL, size);
        entries[i]->term = 6;
        entries[i]->index = index + 1 + i;
        memset(entries[i]->data, (int)(i & 0xff), size);
    }
    cr_assert_eq(raft_message_set_entries(ret_message, entries, count), 0);
    for (size_t i = 0; i < count; i++)
        raft_entry_unref(entries[i]);
    *ret_envelope = (struct wire_envelope){
        .region_id = TEST_REGION,
        .from_peer = 2,
        .from_store = 2,
        .to_peer = 1,
        .to_store = 1,
        .conf_ver = 1,
        .version = 1,
    };
}

void inbox_send(struct transport *transport, uint64_t index, size_t size)
{
    struct raft_message message;
    struct wire_envelope envelope;
    inbox_make_message(index, size > 0 ? 1 : 0, size, &message, &envelope);
    transport_send(transport, 1, &envelope, &message);
    raft_message_release(&message);
}

void inbox_connect(struct inbox *inbox, struct transport *transport)
{
    size_t before = inbox_count(inbox);
    uint64_t give_up_ns = clock_ns() + CONNECT_MS * NS_PER_MS;
    while (inbox_count(inbox) == before) {
        inbox_send(transport, 0, 0);
        /* A refused connection is reported at once, so wakes do not count. */
        uint64_t round_ns = clock_ns() + ROUND_MS * NS_PER_MS;
        cr_assert_lt(round_ns, give_up_ns, "no connection");
        pthread_mutex_lock(&inbox->lock);
        while (inbox->count == before && clock_ns() < round_ns)
            (void)thread_cond_wait_ms(&inbox->changed, &inbox->lock, ROUND_MS);
        pthread_mutex_unlock(&inbox->lock);
    }
}
