#include "fs/recall.h"

#include "fs/fs.h"
#include "fs/fuse.h"
#include "raftstore/op.h"
#include "raftstore/touch.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Newer than the header that Debian 12 has. */
#define NOTIFY_INC_EPOCH 8

/* Attributes only: no pages. */
#define NO_PAGES (-1)

#define RETRY_NS 50000

void recall_init(struct recall *recall)
{
    *recall = (struct recall){0};
    pthread_mutex_init(&recall->lock, NULL);
}

void recall_release(struct recall *recall)
{
    pthread_mutex_destroy(&recall->lock);
}

/* Under the lock. */
static bool drop_names(struct recall *recall)
{
    const struct fuse_out_header notice = {.len = sizeof(notice), .error = NOTIFY_INC_EPOCH};

    bool drops =
        write(fuse_session_fd(recall->session), &notice, sizeof(notice)) == (ssize_t)sizeof(notice);
    recall->names += drops;
    return drops;
}

bool recall_start(struct recall *recall, struct fuse_session *session)
{
    pthread_mutex_lock(&recall->lock);
    recall->session = session;
    bool drops = drop_names(recall);
    pthread_mutex_unlock(&recall->lock);
    return drops;
}

void recall_listing(struct fs *fs, uint64_t id)
{
    pthread_mutex_lock(&fs->recall.lock);
    if (fs->recall.session != NULL)
        (void)fuse_lowlevel_notify_inval_inode(fs->recall.session, id, 0, 0);
    pthread_mutex_unlock(&fs->recall.lock);
}

static void pause_shortly(void)
{
    const struct timespec moment = {.tv_nsec = RETRY_NS};

    nanosleep(&moment, NULL);
}

/* Whether the kernel has the inode, or it has forgotten it. False: it may be about to
 * have it. */
static bool drop_attr(struct fs *fs, uint64_t id, uint64_t deadline_ns)
{
    do {
        int rc = fuse_lowlevel_notify_inval_inode(fs->recall.session, id, NO_PAGES, 0);
        fs->recall.attrs += rc == 0;
        if (rc != -ENOENT || !inode_is_known(&fs->inodes, id))
            return true;
        pause_shortly();
    } while (clock_ns() < deadline_ns);
    return false;
}

/* Under the lock. */
static void drop_attrs(struct fs *fs, uint64_t key, uint64_t deadline_ns)
{
    uint64_t ids[GIVEN_TAKE_MAX];
    bool all_dropped = true;
    size_t count;

    do {
        count = given_take(&fs->given, key, ids);
        for (size_t i = 0; i < count && fs->recall.session != NULL; i++)
            all_dropped = drop_attr(fs, ids[i], deadline_ns) && all_dropped;
    } while (count == GIVEN_TAKE_MAX);
    if (!all_dropped && fs->recall.session != NULL)
        (void)drop_names(&fs->recall);
}

/* What is taken out of `given` is not found by a change of that moment, which waits for the
 * lock instead: until the kernel has dropped it. */
void recall_opened(struct fs *fs, const char *path)
{
    pthread_mutex_lock(&fs->recall.lock);
    drop_attrs(fs, touch_key(path, strlen(path)), 0);
    pthread_mutex_unlock(&fs->recall.lock);
}

void recall_touched(void *ctx, const uint64_t *keys, size_t count)
{
    struct fs *fs = ctx;
    uint64_t deadline_ns = clock_ns() + RECALL_PATIENCE_NS;

    bool names = given_touch(&fs->given, keys, count);
    pthread_mutex_lock(&fs->recall.lock);
    if (names && fs->recall.session != NULL)
        (void)drop_names(&fs->recall);
    for (size_t i = 0; i < count; i++)
        drop_attrs(fs, keys[i], deadline_ns);
    pthread_mutex_unlock(&fs->recall.lock);
}

void recall_stop(struct fs *fs)
{
    const uint64_t everything = TOUCH_EVERYTHING;

    recall_touched(fs, &everything, 1);
    pthread_mutex_lock(&fs->recall.lock);
    fs->recall.session = NULL;
    pthread_mutex_unlock(&fs->recall.lock);
}
