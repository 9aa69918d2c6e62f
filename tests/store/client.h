/* A client of the cluster that writes and checks without end: puts, deletes and
 * appends on keys of its own (ledger.h), through one store after another, and
 * scans them; what a scan shows must fit what was acknowledged.
 *
 * client_start() to client_stop() it is its thread's; before and after, the test's.
 */
#ifndef KEELFS_TESTS_STORE_CLIENT_H
#define KEELFS_TESTS_STORE_CLIENT_H

#include "cluster.h"
#include "ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A step in a client's history, told before an operation begins and after its end. */
enum client_step { CLIENT_BEGINS, CLIENT_ACKNOWLEDGED, CLIENT_REFUSED, CLIENT_LOG_IS_THERE };
typedef void client_note_fn(void *ctx, unsigned client, enum client_step step,
                            const struct ledger_op *op);

struct client {
    struct cluster *cluster;
    struct ledger ledger;
    uint64_t random;
    uint64_t log_id;      /* of the log file */
    uint32_t timeout_ms;  /* of one operation */
    client_note_fn *note; /* may be NULL */
    void *note_ctx;
    atomic_bool stop;
    atomic_uint_least64_t acknowledged;
    atomic_uint_least64_t unknown;
    atomic_uint_least64_t scans;
    atomic_bool failed; /* the reason was printed */
    pthread_t thread;
};

void client_init(struct client *client, struct cluster *cluster, unsigned number, uint64_t seed,
                 uint32_t timeout_ms);
void client_set_note(struct client *client, client_note_fn *note, void *ctx);

/* Makes a new log file, empty, instead of the one there was. Tries for `patience_ms`. */
bool client_begin_log(struct client *client, uint32_t patience_ms);

void client_start(struct client *client);
/* Ends the thread when it is done with what it does. */
void client_stop(struct client *client);

/* Scans through store `i`, until it succeeds or `patience_ms` is over. False: it did
 * not, or shows what cannot be; the reason is on stderr. */
bool client_check(struct client *client, size_t i, uint32_t patience_ms);

#endif
