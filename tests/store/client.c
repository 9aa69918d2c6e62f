#include "client.h"

#include "random.h"

#include "raftstore/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull
/* Of so many operations one is a scan. */
#define OPERATIONS_PER_SCAN 5
/* So often a client goes to another store without need. */
#define OPERATIONS_PER_STORE 50

void client_init(struct client *client, struct cluster *cluster, unsigned number, uint64_t seed,
                 uint32_t timeout_ms)
{
    memset(client, 0, sizeof(*client));
    client->cluster = cluster;
    client->random = seed + number;
    client->timeout_ms = timeout_ms;
    ledger_init(&client->ledger, number);
}

void client_set_note(struct client *client, client_note_fn *note, void *ctx)
{
    client->note = note;
    client->note_ctx = ctx;
}

static void tell(struct client *client, enum client_step step, const struct ledger_op *op)
{
    if (client->note != NULL)
        client->note(client->note_ctx, client->ledger.client, step, op);
}

static bool fail(struct client *client, const char *what)
{
    fprintf(stderr, "client %u: %s\n", client->ledger.client, what);
    atomic_store(&client->failed, true);
    return false;
}

/* A store that runs and has not been told to go. */
static bool find_store(struct client *client, size_t *ret_i)
{
    size_t count = client->cluster->count;
    size_t from = (size_t)(random_next(&client->random) % count);
    for (size_t k = 0; k < count; k++) {
        size_t i = (from + k) % count;
        if (cluster_is_running(client->cluster, i) &&
            atomic_load(&client->cluster->slots[i].gone) == 0) {
            *ret_i = i;
            return true;
        }
    }
    return false;
}

/* --- operations --- */

static bool is_unknown(int code)
{
    return code == KE_TIMEOUT || code == KE_SHUTDOWN || code == KE_CANCELLED ||
           code == KE_REMOVED || code == KE_WIPED;
}

static int run_op(struct client *client, size_t i, const struct ledger_op *op)
{
    char path[LEDGER_PATH_MAX];
    char value[LEDGER_VALUE_MAX];
    ledger_path(&client->ledger, op, path);
    if (op->kind == LEDGER_DELETE)
        return cluster_delete(client->cluster, i, path, client->timeout_ms);
    ledger_value(&client->ledger, op, value);
    if (op->kind == LEDGER_PUT)
        return cluster_put(client->cluster, i, path, value, client->timeout_ms);
    return cluster_append(client->cluster, i, path, client->log_id, value, client->timeout_ms);
}

/* False: not acknowledged, try another store. */
static bool write_once(struct client *client, size_t i)
{
    struct ledger_op op;
    if (!ledger_choose(&client->ledger, random_next(&client->random), &op))
        return false;
    tell(client, CLIENT_BEGINS, &op);
    ledger_begin(&client->ledger, &op);
    int code = run_op(client, i, &op);
    if (code == 0) {
        tell(client, CLIENT_ACKNOWLEDGED, &op);
        ledger_acknowledge(&client->ledger, &op);
        atomic_fetch_add(&client->acknowledged, 1);
        return true;
    }
    if (code == KE_BUSY) {
        tell(client, CLIENT_REFUSED, &op);
        ledger_refuse(&client->ledger, &op);
        return false;
    }
    atomic_fetch_add(&client->unknown, 1);
    return is_unknown(code) ? false : fail(client, ke_text(code));
}

static int check_row(void *ctx, const void *key, size_t key_size, const void *value,
                     size_t value_size)
{
    return ledger_check_row(ctx, key, key_size, value, value_size);
}

/* One scan; the code. Whether it shows what can be is in `failed`. */
static int scan_once(struct client *client, size_t i)
{
    char prefix[LEDGER_PATH_MAX];
    struct ledger *ledger = &client->ledger;
    ledger_prefix(ledger, prefix);
    ledger_check_begin(ledger);
    int code = cluster_scan(client->cluster, i, prefix, check_row, ledger, client->timeout_ms);
    if (code == 0) {
        atomic_fetch_add(&client->scans, 1);
        if (!ledger_check_end(ledger)) {
            fprintf(stderr, "through %s: ", client->cluster->slots[i].name);
            fail(client, ledger->failure);
        }
    } else if (!is_unknown(code)) {
        fail(client, ke_text(code));
    }
    return code;
}

/* --- the thread --- */

static void *client_run(void *arg)
{
    struct client *client = arg;
    size_t i = 0;
    bool have_store = false;
    while (!atomic_load(&client->stop) && !atomic_load(&client->failed)) {
        uint64_t random = random_next(&client->random);
        if (!have_store || random % OPERATIONS_PER_STORE == 0)
            have_store = find_store(client, &i);
        if (!have_store) {
            cluster_pause();
            continue;
        }
        if (random / OPERATIONS_PER_STORE % OPERATIONS_PER_SCAN == 0)
            have_store = scan_once(client, i) == 0;
        else
            have_store = write_once(client, i);
    }
    return NULL;
}

void client_start(struct client *client)
{
    atomic_store(&client->stop, false);
    int rc = pthread_create(&client->thread, NULL, client_run, client);
    if (rc != 0)
        abort();
}

void client_stop(struct client *client)
{
    atomic_store(&client->stop, true);
    pthread_join(client->thread, NULL);
}

/* --- by the test --- */

bool client_check(struct client *client, size_t i, uint32_t patience_ms)
{
    uint64_t deadline = clock_ns() + patience_ms * NS_PER_MS;
    int code;
    do {
        code = scan_once(client, i);
        if (code != 0)
            cluster_pause();
    } while (code != 0 && !atomic_load(&client->failed) && clock_ns() < deadline);
    if (code != 0)
        return fail(client, "no scan succeeded in time");
    return !atomic_load(&client->failed);
}

static bool is_there(int code)
{
    return code == 0 || code == KE_EXISTS;
}

/* Makes it, finds its id, and removes the one before. Nothing here would do harm if it
 * happened once more, later. */
static int make_log(struct client *client, size_t i)
{
    struct cluster *cluster = client->cluster;
    const struct ledger *ledger = &client->ledger;
    char path[LEDGER_PATH_MAX];
    struct attr attr;
    ledger_dir(ledger, path);
    int code = cluster_make_dir(cluster, i, path, client->timeout_ms);
    if (!is_there(code))
        return code;
    ledger_log_path(ledger, ledger->log + 1, path);
    code = cluster_create_exclusive(cluster, i, path, client->timeout_ms);
    if (!is_there(code))
        return code;
    code = cluster_stat(cluster, i, path, &attr, client->timeout_ms);
    if (code == 0 && ledger->log != 0) {
        ledger_log_path(ledger, ledger->log, path);
        code = cluster_delete(cluster, i, path, client->timeout_ms);
    }
    if (code == 0)
        client->log_id = attr.id;
    return code;
}

bool client_begin_log(struct client *client, uint32_t patience_ms)
{
    uint64_t deadline = clock_ns() + patience_ms * NS_PER_MS;
    do {
        size_t i;
        if (find_store(client, &i) && make_log(client, i) == 0) {
            ledger_begin_log(&client->ledger);
            tell(client, CLIENT_LOG_IS_THERE, &(struct ledger_op){.kind = LEDGER_APPEND});
            return true;
        }
        cluster_pause();
    } while (clock_ns() < deadline);
    return fail(client, "no log could be made in time");
}
