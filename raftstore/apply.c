#include "raftstore/apply.h"

#include "raftstore/arena.h"
#include "raftstore/executor.h"
#include "raftstore/failpoint.h"
#include "raftstore/log.h"
#include "raftstore/mailbox.h"
#include "raftstore/memory.h"
#include "raftstore/proposals.h"
#include "raftstore/session.h"
#include "raftstore/thread.h"

#include "keelfspb.pb-c.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A turn is written when it has grown to this, so that no batch is huge. */
#define APPLY_BATCH_BYTES_MAX (4u << 20)
/* What one entry may unpack to; the same on every node, since an entry past it
 * changes nothing. */
#define APPLY_UNPACKED_MAX (4 * PROPOSALS_PACKED_MAX)
/* How often what has ended by its deadline is looked for and let go. */
#define APPLY_SWEEP_MS 1000

#define NS_PER_MS 1000000ull

enum apply_mail_kind {
    APPLY_MAIL_EXPECT,
    APPLY_MAIL_ENTRIES,
    APPLY_MAIL_READS,
    APPLY_MAIL_BUILD,
    APPLY_MAIL_INSTALL,
    APPLY_MAIL_STOP
};

struct apply_installation {
    struct snapshot_meta meta;
    struct raft_local_state local;
};

struct apply_mail {
    struct mail mail;
    union {
        struct {
            uint64_t seq;
            struct op *op;
        } expect;
        struct {
            struct raft_message message;
            struct apply_members *members;
            size_t member_count;
        } entries;
        struct {
            uint64_t index;
            struct op_list ops;
        } reads;
        struct apply_installation *installation;
    };
};

/* An op that waits for one of this session's commands. */
struct apply_waiter {
    uint64_t seq; /* 0: none */
    struct op *op;
};

/* A command of this session that is in the batch and not yet answered. */
struct apply_answer {
    uint64_t seq;
    struct op *op; /* NULL: nobody waits any more */
    struct op_result result;
};

struct apply {
    struct apply_config config;
    struct mailbox *mailbox;
    pthread_t thread;
    atomic_uint_fast64_t applied_index; /* published after the write */
    atomic_uint_fast64_t revision;

    /* All below belongs to the apply thread. */
    struct executor *executor;
    struct arena arena; /* what an entry unpacks to */
    struct session_table *sessions;
    struct engine_batch *batch;
    struct apply_state state;
    struct membership membership;
    const struct apply_members *next_members; /* of the entries to come */
    const struct apply_members *members_end;
    bool batch_dirty;
    bool wants_hash; /* behind the entry that is being applied */
    struct apply_answer *answers;
    size_t answer_count;
    size_t answer_capacity;
    uint64_t *seqs;           /* scratch for the report */
    struct apply_mail *reads; /* barriers that wait, by the order they came in */
    struct apply_waiter waiters[SESSION_WINDOW_MAX];
};

/* --- waiters --- */

static struct apply_waiter *apply_waiter_slot(struct apply *apply, uint64_t seq)
{
    return &apply->waiters[seq % SESSION_WINDOW_MAX];
}

static void apply_add_waiter(struct apply *apply, uint64_t seq, struct op *op)
{
    struct apply_waiter *slot = apply_waiter_slot(apply, seq);
    /* The window has moved past what was here: its op ended by deadline. */
    if (slot->op != NULL)
        op_unref(slot->op);
    *slot = (struct apply_waiter){.seq = seq, .op = op};
}

/* The op that waits for `seq`, with its reference, or NULL. */
static struct op *apply_take_waiter(struct apply *apply, uint64_t seq)
{
    struct apply_waiter *slot = apply_waiter_slot(apply, seq);
    if (slot->op == NULL || slot->seq != seq)
        return NULL;
    struct op *op = slot->op;
    *slot = (struct apply_waiter){0};
    return op;
}

/* Lets go of those that nobody waits for any more: their requests hold memory. */
static void apply_sweep_waiters(struct apply *apply)
{
    for (size_t i = 0; i < SESSION_WINDOW_MAX; i++) {
        struct apply_waiter *slot = &apply->waiters[i];
        if (slot->op == NULL || !op_is_claimed(slot->op))
            continue;
        op_unref(slot->op);
        *slot = (struct apply_waiter){0};
    }
}

