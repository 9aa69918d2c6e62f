#include "fake_store.h"

#include "raftstore/deadline.h"
#include "raftstore/event_log.h"
#include "raftstore/executor.h"
#include "raftstore/memory.h"
#include "raftstore/thread.h"
#include "raftstore/touch.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_READ_MAX (64u << 20)
#define LEASE_NS      190000000ull

struct fake_item {
    struct fake_item *next;
    struct op *op;
    struct command *cmd; /* NULL: a barrier */
};

struct store {
    struct event_log events;
    struct engine *kv;
    struct tree *tree;
    struct deadlines *deadlines;
    store_observer_fn *observer;
    void *observer_ctx;
    store_invalidate_fn *invalidate;
    void *invalidate_ctx;
    pthread_t thread;

    pthread_mutex_t apply_lock; /* guards the next six: who applies */
    struct executor *executor;
    struct engine_batch *batch;
    uint64_t revision;
    size_t applied;
    bool in_snapshot;
    struct command *follower; /* of the next proposal, or NULL */

    atomic_uint_fast64_t shown_revision;

    pthread_mutex_t lease_lock; /* guards the next three */
    bool has_no_lease;
    const uint64_t *in_flight; /* the keys of what is being applied, or NULL */
    size_t in_flight_count;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct fake_item *first;
    struct fake_item **last;
    bool holds_barriers;
    bool holds_proposals;
    bool stops;
    int refuses;
    uint64_t leader_id;
};

/* --- the lease --- */

static void set_in_flight(struct store *store, const uint64_t *keys, size_t count)
{
    pthread_mutex_lock(&store->lease_lock);
    store->in_flight = keys;
    store->in_flight_count = count;
    pthread_mutex_unlock(&store->lease_lock);
    if (count > 0 && store->invalidate != NULL)
        store->invalidate(store->invalidate_ctx, keys, count);
}

static void set_lease(struct store *store, bool has_lease)
{
    pthread_mutex_lock(&store->lease_lock);
    store->has_no_lease = !has_lease;
    pthread_mutex_unlock(&store->lease_lock);
}

void fake_store_set_lease(struct store *store, bool has_lease)
{
    const struct timespec lease = {.tv_nsec = LEASE_NS};

    set_lease(store, has_lease);
    if (!has_lease)
        nanosleep(&lease, NULL);
}

/* Under the lock. */
static bool is_in_flight(const struct store *store, uint64_t key)
{
    for (size_t i = 0; i < store->in_flight_count; i++) {
        if (touch_is_everything(store->in_flight[i]) || touch_object(store->in_flight[i]) == key)
            return true;
    }
    return false;
}

uint64_t store_current_until(struct store *store, const uint64_t *keys, size_t count)
{
    pthread_mutex_lock(&store->lease_lock);
    bool is_current = !store->has_no_lease;
    for (size_t i = 0; i < count; i++)
        is_current = is_current && !is_in_flight(store, keys[i]);
    pthread_mutex_unlock(&store->lease_lock);
    return is_current ? clock_ns() + LEASE_NS : 0;
}

void store_set_invalidate(struct store *store, store_invalidate_fn *invalidate, void *ctx)
{
    store->invalidate = invalidate;
    store->invalidate_ctx = ctx;
}

/* --- applying --- */

static void run_command(struct store *store, const struct command *cmd,
                        struct op_result *ret_result)
{
    size_t size, count;
    const void *bytes = command_bytes(cmd, &size);
    const uint64_t *keys = command_touched(cmd, &count);

    set_in_flight(store, keys, count);
    executor_run(store->executor, store->batch, bytes, size, &store->revision, ret_result);
}

/* `follower` may be NULL. */
static void apply_packed(struct store *store, const struct command *cmd,
                         const struct command *follower, struct op_result *ret_result)
{
    struct op_result other;
    size_t count;

    run_command(store, cmd, ret_result);
    if (follower != NULL)
        run_command(store, follower, &other);
    executor_finish_batch(store->executor, store->batch);
    engine_write(store->kv, store->batch, false);
    engine_batch_clear(store->batch);
    atomic_store(&store->shown_revision, store->revision);
    const struct change *changes = executor_changes(store->executor, &count);
    if (store->in_snapshot)
        *ret_result = (struct op_result){.code = ret_result->code};
    else if (count > 0 && store->observer != NULL)
        store->observer(store->observer_ctx, changes, count);
    executor_clear_changes(store->executor);
    set_in_flight(store, NULL, 0);
}

