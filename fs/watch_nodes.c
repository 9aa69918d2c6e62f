#include "fs/watch_nodes.h"

#include "raftstore/err.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024 /* a power of two */

/* The second walk follows the first at once. */
#define REOPEN_NS 5000000000ull

struct watch_node {
    struct watch_node *next; /* in its bucket */
    uint64_t number;
    uint64_t lookups; /* by the kernel, and by who comes again */
    char path[];      /* zero-terminated */
};

void watch_nodes_init(struct watch_nodes *nodes)
{
    *nodes = (struct watch_nodes){
        .buckets = mem_zalloc(BUCKETS * sizeof(struct watch_node *)),
        .next_number = WATCH_NODES_TOP + 1,
    };
    pthread_mutex_init(&nodes->lock, NULL);
}

void watch_nodes_release(struct watch_nodes *nodes)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (nodes->buckets[i] != NULL) {
            struct watch_node *node = nodes->buckets[i];
            nodes->buckets[i] = node->next;
            free(node);
        }
    }
    free(nodes->buckets);
    pthread_mutex_destroy(&nodes->lock);
}

/* --- the table; under the lock --- */

/* One bucket has a path; where it is is part of the number. */
static size_t bucket_of_path(const char *path)
{
    uint64_t hash = 14695981039346656037ull;

    for (; *path != '\0'; path++)
        hash = (hash ^ (unsigned char)*path) * 1099511628211ull;
    return (size_t)(hash >> 32) % BUCKETS;
}

static size_t bucket_of_number(uint64_t number)
{
    return (size_t)(number % BUCKETS);
}

static struct watch_node **find_number(struct watch_nodes *nodes, uint64_t number)
{
    struct watch_node **link = &nodes->buckets[bucket_of_number(number)];

    while (*link != NULL && (*link)->number != number)
        link = &(*link)->next;
    return link;
}

static struct watch_node *find_path(struct watch_nodes *nodes, const char *path)
{
    struct watch_node *node = nodes->buckets[bucket_of_path(path)];

    while (node != NULL && strcmp(node->path, path) != 0)
        node = node->next;
    return node;
}

static struct watch_node *add_path(struct watch_nodes *nodes, const char *path)
{
    size_t bucket = bucket_of_path(path);
    size_t size = strlen(path) + 1;
    struct watch_node *node = mem_alloc(sizeof(*node) + size);

    *node = (struct watch_node){
        .next = nodes->buckets[bucket],
        .number = nodes->next_number++ * BUCKETS + bucket,
    };
    memcpy(node->path, path, size);
    nodes->buckets[bucket] = node;
    nodes->count++;
    return node;
}

static bool copy_path(struct watch_nodes *nodes, uint64_t number, char *out)
{
    out[0] = '\0';
    if (number == WATCH_NODES_TOP)
        return true;
    const struct watch_node *node = *find_number(nodes, number);
    if (node != NULL)
        memcpy(out, node->path, strlen(node->path) + 1);
    return node != NULL;
}

static int look_up(struct watch_nodes *nodes, const char *path, uint64_t *ret_number)
{
    struct watch_node *node = find_path(nodes, path);

    if (node == NULL && nodes->count >= WATCH_NODES_MAX)
        return KE_BUSY;
    if (node == NULL)
        node = add_path(nodes, path);
    node->lookups++;
    *ret_number = node->number;
    return 0;
}

static void drop_references(struct watch_nodes *nodes, uint64_t number, uint64_t count)
{
    struct watch_node **link = find_number(nodes, number);
    struct watch_node *node = *link;

    if (node == NULL)
        return;
    assert(count <= node->lookups);
    node->lookups -= count;
    if (node->lookups > 0)
        return;
    *link = node->next;
    nodes->count--;
    free(node);
}

/* --- for all --- */

int watch_nodes_lookup(struct watch_nodes *nodes, uint64_t parent, const char *name,
                       uint64_t *ret_number)
{
    char parent_path[PATH_BYTES_MAX + 1];
    char path[PATH_BYTES_MAX + 1];

    pthread_mutex_lock(&nodes->lock);
    int code = copy_path(nodes, parent, parent_path) ? 0 : KE_STALE;
    if (code == 0)
        code = path_join(parent_path, name, path);
    if (code == 0)
        code = look_up(nodes, path, ret_number);
    pthread_mutex_unlock(&nodes->lock);
    return code;
}

void watch_nodes_forget(struct watch_nodes *nodes, uint64_t number, uint64_t count)
{
    pthread_mutex_lock(&nodes->lock);
    drop_references(nodes, number, count);
    pthread_mutex_unlock(&nodes->lock);
}

bool watch_nodes_path(struct watch_nodes *nodes, uint64_t number, char *out)
{
    pthread_mutex_lock(&nodes->lock);
    bool found = copy_path(nodes, number, out);
    pthread_mutex_unlock(&nodes->lock);
    return found;
}

/* --- who comes again --- */

/* Under the lock. */
static void end_reopen(struct watch_nodes *nodes, struct watch_reopen *reopen)
{
    if (reopen->tid != 0)
        drop_references(nodes, reopen->number, 1);
    *reopen = (struct watch_reopen){0};
}

/* Under the lock. */
static void end_reopens_of(struct watch_nodes *nodes, pid_t tid)
{
    for (size_t i = 0; i < WATCH_REOPENS_MAX; i++) {
        if (nodes->reopens[i].tid == tid)
            end_reopen(nodes, &nodes->reopens[i]);
    }
}

void watch_nodes_opened(struct watch_nodes *nodes, pid_t tid)
{
    pthread_mutex_lock(&nodes->lock);
    end_reopens_of(nodes, tid);
    pthread_mutex_unlock(&nodes->lock);
}

/* Keeps the number: the kernel forgets the directory before it asks again. */
void watch_nodes_expect_file(struct watch_nodes *nodes, uint64_t number, pid_t tid)
{
    pthread_mutex_lock(&nodes->lock);
    end_reopens_of(nodes, tid);
    struct watch_reopen *reopen = &nodes->reopens[nodes->next_reopen];
    nodes->next_reopen = (nodes->next_reopen + 1) % WATCH_REOPENS_MAX;
    end_reopen(nodes, reopen);
    struct watch_node *node = *find_number(nodes, number);
    if (node != NULL || number == WATCH_NODES_TOP) {
        *reopen = (struct watch_reopen){
            .tid = tid,
            .number = number,
            .until_ns = clock_ns() + REOPEN_NS,
        };
    }
    if (node != NULL)
        node->lookups++;
    pthread_mutex_unlock(&nodes->lock);
}

bool watch_nodes_expects_file(struct watch_nodes *nodes, uint64_t number, pid_t tid)
{
    bool expects = false;

    pthread_mutex_lock(&nodes->lock);
    for (size_t i = 0; i < WATCH_REOPENS_MAX && !expects; i++) {
        const struct watch_reopen *reopen = &nodes->reopens[i];
        expects = reopen->tid == tid && reopen->number == number && reopen->until_ns > clock_ns();
    }
    pthread_mutex_unlock(&nodes->lock);
    return expects;
}
