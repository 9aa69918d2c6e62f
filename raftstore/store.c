#include "raftstore/store.h"

#include "raftstore/apply.h"
#include "raftstore/bootstrap.h"
#include "raftstore/deadline.h"
#include "raftstore/engine.h"
#include "raftstore/log.h"
#include "raftstore/members.h"
#include "raftstore/memory.h"
#include "raftstore/peer.h"
#include "raftstore/peer_storage.h"
#include "raftstore/raft_worker.h"
#include "raftstore/rpc_loop.h"
#include "raftstore/rpc_server.h"
#include "raftstore/transport.h"
#include "raftstore/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_TICK_MS         50
#define STORE_HEARTBEAT_TICKS 2
#define STORE_ELECTION_TICKS  10
#define STORE_OP_TIMEOUT_MS   5000

struct store {
    uint32_t tick_ms;
    uint32_t heartbeat_ticks;
    uint32_t election_ticks;
    uint32_t op_timeout_ms;
    struct store_ident ident;
    struct store_member members[STORE_MEMBERS_MAX];
    size_t member_count;
    char listen[STORE_ADDRESS_MAX + 1];
    store_observer_fn *observer;
    void *observer_ctx;

    struct engine *raft;
    struct engine *kv;
    struct tree *tree;
    struct peer_storage *storage;
    struct deadlines *deadlines;
    struct raft_worker *worker;
    struct apply *apply;
    struct rpc_loop *loop;
    struct transport *transport;
    struct rpc_server *server;
};

/* --- open --- */

/* The name of a new directory is durable once the directory it is in is synced. */
static int sync_parent(const char *path, struct err *e)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof(parent), "%s/..", path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd >= 0 ? fsync(fd) : -1;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    return rc == 0 ? 0 : err_set(e, KE_IO, "cannot sync %s: %s", parent, strerror(saved));
}

static int make_dir(const char *path, struct err *e)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path, e);
    int saved = errno;
    struct stat st;
    if (saved == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return err_set(e, KE_IO, "cannot make data directory %s: %s", path,
                   strerror(saved == EEXIST ? ENOTDIR : saved));
}

/* The directory and whatever of its parents is missing. */
static int make_dirs(const char *path, struct err *e)
{
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
        return err_set(e, KE_NAME_TOO_LONG, "data directory %s: name too long", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int rc = make_dir(part, e);
        if (rc != 0)
            return rc;
        *slash = '/';
    }
    return make_dir(part, e);
}

static int open_engine(const char *data_dir, const char *name, enum engine_kind kind,
                       struct engine **ret_engine, struct err *e)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", data_dir, name) >= sizeof(path))
        return err_set(e, KE_NAME_TOO_LONG, "data directory %s: name too long", data_dir);
    return engine_open(path, kind, ret_engine, e);
}

static const struct store_member *store_self(const struct store *store)
{
    for (size_t i = 0; i < store->member_count; i++) {
        if (store->members[i].id == store->ident.store_id)
            return &store->members[i];
    }
    return NULL;
}

static int store_load_members(struct store *store, const struct store_config *config, struct err *e)
{
    int rc = members_load(store->kv, store->members, &store->member_count, e);
    if (rc != 0)
        return rc;
    const struct store_member *self = store_self(store);
    if (self == NULL)
        return err_set(e, KE_CORRUPT, "this store, %llu, is not among the recorded members",
                       (unsigned long long)store->ident.store_id);
    const char *listen = config->listen != NULL ? config->listen : self->address;
    snprintf(store->listen, sizeof(store->listen), "%s", listen);
    return member_check_address(store->listen, e);
}

static int store_open_data(struct store *store, const struct store_config *config, struct err *e)
{
    int rc = make_dirs(config->data_dir, e);
    if (rc == 0)
        rc = open_engine(config->data_dir, "raft", ENGINE_RAFT, &store->raft, e);
    if (rc == 0)
        rc = open_engine(config->data_dir, "kv", ENGINE_KV, &store->kv, e);
    if (rc == 0)
        rc = bootstrap_store(config, store->raft, store->kv, &store->ident, e);
    if (rc == 0)
        rc = store_load_members(store, config, e);
    if (rc == 0)
        rc = peer_storage_open(store->raft, store->kv, FIRST_REGION_ID, &store->storage, e);
    return rc;
}

static void store_initial_status(const struct store *store, struct store_status *status)
{
    *status = (struct store_status){
        .cluster_id = store->ident.cluster_id,
        .store_id = store->ident.store_id,
        .role = "follower",
        .member_count = store->member_count,
    };
    snprintf(status->name, sizeof(status->name), "%s", store->ident.name);
    for (size_t i = 0; i < store->member_count; i++)
        status->members[i].member = store->members[i];
}

