/* Two stores that send snapshots to each other over loopback: files, runners and a
 * server, and what they report. */
#ifndef KEELFS_TESTS_NET_SNAP_RIG_H
#define KEELFS_TESTS_NET_SNAP_RIG_H

#include "raftstore/snap_runner.h"

#include "inbox.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNAP_RIG_DIR_MAX 64
#define SNAP_RIG_TERM    6

struct snap_side {
    char dir[SNAP_RIG_DIR_MAX];
    bool own_dir;
    struct snap_files *files;
    struct snap_runner *runner;
};

struct snap_rig {
    struct inbox *inbox; /* what the receiver delivered */
    struct snap_side from;
    struct snap_side to; /* store 1, at */
    struct rpc_server *server;
    char address[INBOX_ADDRESS_MAX];

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned succeeded; /* reports of the sender so far */
    unsigned failed;
};

/* `rate_bytes` is the sender's, 0: none. */
struct snap_rig *snap_rig_open(uint64_t rate_bytes);
/* The same, the receiver's data directory being `to_dir`. */
struct snap_rig *snap_rig_open_at(uint64_t rate_bytes, const char *to_dir);
void snap_rig_close(struct snap_rig *rig);
/* Ends the receiving half, or the sending one; snap_rig_close() does the rest. */
void snap_rig_stop_receiver(struct snap_rig *rig);
void snap_rig_stop_sender(struct snap_rig *rig);

/* A message from 2 to 1, index `index`, with files of `sizes` random bytes, which are
 * made at the sender. They go with snap_rig_forget(). */
void snap_rig_make(struct snap_rig *rig, uint64_t index, const uint64_t sizes[CF_COUNT],
                   struct raft_message *ret_message, struct wire_envelope *ret_envelope);
void snap_rig_forget(struct snap_rig *rig, struct raft_message *message);
struct snap_id snap_rig_id(enum snap_kind kind, uint64_t index);

/* How many sends have been reported. */
unsigned snap_rig_reports(struct snap_rig *rig);
/* Waits until that many sends have been reported, in all. */
void snap_rig_await(struct snap_rig *rig, unsigned reports);
/* Makes, sends, waits for the report, forgets; whether the sender calls it a success. */
bool snap_rig_send(struct snap_rig *rig, uint64_t index, const uint64_t sizes[CF_COUNT]);

/* Whether the receiver's files are those of the sender, byte for byte. */
bool snap_rig_equal(struct snap_rig *rig, uint64_t index, const uint64_t sizes[CF_COUNT]);
/* Waits until no file is left in that directory, for what ends by itself. */
void snap_rig_await_empty(const struct snap_side *side);
unsigned snap_rig_file_count(const struct snap_side *side);

#endif
