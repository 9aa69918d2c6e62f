#include "tools/bench.h"

#include "tools/bench_samples.h"

#include "raft/varint.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/rpc_client.h"
#include "raftstore/thread.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each line is measured in rounds of this length, the systems in turn: what the
 * machine does beside hits both. */
#define ROUND_NS         1000000000ull
#define WARM_UP_NS       300000000ull
#define KEYS             1000
#define KEY_TEXT_MAX     32
#define CALL_MS          5000
#define CONNECT_MS       5000
#define IN_FLIGHT_MAX    256
#define REQUEST_OVERHEAD 32
#define NS_PER_S         1e9
#define SYSTEMS_MAX      2

enum bench_op { BENCH_PUT, BENCH_GET };

/* How a system spells the two calls: method, and the fields of key and value. */
struct dialect {
    const char *methods[2];
    uint32_t key_fields[2];
    uint32_t value_field;
};

static const struct dialect keelfs_dialect = {
    .methods = {"/tinykvpb.TinyKv/RawPut", "/tinykvpb.TinyKv/RawGet"},
    .key_fields = {2, 2},
    .value_field = 3,
};

static const struct dialect etcd_dialect = {
    .methods = {"/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range"},
    .key_fields = {1, 1},
    .value_field = 2,
};

/* A system under load: a connection to each of its members. */
struct system {
    const char *name;
    const struct dialect *dialect;
    struct rpc_client *clients[BENCH_LIST_MAX];
    size_t client_count;
    const uint8_t *value;
    size_t value_size;
};

/* One thread of a round. */
struct worker {
    struct system *system;
    enum bench_op op;
    struct rpc_client *client;
    unsigned in_flight;
    uint64_t end_ns;
    pthread_t thread;

    uint64_t key; /* of the next call; the threads take different ones */
    uint64_t key_step;
    bool repeats; /* each reply starts the next call */
    unsigned under_way;
    uint8_t *request; /* room for one, packed */
    struct bench_samples samples;
    int failure; /* the status of the last one */
};

struct slot {
    struct worker *worker;
    uint64_t start_ns;
};

static size_t pack_request(const struct worker *worker, const char *key)
{
    const struct dialect *dialect = worker->system->dialect;
    struct raft_wire_writer w = {.at = worker->request};
    raft_wire_put_bytes(&w, dialect->key_fields[worker->op], key, strlen(key));
    if (worker->op == BENCH_PUT)
        raft_wire_put_bytes(&w, dialect->value_field, worker->system->value,
                            worker->system->value_size);
    return w.length;
}

static void on_reply(void *ctx, const struct rpc_reply *reply);

static void start_call(struct worker *worker, struct slot *slot)
{
    char key[KEY_TEXT_MAX];
    (void)snprintf(key, sizeof(key), "bench/%06" PRIu64, worker->key % KEYS);
    worker->key += worker->key_step;
    size_t size = pack_request(worker, key);
    worker->under_way++;
    slot->start_ns = clock_ns();
    rpc_client_start(worker->client, worker->system->dialect->methods[worker->op], worker->request,
                     size, CALL_MS, on_reply, slot);
}

static void on_reply(void *ctx, const struct rpc_reply *reply)
{
    struct slot *slot = ctx;
    struct worker *worker = slot->worker;
    uint64_t now_ns = clock_ns();
    worker->under_way--;
    if (reply->status == 0) {
        bench_samples_add(&worker->samples, now_ns - slot->start_ns);
    } else {
        worker->samples.failures++;
        worker->failure = reply->status;
    }
    if (worker->repeats && now_ns < worker->end_ns)
        start_call(worker, slot);
}

/* One call at a time, to each member in turn. */
static void run_alone(struct worker *worker)
{
    struct slot slot = {.worker = worker};
    for (size_t i = 0; clock_ns() < worker->end_ns; i++) {
        worker->client = worker->system->clients[i % worker->system->client_count];
        start_call(worker, &slot);
        rpc_client_poll(worker->client);
    }
}

/* As many calls as it is told to, all to one member. */
static void *run_many(void *arg)
{
    struct worker *worker = arg;
    struct slot slots[IN_FLIGHT_MAX];
    worker->repeats = true;
    for (unsigned i = 0; i < worker->in_flight; i++) {
        slots[i].worker = worker;
        start_call(worker, &slots[i]);
    }
    while (worker->under_way > 0)
        rpc_client_poll(worker->client);
    return NULL;
}

/* ---- rounds ---- */

/* What one line of the table says of one system. */
struct result {
    struct bench_samples samples;
    uint64_t elapsed_ns;
    int failure;
};

static void run_workers(struct worker *workers, size_t count)
{
    if (count == 1 && workers[0].in_flight == 1) {
        run_alone(&workers[0]);
        return;
    }
    for (size_t i = 0; i < count; i++)
        thread_start(&workers[i].thread, "load", run_many, &workers[i]);
    for (size_t i = 0; i < count; i++)
        (void)pthread_join(workers[i].thread, NULL);
}

