#include "raftstore/raft_worker.h"

#include "raftstore/err.h"
#include "raftstore/holdback.h"
#include "raftstore/mailbox.h"
#include "raftstore/memory.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull

enum raft_mail_kind {
    RAFT_MAIL_PROPOSE,
    RAFT_MAIL_BARRIER,
    RAFT_MAIL_MESSAGE,
    RAFT_MAIL_APPLIED,
    RAFT_MAIL_UNREACHABLE,
    RAFT_MAIL_REFUSED,
    RAFT_MAIL_SNAPSHOT_ARRIVED,
    RAFT_MAIL_SNAPSHOT_SENT,
    RAFT_MAIL_SNAPSHOT_BUILT,
    RAFT_MAIL_CHANGE_MEMBERS,
    RAFT_MAIL_TRANSFER_LEADER,
    RAFT_MAIL_STOP,
};

struct raft_mail {
    struct mail mail;
    union {
        struct {
            struct op *op;
            struct command *cmd;
            size_t bytes;
        } propose;
        struct op *barrier;
        struct {
            struct wire_envelope envelope;
            struct raft_message message;
            size_t bytes;
        } message;
        struct {
            struct apply_report report; /* points to what follows */
            struct raft_message message;
            uint64_t *seqs;
        } applied;
        uint64_t unreachable;
        int refused;
        struct {
            uint64_t store_id;
            bool succeeded;
        } sent;
        struct {
            struct raft_snapshot *snapshot;
            struct err *why; /* or NULL */
        } built;
        struct member_op *member_op;
    };
};

struct raft_worker {
    struct mailbox *mailbox;
    atomic_size_t command_bytes; /* of commands in the mailbox */
    atomic_size_t message_bytes; /* of messages in the mailbox */
    uint64_t tick_ms;
    pthread_t thread;
    bool started;
    struct peer *peer; /* the raft thread's */
    bool stopping;     /* the raft thread's */
    pthread_mutex_t status_lock;
    struct store_status status; /* guarded by status_lock */
};

static struct raft_mail *raft_mail_new(enum raft_mail_kind kind)
{
    struct raft_mail *mail = mem_zalloc(sizeof(*mail));
    mail->mail.kind = kind;
    return mail;
}

static void raft_mail_free(struct raft_mail *mail)
{
    switch ((enum raft_mail_kind)mail->mail.kind) {
    case RAFT_MAIL_PROPOSE:
        op_unref(mail->propose.op);
        command_free(mail->propose.cmd);
        break;
    case RAFT_MAIL_BARRIER:
        op_unref(mail->barrier);
        break;
    case RAFT_MAIL_MESSAGE:
    case RAFT_MAIL_SNAPSHOT_ARRIVED:
        raft_message_release(&mail->message.message);
        break;
    case RAFT_MAIL_APPLIED:
        if (mail->applied.report.message != NULL)
            raft_message_release(&mail->applied.message);
        free(mail->applied.seqs);
        break;
    case RAFT_MAIL_SNAPSHOT_BUILT:
        raft_snapshot_unref(mail->built.snapshot);
        free(mail->built.why);
        break;
    case RAFT_MAIL_CHANGE_MEMBERS:
    case RAFT_MAIL_TRANSFER_LEADER:
        op_unref(&mail->member_op->op);
        break;
    case RAFT_MAIL_UNREACHABLE:
    case RAFT_MAIL_REFUSED:
    case RAFT_MAIL_SNAPSHOT_SENT:
    case RAFT_MAIL_STOP:
        break;
    }
    free(mail);
}

/* --- the thread --- */

