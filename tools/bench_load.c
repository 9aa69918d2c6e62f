#include "tools/bench_load.h"

#include "raft/varint.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_TEXT_MAX     (BENCH_PREFIX_MAX + 32)
#define CALL_MS          5000
#define CONNECT_MS       5000
#define REQUEST_OVERHEAD 32
#define NS_PER_S         1e9
#define POOL_SIZE        (1u << 20)
/* Odd, so that many calls pass before a value comes again. */
#define POOL_STEP 4099u
#define POOL_SEED 0x9e3779b97f4a7c15ull

/* The methods, and the fields of key and value. */
struct bench_dialect {
    const char *methods[2];
    uint32_t key_fields[2];
    uint32_t value_field;
};

const struct bench_dialect bench_keelfs = {
    .methods = {"/tinykvpb.TinyKv/RawPut", "/tinykvpb.TinyKv/RawGet"},
    .key_fields = {2, 2},
    .value_field = 3,
};

const struct bench_dialect bench_etcd = {
    .methods = {"/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range"},
    .key_fields = {1, 1},
    .value_field = 2,
};

/* One thread of a load. */
struct worker {
    const struct bench_load *load;
    struct rpc_client *client;
    unsigned in_flight;
    uint64_t end_ns;
    uint64_t calls_left;
    pthread_t thread;

    uint64_t number; /* of the next call; the threads take different ones */
    uint64_t number_step;
    bool repeats; /* each reply starts the next call */
    unsigned under_way;
    uint8_t *request; /* room for one, packed */
    struct bench_samples samples;
    int failure;
};

struct slot {
    struct worker *worker;
    uint64_t start_ns;
};

/* ---- values ---- */

void bench_values_init(struct bench_values *values, size_t size)
{
    uint64_t word = POOL_SEED;
    values->size = size;
    values->pool = mem_alloc(POOL_SIZE + size);
    for (size_t i = 0; i < POOL_SIZE + size; i++) {
        /* xorshift64 */
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        values->pool[i] = (uint8_t)(word >> 32);
    }
}

void bench_values_release(struct bench_values *values)
{
    free(values->pool);
    values->pool = NULL;
}

static const uint8_t *value_at(const struct bench_values *values, uint64_t number)
{
    return values->pool + number * POOL_STEP % POOL_SIZE;
}

/* ---- calls ---- */

static size_t pack_request(const struct worker *worker, uint64_t number)
{
    const struct bench_load *load = worker->load;
    const struct bench_dialect *dialect = load->target->dialect;
    struct raft_wire_writer w = {.at = worker->request};
    char key[KEY_TEXT_MAX];
    uint64_t which = number % load->keys;
    int length = snprintf(key, sizeof(key), "%s/%06" PRIu64 "/%03" PRIu64, load->prefix,
                          which / BENCH_DIR_KEYS, which % BENCH_DIR_KEYS);
    assert(length > 0 && (size_t)length < sizeof(key));
    raft_wire_put_bytes(&w, dialect->key_fields[load->op], key, (size_t)length);
    if (load->op == BENCH_PUT)
        raft_wire_put_bytes(&w, dialect->value_field, value_at(load->values, number),
                            load->values->size);
    return w.length;
}

static bool may_start(const struct worker *worker)
{
    const struct bench_load *load = worker->load;
    if (worker->calls_left == 0 || (load->stop != NULL && *load->stop != 0))
        return false;
    return clock_ns() < worker->end_ns;
}

static void on_reply(void *ctx, const struct rpc_reply *reply);

static void start_call(struct worker *worker, struct slot *slot)
{
    const struct bench_load *load = worker->load;
    size_t size = pack_request(worker, worker->number);
    worker->number += worker->number_step;
    worker->calls_left--;
    worker->under_way++;
    slot->start_ns = clock_ns();
    rpc_client_start(worker->client, load->target->dialect->methods[load->op], worker->request,
                     size, CALL_MS, on_reply, slot);
}

static void on_reply(void *ctx, const struct rpc_reply *reply)
{
    struct slot *slot = ctx;
    struct worker *worker = slot->worker;
    worker->under_way--;
    if (reply->status == 0) {
        bench_samples_add(&worker->samples, clock_ns() - slot->start_ns);
    } else {
        worker->samples.failures++;
        worker->failure = reply->status;
    }
    if (worker->repeats && may_start(worker))
        start_call(worker, slot);
}

/* One call at a time, to each member in turn. */
static void run_alone(struct worker *worker)
{
    const struct bench_target *target = worker->load->target;
    struct slot slot = {.worker = worker};
    for (size_t i = 0; may_start(worker); i++) {
        worker->client = target->clients[i % target->client_count];
        start_call(worker, &slot);
        rpc_client_poll(worker->client);
    }
}

/* As many calls as it is told to, all to one member. */
static void *run_many(void *arg)
{
    struct worker *worker = arg;
    struct slot slots[BENCH_IN_FLIGHT_MAX];
    worker->repeats = true;
    for (unsigned i = 0; i < worker->in_flight && may_start(worker); i++) {
        slots[i].worker = worker;
        start_call(worker, &slots[i]);
    }
    while (worker->under_way > 0)
        rpc_client_poll(worker->client);
    return NULL;
}

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

/* ---- loads ---- */

/* What worker `i` of `count` gets of a total. */
static uint64_t share(uint64_t total, size_t i, size_t count)
{
    if (total == UINT64_MAX)
        return total;
    return (total + count - 1 - i) / count;
}

void bench_load_run(const struct bench_load *load, struct bench_load_result *result)
{
    size_t members = load->target->client_count;
    size_t count = load->in_flight < members ? 1 : members;
    struct worker *workers = mem_zalloc(count * sizeof(*workers));
    uint64_t start_ns = clock_ns();
    assert(load->in_flight <= BENCH_IN_FLIGHT_MAX);
    assert(strlen(load->prefix) <= BENCH_PREFIX_MAX);
    for (size_t i = 0; i < count; i++) {
        workers[i] = (struct worker){.load = load, .client = load->target->clients[i]};
        workers[i].end_ns = load->length_ns == UINT64_MAX ? UINT64_MAX : start_ns + load->length_ns;
        workers[i].in_flight = (unsigned)share(load->in_flight, i, count);
        workers[i].calls_left = share(load->calls, i, count);
        workers[i].number = i;
        workers[i].number_step = count;
        workers[i].request = mem_alloc(KEY_TEXT_MAX + load->values->size + REQUEST_OVERHEAD);
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

double bench_load_rate(const struct bench_load_result *result)
{
    return (double)result->samples.count * NS_PER_S / (double)result->elapsed_ns;
}

/* ---- connections ---- */

int bench_target_connect(struct bench_target *target, const char *name,
                         const struct bench_dialect *dialect, const struct bench_list *endpoints)
{
    *target = (struct bench_target){.name = name, .dialect = dialect};
    for (size_t i = 0; i < endpoints->count; i++) {
        struct err e;
        target->clients[i] = rpc_client_new(endpoints->items[i]);
        target->client_count++;
        if (rpc_client_connect(target->clients[i], CONNECT_MS, &e) != 0) {
            (void)fprintf(stderr, "bench: %s: %s\n", name, e.text);
            return 1;
        }
    }
    return 0;
}

void bench_target_disconnect(struct bench_target *target)
{
    for (size_t i = 0; i < target->client_count; i++)
        rpc_client_free(target->clients[i]);
    target->client_count = 0;
}
