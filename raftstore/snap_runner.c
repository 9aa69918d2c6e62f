#include "raftstore/snap_runner.h"

#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/snap_runner_private.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull
/* Nothing is due: everything else comes by mail. */
#define IDLE_WAIT_MS 60000
/* Time that was not used may be made up for by a burst of so long. */
#define RATE_BURST_NS (50 * NS_PER_MS)

/* ---- events ---- */

static void event_run(struct rpc_event *event, bool ok)
{
    struct snap_event *snap = RPC_EVENT_OWNER(event, struct snap_event, event);
    snap->ok = ok;
    snap_event_post(snap);
}

void snap_event_init(struct snap_event *event, struct snap_runner *runner,
                     void (*handle)(struct snap_event *event, bool ok))
{
    event->event.run = event_run;
    event->runner = runner;
    event->handle = handle;
    event->ok = true;
}

void snap_event_start(struct snap_event *event, grpc_call *call, const grpc_op *ops, size_t count)
{
    rpc_queue_start(call, ops, count, &event->event);
}

void snap_event_post(struct snap_event *event)
{
    mailbox_put_always(event->runner->mailbox, &event->mail);
}

/* ---- the rate ---- */

uint64_t snap_rate_wait_ns(const struct snap_rate *rate, uint64_t now_ns)
{
    return rate->next_ns > now_ns ? rate->next_ns - now_ns : 0;
}

void snap_rate_take(struct snap_rate *rate, uint64_t now_ns, size_t size)
{
    if (rate->bytes == 0)
        return;
    uint64_t earliest_ns = now_ns > RATE_BURST_NS ? now_ns - RATE_BURST_NS : 0;
    if (rate->next_ns < earliest_ns)
        rate->next_ns = earliest_ns;
    rate->next_ns += size * NS_PER_S / rate->bytes;
}

const char *snap_speed_text(uint64_t bytes, uint64_t start_ns, char out[SNAP_SPEED_TEXT_MAX])
{
    double ns = (double)(clock_ns() - start_ns) + 1;
    (void)snprintf(out, SNAP_SPEED_TEXT_MAX, "%.1f MB in %.0f ms, %.0f MB/s", (double)bytes / 1e6,
                   ns / 1e6, (double)bytes * 1e3 / ns);
    return out;
}

/* ---- the thread ---- */

static void on_stop(struct snap_event *event, bool ok)
{
    (void)ok;
    struct snap_runner *runner = SNAP_EVENT_OWNER(event, struct snap_runner, on_stop);
    runner->ending = true;
    for (size_t i = 0; i < SNAP_SENDS_MAX; i++) {
        if (runner->sends[i] != NULL)
            snap_send_cancel(runner->sends[i]);
    }
    for (size_t i = 0; i < SNAP_RECEIVES_MAX; i++) {
        if (runner->receives[i] != NULL)
            snap_receive_cancel(runner->receives[i]);
    }
}

static bool has_ended(struct snap_runner *runner)
{
    if (!runner->ending)
        return false;
    pthread_mutex_lock(&runner->lock);
    bool ended = runner->send_count == 0 && runner->receive_count == 0;
    pthread_mutex_unlock(&runner->lock);
    return ended;
}

/* Returns the time until something is due. */
static uint64_t attend(struct snap_runner *runner)
{
    uint64_t wait_ns = IDLE_WAIT_MS * NS_PER_MS;
    size_t first = runner->turn;
    for (size_t i = 0; i < SNAP_SENDS_MAX; i++) {
        struct snap_send *send = runner->sends[(first + i) % SNAP_SENDS_MAX];
        if (send == NULL)
            continue;
        uint64_t send_ns = snap_send_attend(send, clock_ns());
        wait_ns = send_ns < wait_ns ? send_ns : wait_ns;
    }
    return (wait_ns + NS_PER_MS - 1) / NS_PER_MS;
}

static void *run(void *arg)
{
    struct snap_runner *runner = arg;
    while (!has_ended(runner)) {
        struct mail *mail = mailbox_take_all(runner->mailbox, attend(runner));
        while (mail != NULL) {
            struct snap_event *event =
                (struct snap_event *)(void *)((char *)mail - offsetof(struct snap_event, mail));
            /* The handler may free it, or start it again. */
            mail = mail->next;
            event->handle(event, event->ok);
        }
    }
    return NULL;
}

/* ---- the interface ---- */

struct snap_runner *snap_runner_start(const struct snap_runner_config *config)
{
    assert(config->files != NULL && config->sent != NULL && config->deliver != NULL);
    struct snap_runner *runner = mem_zalloc(sizeof(*runner));
    runner->config = *config;
    runner->rate.bytes = config->rate_bytes;
    /* All mail has an event of its own: its number is bounded by that of transfers. */
    runner->mailbox = mailbox_new(0);
    pthread_mutex_init(&runner->lock, NULL);
    snap_event_init(&runner->on_stop, runner, on_stop);
    thread_start(&runner->thread, "snap", run, runner);
    return runner;
}

void snap_runner_stop(struct snap_runner *runner)
{
    if (runner == NULL)
        return;
    pthread_mutex_lock(&runner->lock);
    assert(!runner->stopping);
    runner->stopping = true;
    /* Under the lock: behind the mail of all that was let in. */
    snap_event_post(&runner->on_stop);
    pthread_mutex_unlock(&runner->lock);
    pthread_join(runner->thread, NULL);
}

void snap_runner_free(struct snap_runner *runner)
{
    if (runner == NULL)
        return;
    assert(runner->stopping && runner->send_count == 0 && runner->receive_count == 0);
    mailbox_free(runner->mailbox);
    pthread_mutex_destroy(&runner->lock);
    free(runner);
}