/* --- the end of a turn --- */

static void apply_answer_add(struct apply *apply, uint64_t seq, const struct op_result *result)
{
    if (apply->answer_count == apply->answer_capacity) {
        apply->answer_capacity = apply->answer_capacity == 0 ? 256 : apply->answer_capacity * 2;
        apply->answers =
            mem_realloc(apply->answers, apply->answer_capacity * sizeof(*apply->answers));
        apply->seqs = mem_realloc(apply->seqs, apply->answer_capacity * sizeof(*apply->seqs));
    }
    apply->answers[apply->answer_count++] = (struct apply_answer){
        .seq = seq,
        .op = apply_take_waiter(apply, seq),
        .result = *result,
    };
}

static void apply_write(struct apply *apply)
{
    executor_finish_batch(apply->executor, apply->batch);
    session_table_save(apply->sessions, apply->config.kv, apply->batch);
    apply_state_save(apply->config.kv, apply->batch, apply->membership.region.id, &apply->state);
    FAILPOINT(apply_write_before);
    engine_write(apply->config.kv, apply->batch, false);
    FAILPOINT(apply_write_after);
    engine_batch_clear(apply->batch);
    apply->batch_dirty = false;
    atomic_store(&apply->applied_index, apply->state.applied_index);
    atomic_store(&apply->revision, apply->state.revision);
}

static void apply_finish_answers(struct apply *apply)
{
    for (size_t i = 0; i < apply->answer_count; i++) {
        struct apply_answer *answer = &apply->answers[i];
        apply->seqs[i] = answer->seq;
        if (answer->op == NULL)
            continue;
        op_finish(answer->op, &answer->result);
        op_unref(answer->op);
    }
}

static void apply_notify(struct apply *apply)
{
    size_t count;
    const struct change *changes = executor_changes(apply->executor, &count);
    if (count > 0 && apply->config.observer != NULL)
        apply->config.observer(apply->config.observer_ctx, changes, count);
    executor_clear_changes(apply->executor);
    apply_finish_answers(apply);
}

static void apply_report(struct apply *apply, struct raft_message *message, bool installed)
{
    struct apply_report report = {
        .message = message,
        .seqs = apply->seqs,
        .seq_count = apply->answer_count,
        .truncated_index = apply->state.truncated_index,
        .truncated_term = apply->state.truncated_term,
        .installed = installed,
    };
    apply->config.report(apply->config.report_ctx, &report);
}

/* Makes what is in the batch visible and answers for it. `message`, or NULL, is
 * the STORAGE_APPLY that is hereby done. */
static void apply_flush(struct apply *apply, struct raft_message *message)
{
    if (apply->batch_dirty) {
        apply_write(apply);
        apply_notify(apply);
    }
    if (message != NULL || apply->answer_count > 0)
        apply_report(apply, message, false);
    apply->answer_count = 0;
}

/* Nothing may be half done: the state is that behind an entry. */
static struct region_image apply_image(const struct apply *apply)
{
    assert(!apply->batch_dirty);
    return (struct region_image){
        .snapshot = engine_snapshot_new(apply->config.kv),
        .state = apply->state,
        .membership = apply->membership,
    };
}

/* --- entries --- */

/* What the store was asked to do for itself. An index that is not in the log, or cut
 * already, changes nothing. */
static void apply_admin(struct apply *apply, const struct executor_admin *admin)
{
    struct apply_state *state = &apply->state;
    if (admin->kind == ADMIN_COMPUTE_HASH)
        apply->wants_hash = true;
    if (admin->kind != ADMIN_COMPACT_LOG || admin->index <= state->truncated_index ||
        admin->index > state->applied_index)
        return;
    state->truncated_index = admin->index;
    state->truncated_term = admin->term;
    FAILPOINT(gc_compact_applied);
}

