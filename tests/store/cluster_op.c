/* Operations on the cluster's stores, each waited for. */
#include "cluster.h"

#include "raftstore/err.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull

/* --- one operation, waited for --- */

/* Embedded first in what is waited for. */
struct waited {
    struct member_op member; /* of others only its op is used */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool has_ended;
    struct op_result result;
};

static void waited_done(struct op *op, const struct op_result *result)
{
    struct waited *waited = (struct waited *)op;
    pthread_mutex_lock(&waited->lock);
    waited->result = *result;
    waited->has_ended = true;
    pthread_cond_signal(&waited->ended);
    pthread_mutex_unlock(&waited->lock);
}

static atomic_int live_ops;

static void waited_release(struct op *op)
{
    atomic_fetch_sub(&live_ops, 1);
    struct waited *waited = (struct waited *)op;
    pthread_cond_destroy(&waited->ended);
    pthread_mutex_destroy(&waited->lock);
    free(waited);
}

static struct waited *waited_new(uint32_t timeout_ms)
{
    struct waited *waited = calloc(1, sizeof(*waited));
    assert(waited != NULL);
    atomic_fetch_add(&live_ops, 1);
    op_init(&waited->member.op, timeout_ms, waited_done, waited_release);
    pthread_mutex_init(&waited->lock, NULL);
    pthread_cond_init(&waited->ended, NULL);
    return waited;
}

/* The caller still has its reference. */
static struct op_result waited_end(struct waited *waited)
{
    pthread_mutex_lock(&waited->lock);
    while (!waited->has_ended)
        pthread_cond_wait(&waited->ended, &waited->lock);
    struct op_result result = waited->result;
    pthread_mutex_unlock(&waited->lock);
    return result;
}

int cluster_live_ops(void)
{
    return atomic_load(&live_ops);
}

struct store *cluster_take(struct cluster *cluster, size_t i)
{
    pthread_rwlock_rdlock(&cluster->slots[i].lock);
    struct store *store = cluster->stores[i];
    if (store == NULL)
        pthread_rwlock_unlock(&cluster->slots[i].lock);
    return store;
}

void cluster_put_back(struct cluster *cluster, size_t i)
{
    pthread_rwlock_unlock(&cluster->slots[i].lock);
}

static int propose_for(struct cluster *cluster, size_t i, struct command *cmd, uint32_t timeout_ms,
                       struct op_result *ret_result)
{
    struct store *store = cluster_take(cluster, i);
    if (store == NULL) {
        command_free(cmd);
        return KE_SHUTDOWN;
    }
    struct waited *waited = waited_new(timeout_ms);
    store_propose(store, &cmd, &waited->member.op);
    cluster_put_back(cluster, i);
    *ret_result = waited_end(waited);
    op_unref(&waited->member.op);
    return ret_result->code;
}

static int propose(struct cluster *cluster, size_t i, struct command *cmd, uint32_t timeout_ms)
{
    struct op_result result;
    return propose_for(cluster, i, cmd, timeout_ms, &result);
}

/* `*ret_starts`: which life of the store the barrier was in. */
static int barrier(struct cluster *cluster, size_t i, uint32_t timeout_ms, uint64_t *ret_starts)
{
    struct store *store = cluster_take(cluster, i);
    if (store == NULL)
        return KE_SHUTDOWN;
    *ret_starts = cluster->slots[i].starts;
    struct waited *waited = waited_new(timeout_ms);
    store_barrier(store, &waited->member.op);
    cluster_put_back(cluster, i);
    int code = waited_end(waited).code;
    op_unref(&waited->member.op);
    return code;
}

int cluster_barrier(struct cluster *cluster, size_t i, uint32_t timeout_ms)
{
    uint64_t starts;
    return barrier(cluster, i, timeout_ms, &starts);
}

/* A view behind a barrier, to be ended with end_view(). A store that has restarted
 * in between may not have applied as far again. */
static int begin_view(struct cluster *cluster, size_t i, uint32_t timeout_ms,
                      struct tree_view **ret_view)
{
    uint64_t starts;
    int rc = barrier(cluster, i, timeout_ms, &starts);
    if (rc != 0)
        return rc;
    struct store *store = cluster_take(cluster, i);
    if (store == NULL)
        return KE_SHUTDOWN;
    if (cluster->slots[i].starts != starts) {
        cluster_put_back(cluster, i);
        return KE_SHUTDOWN;
    }
    *ret_view = tree_view_new(store_tree(store));
    return 0;
}

