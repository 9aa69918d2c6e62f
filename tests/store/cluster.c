#include "cluster.h"

#include "raftstore/err.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REMOVE_FDS_MAX   16
#define LEADER_WAIT_MS   20000
#define BARRIER_WAIT_MS  20000
#define POLL_INTERVAL_NS 2000000
#define POLLS_FOR_LEADER (LEADER_WAIT_MS / 2)

/* --- one operation, waited for --- */

struct waited {
    struct op op;
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
    op_init(&waited->op, timeout_ms, waited_done, waited_release);
    pthread_mutex_init(&waited->lock, NULL);
    pthread_cond_init(&waited->ended, NULL);
    return waited;
}

static struct op_result waited_end(struct waited *waited)
{
    pthread_mutex_lock(&waited->lock);
    while (!waited->has_ended)
        pthread_cond_wait(&waited->ended, &waited->lock);
    struct op_result result = waited->result;
    pthread_mutex_unlock(&waited->lock);
    op_unref(&waited->op);
    return result;
}

int cluster_live_ops(void)
{
    return atomic_load(&live_ops);
}

static int propose(struct cluster *cluster, size_t i, struct command *cmd, uint32_t timeout_ms)
{
    struct waited *waited = waited_new(timeout_ms);
    store_propose(cluster->stores[i], &cmd, &waited->op);
    return waited_end(waited).code;
}

int cluster_barrier(struct cluster *cluster, size_t i, uint32_t timeout_ms)
{
    struct waited *waited = waited_new(timeout_ms);
    store_barrier(cluster->stores[i], &waited->op);
    return waited_end(waited).code;
}

/* --- the cluster --- */

/* A port that is free now; the socket that reserves it stays open until the list
 * is complete, so that no port comes twice. */
static int reserve_port(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert(*ret_fd >= 0);
    int rc = bind(*ret_fd, (struct sockaddr *)&address, size);
    assert(rc == 0);
    rc = getsockname(*ret_fd, (struct sockaddr *)&address, &size);
    assert(rc == 0);
    return ntohs(address.sin_port);
}

void cluster_init(struct cluster *cluster, size_t count)
{
    assert(count <= CLUSTER_STORES_MAX);
    *cluster = (struct cluster){.count = count};
    snprintf(cluster->dir, sizeof(cluster->dir), "/tmp/keelfs-store-XXXXXX");
    char *dir = mkdtemp(cluster->dir);
    assert(dir != NULL);
    int fds[CLUSTER_STORES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(cluster->members + used, sizeof(cluster->members) - used,
                             "%sn%zu=127.0.0.1:%d", i > 0 ? "," : "", i + 1, reserve_port(&fds[i]));
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void cluster_release(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++)
        cluster_stop(cluster, i);
    nftw(cluster->dir, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS);
}

void cluster_start(struct cluster *cluster, size_t i)
{
    assert(cluster->stores[i] == NULL);
    char dir[96];
    char name[16];
    snprintf(dir, sizeof(dir), "%s/n%zu", cluster->dir, i + 1);
    snprintf(name, sizeof(name), "n%zu", i + 1);
    struct store_config config = {
        .data_dir = dir, .name = name, .initial_members = cluster->members};
    struct err e = {0};
    int rc = store_open(&config, &cluster->stores[i], &e);
    if (rc == 0)
        rc = store_start(cluster->stores[i], &e);
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", name, e.text);
    assert(rc == 0);
}

void cluster_start_all(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++)
        cluster_start(cluster, i);
    int rc = cluster_barrier(cluster, 0, BARRIER_WAIT_MS);
    assert(rc == 0);
}

void cluster_stop(struct cluster *cluster, size_t i)
{
    store_close(cluster->stores[i]);
    cluster->stores[i] = NULL;
}

size_t cluster_leader(struct cluster *cluster, size_t i)
{
    const struct timespec interval = {.tv_nsec = POLL_INTERVAL_NS};
    for (int polls = 0; polls < POLLS_FOR_LEADER; polls++) {
        struct store_status status;
        store_status(cluster->stores[i], &status);
        if (status.leader_id != 0)
            return (size_t)status.leader_id - 1;
        nanosleep(&interval, NULL);
    }
    assert(!"no leader in time");
    return 0;
}

/* --- operations --- */

int cluster_put(struct cluster *cluster, size_t i, const char *key, const char *value,
                uint32_t timeout_ms)
{
    struct command *cmd = command_new();
    command_put(cmd, "default", key, strlen(key), value, strlen(value));
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

int cluster_append(struct cluster *cluster, size_t i, const char *path, uint64_t id,
                   const char *text, uint32_t timeout_ms)
{
    struct command *cmd = command_new();
    command_write(cmd, &(struct command_write){
                           .path = path, .id = id, .append = text, .append_size = strlen(text)});
    return propose(cluster, i, cmd, timeout_ms);
}

int cluster_get(struct cluster *cluster, size_t i, const char *key, char *value,
                uint32_t timeout_ms)
{
    int rc = cluster_barrier(cluster, i, timeout_ms);
    if (rc != 0)
        return rc;
    struct tree_view *view = tree_view_new(store_tree(cluster->stores[i]));
    uint8_t *data;
    size_t size;
    rc = tree_get(view, "default", key, strlen(key), CLUSTER_VALUE_MAX - 1, &data, &size);
    tree_view_unref(view);
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
    int rc = cluster_barrier(cluster, i, timeout_ms);
    if (rc != 0)
        return rc;
    struct tree_view *view = tree_view_new(store_tree(cluster->stores[i]));
    rc = tree_stat(view, path, ret_attr);
    tree_view_unref(view);
    return rc;
}