static void apply_command(struct apply *apply, const Keelfspb__CommandBatch *batch,
                          const Keelfspb__Command *command)
{
    if (!session_admits(apply->sessions, batch->store_id, command->seq))
        return;
    struct op_result result = {0};
    executor_run(apply->executor, apply->batch, command->request.data, command->request.len,
                 &apply->state.revision, &result);
    struct executor_admin admin = executor_admin(apply->executor);
    apply_admin(apply, &admin);
    result.index = apply->state.applied_index + 1;
    session_record(apply->sessions, batch->store_id, command->seq, result.code);
    if (batch->store_id == apply->config.store_id &&
        batch->incarnation == apply->config.incarnation)
        apply_answer_add(apply, command->seq, &result);
    apply->batch_dirty = true;
    /* Also in the middle of an entry: commands can be small and their effect
     * large. The session table, written with it, lets a replay go on behind. */
    if (engine_batch_bytes(apply->batch) >= APPLY_BATCH_BYTES_MAX)
        apply_flush(apply, NULL);
}

static void apply_normal_entry(struct apply *apply, const struct raft_entry *entry)
{
    if (entry->size == 0)
        return; /* a new leader's first entry */
    ProtobufCAllocator allocator = arena_allocator(&apply->arena);
    arena_reset(&apply->arena);
    const Keelfspb__CommandBatch *batch =
        keelfspb__command_batch__unpack(&allocator, entry->size, entry->data);
    if (batch == NULL) {
        log_error("entry %llu of the log is no command batch and changes nothing",
                  (unsigned long long)entry->index);
        return;
    }
    /* Proposed before it was removed: nobody was told that it would happen. */
    if (membership_find(&apply->membership, batch->store_id) == NULL)
        return;
    if (session_begin_batch(apply->sessions, batch->store_id, batch->incarnation, batch->floor)) {
        for (size_t i = 0; i < batch->n_commands; i++)
            apply_command(apply, batch, batch->commands[i]);
    }
}

static void apply_forget_removed(struct apply *apply, const struct membership *before)
{
    for (size_t i = 0; i < before->store_count; i++) {
        if (membership_find(&apply->membership, before->stores[i].id) == NULL)
            session_forget(apply->sessions, before->stores[i].id);
    }
}

/* The raft thread has worked out what the entry makes of the members. */
static void apply_members_entry(struct apply *apply, const struct raft_entry *entry)
{
    const struct apply_members *members = apply->next_members;
    if (members == apply->members_end || members->index != entry->index)
        return; /* it changed nothing */
    apply->next_members++;
    struct engine *kv = apply->config.kv;
    struct membership before = apply->membership;
    apply->membership = members->membership;
    apply_forget_removed(apply, &before);
    FAILPOINT(member_apply_before);
    membership_save(kv, apply->batch, &apply->membership);
    if (membership_find(&apply->membership, apply->config.store_id) == NULL)
        region_save(kv, apply->batch, PEER_TOMBSTONE, &apply->membership.region, NULL);
}

static void apply_entry(struct apply *apply, const struct raft_entry *entry)
{
    assert(entry->index == apply->state.applied_index + 1);
    if (entry->type == RAFT_ENTRY_NORMAL)
        apply_normal_entry(apply, entry);
    else
        apply_members_entry(apply, entry);
    apply->state.applied_index = entry->index;
    apply->state.applied_term = entry->term;
    apply->batch_dirty = true;
    if (!apply->wants_hash)
        return;
    apply->wants_hash = false;
    apply_flush(apply, NULL);
    struct region_image image = apply_image(apply);
    region_worker_hash(apply->config.region_worker, &image);
}

static void apply_entries_mail(struct apply *apply, struct apply_mail *mail)
{
    struct raft_message *message = &mail->entries.message;
    apply->next_members = mail->entries.members;
    apply->members_end = mail->entries.members + mail->entries.member_count;
    for (size_t i = 0; i < message->entry_count; i++)
        apply_entry(apply, message->entries[i]);
    assert(apply->next_members == apply->members_end);
    apply_flush(apply, message);
    if (mail->entries.member_count > 0)
        FAILPOINT(member_apply_after);
    free(mail->entries.members);
}

/* --- barriers --- */

static void apply_read_done(struct apply_mail *read)
{
    struct op_result result = {0};
    for (size_t i = 0; i < read->reads.ops.count; i++)
        op_finish(read->reads.ops.ops[i], &result);
    op_list_release(&read->reads.ops);
    free(read);
}

static void apply_finish_reads(struct apply *apply)
{
    struct apply_mail **link = &apply->reads;
    while (*link != NULL) {
        struct apply_mail *read = *link;
        if (read->reads.index > apply->state.applied_index) {
            link = (struct apply_mail **)&read->mail.next;
            continue;
        }
        *link = (struct apply_mail *)read->mail.next;
        apply_read_done(read);
    }
}