static void raft_worker_handle(struct raft_worker *worker, struct raft_mail *mail)
{
    struct peer *peer = worker->peer;
    switch ((enum raft_mail_kind)mail->mail.kind) {
    case RAFT_MAIL_PROPOSE:
        atomic_fetch_sub(&worker->command_bytes, mail->propose.bytes);
        if (!op_is_claimed(mail->propose.op))
            peer_propose(peer, mail->propose.op, &mail->propose.cmd);
        break;
    case RAFT_MAIL_BARRIER:
        peer_barrier(peer, mail->barrier);
        break;
    case RAFT_MAIL_MESSAGE:
        atomic_fetch_sub(&worker->message_bytes, mail->message.bytes);
        peer_step(peer, &mail->message.envelope, &mail->message.message);
        break;
    case RAFT_MAIL_APPLIED:
        peer_applied(peer, &mail->applied.report);
        break;
    case RAFT_MAIL_UNREACHABLE:
        peer_unreachable(peer, mail->unreachable);
        break;
    case RAFT_MAIL_REFUSED:
        peer_refused(peer, mail->refused);
        break;
    case RAFT_MAIL_SNAPSHOT_ARRIVED:
        peer_snapshot_arrived(peer, &mail->message.envelope, &mail->message.message);
        break;
    case RAFT_MAIL_SNAPSHOT_SENT:
        peer_snapshot_sent(peer, mail->sent.store_id, mail->sent.succeeded);
        break;
    case RAFT_MAIL_SNAPSHOT_BUILT:
        peer_snapshot_built(peer, mail->built.snapshot, mail->built.why);
        mail->built.snapshot = NULL;
        break;
    case RAFT_MAIL_CHANGE_MEMBERS:
        peer_change_members(peer, mail->member_op);
        break;
    case RAFT_MAIL_TRANSFER_LEADER:
        peer_transfer_leader(peer, mail->member_op);
        break;
    case RAFT_MAIL_STOP:
        worker->stopping = true;
        break;
    }
    raft_mail_free(mail);
}

void raft_worker_publish(struct raft_worker *worker)
{
    if (worker->peer == NULL)
        return; /* it is being made */
    pthread_mutex_lock(&worker->status_lock);
    peer_status(worker->peer, &worker->status);
    pthread_mutex_unlock(&worker->status_lock);
}

/* Ticks that are due; returns when the next one is. */
static uint64_t raft_worker_tick(struct raft_worker *worker, uint64_t next_ns)
{
    uint64_t tick_ns = worker->tick_ms * NS_PER_MS;
    uint64_t now = clock_ns();
    if (now < next_ns)
        return next_ns;
    if (now - next_ns > RAFT_WORKER_TICKS_BEHIND_MAX * tick_ns)
        next_ns = now;
    while (next_ns <= now) {
        peer_tick(worker->peer);
        next_ns += tick_ns;
    }
    return next_ns;
}

/* Waits for mail until the next tick, or for HOLDBACK_MS while messages are held back,
 * which go out when nothing has happened in that time. As long as that is what this
 * thread waits for, it is not woken for what nobody waits for. */
static struct mail *raft_worker_wait(struct raft_worker *worker, uint64_t next_ns)
{
    struct peer *peer = worker->peer;
    uint64_t now = clock_ns();
    uint64_t wait_ms = next_ns > now ? (next_ns - now) / NS_PER_MS + 1 : 0;
    if (peer_awaits_company(peer) && wait_ms > PEER_COMPANY_MS)
        wait_ms = PEER_COMPANY_MS;
    if (!peer_has_held(peer))
        return mailbox_take_all(worker->mailbox, wait_ms);
    if (wait_ms > HOLDBACK_MS)
        wait_ms = HOLDBACK_MS;
    struct mail *mails = peer_is_settled(peer) ? mailbox_nap(worker->mailbox, wait_ms)
                                               : mailbox_take_all(worker->mailbox, wait_ms);
    if (clock_ns() - now >= wait_ms * NS_PER_MS)
        peer_send_held(peer);
    return mails;
}

static void *raft_worker_run(void *arg)
{
    struct raft_worker *worker = arg;
    uint64_t next_ns = clock_ns() + worker->tick_ms * NS_PER_MS;
    uint64_t published_ns = next_ns;
    peer_drive(worker->peer);
    raft_worker_publish(worker);
    while (!worker->stopping) {
        struct mail *mails = raft_worker_wait(worker, next_ns);
        while (mails != NULL) {
            struct mail *next = mails->next;
            raft_worker_handle(worker, (struct raft_mail *)mails);
            mails = next;
        }
        next_ns = raft_worker_tick(worker, next_ns);
        peer_drive(worker->peer);
        if (next_ns != published_ns) {
            peer_send_held(worker->peer);
            raft_worker_publish(worker);
            published_ns = next_ns;
        }
    }
    return NULL;
}