int fake_store_apply(struct store *store, struct command *cmd)
{
    struct op_result result;

    pthread_mutex_lock(&store->apply_lock);
    apply_packed(store, cmd, NULL, &result);
    pthread_mutex_unlock(&store->apply_lock);
    command_free(cmd);
    return result.code;
}

void fake_store_follow(struct store *store, struct command *cmd)
{
    pthread_mutex_lock(&store->apply_lock);
    assert(store->follower == NULL);
    store->follower = cmd;
    pthread_mutex_unlock(&store->apply_lock);
}

void fake_store_begin_snapshot(struct store *store)
{
    const uint64_t everything = TOUCH_EVERYTHING;

    pthread_mutex_lock(&store->apply_lock);
    store->in_snapshot = true;
    set_lease(store, false);
    store->invalidate(store->invalidate_ctx, &everything, 1);
    pthread_mutex_unlock(&store->apply_lock);
}

void fake_store_end_snapshot(struct store *store)
{
    pthread_mutex_lock(&store->apply_lock);
    const struct change everything = {.kind = CHANGE_EVERYTHING, .version = store->revision};
    store->in_snapshot = false;
    store->observer(store->observer_ctx, &everything, 1);
    set_lease(store, true);
    pthread_mutex_unlock(&store->apply_lock);
}

static void run_item(struct store *store, struct fake_item *item, int refuses)
{
    struct op_result result = {.code = refuses};

    /* `done` under the lock: as on the apply thread, nothing is applied
     * between a command and its answer. */
    pthread_mutex_lock(&store->apply_lock);
    if (item->cmd == NULL) {
        result.code = 0;
    } else if (refuses == 0 && !op_is_claimed(item->op)) {
        apply_packed(store, item->cmd, store->follower, &result);
        store->applied++;
        command_free(store->follower);
        store->follower = NULL;
    }
    op_finish(item->op, &result);
    pthread_mutex_unlock(&store->apply_lock);
}

/* --- the thread --- */

/* Under the lock. */
static bool is_held(const struct store *store, const struct fake_item *item)
{
    return item->cmd != NULL ? store->holds_proposals : store->holds_barriers;
}

/* Under the lock: the first item that is not held, unlinked, or NULL. */
static struct fake_item *next_item(struct store *store)
{
    struct fake_item **link = &store->first;

    while (*link != NULL && ((*link)->cmd != NULL ? store->holds_proposals : store->holds_barriers))
        link = &(*link)->next;
    struct fake_item *item = *link;
    if (item == NULL)
        return NULL;
    *link = item->next;
    if (item->next == NULL)
        store->last = link;
    return item;
}

static void free_item(struct fake_item *item)
{
    op_unref(item->op);
    command_free(item->cmd);
    free(item);
}

