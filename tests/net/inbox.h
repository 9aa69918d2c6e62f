/* A server that collects raft messages, and the reports of a transport. */
#ifndef KEELFS_TESTS_NET_INBOX_H
#define KEELFS_TESTS_NET_INBOX_H

#include "raftstore/rpc_server.h"
#include "raftstore/transport.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define INBOX_MESSAGES_MAX 8192
#define INBOX_ADDRESS_MAX  32
#define TEST_CLUSTER       7
#define TEST_REGION        1
#define TEST_DATA          77 /* the data directory of every sender */
#define TEST_ADDRESS       "sender.test:20160"

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct raft_message messages[INBOX_MESSAGES_MAX];
    struct wire_envelope envelopes[INBOX_MESSAGES_MAX];
    size_t count;
    bool blocked;         /* deliver waits while this is set */
    unsigned unreachable; /* reports so far */
    uint64_t unreachable_store;
    unsigned refused; /* reports so far */
    uint64_t refused_store;
    int refused_code;
    int admits; /* 0, or the code that every caller gets */
    struct transport_identity caller;
    struct snap_runner *snap_runner; /* of inbox_serve(); NULL: none */
    struct rpc_loop *server_loop;    /* of inbox_serve() */
    struct rpc_loop *sender_loop;    /* of inbox_transport() */
};

struct inbox *inbox_new(void);
void inbox_free(struct inbox *inbox);

/* Takes a message in, as the server does. */
void inbox_put(struct inbox *inbox, const struct wire_envelope *envelope,
               struct raft_message *message);
/* Waits until `count` messages are there. */
void inbox_await(struct inbox *inbox, size_t count);
/* Waits for one more report than `before`. */
void inbox_await_unreachable(struct inbox *inbox, unsigned before);
unsigned inbox_unreachable(struct inbox *inbox);
/* Waits for one more refusal than `before`; returns its code. */
int inbox_await_refused(struct inbox *inbox, unsigned before);
/* What callers are told from now on: 0, they are welcome; else they are not. */
void inbox_set_admits(struct inbox *inbox, int code);
/* How the last caller introduced itself. */
struct transport_identity inbox_caller(struct inbox *inbox);
size_t inbox_count(struct inbox *inbox);
void inbox_set_blocked(struct inbox *inbox, bool blocked);

/* Starts the server of store `store_id` at 127.0.0.1:`port` (0: any), which puts
 * what peers send into `inbox`. `store` may be NULL for streams. */
struct rpc_server *inbox_serve(struct inbox *inbox, uint64_t store_id, int port,
                               struct store *store);
void inbox_stop(struct rpc_server *server);
/* "127.0.0.1:PORT" of a server. */
const char *inbox_address(const struct rpc_server *server, char *out);

/* The transport of store `store_id`, which reports to `inbox`. */
struct transport *inbox_transport(struct inbox *inbox, uint64_t cluster_id, uint64_t store_id);

/* An append from store 2 to store 1 with `count` entries of `size` bytes. */
void inbox_make_message(uint64_t index, size_t count, size_t size, struct raft_message *ret_message,
                        struct wire_envelope *ret_envelope);

/* Sends such a message from 2 to 1, once. */
void inbox_send(struct transport *transport, uint64_t index, size_t size);
/* Sends until the first one arrives: a stream is open then. */
void inbox_connect(struct inbox *inbox, struct transport *transport);

#endif
