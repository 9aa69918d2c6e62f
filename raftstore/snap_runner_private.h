/* Inside the snap runner: what its two sides share. */
#ifndef KEELFS_RAFTSTORE_SNAP_RUNNER_PRIVATE_H
#define KEELFS_RAFTSTORE_SNAP_RUNNER_PRIVATE_H

#include "raftstore/mailbox.h"
#include "raftstore/rpc_queue.h"
#include "raftstore/snap_runner.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An event that is handled on the snap thread: gRPC's loop only puts it into the
 * mailbox. Under way at most once at a time. */
struct snap_event {
    struct rpc_event event;
    struct mail mail;
    struct snap_runner *runner;
    void (*handle)(struct snap_event *event, bool ok);
    bool ok;
};

#define SNAP_EVENT_OWNER(event, type, member) RPC_EVENT_OWNER(event, type, member)

void snap_event_init(struct snap_event *event, struct snap_runner *runner,
                     void (*handle)(struct snap_event *event, bool ok));
/* Starts a batch whose end it is. On the snap thread, which serialises the batches of
 * each call. */
void snap_event_start(struct snap_event *event, grpc_call *call, const grpc_op *ops, size_t count);
/* Has it handled without gRPC. Any thread. */
void snap_event_post(struct snap_event *event);

/* So many bytes a second, all sends together: the time at which the next may go. */
struct snap_rate {
    uint64_t bytes; /* 0: no limit */
    uint64_t next_ns;
};
uint64_t snap_rate_wait_ns(const struct snap_rate *rate, uint64_t now_ns);
void snap_rate_take(struct snap_rate *rate, uint64_t now_ns, size_t size);

struct snap_send;
struct snap_receive;

struct snap_runner {
    struct snap_runner_config config;
    struct mailbox *mailbox;
    pthread_t thread;

    /* The snap thread's. */
    struct snap_rate rate;
    size_t turn; /* chunks sent: whose place is asked first moves on with each */
    struct snap_send *sends[SNAP_SENDS_MAX];
    struct snap_receive *receives[SNAP_RECEIVES_MAX];
    bool ending;
    struct snap_event on_stop;

    pthread_mutex_t lock; /* guards what follows */
    bool stopping;
    size_t send_count;    /* those that were asked for and have not ended */
    size_t receive_count; /* those that were let in and have not ended */
};

/* Sends what may go now. Returns when to come again, in ns from now. */
uint64_t snap_send_attend(struct snap_send *send, uint64_t now_ns);
void snap_send_cancel(struct snap_send *send);
void snap_receive_cancel(struct snap_receive *receive);

/* "12.3 MB in 45 ms, 270 MB/s" */
#define SNAP_SPEED_TEXT_MAX 80
const char *snap_speed_text(uint64_t bytes, uint64_t start_ns, char out[SNAP_SPEED_TEXT_MAX]);

#endif