int store_open(const struct store_config *config, struct store **ret_store, struct err *e)
{
    assert(config->data_dir != NULL && config->name != NULL);
    struct store *store = mem_zalloc(sizeof(*store));
    store->tick_ms = config->tick_ms != 0 ? config->tick_ms : STORE_TICK_MS;
    store->heartbeat_ticks =
        config->heartbeat_ticks != 0 ? config->heartbeat_ticks : STORE_HEARTBEAT_TICKS;
    store->election_ticks =
        config->election_ticks != 0 ? config->election_ticks : STORE_ELECTION_TICKS;
    store->op_timeout_ms = config->op_timeout_ms != 0 ? config->op_timeout_ms : STORE_OP_TIMEOUT_MS;
    int rc = store_open_data(store, config, e);
    if (rc != 0) {
        store_close(store);
        return rc;
    }
    store->tree = tree_new(store->kv);
    struct store_status status;
    store_initial_status(store, &status);
    store->worker = raft_worker_new(store->tick_ms, &status);
    store->deadlines = deadlines_new();
    *ret_store = store;
    return 0;
}

void store_set_observer(struct store *store, store_observer_fn *observer, void *ctx)
{
    assert(store->apply == NULL);
    store->observer = observer;
    store->observer_ctx = ctx;
}

/* --- start --- */

static void store_unreachable(void *ctx, uint64_t store_id)
{
    struct store *store = ctx;
    raft_worker_unreachable(store->worker, store_id);
}

static void store_deliver(void *ctx, const struct wire_envelope *envelope,
                          struct raft_message *message)
{
    struct store *store = ctx;
    raft_worker_deliver(store->worker, envelope, message);
}

static int store_start_apply(struct store *store, struct err *e)
{
    struct apply_config config = {
        .kv = store->kv,
        .region = peer_storage_region(store->storage),
        .store_id = store->ident.store_id,
        .incarnation = store->ident.incarnation,
        .state = *peer_storage_apply_state(store->storage),
        .observer = store->observer,
        .observer_ctx = store->observer_ctx,
        .report = raft_worker_applied,
        .report_ctx = store->worker,
    };
    return apply_start(&config, &store->apply, e);
}

static void store_start_transport(struct store *store)
{
    struct transport_config config = {
        .loop = store->loop,
        .cluster_id = store->ident.cluster_id,
        .store_id = store->ident.store_id,
        .unreachable = store_unreachable,
        .ctx = store,
    };
    store->transport = transport_new(&config);
    for (size_t i = 0; i < store->member_count; i++) {
        if (store->members[i].id != store->ident.store_id)
            transport_set_address(store->transport, store->members[i].id,
                                  store->members[i].address);
    }
}

static int store_start_server(struct store *store, struct err *e)
{
    struct rpc_server_config config = {
        .loop = store->loop,
        .listen = store->listen,
        .cluster_id = store->ident.cluster_id,
        .store_id = store->ident.store_id,
        .region_id = peer_storage_region(store->storage)->id,
        .op_timeout_ms = store->op_timeout_ms,
        .store = store,
        .deliver = store_deliver,
        .ctx = store,
    };
    return rpc_server_start(&config, &store->server, e);
}

int store_start(struct store *store, struct err *e)
{
    assert(store->apply == NULL);
    int rc = store_start_apply(store, e);
    if (rc != 0)
        return rc;
    store->loop = rpc_loop_start();
    store_start_transport(store);
    struct peer_config config = {
        .store_id = store->ident.store_id,
        .incarnation = store->ident.incarnation,
        .heartbeat_ticks = store->heartbeat_ticks,
        .election_ticks = store->election_ticks,
        .storage = store->storage,
        .apply = store->apply,
        .transport = store->transport,
    };
    struct peer *peer;
    rc = peer_new(&config, &peer, e);
    if (rc != 0)
        return rc;
    /* The port before the thread: a node that cannot be reached must not vote. */
    rc = store_start_server(store, e);
    if (rc != 0) {
        peer_free(peer);
        return rc;
    }
    raft_worker_start(store->worker, &peer);
    log_info("member %s (store %llu of cluster %016llx) serves at %s", store->ident.name,
             (unsigned long long)store->ident.store_id, (unsigned long long)store->ident.cluster_id,
             store->listen);
    return 0;
}

/* --- close --- */

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    /* Callers first, then those who answer them, then what they stand on. */
    if (store->server != NULL)
        rpc_server_stop(store->server);
    if (store->worker != NULL)
        raft_worker_stop(store->worker);
    transport_free(store->transport);
    apply_stop(store->apply);
    deadlines_free(store->deadlines);
    raft_worker_free(store->worker);
    rpc_server_free(store->server);
    rpc_loop_stop(store->loop);
    tree_free(store->tree);
    peer_storage_free(store->storage);
    engine_close(store->kv);
    engine_close(store->raft);
    free(store);
}

/* --- operations --- */

void store_propose(struct store *store, struct command **cmd, struct op *op)
{
    deadlines_add(store->deadlines, op);
    raft_worker_propose(store->worker, op, cmd);
}

void store_barrier(struct store *store, struct op *op)
{
    deadlines_add(store->deadlines, op);
    raft_worker_barrier(store->worker, op);
}

struct tree *store_tree(struct store *store)
{
    return store->tree;
}

void store_status(struct store *store, struct store_status *ret_status)
{
    raft_worker_status(store->worker, ret_status);
    if (store->apply != NULL) {
        ret_status->applied_index = apply_index(store->apply);
        ret_status->revision = apply_revision(store->apply);
        /* The rest is up to a tick older. */
        if (ret_status->commit_index < ret_status->applied_index)
            ret_status->commit_index = ret_status->applied_index;
    }
}
