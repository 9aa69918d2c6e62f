/* The snap thread: carries snapshots between stores, by calls of
 * tinykvpb.TinyKv/Snapshot on connections of their own.
 *
 * Sender: opens the files of a SNAPSHOT message, sends the message in the first
 * chunk and the bytes in chunks of SNAP_CHUNK_SIZE, each with its checksum, files
 * one after another in the order of their column families; never faster than the
 * rate, one chunk on its way at a time and one read ahead; gives up at a deadline that
 * grows with the size. Receiver: checks who sends (as for raft messages), writes to
 * temporary files, checks each chunk and each file, makes them durable, and only then
 * delivers the message. All file work is on this thread, and the loop's only puts
 * gRPC's events into its mailbox, so that messages and heartbeats never wait for a
 * disk.
 */
#ifndef KEELFS_RAFTSTORE_SNAP_RUNNER_H
#define KEELFS_RAFTSTORE_SNAP_RUNNER_H

#include "raft/raft.h"
#include "raftstore/rpc_loop.h"
#include "raftstore/rpc_server.h"
#include "raftstore/snap_files.h"
#include "raftstore/transport.h"
#include "raftstore/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define SNAP_CHUNK_SIZE   (1u << 20)
#define SNAP_SENDS_MAX    2
#define SNAP_RECEIVES_MAX 2
/* A transfer may take this long and a second for each SNAP_SLOWEST bytes. */
#define SNAP_DEADLINE_MS   30000
#define SNAP_SLOWEST_BYTES (1u << 20)

struct snap_runner;

struct snap_runner_config {
    struct rpc_loop *loop; /* borrowed */
    struct snap_files *files;
    /* Who this is, for the metadata of the calls; as the transport's. */
    struct transport_identity identity;
    uint64_t rate_bytes; /* a second, all sends together; 0: no limit */
    /* The sending of a snapshot to that store ended, once for each
     * snap_runner_send(). Must not block. */
    void (*sent)(void *ctx, uint64_t to_store, bool succeeded);
    /* A snapshot is here, whole and durable. `*message` is taken; the callee also
     * gets a reference of SNAP_RECEIVED to its files. Must not block. */
    void (*deliver)(void *ctx, const struct wire_envelope *envelope, struct raft_message *message);
    void *ctx;
};

struct snap_runner *snap_runner_start(const struct snap_runner_config *config);
/* Ends all transfers, each with its report; call before rpc_server_stop() so that none
 * is left there. */
void snap_runner_stop(struct snap_runner *runner); /* NULL is fine */
void snap_runner_free(struct snap_runner *runner); /* after rpc_server_free() */

/* Sends the snapshot of `message` (SNAPSHOT; copied) to a store at `address`. Too many
 * at once, or files that are gone: `sent` says false, before this returns if need be.
 * Any thread. */
void snap_runner_send(struct snap_runner *runner, const char *address,
                      const struct wire_envelope *envelope, const struct raft_message *message);

/* --- for the server (snap_receive.c) --- */

#define SNAP_METHOD "/tinykvpb.TinyKv/Snapshot"
/* Has gRPC wait for one call, and for the next when it comes. */
void snap_receive_expect(struct rpc_server *server, void *handle);

#endif
