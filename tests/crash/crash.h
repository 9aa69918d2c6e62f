/* Crash points: a cluster dies at a named place (raftstore/failpoint.h) under load;
 * another process opens its stores again and finds everything that was
 * acknowledged.
 *
 *   main.c     the parent: goes through the points, starts the two processes of each
 *              one, makes the list
 *   load.c     the first process: three stores, clients, snapshots, members that come
 *              and go, until it dies
 *   verify.c   the second process
 *   bulk.c     large values, so that snapshots have several chunks
 *   history.c  what the first one leaves to the second: a file of records, each
 *              written before an operation begins and after its end. The kernel keeps
 *              it, whatever becomes of the process.
 */
#ifndef KEELFS_TESTS_CRASH_CRASH_H
#define KEELFS_TESTS_CRASH_CRASH_H

#include "client.h"
#include "cluster.h"
#include "ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_FOUNDERS 3
#define CRASH_CLIENTS  3
#define CRASH_TICK_MS  20
/* Short enough to be cut all the time. */
#define CRASH_LOG_LIMIT 20
/* How long a step that must succeed may take. */
#define CRASH_PATIENCE_MS   20000
#define CRASH_OP_TIMEOUT_MS 2000

/* What both processes are told. */
struct crash_site {
    const char *dir;
    uint32_t owner; /* the first process: the stores' addresses are its */
    uint64_t seed;
    unsigned seconds; /* the load ends after these if nothing happens */
};

/* The exit status of a process that has done what it should. */
int crash_load(const struct crash_site *site);
int crash_verify(const struct crash_site *site);

/* --- the history --- */

/* How far a further store has come. */
enum guest_step { GUEST_UNKNOWN, GUEST_JOINS, GUEST_IS_REMOVED, GUEST_WAS_REMOVED };

struct history {
    struct ledger ledgers[CRASH_CLIENTS];
    size_t guest_count; /* in the slots behind the founders */
    enum guest_step guests[CLUSTER_STORES_MAX];
};

/* The file of `dir`, made when missing; for the two below. */
int history_open(const char *dir);
/* client_note_fn; `ctx` is a pointer to the file. */
void history_note(void *ctx, unsigned client, enum client_step step, const struct ledger_op *op);
void history_note_guest(int fd, size_t slot, enum guest_step step);
void history_read(const char *dir, struct history *ret_history);

/* --- large values (bulk.c) --- */

/* Before any client begins. */
bool crash_put_bulk(struct cluster *cluster, uint64_t seed);
/* Through the store in this slot; false, and the reason on stderr. */
bool crash_check_bulk(struct cluster *cluster, size_t slot, uint64_t seed);

/* The cluster of a site; starts nothing. */
void crash_cluster(const struct crash_site *site, struct cluster *cluster);
/* Why a process gives up; ends it. */
void crash_give_up(const char *what) __attribute__((noreturn));

#endif
