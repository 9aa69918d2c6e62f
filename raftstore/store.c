#include "raftstore/store.h"

#include "raftstore/apply.h"
#include "raftstore/bootstrap.h"
#include "raftstore/deadline.h"
#include "raftstore/disk_watch.h"
#include "raftstore/engine.h"
#include "raftstore/event_log.h"
#include "raftstore/lease_reads.h"
#include "raftstore/log.h"
#include "raftstore/log_gc.h"
#include "raftstore/members.h"
#include "raftstore/memory.h"
#include "raftstore/peer.h"
#include "raftstore/peer_storage.h"
#include "raftstore/raft_worker.h"
#include "raftstore/region_worker.h"
#include "raftstore/roster.h"
#include "raftstore/rpc_loop.h"
#include "raftstore/rpc_server.h"
#include "raftstore/snap_files.h"
#include "raftstore/snap_runner.h"
#include "raftstore/store_filter.h"
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
    struct compaction_limits gc;
    uint64_t snapshot_rate_bytes;
    char *data_dir;
    struct store_ident ident;
    char listen[STORE_ADDRESS_MAX + 1];
    char address[STORE_ADDRESS_MAX + 1]; /* where others reach this one: */
    bool advertised;                     /* its operator says so */
    store_observer_fn *observer;
    void *observer_ctx;
    store_gone_fn *gone;
    void *gone_ctx;
    store_invalidate_fn *invalidate;
    void *invalidate_ctx;
    store_filter_fn *filter;
    void *filter_ctx;

    struct event_log events;
    struct engine *raft;
    struct engine *kv;
    struct snap_files *snap_files;
    struct disk_watch disk;
    struct tree *tree;
    struct peer_storage *storage;
    struct roster *roster;
    struct deadlines *deadlines;
    struct lease_reads *lease_reads;
    struct raft_worker *worker;
    struct region_worker *region_worker;
    struct log_gc *log_gc;
    struct apply *apply;
    struct rpc_loop *loop;
    struct transport *transport;
    struct snap_runner *snap_runner;
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

/* What this node is called in the network. */
static int store_set_addresses(struct store *store, const struct store_config *config,
                               struct err *e)
{
    const struct membership *membership = peer_storage_membership(store->storage);
    const struct store_member *self = membership_find(membership, store->ident.store_id);
    if (self == NULL)
        return err_set(e, KE_CORRUPT, "this store, %llu, is not among the recorded members",
                       (unsigned long long)store->ident.store_id);
    const char *address = config->advertise != NULL ? config->advertise : self->address;
    const char *listen = config->listen != NULL ? config->listen : address;
    snprintf(store->address, sizeof(store->address), "%s", address);
    store->advertised = config->advertise != NULL;
    snprintf(store->listen, sizeof(store->listen), "%s", listen);
    int rc = member_check_address(store->address, e);
    return rc != 0 ? rc : member_check_address(store->listen, e);
}

/* A crash has cut short the installation of a snapshot: it is done again. */
static int store_resume_install(struct store *store, const struct applying *applying, struct err *e)
{
    struct snap_id id = {.kind = SNAP_RECEIVED,
                         .region_id = FIRST_REGION_ID,
                         .term = applying->term,
                         .index = applying->index};
    struct snapshot_meta meta;
    int rc = snap_files_open(store->data_dir, &id, &store->snap_files, e);
    if (rc == 0)
        rc = snapshot_unpack_applying(applying, &meta, e);
    if (rc == 0) {
        log_info("the snapshot at index %llu was being applied when this node stopped; going on",
                 (unsigned long long)meta.index);
        rc = snapshot_resume(store->raft, store->kv, store->snap_files, &meta, e);
    }
    if (rc == 0)
        snap_files_unref(store->snap_files, &id);
    return rc;
}

static int store_open_snapshots(struct store *store, struct err *e)
{
    enum peer_state state;
    struct region region;
    struct applying applying = {0};
    int rc = region_load(store->kv, FIRST_REGION_ID, &state, &region, &applying, e);
    if (rc == 0 && state == PEER_APPLYING)
        rc = store_resume_install(store, &applying, e);
    else if (rc == 0)
        rc = snap_files_open(store->data_dir, NULL, &store->snap_files, e);
    free(applying.data);
    return rc;
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
        rc = store_open_snapshots(store, e);
    if (rc == 0)
        rc = peer_storage_open(store->raft, store->kv, FIRST_REGION_ID, &store->storage, e);
    if (rc == 0)
        rc = store_set_addresses(store, config, e);
    if (rc == 0)
        rc = disk_watch_open(config->data_dir, &store->disk, e);
    return rc;
}