static void end_view(struct cluster *cluster, size_t i, struct tree_view *view)
{
    tree_view_unref(view);
    cluster_put_back(cluster, i);
}

/* --- writes --- */

int cluster_put(struct cluster *cluster, size_t i, const char *key, const char *value,
                uint32_t timeout_ms)
{
    struct command *cmd = command_new();
    command_put(cmd, "default", key, strlen(key), value, strlen(value));
    return propose(cluster, i, cmd, timeout_ms);
}

int cluster_delete(struct cluster *cluster, size_t i, const char *key, uint32_t timeout_ms)
{
    struct command *cmd = command_new();
    command_delete(cmd, "default", key, strlen(key));
    return propose(cluster, i, cmd, timeout_ms);
}

int cluster_create_exclusive(struct cluster *cluster, size_t i, const char *path,
                             uint32_t timeout_ms)
{
    struct command *cmd = command_new();
    command_create(cmd, &(struct command_create){
                            .path = path, .type = FILE_REGULAR, .mode = 0644, .exclusive = true});
    return propose(cluster, i, cmd, timeout_ms);
}

int cluster_make_dir(struct cluster *cluster, size_t i, const char *path, uint32_t timeout_ms)
{
    struct command *cmd = command_new();
    command_create(cmd, &(struct command_create){
                            .path = path, .type = FILE_DIRECTORY, .mode = 0755, .exclusive = true});
    return propose(cluster, i, cmd, timeout_ms);
}

int cluster_append_attr(struct cluster *cluster, size_t i, const char *path, uint64_t id,
                        const char *text, uint32_t timeout_ms, struct attr *ret_attr)
{
    struct command *cmd = command_new();
    struct op_result result;
    command_write(cmd, &(struct command_write){
                           .path = path, .id = id, .append = text, .append_size = strlen(text)});
    int code = propose_for(cluster, i, cmd, timeout_ms, &result);
    if (code == 0)
        *ret_attr = result.attr;
    return code;
}

int cluster_append(struct cluster *cluster, size_t i, const char *path, uint64_t id,
                   const char *text, uint32_t timeout_ms)
{
    struct attr attr;
    return cluster_append_attr(cluster, i, path, id, text, timeout_ms, &attr);
}

/* --- reads --- */

int cluster_get(struct cluster *cluster, size_t i, const char *key, char *value,
                uint32_t timeout_ms)
{
    struct tree_view *view;
    int rc = begin_view(cluster, i, timeout_ms, &view);
    if (rc != 0)
        return rc;
    uint8_t *data;
    size_t size;
    rc = tree_get(view, "default", key, strlen(key), CLUSTER_VALUE_MAX - 1, &data, &size);
    end_view(cluster, i, view);
    if (rc != 0)
        return rc;
    memcpy(value, data, size);
    value[size] = '\0';
    free(data);
    return 0;
}

int cluster_stat(struct cluster *cluster, size_t i, const char *path, struct attr *ret_attr,
                 uint32_t timeout_ms)
{
    struct tree_view *view;
    int rc = begin_view(cluster, i, timeout_ms, &view);
    if (rc != 0)
        return rc;
    rc = tree_stat(view, path, ret_attr);
    end_view(cluster, i, view);
    return rc;
}

struct prefix_scan {
    const char *prefix;
    tree_scan_fn *each;
    void *ctx;
};

static int scan_one(void *ctx, const void *key, size_t key_size, const void *value,
                    size_t value_size)
{
    struct prefix_scan *scan = ctx;
    size_t length = strlen(scan->prefix);
    if (key_size < length || memcmp(key, scan->prefix, length) != 0)
        return 0;
    return scan->each(scan->ctx, key, key_size, value, value_size);
}

int cluster_scan(struct cluster *cluster, size_t i, const char *prefix, tree_scan_fn *each,
                 void *ctx, uint32_t timeout_ms)
{
    struct tree_view *view;
    int rc = begin_view(cluster, i, timeout_ms, &view);
    if (rc != 0)
        return rc;
    struct prefix_scan scan = {.prefix = prefix, .each = each, .ctx = ctx};
    rc = tree_scan(view, "default", prefix, strlen(prefix), UINT32_MAX, SIZE_MAX, scan_one, &scan);
    end_view(cluster, i, view);
    return rc;
}

/* --- members and checks: asked of whoever leads --- */

typedef void leader_call_fn(struct store *store, struct member_op *op);

/* The store that believes to lead in the highest term. */
static bool find_leader(struct cluster *cluster, size_t *ret_i)
{
    uint64_t term = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        struct store_status status;
        if (!cluster_status(cluster, i, &status) || strcmp(status.role, "leader") != 0)
            continue;
        if (status.term > term) {
            term = status.term;
            *ret_i = i;
        }
    }
    return term != 0;
}

