/* Puts and gets at a cluster, many in flight: what the comparison by RPC and every
 * fill are made of.
 *
 * A load runs on threads of its own, one a member that it talks to; the caller waits.
 * Values are random bytes, so that no compression makes a disk or a stream look faster
 * than it is.
 */
#ifndef KEELFS_TOOLS_BENCH_LOAD_H
#define KEELFS_TOOLS_BENCH_LOAD_H

#include "tools/bench.h"
#include "tools/bench_samples.h"

#include "raftstore/rpc_client.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_IN_FLIGHT_MAX 256
#define BENCH_PREFIX_MAX    32
/* A directory has this many keys of a load. */
#define BENCH_DIR_KEYS 1000

enum bench_op { BENCH_PUT, BENCH_GET };

/* How a system spells the two calls. */
struct bench_dialect;
extern const struct bench_dialect bench_keelfs, bench_etcd;

/* A system under load: a connection to each of its members. */
struct bench_target {
    const char *name;
    const struct bench_dialect *dialect;
    struct rpc_client *clients[BENCH_LIST_MAX];
    size_t client_count;
};

/* Returns an exit status; says on standard error who did not answer. To be
 * disconnected in any case. */
int bench_target_connect(struct bench_target *target, const char *name,
                         const struct bench_dialect *dialect, const struct bench_list *endpoints);
void bench_target_disconnect(struct bench_target *target);

struct bench_values {
    uint8_t *pool;
    size_t size; /* of one value */
};
void bench_values_init(struct bench_values *values, size_t size);
void bench_values_release(struct bench_values *values);

struct bench_load {
    struct bench_target *target;
    const struct bench_values *values;
    enum bench_op op;
    const char *prefix; /* of its keys */
    uint64_t keys;      /* call n takes key n modulo this */
    /* One: to each member in turn. More: shared out among the members. */
    unsigned in_flight;
    uint64_t length_ns; /* no call starts later; UINT64_MAX: no limit */
    uint64_t calls;     /* UINT64_MAX: no limit */
    /* NULL, or no call starts once it is not zero. */
    const volatile sig_atomic_t *stop;
};

/* All zero is an empty one; several runs add up. */
struct bench_load_result {
    struct bench_samples samples;
    uint64_t elapsed_ns;
    int failure; /* the status of the last call that failed */
};

void bench_load_run(const struct bench_load *load, struct bench_load_result *result);
/* Calls that succeeded, a second. */
double bench_load_rate(const struct bench_load_result *result);

#endif
