/* A bounded queue of messages to one thread: the only thing threads share.
 *
 * Any thread puts; one thread, the owner, takes everything at once, so that a
 * busy owner handles its work in batches that grow with the load. What a mail
 * is, and who frees it, is between the two sides: they embed `struct mail`.
 */
#ifndef KEELFS_RAFTSTORE_MAILBOX_H
#define KEELFS_RAFTSTORE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mail {
    struct mail *next;
    int kind; /* the owner's enum */
};

struct mailbox;

/* Holds at most `max` mails put by mailbox_put(). */
struct mailbox *mailbox_new(size_t max);
/* Must be empty. NULL is fine. */
void mailbox_free(struct mailbox *box);

/* False, and the mail stays the caller's, when the box is full. */
bool mailbox_put(struct mailbox *box, struct mail *mail);

/* For mail that must not be lost and whose number its sender bounds. */
void mailbox_put_always(struct mailbox *box, struct mail *mail);

/* The same without waking the owner: for mail that only prepares a later one. */
void mailbox_put_quietly(struct mailbox *box, struct mail *mail);

/* For mail that can wait a little: it does not wake an owner that naps. */
bool mailbox_put_soon(struct mailbox *box, struct mail *mail);
void mailbox_put_soon_always(struct mailbox *box, struct mail *mail);

/* Everything there is, oldest first; waits up to `wait_ms` for the first. NULL when
 * there was none. */
struct mail *mailbox_take_all(struct mailbox *box, uint64_t wait_ms);
/* The same; with nothing but what can wait a little it waits on, until there is
 * something else or the time is over. */
struct mail *mailbox_nap(struct mailbox *box, uint64_t wait_ms);

#endif
