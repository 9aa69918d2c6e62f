#include "fs/invalidator.h"

#include "fs/fuse.h"
#include "raftstore/thread.h"

#include <stdlib.h>

/* From the first byte to the last. */
#define FROM_START 0
#define TO_END     0

void invalidator_init(struct invalidator *invalidator, struct inode_table *inodes)
{
    *invalidator = (struct invalidator){.inodes = inodes};
    pthread_mutex_init(&invalidator->lock, NULL);
    pthread_cond_init(&invalidator->changed, NULL);
}

void invalidator_release(struct invalidator *invalidator)
{
    pthread_cond_destroy(&invalidator->changed);
    pthread_mutex_destroy(&invalidator->lock);
}

static bool is_stopping(struct invalidator *invalidator)
{
    pthread_mutex_lock(&invalidator->lock);
    bool stopping = invalidator->is_stopping;
    pthread_mutex_unlock(&invalidator->lock);
    return stopping;
}

/* Waits until it is wanted. False: it is over. */
static bool take_wish(struct invalidator *invalidator)
{
    pthread_mutex_lock(&invalidator->lock);
    while (!invalidator->is_wanted && !invalidator->is_stopping)
        pthread_cond_wait(&invalidator->changed, &invalidator->lock);
    invalidator->is_wanted = false;
    bool goes_on = !invalidator->is_stopping;
    pthread_mutex_unlock(&invalidator->lock);
    return goes_on;
}

static void *run(void *arg)
{
    struct invalidator *invalidator = arg;

    while (take_wish(invalidator)) {
        size_t count;
        uint64_t *ids = inode_table_known_files(invalidator->inodes, &count);
        /* One that the kernel has forgotten meanwhile is refused, and no harm. */
        for (size_t i = 0; i < count && !is_stopping(invalidator); i++)
            (void)fuse_lowlevel_notify_inval_inode(invalidator->session, ids[i], FROM_START,
                                                   TO_END);
        free(ids);
    }
    return NULL;
}

void invalidator_start(struct invalidator *invalidator, struct fuse_session *session)
{
    invalidator->session = session;
    invalidator->has_thread = true;
    thread_start(&invalidator->thread, "invalidator", run, invalidator);
}

void invalidator_stop(struct invalidator *invalidator)
{
    if (!invalidator->has_thread)
        return;
    pthread_mutex_lock(&invalidator->lock);
    invalidator->is_stopping = true;
    pthread_cond_broadcast(&invalidator->changed);
    pthread_mutex_unlock(&invalidator->lock);
    pthread_join(invalidator->thread, NULL);
    invalidator->has_thread = false;
}

void invalidator_wake(struct invalidator *invalidator)
{
    pthread_mutex_lock(&invalidator->lock);
    invalidator->is_wanted = true;
    pthread_cond_broadcast(&invalidator->changed);
    pthread_mutex_unlock(&invalidator->lock);
}
