#include "fs/interrupt_again.h"

#include "fs/fuse.h"
#include "raftstore/op.h"
#include "raftstore/thread.h"

#include <errno.h>
#include <linux/fuse.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull

/* In the id of a notice, beside that of the request it is about. */
#define INTERRUPT_BIT 1ull

void interrupt_again_init(struct interrupt_again *again)
{
    *again = (struct interrupt_again){0};
    pthread_mutex_init(&again->lock, NULL);
    thread_cond_init(&again->changed);
}

void interrupt_again_release(struct interrupt_again *again)
{
    pthread_cond_destroy(&again->changed);
    pthread_mutex_destroy(&again->lock);
}

/* Under the lock: the next one that is due, removed. False: the end. */
static bool await_notice(struct interrupt_again *again, uint64_t *ret_unique)
{
    while (!again->is_stopping) {
        if (again->count == 0) {
            pthread_cond_wait(&again->changed, &again->lock);
            continue;
        }
        uint64_t now_ns = clock_ns();
        uint64_t due_ns = again->notices[again->first].due_ns;
        if (due_ns <= now_ns) {
            *ret_unique = again->notices[again->first].unique;
            again->first = (again->first + 1) % INTERRUPT_AGAIN_MAX;
            again->count--;
            return true;
        }
        (void)thread_cond_wait_ms(&again->changed, &again->lock, (due_ns - now_ns) / NS_PER_MS + 1);
    }
    return false;
}

/* One whose request has been answered is refused, and no harm. */
static void ask_again(const struct interrupt_again *again, uint64_t unique)
{
    const struct fuse_out_header answer = {
        .len = sizeof(answer),
        .error = -EAGAIN,
        .unique = unique | INTERRUPT_BIT,
    };
    ssize_t written = write(fuse_session_fd(again->session), &answer, sizeof(answer));

    (void)written;
}

static void *run(void *arg)
{
    struct interrupt_again *again = arg;
    uint64_t unique;

    pthread_mutex_lock(&again->lock);
    while (await_notice(again, &unique)) {
        pthread_mutex_unlock(&again->lock);
        ask_again(again, unique);
        pthread_mutex_lock(&again->lock);
    }
    pthread_mutex_unlock(&again->lock);
    return NULL;
}

void interrupt_again_start(struct interrupt_again *again, struct fuse_session *session)
{
    again->session = session;
    again->has_thread = true;
    thread_start(&again->thread, "interrupts", run, again);
}

void interrupt_again_stop(struct interrupt_again *again)
{
    if (!again->has_thread)
        return;
    pthread_mutex_lock(&again->lock);
    again->is_stopping = true;
    pthread_cond_broadcast(&again->changed);
    pthread_mutex_unlock(&again->lock);
    pthread_join(again->thread, NULL);
    again->has_thread = false;
}

void interrupt_again_note(struct interrupt_again *again, uint64_t unique)
{
    pthread_mutex_lock(&again->lock);
    if (again->count < INTERRUPT_AGAIN_MAX) {
        size_t at = (again->first + again->count++) % INTERRUPT_AGAIN_MAX;
        again->notices[at].unique = unique;
        again->notices[at].due_ns = clock_ns() + INTERRUPT_AGAIN_MS * NS_PER_MS;
    }
    pthread_cond_signal(&again->changed);
    pthread_mutex_unlock(&again->lock);
}
