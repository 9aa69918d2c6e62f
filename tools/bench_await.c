/* Waits for an event of a cluster and prints when it was, in microseconds of the wall
 * clock: a script that noted when it caused it has the difference. */
#include "tools/bench.h"

#include "raft/varint.h"
#include "raftstore/op.h"
#include "raftstore/rpc_client.h"

#include "keelfspb.pb-c.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MS   1000
#define CALL_MS      5000
#define PAUSE_NS     5000000
#define NS_PER_S     1000000000ull
#define NS_PER_US    1000
#define US_PER_S     1000000
#define REQUEST_MAX  64
#define KEY_FIELD    2
#define VALUE_FIELD  3
#define PROBE_KEY    "await"
#define PROBE_VALUE  "x"
#define STATUS_CALL  "/keelfspb.KeelFs/Status"
#define ROLE_LEADING "leader"

/* A connection that is made again for as long as nobody listens. */
struct seat {
    const char *endpoint;
    struct rpc_client *client; /* NULL: not connected */
};

struct await {
    struct seat seats[BENCH_LIST_MAX];
    size_t count;
};

/* Whether it has happened. */
typedef bool event_fn(struct await *await);

static void leave(struct seat *seat)
{
    rpc_client_free(seat->client);
    seat->client = NULL;
}

/* One try: the answer's bytes are malloc'ed into `*ret_data`. */
static bool ask(struct seat *seat, const char *method, const void *request, size_t request_size,
                uint8_t **ret_data, size_t *ret_size)
{
    struct err e;
    if (seat->client == NULL) {
        seat->client = rpc_client_new(seat->endpoint);
        if (rpc_client_connect(seat->client, CONNECT_MS, &e) != 0) {
            leave(seat);
            return false;
        }
    }
    if (rpc_client_call(seat->client, method, request, request_size, CALL_MS, ret_data, ret_size,
                        &e) == 0)
        return true;
    leave(seat);
    return false;
}

static Keelfspb__StatusResponse *ask_status(struct seat *seat)
{
    uint8_t *data;
    size_t size;
    if (!ask(seat, STATUS_CALL, "", 0, &data, &size))
        return NULL;
    Keelfspb__StatusResponse *status = keelfspb__status_response__unpack(NULL, size, data);
    free(data);
    return status;
}

/* ---- events ---- */

static bool each_answers(struct await *await, bool puts)
{
    uint8_t request[REQUEST_MAX];
    struct raft_wire_writer w = {.at = request};
    uint8_t *data;
    size_t size;
    raft_wire_put_bytes(&w, KEY_FIELD, PROBE_KEY, strlen(PROBE_KEY));
    if (puts)
        raft_wire_put_bytes(&w, VALUE_FIELD, PROBE_VALUE, strlen(PROBE_VALUE));
    const char *method = puts ? "/tinykvpb.TinyKv/RawPut" : "/tinykvpb.TinyKv/RawGet";
    for (size_t i = 0; i < await->count; i++) {
        if (!ask(&await->seats[i], method, request, w.length, &data, &size))
            return false;
        free(data);
    }
    return true;
}

/* Every one answers a linearizable read. */
static bool event_get(struct await *await)
{
    return each_answers(await, false);
}

/* Every one gets a write through. */
static bool event_put(struct await *await)
{
    return each_answers(await, true);
}

/* One of them says that it leads. */
static bool event_leader(struct await *await)
{
    bool found = false;
    for (size_t i = 0; i < await->count && !found; i++) {
        Keelfspb__StatusResponse *status = ask_status(&await->seats[i]);
        found = status != NULL && strcmp(status->role, ROLE_LEADING) == 0;
        keelfspb__status_response__free_unpacked(status, NULL);
    }
    return found;
}

static uint64_t applied_by(struct seat *seat)
{
    Keelfspb__StatusResponse *status = ask_status(seat);
    uint64_t index = status != NULL ? status->applied_index : 0;
    keelfspb__status_response__free_unpacked(status, NULL);
    return index;
}

/* The others have applied what the first one had when it was asked, before them. */
static bool event_applied(struct await *await)
{
    uint64_t wanted = applied_by(&await->seats[0]);
    bool all = wanted > 0;
    for (size_t i = 1; i < await->count && all; i++)
        all = applied_by(&await->seats[i]) >= wanted;
    return all;
}

static event_fn *find_event(const char *name)
{
    static const struct {
        const char *name;
        event_fn *happened;
    } events[] = {
        {"get", event_get},
        {"put", event_put},
        {"leader", event_leader},
        {"applied", event_applied},
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (strcmp(events[i].name, name) == 0)
            return events[i].happened;
    }
    return NULL;
}

/* ---- waiting ---- */

static void print_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    printf("%" PRIu64 "\n", (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US);
}

int bench_await(const struct bench_config *config)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct await await = {.count = config->keelfs.count};
    event_fn *happened = find_event(config->event);
    uint64_t end_ns = clock_ns() + config->seconds * NS_PER_S;
    bool done = false;
    if (happened == NULL) {
        (void)fprintf(stderr, "bench: there is no event '%s'\n", config->event);
        return 1;
    }
    for (size_t i = 0; i < await.count; i++)
        await.seats[i].endpoint = config->keelfs.items[i];
    while (!(done = happened(&await)) && clock_ns() < end_ns)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    if (done)
        print_now();
    else
        (void)fprintf(stderr, "bench: '%s' did not come true in %u s\n", config->event,
                      config->seconds);
    for (size_t i = 0; i < await.count; i++)
        leave(&await.seats[i]);
    return done ? 0 : 1;
}
