/* Reads of one store as a mount on it does them: what the kernel may cache, what the store
 * answers by its lease. The kernel's part is modelled: an entry that was asked for before
 * an invalidation and arrives after it is thrown away. */
#include "cluster.h"

#include "raftstore/err.h"
#include "raftstore/touch.h"

#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000ull

/* --- the cache --- */

static void cache_drop(struct cluster_cache *cache, uint64_t key)
{
    for (size_t i = 0; i < CLUSTER_CACHED_MAX; i++) {
        struct cluster_cached *cached = &cache->cached[i];
        if (touch_is_everything(key) || cached->key == touch_object(key))
            cached->until = 0;
    }
}

static void slot_invalidate(void *ctx, const uint64_t *keys, size_t count)
{
    struct cluster_slot *slot = ctx;
    unsigned ms = atomic_load(&slot->stall_ms);
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms > 0)
        nanosleep(&time, NULL);
    pthread_mutex_lock(&slot->cache.lock);
    slot->cache.epoch++;
    for (size_t i = 0; i < count; i++)
        cache_drop(&slot->cache, keys[i]);
    pthread_mutex_unlock(&slot->cache.lock);
}

void cluster_watch_store(struct cluster *cluster, size_t i, struct store *store)
{
    /* The kernel forgets a mount whose daemon is gone. */
    pthread_mutex_lock(&cluster->slots[i].cache.lock);
    cache_drop(&cluster->slots[i].cache, TOUCH_EVERYTHING);
    pthread_mutex_unlock(&cluster->slots[i].cache.lock);
    store_set_invalidate(store, slot_invalidate, &cluster->slots[i]);
}

/* Also tells the epoch, for cache_fill(). */
static bool cache_find(struct cluster_cache *cache, uint64_t key, struct cluster_cached *ret_cached,
                       uint64_t *ret_epoch)
{
    bool found = false;
    pthread_mutex_lock(&cache->lock);
    *ret_epoch = cache->epoch;
    for (size_t i = 0; i < CLUSTER_CACHED_MAX && !found; i++) {
        found = cache->cached[i].key == key && cache->cached[i].until > clock_ns();
        if (found)
            *ret_cached = cache->cached[i];
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void cache_fill(struct cluster_cache *cache, const struct cluster_cached *cached,
                       uint64_t epoch)
{
    pthread_mutex_lock(&cache->lock);
    /* In the place of the same, of one that is over, or of any. */
    size_t at = cached->key % CLUSTER_CACHED_MAX;
    for (size_t i = 0; i < CLUSTER_CACHED_MAX; i++) {
        if (cache->cached[i].key == cached->key)
            at = i;
    }
    if (cache->epoch == epoch)
        cache->cached[at] = *cached;
    pthread_mutex_unlock(&cache->lock);
}

/* --- reads --- */

/* By the lease; false: there is none, or not for this. */
static bool stat_by_lease(struct cluster *cluster, size_t i, const char *path,
                          struct cluster_cached *ret_cached)
{
    struct store *store = cluster_take(cluster, i);
    if (store == NULL)
        return false;
    ret_cached->key = touch_key(path, strlen(path));
    ret_cached->until = store_current_until(store, &ret_cached->key, 1);
    if (ret_cached->until != 0) {
        struct tree_view *view = tree_view_new(store_tree(store));
        ret_cached->code = tree_stat(view, path, &ret_cached->attr);
        tree_view_unref(view);
    }
    cluster_put_back(cluster, i);
    return ret_cached->until != 0;
}

int cluster_stat_leased(struct cluster *cluster, size_t i, const char *path, struct attr *ret_attr,
                        uint32_t timeout_ms, enum cluster_source *ret_source)
{
    struct cluster_cache *cache = &cluster->slots[i].cache;
    struct cluster_cached cached;
    uint64_t epoch;
    if (cache_find(cache, touch_key(path, strlen(path)), &cached, &epoch)) {
        *ret_source = CLUSTER_FROM_CACHE;
    } else if (stat_by_lease(cluster, i, path, &cached)) {
        *ret_source = CLUSTER_FROM_LEASE;
        cache_fill(cache, &cached, epoch);
    } else {
        *ret_source = CLUSTER_FROM_BARRIER;
        return cluster_stat(cluster, i, path, ret_attr, timeout_ms);
    }
    *ret_attr = cached.attr;
    return cached.code;
}

bool cluster_wait_lease(struct cluster *cluster, size_t i, uint32_t timeout_ms)
{
    uint64_t deadline = clock_ns() + timeout_ms * NS_PER_MS;
    uint64_t root = touch_key("", 0);
    uint64_t until = 0;
    while (until == 0 && clock_ns() < deadline) {
        struct store *store = cluster_take(cluster, i);
        if (store == NULL)
            return false;
        until = store_current_until(store, &root, 1);
        cluster_put_back(cluster, i);
        cluster_pause();
    }
    return until != 0;
}