static void *run(void *arg)
{
    struct store *store = arg;

    pthread_mutex_lock(&store->lock);
    while (!store->stops) {
        struct fake_item *item = next_item(store);
        if (item == NULL) {
            pthread_cond_wait(&store->changed, &store->lock);
            continue;
        }
        int refuses = store->refuses;
        pthread_mutex_unlock(&store->lock);
        run_item(store, item, refuses);
        free_item(item);
        pthread_mutex_lock(&store->lock);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

static void enqueue(struct store *store, struct op *op, struct command *cmd)
{
    struct fake_item *item = mem_alloc(sizeof(*item));

    op_ref(op);
    *item = (struct fake_item){.op = op, .cmd = cmd};
    pthread_mutex_lock(&store->lock);
    *store->last = item;
    store->last = &item->next;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    deadlines_add(store->deadlines, op);
}

/* --- store.h --- */

void store_set_observer(struct store *store, store_observer_fn *observer, void *ctx)
{
    store->observer = observer;
    store->observer_ctx = ctx;
}

void store_propose(struct store *store, struct command **cmd, struct op *op)
{
    struct command *taken = *cmd;

    *cmd = NULL;
    enqueue(store, op, taken);
}

void store_barrier(struct store *store, struct op *op)
{
    enqueue(store, op, NULL);
}

struct tree *store_tree(struct store *store)
{
    return store->tree;
}

struct event_log *store_events(struct store *store)
{
    return &store->events;
}

void store_status(struct store *store, struct store_status *ret_status)
{
    *ret_status = (struct store_status){
        .cluster_id = 0xc1,
        .store_id = 1,
        .name = "n1",
        .role = "leader",
        .term = 7,
        .revision = atomic_load(&store->shown_revision),
        .applied_index = 1,
        .member_count = 1,
        .members = {{.member = {.id = 1, .name = "n1", .address = "host:1"},
                     .role = MEMBER_VOTER,
                     .is_leader = true,
                     .progress = ""}},
    };
    pthread_mutex_lock(&store->lock);
    ret_status->leader_id = store->leader_id;
    pthread_mutex_unlock(&store->lock);
}

/* --- for the test --- */

struct store *fake_store_new(const char *dir)
{
    struct store *store = mem_zalloc(sizeof(*store));
    struct err e;

    int code = engine_open(dir, ENGINE_KV, &store->kv, &e);
    assert(code == 0);
    (void)code;
    event_log_init(&store->events);
    store->tree = tree_new(store->kv);
    store->deadlines = deadlines_new();
    store->executor = executor_new(store->kv);
    store->batch = engine_batch_new(true);
    executor_format(store->kv, store->batch);
    engine_write(store->kv, store->batch, false);
    engine_batch_clear(store->batch);
    store->last = &store->first;
    store->leader_id = 1;
    pthread_mutex_init(&store->apply_lock, NULL);
    pthread_mutex_init(&store->lease_lock, NULL);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->changed, NULL);
    thread_start(&store->thread, "fake-store", run, store);
    return store;
}

void fake_store_free(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->stops = true;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    deadlines_free(store->deadlines);
    while (store->first != NULL) {
        struct fake_item *item = store->first;
        store->first = item->next;
        op_fail(item->op, KE_SHUTDOWN);
        free_item(item);
    }
    command_free(store->follower);
    executor_free(store->executor);
    engine_batch_free(store->batch);
    tree_free(store->tree);
    engine_close(store->kv);
    event_log_release(&store->events);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->apply_lock);
    pthread_mutex_destroy(&store->lease_lock);
    free(store);
}

static void set_hold(struct store *store, bool barriers, bool proposals)
{
    pthread_mutex_lock(&store->lock);
    store->holds_barriers = barriers;
    store->holds_proposals = proposals;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
    fake_store_set_lease(store, !barriers);
}

void fake_store_hold(struct store *store)
{
    set_hold(store, true, true);
}

void fake_store_hold_reads(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->holds_barriers = true;
    pthread_mutex_unlock(&store->lock);
    set_lease(store, false);
}

void fake_store_hold_proposals(struct store *store)
{
    set_hold(store, false, true);
}

void fake_store_release(struct store *store)
{
    set_hold(store, false, false);
}

/* Under the lock. */
static size_t count_held(const struct store *store)
{
    size_t count = 0;

    for (const struct fake_item *item = store->first; item != NULL; item = item->next)
        count += is_held(store, item) && !op_is_claimed(item->op) ? 1 : 0;
    return count;
}

void fake_store_await_held(struct store *store, size_t count)
{
    pthread_mutex_lock(&store->lock);
    while (count_held(store) < count)
        pthread_cond_wait(&store->changed, &store->lock);
    pthread_mutex_unlock(&store->lock);
}

void fake_store_refuse(struct store *store, int code)
{
    pthread_mutex_lock(&store->lock);
    store->refuses = code;
    pthread_mutex_unlock(&store->lock);
}

void fake_store_set_leader(struct store *store, uint64_t leader_id)
{
    pthread_mutex_lock(&store->lock);
    store->leader_id = leader_id;
    pthread_mutex_unlock(&store->lock);
}

size_t fake_store_applied(struct store *store)
{
    pthread_mutex_lock(&store->apply_lock);
    size_t applied = store->applied;
    pthread_mutex_unlock(&store->apply_lock);
    return applied;
}

char *fake_store_read(struct store *store, const char *path, size_t *ret_size)
{
    struct tree_view *view = tree_view_new(store->tree);
    uint8_t *value = NULL;
    char *text = NULL;

    if (tree_get(view, "default", path, strlen(path), FILE_READ_MAX, &value, ret_size) == 0) {
        text = mem_alloc(*ret_size + 1);
        memcpy(text, value, *ret_size);
        text[*ret_size] = '\0';
    }
    free(value);
    tree_view_unref(view);
    return text;
}
