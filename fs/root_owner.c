#include "fs/root_owner.h"

#include "raftstore/memory.h"
#include "raftstore/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* A cluster of one has a leader within this. */
#define PATIENCE_MS 1000
/* The first nodes of a cluster wait for more. */
#define CLAIM_TIMEOUT_MS 60000
#define NS_PER_MS        1000000u

struct claim {
    struct op op;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t ended;
    bool has_ended;
};

static struct claim *claim_of(struct op *op)
{
    return (struct claim *)((char *)op - offsetof(struct claim, op));
}

static void claim_release(struct op *op)
{
    struct claim *claim = claim_of(op);

    pthread_cond_destroy(&claim->ended);
    pthread_mutex_destroy(&claim->lock);
    free(claim);
}

/* Whatever came of it: when another node was first, the volume is that user's. */
static void claim_done(struct op *op, const struct op_result *result)
{
    struct claim *claim = claim_of(op);

    (void)result;
    pthread_mutex_lock(&claim->lock);
    claim->has_ended = true;
    pthread_cond_signal(&claim->ended);
    pthread_mutex_unlock(&claim->lock);
}

static void claim_wait(struct claim *claim)
{
    uint64_t end_ns = clock_ns() + PATIENCE_MS * NS_PER_MS;
    uint64_t now_ns;

    pthread_mutex_lock(&claim->lock);
    while (!claim->has_ended && (now_ns = clock_ns()) < end_ns)
        (void)thread_cond_wait_ms(&claim->ended, &claim->lock, (end_ns - now_ns) / NS_PER_MS + 1);
    pthread_mutex_unlock(&claim->lock);
}

static bool is_untouched(struct store *store)
{
    struct tree_view *view = tree_view_new(store_tree(store));
    struct attr root;
    int code = tree_stat(view, "", &root);

    tree_view_unref(view);
    return code == 0 && root.version == ATTR_ROOT_ID;
}

void root_owner_claim(struct store *store)
{
    if (geteuid() == 0 || !is_untouched(store))
        return;
    const struct command_set_attr owner = {
        .path = "",
        .id = ATTR_ROOT_ID,
        .mask = COMMAND_SET_UID | COMMAND_SET_GID,
        .uid = geteuid(),
        .gid = getegid(),
    };
    struct command *cmd = command_new();
    struct claim *claim = mem_zalloc(sizeof(*claim));

    command_require_version(cmd, "", ATTR_ROOT_ID);
    command_set_attr(cmd, &owner);
    pthread_mutex_init(&claim->lock, NULL);
    thread_cond_init(&claim->ended);
    op_init(&claim->op, CLAIM_TIMEOUT_MS, claim_done, claim_release);
    store_propose(store, &cmd, &claim->op);
    claim_wait(claim);
    op_unref(&claim->op);
}
