#include "raftstore/region_worker.h"

#include "raftstore/log.h"
#include "raftstore/mailbox.h"
#include "raftstore/memory.h"
#include "raftstore/snapshot_build.h"
#include "raftstore/snapshot_hash.h"
#include "raftstore/snapshot_install.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* How long an idle thread sleeps at a time. */
#define IDLE_MS 60000
/* With the tasks that wait: one installation, whose caller waits, and the end. */
#define MAILS_MAX (REGION_WORKER_TASKS_MAX + 2)

enum task_kind { TASK_BUILD, TASK_HASH, TASK_INSTALL, TASK_STOP };

/* A build or a hash. */
struct task {
    struct mail mail;
    struct region_image image;
};

/* On the stack of its caller. */
struct install {
    struct mail mail;
    const struct snapshot_meta *meta;
    const struct raft_local_state *local;
    bool done; /* under the worker's lock */
};

struct hash_result {
    uint64_t index;
    uint64_t hash;
};

struct region_worker {
    struct region_worker_config config;
    struct mailbox *mailbox;
    pthread_t thread;
    /* Callers that want the thread to leave what it is at: an installation until
     * it is done, the end for ever. */
    atomic_uint interrupts;
    atomic_uint waiting; /* tasks in the mailbox, the queue, or under way */

    pthread_mutex_t lock; /* guards the next four */
    pthread_cond_t installed;
    struct hash_result hashes[REGION_WORKER_HASHES_MAX]; /* a ring */
    uint64_t hash_count;                                 /* of all times */

    /* All below belongs to the region thread. */
    struct mail *first; /* tasks, in order */
    struct mail **last_next;
    bool stopping;
    struct raft_snapshot *built; /* the last one, or NULL */
    struct snap_id built_id;
};

static struct task *task_of(struct mail *mail)
{
    assert(mail->kind == TASK_BUILD || mail->kind == TASK_HASH);
    return (struct task *)mail;
}

static void end_task(struct region_worker *worker, struct task *task)
{
    engine_snapshot_free(worker->config.kv, task->image.snapshot);
    free(task);
    (void)atomic_fetch_sub(&worker->waiting, 1);
}

/* --- builds --- */

static void report_failed_build(struct region_worker *worker, int code, const char *why)
{
    struct err e;

    (void)err_set(&e, code, "%s", why);
    worker->config.built(worker->config.ctx, NULL, &e);
}

/* The last one is asked for again, by another follower. */
static bool is_built(struct region_worker *worker, const struct snap_id *id)
{
    return worker->built != NULL && worker->built_id.region_id == id->region_id &&
           worker->built_id.term == id->term && worker->built_id.index == id->index &&
           snap_files_ref(worker->config.files, id);
}

static void run_build(struct region_worker *worker, struct task *task)
{
    const struct region_worker_config *config = &worker->config;
    struct snap_id id = snapshot_build_id(&task->image);
    struct raft_snapshot *snapshot = NULL;
    struct err e = {0};

    if (is_built(worker, &id)) {
        config->built(config->ctx, raft_snapshot_ref(worker->built), NULL);
    } else if (snapshot_build(config->kv, config->files, &task->image, &worker->interrupts,
                              &snapshot, &e) == 0) {
        raft_snapshot_unref(worker->built);
        worker->built = raft_snapshot_ref(snapshot);
        worker->built_id = id;
        config->built(config->ctx, snapshot, NULL);
    } else {
        config->built(config->ctx, NULL, &e);
    }
    end_task(worker, task);
}

/* --- hashes --- */

static void remember_hash(struct region_worker *worker, uint64_t index, uint64_t hash)
{
    pthread_mutex_lock(&worker->lock);
    worker->hashes[worker->hash_count++ % REGION_WORKER_HASHES_MAX] =
        (struct hash_result){.index = index, .hash = hash};
    pthread_mutex_unlock(&worker->lock);
}