static void apply_sweep_reads(struct apply *apply)
{
    for (struct apply_mail *read = apply->reads; read != NULL;
         read = (struct apply_mail *)read->mail.next)
        op_list_sweep(&read->reads.ops);
}

static void apply_drop_reads(struct apply *apply)
{
    while (apply->reads != NULL) {
        struct apply_mail *read = apply->reads;
        apply->reads = (struct apply_mail *)read->mail.next;
        for (size_t i = 0; i < read->reads.ops.count; i++)
            op_fail(read->reads.ops.ops[i], KE_SHUTDOWN);
        op_list_release(&read->reads.ops);
        free(read);
    }
}

/* --- snapshots --- */

/* Some of this session's commands may be among what the snapshot has. */
static void apply_answer_installed(struct apply *apply)
{
    for (size_t i = 0; i < SESSION_WINDOW_MAX; i++) {
        const struct apply_waiter *slot = &apply->waiters[i];
        struct op_result result = {0};
        if (slot->op != NULL && session_result(apply->sessions, apply->config.store_id,
                                               apply->config.incarnation, slot->seq, &result.code))
            apply_answer_add(apply, slot->seq, &result);
    }
}

static void apply_tell_everything_changed(const struct apply *apply)
{
    const struct change everything = {
        .kind = CHANGE_EVERYTHING,
        .version = apply->state.revision,
    };
    if (apply->config.observer != NULL)
        apply->config.observer(apply->config.observer_ctx, &everything, 1);
}

static void apply_install_mail(struct apply *apply, const struct apply_installation *installation)
{
    const struct snapshot_meta *meta = &installation->meta;
    struct engine *kv = apply->config.kv;
    assert(!apply->batch_dirty && meta->index > apply->state.applied_index);
    region_worker_install(apply->config.region_worker, meta, &installation->local);

    apply->membership = meta->membership;
    apply->state = (struct apply_state){
        .applied_index = meta->index,
        .applied_term = meta->term,
        .truncated_index = meta->index,
        .truncated_term = meta->term,
        .revision = meta->revision,
    };
    executor_free(apply->executor);
    apply->executor = executor_new(kv);
    session_table_free(apply->sessions);
    struct err e;
    if (session_table_load(kv, meta->membership.region.id, &apply->sessions, &e) != 0)
        log_fatal("the snapshot just applied cannot be read: %s", e.text);
    atomic_store(&apply->applied_index, apply->state.applied_index);
    atomic_store(&apply->revision, apply->state.revision);
    apply_tell_everything_changed(apply);
    apply_answer_installed(apply);
    apply_finish_answers(apply);
    apply_report(apply, NULL, true);
    apply->answer_count = 0;
}

/* --- the thread --- */

/* Returns false at the mail that ends the thread. */
static bool apply_handle(struct apply *apply, struct apply_mail *mail)
{
    switch ((enum apply_mail_kind)mail->mail.kind) {
    case APPLY_MAIL_EXPECT:
        apply_add_waiter(apply, mail->expect.seq, mail->expect.op);
        free(mail);
        return true;
    case APPLY_MAIL_ENTRIES:
        apply_entries_mail(apply, mail);
        free(mail);
        return true;
    case APPLY_MAIL_BUILD: {
        struct region_image image = apply_image(apply);
        region_worker_build(apply->config.region_worker, &image);
        free(mail);
        return true;
    }
    case APPLY_MAIL_INSTALL:
        apply_install_mail(apply, mail->installation);
        free(mail->installation);
        free(mail);
        return true;
    case APPLY_MAIL_READS:
        mail->mail.next = (struct mail *)apply->reads;
        apply->reads = mail;
        return true;
    case APPLY_MAIL_STOP:
        free(mail);
        return false;
    }
    assert(false);
    return false;
}

