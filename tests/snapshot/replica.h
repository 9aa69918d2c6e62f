/* A data directory with its engines, tree, snapshot files and region thread, and
 * no Raft: what snapshots are made from and put into. */
#ifndef KEELFS_TESTS_SNAPSHOT_REPLICA_H
#define KEELFS_TESTS_SNAPSHOT_REPLICA_H

#include "raftstore/engine.h"
#include "raftstore/region_worker.h"
#include "raftstore/snap_files.h"
#include "raftstore/snapshot.h"
#include "raftstore/tree.h"
#include "scratch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLICA_REGION 1
#define REPLICA_TERM   7

struct replica {
    char dir[SCRATCH_PATH_MAX];
    struct engine *raft;
    struct engine *kv;
    struct tree *tree;
    struct snap_files *files;
    struct region_worker *worker;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t built;
    unsigned build_count; /* reports so far */
    struct raft_snapshot *snapshot;
    struct err error;
};

/* With the rows of a store of its own; `id` tells it from others. */
void replica_make(struct replica *r, uint64_t id);
void replica_remove(struct replica *r);
/* The engines, tree and thread of a directory that is there; `keep` as for
 * snap_files_open(). */
void replica_open(struct replica *r, const struct snap_id *keep);
void replica_close(struct replica *r);

/* --- data --- */

void replica_put(struct replica *r, enum engine_cf cf, const char *key, const char *value);
void replica_delete(struct replica *r, enum engine_cf cf, const char *key);
void replica_put_session(struct replica *r, uint64_t store_id, const char *value);
void replica_put_usage(struct replica *r, uint64_t files, uint64_t bytes);
/* Writes, overwrites and deletes `count` random rows in every column family. */
void replica_scribble(struct replica *r, uint64_t *seed, unsigned count);
bool replica_has(struct replica *r, enum engine_cf cf, const char *key);
/* Of the data as it is now. */
uint64_t replica_hash(struct replica *r);

/* --- snapshots --- */

/* Three voters; `id` is in the names. */
void replica_membership(uint64_t id, struct membership *ret_membership);
struct region_image replica_image(struct replica *r, uint64_t index);
/* Asks for a build and waits for the report: `r->snapshot` or `r->error`. */
void replica_build(struct replica *r, uint64_t index);
/* Waits until there have been so many reports. */
void replica_await_built(struct replica *r, unsigned count);
/* Lets go of the snapshot and of its files. */
void replica_drop_built(struct replica *r);

/* Copies the files of `from->snapshot` as if they had been received. */
void replica_receive(struct replica *r, struct replica *from, struct snapshot_meta *ret_meta);
struct snap_id replica_received_id(const struct snapshot_meta *meta);
/* What a node of term 9 that accepted the snapshot has to persist. */
struct raft_local_state replica_local(const struct snapshot_meta *meta);
/* Asserts that the rows around the data say that `meta` is in force. */
void replica_assert_installed(struct replica *r, const struct snapshot_meta *meta,
                              const struct raft_local_state *local);

#endif