struct raft_worker *raft_worker_new(uint32_t tick_ms, const struct store_status *status)
{
    struct raft_worker *worker = mem_zalloc(sizeof(*worker));
    worker->mailbox = mailbox_new(RAFT_WORKER_MAILS_MAX);
    worker->tick_ms = tick_ms;
    worker->status = *status;
    pthread_mutex_init(&worker->status_lock, NULL);
    return worker;
}

void raft_worker_free(struct raft_worker *worker)
{
    if (worker == NULL)
        return;
    assert(!worker->started);
    struct mail *mails = mailbox_take_all(worker->mailbox, 0);
    while (mails != NULL) {
        struct raft_mail *mail = (struct raft_mail *)mails;
        mails = mails->next;
        if (mail->mail.kind == RAFT_MAIL_PROPOSE)
            op_fail(mail->propose.op, KE_SHUTDOWN);
        else if (mail->mail.kind == RAFT_MAIL_BARRIER)
            op_fail(mail->barrier, KE_SHUTDOWN);
        else if (mail->mail.kind == RAFT_MAIL_CHANGE_MEMBERS ||
                 mail->mail.kind == RAFT_MAIL_TRANSFER_LEADER)
            op_fail(&mail->member_op->op, KE_SHUTDOWN);
        raft_mail_free(mail);
    }
    peer_free(worker->peer);
    mailbox_free(worker->mailbox);
    pthread_mutex_destroy(&worker->status_lock);
    free(worker);
}

void raft_worker_start(struct raft_worker *worker, struct peer **peer)
{
    assert(!worker->started);
    worker->peer = *peer;
    *peer = NULL;
    worker->started = true;
    thread_start(&worker->thread, "raft", raft_worker_run, worker);
}

void raft_worker_stop(struct raft_worker *worker)
{
    if (!worker->started)
        return;
    mailbox_put_always(worker->mailbox, &raft_mail_new(RAFT_MAIL_STOP)->mail);
    pthread_join(worker->thread, NULL);
    worker->started = false;
}

/* --- any thread --- */

/* Room for `bytes` under `max` in `*used`, or false. */
static bool raft_worker_reserve(atomic_size_t *used, size_t bytes, size_t max)
{
    if (atomic_fetch_add(used, bytes) + bytes <= max)
        return true;
    atomic_fetch_sub(used, bytes);
    return false;
}

void raft_worker_propose(struct raft_worker *worker, struct op *op, struct command **cmd)
{
    struct command *taken = *cmd;
    *cmd = NULL;
    size_t bytes;
    command_bytes(taken, &bytes);
    if (bytes > COMMAND_BYTES_MAX) {
        command_free(taken);
        op_fail(op, KE_TOO_LARGE);
        return;
    }
    if (!raft_worker_reserve(&worker->command_bytes, bytes, RAFT_WORKER_COMMAND_BYTES_MAX)) {
        command_free(taken);
        op_fail(op, KE_BUSY);
        return;
    }
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_PROPOSE);
    op_ref(op);
    mail->propose.op = op;
    mail->propose.cmd = taken;
    mail->propose.bytes = bytes;
    if (!mailbox_put(worker->mailbox, &mail->mail)) {
        atomic_fetch_sub(&worker->command_bytes, bytes);
        op_fail(op, KE_BUSY);
        raft_mail_free(mail);
    }
}

void raft_worker_barrier(struct raft_worker *worker, struct op *op)
{
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_BARRIER);
    op_ref(op);
    mail->barrier = op;
    if (!mailbox_put(worker->mailbox, &mail->mail)) {
        op_fail(op, KE_BUSY);
        raft_mail_free(mail);
    }
}

static size_t raft_worker_message_bytes(const struct raft_message *message)
{
    size_t bytes = sizeof(*message);
    for (size_t i = 0; i < message->entry_count; i++)
        bytes += sizeof(struct raft_entry) + message->entries[i]->size;
    return bytes;
}

