#include "raftstore/mailbox.h"

#include "raftstore/memory.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum urgency { QUIET, SOON, URGENT, BEYOND_ALL };

struct mailbox {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t filled;
    struct mail *first;
    struct mail **last_next;
    size_t count;
    size_t max;
    bool has_urgent;
    enum urgency wakes_for; /* this or more; BEYOND_ALL: the owner is awake */
};

struct mailbox *mailbox_new(size_t max)
{
    struct mailbox *box = mem_zalloc(sizeof(*box));
    pthread_mutex_init(&box->lock, NULL);
    thread_cond_init(&box->filled);
    box->last_next = &box->first;
    box->max = max;
    box->wakes_for = BEYOND_ALL;
    return box;
}

void mailbox_free(struct mailbox *box)
{
    if (box == NULL)
        return;
    assert(box->first == NULL);
    pthread_cond_destroy(&box->filled);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

static bool mailbox_append(struct mailbox *box, struct mail *mail, size_t max, enum urgency urgency)
{
    mail->next = NULL;
    pthread_mutex_lock(&box->lock);
    bool fits = box->count < max;
    if (fits) {
        *box->last_next = mail;
        box->last_next = &mail->next;
        box->count++;
        box->has_urgent = box->has_urgent || urgency == URGENT;
    }
    /* Not under the lock: the owner would wake only to wait for it. One signal is
     * enough, whoever gives it. */
    bool signal = fits && urgency >= box->wakes_for;
    if (signal)
        box->wakes_for = BEYOND_ALL;
    pthread_mutex_unlock(&box->lock);
    if (signal)
        pthread_cond_signal(&box->filled);
    return fits;
}

bool mailbox_put(struct mailbox *box, struct mail *mail)
{
    return mailbox_append(box, mail, box->max, URGENT);
}

void mailbox_put_always(struct mailbox *box, struct mail *mail)
{
    bool fits = mailbox_append(box, mail, SIZE_MAX, URGENT);
    assert(fits);
}

void mailbox_put_quietly(struct mailbox *box, struct mail *mail)
{
    bool fits = mailbox_append(box, mail, SIZE_MAX, QUIET);
    assert(fits);
}

bool mailbox_put_soon(struct mailbox *box, struct mail *mail)
{
    return mailbox_append(box, mail, box->max, SOON);
}

void mailbox_put_soon_always(struct mailbox *box, struct mail *mail)
{
    bool fits = mailbox_append(box, mail, SIZE_MAX, SOON);
    assert(fits);
}

static struct mail *mailbox_take(struct mailbox *box, uint64_t wait_ms, enum urgency wakes_for)
{
    pthread_mutex_lock(&box->lock);
    bool ready = wakes_for == URGENT ? box->has_urgent : box->first != NULL;
    if (!ready && wait_ms > 0) {
        box->wakes_for = wakes_for;
        thread_cond_wait_ms(&box->filled, &box->lock, wait_ms);
        box->wakes_for = BEYOND_ALL;
    }
    struct mail *mails = box->first;
    box->first = NULL;
    box->last_next = &box->first;
    box->count = 0;
    box->has_urgent = false;
    pthread_mutex_unlock(&box->lock);
    return mails;
}

struct mail *mailbox_take_all(struct mailbox *box, uint64_t wait_ms)
{
    return mailbox_take(box, wait_ms, SOON);
}

struct mail *mailbox_nap(struct mailbox *box, uint64_t wait_ms)
{
    return mailbox_take(box, wait_ms, URGENT);
}