static void store_initial_status(const struct store *store, struct store_status *status)
{
    *status = (struct store_status){
        .cluster_id = store->ident.cluster_id,
        .store_id = store->ident.store_id,
        .role = "follower",
        .revision = peer_storage_apply_state(store->storage)->revision,
    };
    snprintf(status->name, sizeof(status->name), "%s", store->ident.name);
}

static uint64_t value_or(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

static void store_take_settings(struct store *store, const struct store_config *config)
{
    store->data_dir = mem_strdup(config->data_dir);
    store->tick_ms = (uint32_t)value_or(config->tick_ms, STORE_TICK_MS);
    store->heartbeat_ticks = (uint32_t)value_or(config->heartbeat_ticks, STORE_HEARTBEAT_TICKS);
    store->election_ticks = (uint32_t)value_or(config->election_ticks, STORE_ELECTION_TICKS);
    store->op_timeout_ms = (uint32_t)value_or(config->op_timeout_ms, STORE_OP_TIMEOUT_MS);
    store->gc = (struct compaction_limits){
        .count = value_or(config->log_gc_count_limit, STORE_LOG_GC_COUNT),
        .bytes = value_or(config->log_gc_bytes_limit, STORE_LOG_GC_BYTES),
    };
    store->snapshot_rate_bytes = value_or(config->snapshot_rate_bytes, STORE_SNAPSHOT_RATE);
    store->disk.fd = -1;
}

int store_open(const struct store_config *config, struct store **ret_store, struct err *e)
{
    assert(config->data_dir != NULL && config->name != NULL);
    struct store *store = mem_zalloc(sizeof(*store));
    event_log_init(&store->events);
    store_take_settings(store, config);
    int rc = store_open_data(store, config, e);
    if (rc != 0) {
        store_close(store);
        return rc;
    }
    store->tree = tree_new(store->kv);
    store->roster = roster_new(peer_storage_membership(store->storage));
    struct store_status status;
    store_initial_status(store, &status);
    store->worker = raft_worker_new(store->tick_ms, &status);
    store->lease_reads = lease_reads_new();
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

void store_set_gone(struct store *store, store_gone_fn *gone, void *ctx)
{
    assert(store->apply == NULL);
    store->gone = gone;
    store->gone_ctx = ctx;
}

void store_set_invalidate(struct store *store, store_invalidate_fn *invalidate, void *ctx)
{
    assert(store->apply == NULL);
    store->invalidate = invalidate;
    store->invalidate_ctx = ctx;
}

void store_set_filter(struct store *store, store_filter_fn *filter, void *ctx)
{
    assert(store->apply == NULL);
    store->filter = filter;
    store->filter_ctx = ctx;
}

/* --- what the threads tell each other --- */

static bool store_lets_pass(const struct store *store, const struct wire_envelope *envelope)
{
    return store->filter == NULL ||
           store->filter(store->filter_ctx, envelope->from_store, store->ident.store_id);
}

static void store_unreachable(void *ctx, uint64_t store_id)
{
    struct store *store = ctx;
    raft_worker_unreachable(store->worker, store_id);
}

static void store_deliver(void *ctx, const struct wire_envelope *envelope,
                          struct raft_message *message)
{
    struct store *store = ctx;
    if (store_lets_pass(store, envelope))
        raft_worker_deliver(store->worker, envelope, message);
    else
        raft_message_release(message);
}

static void store_refused(void *ctx, uint64_t store_id, int code)
{
    struct store *store = ctx;
    (void)store_id;
    raft_worker_refused(store->worker, code);
}

static void store_snapshot_sent(void *ctx, uint64_t to_store, bool succeeded)
{
    struct store *store = ctx;
    raft_worker_snapshot_sent(store->worker, to_store, succeeded);
}

static void store_snapshot_arrived(void *ctx, const struct wire_envelope *envelope,
                                   struct raft_message *message)
{
    struct store *store = ctx;
    struct snap_id id = {.kind = SNAP_RECEIVED,
                         .region_id = envelope->region_id,
                         .term = message->snapshot->term,
                         .index = message->snapshot->index};
    if (store_lets_pass(store, envelope) &&
        raft_worker_snapshot_arrived(store->worker, envelope, message))
        return;
    raft_message_release(message);
    snap_files_unref(store->snap_files, &id);
}

static void store_snapshot_built(void *ctx, struct raft_snapshot *snapshot, const struct err *why)
{
    struct store *store = ctx;
    raft_worker_snapshot_built(store->worker, snapshot, why);
}

static int store_admit(void *ctx, const struct transport_identity *from, struct err *e)
{
    struct store *store = ctx;
    int rc = roster_admit(store->roster, from, e);
    /* One that is new to this node must be answered. */
    if (rc == 0)
        transport_learn_address(store->transport, from->store_id, from->address);
    return rc;
}

/* --- what the peer asks for, on the raft thread --- */

static void store_send_snapshot(void *ctx, const struct wire_envelope *envelope,
                                const struct raft_message *message)
{
    struct store *store = ctx;
    char address[STORE_ADDRESS_MAX + 1];
    if (roster_address(store->roster, envelope->to_store, address))
        snap_runner_send(store->snap_runner, address, envelope, message);
    else
        store_snapshot_sent(store, envelope->to_store, false);
}

static void store_members_changed(void *ctx, const struct membership *membership)
{
    struct store *store = ctx;
    struct roster_change change;
    roster_set(store->roster, membership, &change);
    for (size_t i = 0; i < membership->store_count; i++) {
        const struct store_member *member = &membership->stores[i];
        if (member->id != store->ident.store_id)
            transport_set_address(store->transport, member->id, member->address);
    }
    raft_worker_publish(store->worker);
    for (size_t i = 0; i < change.gone_count; i++) {
        transport_remove(store->transport, change.gone[i]);
        if (store->server != NULL)
            rpc_server_drop_store(store->server, change.gone[i]);
    }
}

static bool store_introduced(void *ctx, uint64_t store_id, uint64_t *ret_data_id, char *ret_address)
{
    struct store *store = ctx;
    return roster_introduced(store->roster, store_id, ret_data_id, ret_address);
}

static void store_is_gone(void *ctx, int code)
{
    struct store *store = ctx;
    const char *name = store->ident.name;
    struct err why;
    if (code == KE_REMOVED)
        err_set(&why, code,
                "this node (%s) was removed from the cluster and stops; to rejoin, empty %s and "
                "start with --join HOST:PORT",
                name, store->data_dir);
    else
        err_set(&why, code,
                "the cluster knows this node (%s) by another data directory than %s, which must "
                "not vote in its place: this node stops; to rejoin, run `keelctl member remove "
                "%s` on another node, empty the directory and start with --join HOST:PORT",
                name, store->data_dir, name);
    log_error("%s", why.text);
    if (store->gone != NULL)
        store->gone(store->gone_ctx, &why);
}

static void store_log_cut(void *ctx, uint64_t index)
{
    struct store *store = ctx;
    log_gc_delete(store->log_gc, index);
}

static void store_disk_is_low(void *ctx)
{
    struct store *store = ctx;
    log_gc_reclaim(store->log_gc);
}

static const struct peer_store_ops store_peer_ops = {
    .send_snapshot = store_send_snapshot,
    .members_changed = store_members_changed,
    .introduced = store_introduced,
    .gone = store_is_gone,
    .log_cut = store_log_cut,
    .disk_is_low = store_disk_is_low,
};

/* --- start --- */

static void store_start_workers(struct store *store)
{
    struct region_worker_config config = {
        .raft = store->raft,
        .kv = store->kv,
        .tree = store->tree,
        .files = store->snap_files,
        .built = store_snapshot_built,
        .ctx = store,
    };
    store->region_worker = region_worker_start(&config);
    store->log_gc = log_gc_start(store->raft, store->kv, FIRST_REGION_ID);
    /* What the last run left. */
    log_gc_delete(store->log_gc, peer_storage_truncated_index(store->storage));
}

static int store_start_apply(struct store *store, struct err *e)
{
    struct apply_config config = {
        .kv = store->kv,
        .region_worker = store->region_worker,
        .membership = peer_storage_membership(store->storage),
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

static struct transport_identity store_identity(const struct store *store)
{
    struct transport_identity identity = {
        .cluster_id = store->ident.cluster_id,
        .store_id = store->ident.store_id,
        .data_id = store->ident.data_id,
        .advertised = store->advertised,
    };
    snprintf(identity.address, sizeof(identity.address), "%s", store->address);
    return identity;
}

static void store_start_network(struct store *store)
{
    store->loop = rpc_loop_start();
    struct transport_config transport = {
        .loop = store->loop,
        .identity = store_identity(store),
        .unreachable = store_unreachable,
        .refused = store_refused,
        .ctx = store,
    };
    store->transport = transport_new(&transport);
    struct snap_runner_config runner = {
        .loop = store->loop,
        .files = store->snap_files,
        .identity = store_identity(store),
        .rate_bytes = store->snapshot_rate_bytes,
        .sent = store_snapshot_sent,
        .deliver = store_snapshot_arrived,
        .ctx = store,
    };
    store->snap_runner = snap_runner_start(&runner);
}

static int store_start_server(struct store *store, struct err *e)
{
    struct rpc_server_config config = {
        .loop = store->loop,
        .listen = store->listen,
        .cluster_id = store->ident.cluster_id,
        .store_id = store->ident.store_id,
        .region_id = FIRST_REGION_ID,
        .op_timeout_ms = store->op_timeout_ms,
        .store = store,
        .admit = store_admit,
        .snap_runner = store->snap_runner,
        .deliver = store_deliver,
        .ctx = store,
    };
    return rpc_server_start(&config, &store->server, e);
}

static int store_make_peer(struct store *store, struct peer **ret_peer, struct err *e)
{
    struct peer_config config = {
        .incarnation = store->ident.incarnation,
        .tick_ms = store->tick_ms,
        .heartbeat_ticks = store->heartbeat_ticks,
        .election_ticks = store->election_ticks,
        .gc = store->gc,
        .identity = store_identity(store),
        .storage = store->storage,
        .apply = store->apply,
        .transport = store->transport,
        .snap_files = store->snap_files,
        .disk = &store->disk,
        .lease_reads = store->lease_reads,
        .invalidate = store->invalidate,
        .invalidate_ctx = store->invalidate_ctx,
        .events = &store->events,
        .store = &store_peer_ops,
        .store_ctx = store,
    };
    return peer_new(&config, ret_peer, e);
}

int store_start(struct store *store, struct err *e)
{
    assert(store->apply == NULL);
    store_start_workers(store);
    int rc = store_start_apply(store, e);
    if (rc != 0)
        return rc;
    store_start_network(store);
    struct peer *peer;
    rc = store_make_peer(store, &peer, e);
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
    snap_runner_stop(store->snap_runner);
    if (store->server != NULL)
        rpc_server_stop(store->server);
    if (store->worker != NULL)
        raft_worker_stop(store->worker);
    transport_free(store->transport);
    apply_stop(store->apply);
    region_worker_stop(store->region_worker);
    log_gc_stop(store->log_gc);
    deadlines_free(store->deadlines);
    raft_worker_free(store->worker);
    lease_reads_free(store->lease_reads);
    rpc_server_free(store->server);
    snap_runner_free(store->snap_runner);
    rpc_loop_stop(store->loop);
    roster_free(store->roster);
    tree_free(store->tree);
    peer_storage_free(store->storage);
    snap_files_close(store->snap_files);
    disk_watch_close(&store->disk);
    engine_close(store->kv);
    engine_close(store->raft);
    event_log_release(&store->events);
    free(store->data_dir);
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

uint64_t store_current_until(struct store *store, const uint64_t *keys, size_t count)
{
    return lease_reads_until(store->lease_reads, keys, count, apply_index(store->apply),
                             clock_ns());
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
    raft_worker_status(store->worker, ret_status);
    if (store->apply != NULL) {
        ret_status->applied_index = apply_index(store->apply);
        ret_status->revision = apply_revision(store->apply);
        /* The rest is up to a tick older. */
        if (ret_status->commit_index < ret_status->applied_index)
            ret_status->commit_index = ret_status->applied_index;
        if (ret_status->last_index < ret_status->applied_index)
            ret_status->last_index = ret_status->applied_index;
    }
}

void store_change_members(struct store *store, struct member_op *op)
{
    deadlines_add(store->deadlines, &op->op);
    raft_worker_change_members(store->worker, op);
}

void store_transfer_leader(struct store *store, struct member_op *op)
{
    deadlines_add(store->deadlines, &op->op);
    raft_worker_transfer_leader(store->worker, op);
}

void store_members(struct store *store, struct store_member *members, size_t *ret_count)
{
    roster_members(store->roster, members, ret_count);
}

void store_start_check(struct store *store, struct op *op)
{
    struct command *cmd = command_new();
    command_compute_hash(cmd);
    store_propose(store, &cmd, op);
}

bool store_check_result(struct store *store, uint64_t index, uint64_t *ret_hash)
{
    return region_worker_hash_result(store->region_worker, index, ret_hash);
}