static void *apply_run(void *arg)
{
    struct apply *apply = arg;
    bool running = true;
    uint64_t sweep_ns = clock_ns();
    while (running) {
        struct mail *mails = mailbox_take_all(apply->mailbox, APPLY_SWEEP_MS);
        while (mails != NULL) {
            struct mail *next = mails->next;
            running = apply_handle(apply, (struct apply_mail *)mails) && running;
            mails = next;
        }
        apply_finish_reads(apply);
        if (clock_ns() - sweep_ns < APPLY_SWEEP_MS * NS_PER_MS)
            continue;
        apply_sweep_waiters(apply);
        apply_sweep_reads(apply);
        sweep_ns = clock_ns();
    }
    apply_drop_reads(apply);
    return NULL;
}

static void apply_free(struct apply *apply)
{
    for (size_t i = 0; i < SESSION_WINDOW_MAX; i++) {
        if (apply->waiters[i].op != NULL)
            op_unref(apply->waiters[i].op);
    }
    executor_free(apply->executor);
    arena_release(&apply->arena);
    session_table_free(apply->sessions);
    engine_batch_free(apply->batch);
    mailbox_free(apply->mailbox);
    free(apply->answers);
    free(apply->seqs);
    free(apply);
}

int apply_start(const struct apply_config *config, struct apply **ret_apply, struct err *e)
{
    struct session_table *sessions;
    int rc = session_table_load(config->kv, config->membership->region.id, &sessions, e);
    if (rc != 0)
        return rc;
    struct apply *apply = mem_zalloc(sizeof(*apply));
    apply->config = *config;
    apply->config.membership = NULL; /* borrowed for the start only */
    apply->membership = *config->membership;
    apply->state = config->state;
    atomic_init(&apply->applied_index, config->state.applied_index);
    atomic_init(&apply->revision, config->state.revision);
    apply->sessions = sessions;
    apply->executor = executor_new(config->kv);
    arena_init(&apply->arena, APPLY_UNPACKED_MAX);
    apply->batch = engine_batch_new(true);
    apply->mailbox = mailbox_new(SIZE_MAX);
    thread_start(&apply->thread, "apply", apply_run, apply);
    *ret_apply = apply;
    return 0;
}

static struct apply_mail *apply_mail_new(enum apply_mail_kind kind)
{
    struct apply_mail *mail = mem_zalloc(sizeof(*mail));
    mail->mail.kind = kind;
    return mail;
}

void apply_stop(struct apply *apply)
{
    if (apply == NULL)
        return;
    mailbox_put_always(apply->mailbox, &apply_mail_new(APPLY_MAIL_STOP)->mail);
    pthread_join(apply->thread, NULL);
    apply_free(apply);
}

void apply_expect(struct apply *apply, uint64_t seq, struct op *op)
{
    struct apply_mail *mail = apply_mail_new(APPLY_MAIL_EXPECT);
    op_ref(op);
    mail->expect.seq = seq;
    mail->expect.op = op;
    mailbox_put_quietly(apply->mailbox, &mail->mail);
}

void apply_entries(struct apply *apply, struct raft_message *message,
                   struct apply_members **members, size_t member_count)
{
    struct apply_mail *mail = apply_mail_new(APPLY_MAIL_ENTRIES);
    raft_message_move(&mail->entries.message, message);
    mail->entries.members = *members;
    mail->entries.member_count = member_count;
    *members = NULL;
    mailbox_put_always(apply->mailbox, &mail->mail);
}

void apply_build_snapshot(struct apply *apply)
{
    mailbox_put_always(apply->mailbox, &apply_mail_new(APPLY_MAIL_BUILD)->mail);
}

void apply_install(struct apply *apply, const struct snapshot_meta *meta,
                   const struct raft_local_state *local)
{
    struct apply_mail *mail = apply_mail_new(APPLY_MAIL_INSTALL);
    mail->installation = mem_alloc(sizeof(*mail->installation));
    *mail->installation = (struct apply_installation){.meta = *meta, .local = *local};
    mailbox_put_always(apply->mailbox, &mail->mail);
}

void apply_reads(struct apply *apply, uint64_t index, struct op_list *ops)
{
    struct apply_mail *mail = apply_mail_new(APPLY_MAIL_READS);
    mail->reads.index = index;
    mail->reads.ops = *ops;
    *ops = (struct op_list){0};
    mailbox_put_always(apply->mailbox, &mail->mail);
}

uint64_t apply_index(const struct apply *apply)
{
    return atomic_load(&apply->applied_index);
}

uint64_t apply_revision(const struct apply *apply)
{
    return atomic_load(&apply->revision);
}