bool region_worker_hash_result(struct region_worker *worker, uint64_t index, uint64_t *ret_hash)
{
    bool found = false;

    pthread_mutex_lock(&worker->lock);
    for (size_t i = 0; i < REGION_WORKER_HASHES_MAX && i < worker->hash_count && !found; i++) {
        if (worker->hashes[i].index == index) {
            *ret_hash = worker->hashes[i].hash;
            found = true;
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return found;
}

/* One that was interrupted is done again: its image has not changed. */
static void run_hash(struct region_worker *worker, struct task *task)
{
    struct snapshot_rows rows = {
        .kv = worker->config.kv,
        .snapshot = task->image.snapshot,
        .region_id = task->image.membership.region.id,
        .interrupts = &worker->interrupts,
    };
    uint64_t hash;
    struct err e = {0};
    int code = snapshot_hash(&rows, &hash, &e);

    if (code == KE_CANCELLED) {
        task->mail.next = worker->first;
        if (worker->first == NULL) {
            worker->last_next = &task->mail.next;
        }
        worker->first = &task->mail;
        return;
    }
    if (code == 0) {
        remember_hash(worker, task->image.state.applied_index, hash);
    } else {
        log_error("cannot hash the data: %s", e.text);
    }
    end_task(worker, task);
}

/* --- the queue --- */

static struct task *take_first(struct region_worker *worker)
{
    struct mail *mail = worker->first;

    worker->first = mail->next;
    if (worker->first == NULL) {
        worker->last_next = &worker->first;
    }
    return task_of(mail);
}

static void append(struct region_worker *worker, struct mail *mail)
{
    mail->next = NULL;
    *worker->last_next = mail;
    worker->last_next = &mail->next;
}

/* Ends every build that waits with an error, and with `hashes` drops those too. */
static void empty_queue(struct region_worker *worker, int code, const char *why, bool hashes)
{
    struct mail *mail = worker->first;
    struct mail *next;

    worker->first = NULL;
    worker->last_next = &worker->first;
    for (; mail != NULL; mail = next) {
        next = mail->next;
        if (mail->kind == TASK_BUILD) {
            report_failed_build(worker, code, why);
        } else if (!hashes) {
            append(worker, mail);
            continue;
        }
        end_task(worker, task_of(mail));
    }
}

/* --- installation --- */

static void run_install(struct region_worker *worker, struct install *install)
{
    const struct region_worker_config *config = &worker->config;
    struct snapshot_install what = {
        .raft = config->raft,
        .kv = config->kv,
        .tree = config->tree,
        .files = config->files,
        .meta = install->meta,
        .local = install->local,
    };
    struct err e = {0};

    if (snapshot_install(&what, &e) != 0) {
        log_fatal("cannot apply the snapshot at index %" PRIu64 ": %s; stopping, the next start "
                  "goes on with it",
                  install->meta->index, e.text);
    }
    /* What they were to be built from is of the past. */
    empty_queue(worker, KE_CANCELLED, "a received snapshot replaced the data", false);
    (void)atomic_fetch_sub(&worker->interrupts, 1);
    pthread_mutex_lock(&worker->lock);
    install->done = true;
    pthread_cond_signal(&worker->installed);
    pthread_mutex_unlock(&worker->lock);
}

void region_worker_install(struct region_worker *worker, const struct snapshot_meta *meta,
                           const struct raft_local_state *local)
{
    struct install install = {.mail.kind = TASK_INSTALL, .meta = meta, .local = local};

    /* Before the mail: afterwards it may be done already. */
    (void)atomic_fetch_add(&worker->interrupts, 1);
    mailbox_put_always(worker->mailbox, &install.mail);
    pthread_mutex_lock(&worker->lock);
    while (!install.done) {
        pthread_cond_wait(&worker->installed, &worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
}

/* --- the thread --- */

static void read_mail(struct region_worker *worker)
{
    struct mail *mail = mailbox_take_all(worker->mailbox, worker->first == NULL ? IDLE_MS : 0);
    struct mail *next;

    for (; mail != NULL; mail = next) {
        next = mail->next;
        switch ((enum task_kind)mail->kind) {
        case TASK_BUILD:
        case TASK_HASH:
            append(worker, mail);
            break;
        case TASK_INSTALL:
            run_install(worker, (struct install *)mail);
            break;
        case TASK_STOP:
            worker->stopping = true;
            break;
        }
    }
}

static void *run(void *arg)
{
    struct region_worker *worker = arg;

    for (;;) {
        read_mail(worker);
        if (worker->stopping) {
            break;
        }
        if (worker->first != NULL) {
            struct task *task = take_first(worker);

            if (task->mail.kind == TASK_BUILD) {
                run_build(worker, task);
            } else {
                run_hash(worker, task);
            }
        }
    }
    empty_queue(worker, KE_SHUTDOWN, ke_text(KE_SHUTDOWN), true);
    return NULL;
}

static bool admit_task(struct region_worker *worker)
{
    if (atomic_fetch_add(&worker->waiting, 1) < REGION_WORKER_TASKS_MAX) {
        return true;
    }
    (void)atomic_fetch_sub(&worker->waiting, 1);
    return false;
}

static void put_task(struct region_worker *worker, enum task_kind kind,
                     const struct region_image *image)
{
    struct task *task = mem_alloc(sizeof *task);

    *task = (struct task){.mail.kind = kind, .image = *image};
    mailbox_put_always(worker->mailbox, &task->mail);
}

void region_worker_build(struct region_worker *worker, const struct region_image *image)
{
    if (admit_task(worker)) {
        put_task(worker, TASK_BUILD, image);
    } else {
        engine_snapshot_free(worker->config.kv, image->snapshot);
        report_failed_build(worker, KE_BUSY, "too many tasks wait for the region thread");
    }
}

void region_worker_hash(struct region_worker *worker, const struct region_image *image)
{
    if (admit_task(worker)) {
        put_task(worker, TASK_HASH, image);
    } else {
        engine_snapshot_free(worker->config.kv, image->snapshot);
        log_warn("no hash at index %" PRIu64 ": too many tasks wait for the region thread",
                 image->state.applied_index);
    }
}

struct region_worker *region_worker_start(const struct region_worker_config *config)
{
    struct region_worker *worker = mem_zalloc(sizeof *worker);

    worker->config = *config;
    worker->mailbox = mailbox_new(MAILS_MAX);
    worker->last_next = &worker->first;
    atomic_init(&worker->interrupts, 0);
    atomic_init(&worker->waiting, 0);
    (void)pthread_mutex_init(&worker->lock, NULL);
    (void)pthread_cond_init(&worker->installed, NULL);
    thread_start(&worker->thread, "region", run, worker);
    return worker;
}

void region_worker_stop(struct region_worker *worker)
{
    struct mail stop = {.kind = TASK_STOP};

    if (worker == NULL) {
        return;
    }
    (void)atomic_fetch_add(&worker->interrupts, 1);
    mailbox_put_always(worker->mailbox, &stop);
    (void)pthread_join(worker->thread, NULL);
    raft_snapshot_unref(worker->built);
    (void)pthread_cond_destroy(&worker->installed);
    (void)pthread_mutex_destroy(&worker->lock);
    mailbox_free(worker->mailbox);
    free(worker);
}
