#include "raftstore/mailbox.h"

#include "raftstore/memory.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct mailbox {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t filled;
    struct mail *first;
    struct mail **last_next;
    size_t count;
    size_t max;
    bool waiting;
};

struct mailbox *mailbox_new(size_t max)
{
    struct mailbox *box = mem_zalloc(sizeof(*box));
    pthread_mutex_init(&box->lock, NULL);
    thread_cond_init(&box->filled);
    box->last_next = &box->first;
    box->max = max;
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

static bool mailbox_append(struct mailbox *box, struct mail *mail, size_t max, bool wake)
{
    mail->next = NULL;
    pthread_mutex_lock(&box->lock);
    bool fits = box->count < max;
    if (fits) {
        *box->last_next = mail;
        box->last_next = &mail->next;
        box->count++;
    }
    /* Not under the lock: the owner would wake only to wait for it. One signal is
     * enough, whoever gives it. */
    bool signal = fits && wake && box->waiting;
    if (signal)
        box->waiting = false;
    pthread_mutex_unlock(&box->lock);
    if (signal)
        pthread_cond_signal(&box->filled);
    return fits;
}

bool mailbox_put(struct mailbox *box, struct mail *mail)
{
    return mailbox_append(box, mail, box->max, true);
}

void mailbox_put_always(struct mailbox *box, struct mail *mail)
{
    bool fits = mailbox_append(box, mail, SIZE_MAX, true);
    assert(fits);
}

void mailbox_put_quietly(struct mailbox *box, struct mail *mail)
{
    bool fits = mailbox_append(box, mail, SIZE_MAX, false);
    assert(fits);
}

struct mail *mailbox_take_all(struct mailbox *box, uint64_t wait_ms)
{
    pthread_mutex_lock(&box->lock);
    if (box->first == NULL && wait_ms > 0) {
        box->waiting = true;
        thread_cond_wait_ms(&box->filled, &box->lock, wait_ms);
        box->waiting = false;
    }
    struct mail *mails = box->first;
    box->first = NULL;
    box->last_next = &box->first;
    box->count = 0;
    pthread_mutex_unlock(&box->lock);
    return mails;
}