void raft_worker_deliver(struct raft_worker *worker, const struct wire_envelope *envelope,
                         struct raft_message *message)
{
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_MESSAGE);
    mail->message.envelope = *envelope;
    mail->message.bytes = raft_worker_message_bytes(message);
    raft_message_move(&mail->message.message, message);
    size_t bytes = mail->message.bytes;
    if (!raft_worker_reserve(&worker->message_bytes, bytes, RAFT_WORKER_MESSAGE_BYTES_MAX)) {
        raft_mail_free(mail);
        return;
    }
    /* Of all members' acknowledgements some come when a majority's have. */
    bool urgent =
        mail->message.message.type != RAFT_MESSAGE_APPEND_RESPONSE || mail->message.message.reject;
    if (!(urgent ? mailbox_put : mailbox_put_soon)(worker->mailbox, &mail->mail)) {
        atomic_fetch_sub(&worker->message_bytes, bytes);
        raft_mail_free(mail);
    }
}

void raft_worker_unreachable(struct raft_worker *worker, uint64_t store_id)
{
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_UNREACHABLE);
    mail->unreachable = store_id;
    if (!mailbox_put(worker->mailbox, &mail->mail))
        raft_mail_free(mail);
}

void raft_worker_applied(void *ctx, const struct apply_report *report)
{
    struct raft_worker *worker = ctx;
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_APPLIED);
    mail->applied.report = *report;
    if (report->message != NULL) {
        raft_message_move(&mail->applied.message, report->message);
        mail->applied.report.message = &mail->applied.message;
    }
    if (report->seq_count > 0)
        mail->applied.seqs = mem_dup(report->seqs, report->seq_count * sizeof(*report->seqs));
    mail->applied.report.seqs = mail->applied.seqs;
    if (report->installed)
        mailbox_put_always(worker->mailbox, &mail->mail);
    else
        mailbox_put_soon_always(worker->mailbox, &mail->mail);
}

bool raft_worker_snapshot_arrived(struct raft_worker *worker, const struct wire_envelope *envelope,
                                  struct raft_message *message)
{
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_SNAPSHOT_ARRIVED);
    mail->message.envelope = *envelope;
    raft_message_move(&mail->message.message, message);
    if (mailbox_put(worker->mailbox, &mail->mail))
        return true;
    raft_message_move(message, &mail->message.message);
    raft_mail_free(mail);
    return false;
}

void raft_worker_refused(struct raft_worker *worker, int code)
{
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_REFUSED);
    mail->refused = code;
    if (!mailbox_put(worker->mailbox, &mail->mail))
        raft_mail_free(mail); /* it will be refused again */
}

void raft_worker_snapshot_sent(struct raft_worker *worker, uint64_t store_id, bool succeeded)
{
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_SNAPSHOT_SENT);
    mail->sent.store_id = store_id;
    mail->sent.succeeded = succeeded;
    mailbox_put_always(worker->mailbox, &mail->mail);
}

void raft_worker_snapshot_built(struct raft_worker *worker, struct raft_snapshot *snapshot,
                                const struct err *why)
{
    struct raft_mail *mail = raft_mail_new(RAFT_MAIL_SNAPSHOT_BUILT);
    mail->built.snapshot = snapshot;
    if (snapshot == NULL)
        mail->built.why = mem_dup(why, sizeof(*why));
    mailbox_put_always(worker->mailbox, &mail->mail);
}

static void raft_worker_member_op(struct raft_worker *worker, enum raft_mail_kind kind,
                                  struct member_op *op)
{
    struct raft_mail *mail = raft_mail_new(kind);
    op_ref(&op->op);
    mail->member_op = op;
    if (!mailbox_put(worker->mailbox, &mail->mail)) {
        op_fail(&op->op, KE_BUSY);
        raft_mail_free(mail);
    }
}

void raft_worker_change_members(struct raft_worker *worker, struct member_op *op)
{
    raft_worker_member_op(worker, RAFT_MAIL_CHANGE_MEMBERS, op);
}

void raft_worker_transfer_leader(struct raft_worker *worker, struct member_op *op)
{
    raft_worker_member_op(worker, RAFT_MAIL_TRANSFER_LEADER, op);
}

void raft_worker_status(struct raft_worker *worker, struct store_status *ret_status)
{
    pthread_mutex_lock(&worker->status_lock);
    *ret_status = worker->status;
    pthread_mutex_unlock(&worker->status_lock);
}