static int call_store(struct cluster *cluster, size_t i, const struct member_op *what,
                      leader_call_fn *call, uint32_t timeout_ms, struct err *e)
{
    struct store *store = cluster_take(cluster, i);
    if (store == NULL)
        return KE_NOT_LEADER;
    struct waited *waited = waited_new(timeout_ms);
    struct member_op *op = &waited->member;
    op->kind = what->kind;
    op->promote = what->promote;
    memcpy(op->name, what->name, sizeof(op->name));
    memcpy(op->address, what->address, sizeof(op->address));
    memcpy(op->old_name, what->old_name, sizeof(op->old_name));
    call(store, op);
    cluster_put_back(cluster, i);
    int code = waited_end(waited).code;
    if (e != NULL)
        *e = op->error;
    op_unref(&op->op);
    return code;
}

/* Refusals that another moment or another node may not repeat. */
static bool is_worth_retry(int code)
{
    return code == KE_NOT_LEADER || code == KE_BUSY || code == KE_SHUTDOWN;
}

static int call_leader(struct cluster *cluster, const struct member_op *what, leader_call_fn *call,
                       uint32_t timeout_ms, struct err *e)
{
    uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
    for (;;) {
        uint64_t now = clock_ns();
        if (now >= deadline)
            return err_set(e, KE_TIMEOUT, "nobody led for long enough");
        size_t i;
        int code = KE_NOT_LEADER;
        if (find_leader(cluster, &i))
            code =
                call_store(cluster, i, what, call, (uint32_t)((deadline - now) / NS_PER_MS) + 1, e);
        if (!is_worth_retry(code))
            return code;
        cluster_pause();
    }
}

int cluster_change_members(struct cluster *cluster, const struct member_op *what,
                           uint32_t timeout_ms, struct err *e)
{
    return call_leader(cluster, what, store_change_members, timeout_ms, e);
}

int cluster_transfer_leader(struct cluster *cluster, const char *name, uint32_t timeout_ms)
{
    struct member_op what = {0};
    snprintf(what.name, sizeof(what.name), "%s", name);
    return call_leader(cluster, &what, store_transfer_leader, timeout_ms, NULL);
}

static uint32_t role_in(const struct store_status *status, const char *name)
{
    for (size_t i = 0; i < status->member_count; i++) {
        if (strcmp(status->members[i].member.name, name) == 0)
            return status->members[i].role;
    }
    return 0;
}

static bool has_role_everywhere(struct cluster *cluster, size_t member, uint32_t role)
{
    for (size_t i = 0; i < cluster->count; i++) {
        struct store_status status;
        /* Who was removed hears of nothing any more. */
        bool counts = atomic_load(&cluster->slots[i].gone) == 0 && (role != 0 || i != member);
        if (counts && cluster_status(cluster, i, &status) &&
            role_in(&status, cluster->slots[member].name) != role)
            return false;
    }
    return true;
}

bool cluster_wait_gone(struct cluster *cluster, size_t i, uint32_t timeout_ms)
{
    uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
    while (atomic_load(&cluster->slots[i].gone) == 0 && cluster_is_running(cluster, i)) {
        if (clock_ns() >= deadline)
            return false;
        cluster_pause();
    }
    return true;
}

int cluster_start_check(struct cluster *cluster, size_t i, uint32_t timeout_ms, uint64_t *ret_index)
{
    struct store *store = cluster_take(cluster, i);
    if (store == NULL)
        return KE_SHUTDOWN;
    struct waited *waited = waited_new(timeout_ms);
    store_start_check(store, &waited->member.op);
    cluster_put_back(cluster, i);
    struct op_result result = waited_end(waited);
    op_unref(&waited->member.op);
    if (result.code == 0)
        *ret_index = result.index;
    return result.code;
}

bool cluster_check_result(struct cluster *cluster, size_t i, uint64_t index, uint64_t *ret_hash)
{
    struct store *store = cluster_take(cluster, i);
    if (store == NULL)
        return false;
    bool known = store_check_result(store, index, ret_hash);
    cluster_put_back(cluster, i);
    return known;
}

bool cluster_wait_role(struct cluster *cluster, size_t member, uint32_t role, uint32_t timeout_ms)
{
    uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
    while (!has_role_everywhere(cluster, member, role)) {
        if (clock_ns() >= deadline)
            return false;
        cluster_pause();
    }
    return true;
}