static void run_round(struct system *system, enum bench_op op, unsigned in_flight, uint64_t length,
                      struct result *result)
{
    size_t count = in_flight < system->client_count ? 1 : system->client_count;
    struct worker *workers = mem_zalloc(count * sizeof(*workers));
    uint64_t start_ns = clock_ns();
    for (size_t i = 0; i < count; i++) {
        workers[i] = (struct worker){.system = system, .op = op, .end_ns = start_ns + length};
        workers[i].client = system->clients[i];
        workers[i].in_flight = (unsigned)((in_flight + count - 1 - i) / count);
        workers[i].key = i;
        workers[i].key_step = count;
        workers[i].request = mem_alloc(KEY_TEXT_MAX + system->value_size + REQUEST_OVERHEAD);
    }
    run_workers(workers, count);
    result->elapsed_ns += clock_ns() - start_ns;
    for (size_t i = 0; i < count; i++) {
        bench_samples_merge(&result->samples, &workers[i].samples);
        if (workers[i].samples.failures > 0)
            result->failure = workers[i].failure;
        free(workers[i].request);
    }
    free(workers);
}

static double rate(const struct result *result)
{
    return (double)result->samples.count * NS_PER_S / (double)result->elapsed_ns;
}

static void print_line(enum bench_op op, unsigned in_flight, const struct result *results,
                       size_t count)
{
    printf("%-4s %9u", op == BENCH_PUT ? "put" : "get", in_flight);
    for (size_t i = 0; i < count; i++)
        printf("   %9.0f %8.2f %8.2f", rate(&results[i]),
               bench_samples_percentile_ms(&results[i].samples, 50),
               bench_samples_percentile_ms(&results[i].samples, 99));
    if (count == SYSTEMS_MAX)
        printf("   %6.2f", rate(&results[0]) / rate(&results[1]));
    for (size_t i = 0; i < count; i++) {
        if (results[i].samples.failures > 0)
            printf("   (%" PRIu64 " failed, status %d)", results[i].samples.failures,
                   results[i].failure);
    }
    printf("\n");
    (void)fflush(stdout);
}

static void measure_line(struct system *systems, size_t count, enum bench_op op, unsigned in_flight,
                         uint32_t seconds)
{
    struct result *results = mem_zalloc(SYSTEMS_MAX * sizeof(*results));
    struct result *ignored = mem_zalloc(sizeof(*ignored));
    for (size_t i = 0; i < count; i++)
        run_round(&systems[i], op, in_flight, WARM_UP_NS, ignored);
    for (uint32_t round = 0; round < seconds; round++) {
        for (size_t i = 0; i < count; i++)
            run_round(&systems[i], op, in_flight, ROUND_NS, &results[i]);
    }
    print_line(op, in_flight, results, count);
    free(ignored);
    free(results);
}

/* ---- the table ---- */

static void print_head(const struct bench_config *config, const struct system *systems,
                       size_t count)
{
    printf("RPC: values of %u bytes, %d keys, calls spread over all members; each line %u s a "
           "system%s\n\n",
           config->value_size, KEYS, config->seconds,
           count > 1 ? ", in rounds of 1 s, in turn" : "");
    printf("%14s", "");
    for (size_t i = 0; i < count; i++)
        printf("   %-27s", systems[i].name);
    printf("\n%-4s %9s", "op", "in flight");
    for (size_t i = 0; i < count; i++)
        printf("   %9s %8s %8s", "ops/s", "p50 ms", "p99 ms");
    printf("%s\n", count > 1 ? "    ratio" : "");
    (void)fflush(stdout);
}

static int connect_system(struct system *system, const char *name, const struct dialect *dialect,
                          const struct bench_list *endpoints)
{
    system->name = name;
    system->dialect = dialect;
    for (size_t i = 0; i < endpoints->count; i++) {
        struct err e;
        system->clients[i] = rpc_client_new(endpoints->items[i]);
        system->client_count++;
        if (rpc_client_connect(system->clients[i], CONNECT_MS, &e) != 0) {
            (void)fprintf(stderr, "bench: %s: %s\n", name, e.text);
            return 1;
        }
    }
    return 0;
}

static void disconnect_system(struct system *system)
{
    for (size_t i = 0; i < system->client_count; i++)
        rpc_client_free(system->clients[i]);
}

static void measure(const struct bench_config *config, struct system *systems, size_t count)
{
    static const unsigned in_flight[] = {1, 64, 256};
    print_head(config, systems, count);
    for (enum bench_op op = BENCH_PUT; op <= BENCH_GET; op++) {
        for (size_t i = 0; i < sizeof(in_flight) / sizeof(in_flight[0]); i++)
            measure_line(systems, count, op, in_flight[i], config->seconds);
    }
}

int bench_rpc(const struct bench_config *config)
{
    struct system systems[SYSTEMS_MAX] = {0};
    size_t count = config->etcd.count > 0 ? 2 : 1;
    uint8_t *value = mem_alloc(config->value_size);
    for (size_t i = 0; i < config->value_size; i++)
        value[i] = (uint8_t)('a' + i % 26);
    int status = connect_system(&systems[0], "keelfs", &keelfs_dialect, &config->keelfs);
    if (status == 0 && count > 1)
        status = connect_system(&systems[1], "etcd", &etcd_dialect, &config->etcd);
    for (size_t i = 0; i < count; i++) {
        systems[i].value = value;
        systems[i].value_size = config->value_size;
    }
    if (status == 0)
        measure(config, systems, count);
    for (size_t i = 0; i < count; i++)
        disconnect_system(&systems[i]);
    free(value);
    return status;
}
