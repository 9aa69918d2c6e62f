#include "raftstore/log_gc.h"

#include "raftstore/failpoint.h"
#include "raftstore/keys.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* Between two times; a time before has begun to show by then. */
#define RECLAIM_PAUSE_NS 2000000000u

struct log_gc {
    struct engine *raft;
    struct engine *kv;
    uint64_t region_id;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wanted_moved;
    pthread_cond_t done_moved;
    uint64_t wanted; /* entries up to here are to go; all tasks that wait, in one */
    uint64_t done;   /* they have gone up to here */
    bool reclaim;
    uint64_t reclaim_next_ns; /* on clock_ns(); not before */
    bool stopping;
};

static void log_gc_delete_rows(struct log_gc *gc, uint64_t index)
{
    struct key from = key_raft_log(gc->region_id, 0);
    struct key to = key_raft_log(gc->region_id, index + 1);
    FAILPOINT(gc_sync_before);
    engine_sync(gc->kv);
    FAILPOINT(gc_sync_after);
    struct engine_batch *batch = engine_batch_new(false);
    engine_batch_delete_range(batch, gc->raft, CF_DEFAULT, key_bytes(&from), key_bytes(&to));
    /* Not synced: rows that a power cut brings back are in front of the first index,
     * and go with the next task. */
    engine_write(gc->raft, batch, false);
    engine_batch_free(batch);
    /* The rows would stay on the disk until compaction comes to them, several times
     * the log's size. */
    engine_drop_files(gc->raft, CF_DEFAULT, key_bytes(&from), key_bytes(&to));
    FAILPOINT(gc_delete_after);
}

static void *log_gc_run(void *arg)
{
    struct log_gc *gc = arg;
    pthread_mutex_lock(&gc->lock);
    while (!gc->stopping) {
        uint64_t index = gc->wanted;
        bool reclaim = gc->reclaim;
        if (index == gc->done && !reclaim) {
            pthread_cond_wait(&gc->wanted_moved, &gc->lock);
            continue;
        }
        pthread_mutex_unlock(&gc->lock);
        if (index != gc->done)
            log_gc_delete_rows(gc, index);
        if (reclaim)
            engine_reclaim(gc->kv);
        pthread_mutex_lock(&gc->lock);
        gc->done = index;
        if (reclaim)
            gc->reclaim = false;
        pthread_cond_broadcast(&gc->done_moved);
    }
    pthread_mutex_unlock(&gc->lock);
    return NULL;
}

struct log_gc *log_gc_start(struct engine *raft, struct engine *kv, uint64_t region_id)
{
    struct log_gc *gc = mem_zalloc(sizeof(*gc));
    gc->raft = raft;
    gc->kv = kv;
    gc->region_id = region_id;
    pthread_mutex_init(&gc->lock, NULL);
    thread_cond_init(&gc->wanted_moved);
    thread_cond_init(&gc->done_moved);
    thread_start(&gc->thread, "raftlog-gc", log_gc_run, gc);
    return gc;
}

void log_gc_stop(struct log_gc *gc)
{
    if (gc == NULL)
        return;
    pthread_mutex_lock(&gc->lock);
    gc->stopping = true;
    pthread_cond_signal(&gc->wanted_moved);
    pthread_mutex_unlock(&gc->lock);
    pthread_join(gc->thread, NULL);
    pthread_cond_destroy(&gc->done_moved);
    pthread_cond_destroy(&gc->wanted_moved);
    pthread_mutex_destroy(&gc->lock);
    free(gc);
}

void log_gc_delete(struct log_gc *gc, uint64_t index)
{
    assert(index < UINT64_MAX);
    pthread_mutex_lock(&gc->lock);
    if (index > gc->wanted) {
        gc->wanted = index;
        pthread_cond_signal(&gc->wanted_moved);
    }
    pthread_mutex_unlock(&gc->lock);
}

void log_gc_reclaim(struct log_gc *gc)
{
    pthread_mutex_lock(&gc->lock);
    uint64_t now = clock_ns();
    if (!gc->reclaim && now >= gc->reclaim_next_ns) {
        gc->reclaim = true;
        gc->reclaim_next_ns = now + RECLAIM_PAUSE_NS;
        pthread_cond_signal(&gc->wanted_moved);
    }
    pthread_mutex_unlock(&gc->lock);
}

void log_gc_wait(struct log_gc *gc)
{
    pthread_mutex_lock(&gc->lock);
    uint64_t wanted = gc->wanted;
    while (gc->done < wanted || gc->reclaim)
        pthread_cond_wait(&gc->done_moved, &gc->lock);
    pthread_mutex_unlock(&gc->lock);
}
