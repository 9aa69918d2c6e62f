/* The persisted states of a store and its regions as plain structs, and their
 * rows (raft_serverpb messages under the keys of keys.h).
 *
 * Loading: KE_NOT_FOUND when the row is absent, KE_CORRUPT when it does not
 * parse. Saving puts a row into a batch.
 */
#ifndef KEELFS_RAFTSTORE_STATES_H
#define KEELFS_RAFTSTORE_STATES_H

#include "raft/raft.h"
#include "raftstore/engine.h"
#include "raftstore/err.h"
#include "raftstore/store.h"

#include <stdint.h>

/* A fresh region starts behind this entry, which no log holds. */
#define RAFT_INIT_LOG_INDEX 5
#define RAFT_INIT_LOG_TERM  5

/* RaftLocalState, instance raft: written with every append. */
struct raft_local_state {
    struct raft_hard_state hard_state;
    uint64_t last_index;
    uint64_t last_term;
};
int raft_local_state_load(struct engine *raft, uint64_t region_id,
                          struct raft_local_state *ret_state, struct err *e);
void raft_local_state_save(struct engine *raft, struct engine_batch *batch, uint64_t region_id,
                           const struct raft_local_state *state);

/* RaftApplyState, instance kv: written with the data it describes. */
struct apply_state {
    uint64_t applied_index;
    uint64_t applied_term;
    uint64_t truncated_index; /* the log begins behind it */
    uint64_t truncated_term;
    uint64_t revision;
};
int apply_state_load(struct engine *kv, uint64_t region_id, struct apply_state *ret_state,
                     struct err *e);
void apply_state_save(struct engine *kv, struct engine_batch *batch, uint64_t region_id,
                      const struct apply_state *state);

/* RegionLocalState, instance kv. A region without peers belongs to a store that has
 * joined and waits for its first snapshot. */
enum peer_state { PEER_NORMAL, PEER_APPLYING, PEER_TOMBSTONE };
struct region {
    uint64_t id;
    uint64_t conf_ver;
    uint64_t version;
    bool auto_leave;
    uint64_t next_store_id; /* smaller ones that are no members have been removed */
    size_t peer_count;
    struct region_peer {
        uint64_t peer_id;
        uint64_t store_id;
        uint32_t role; /* MEMBER_* bits */
    } peers[STORE_MEMBERS_MAX];
};
/* A snapshot that is being applied: the fields of its struct raft_snapshot. */
struct applying {
    uint64_t index;
    uint64_t term;
    uint8_t *data; /* malloc'ed */
    size_t size;
};
/* `*ret_applying` is filled in state PEER_APPLYING only. */
int region_load(struct engine *kv, uint64_t region_id, enum peer_state *ret_state,
                struct region *ret_region, struct applying *ret_applying, struct err *e);
/* `applying`: in state PEER_APPLYING only, else NULL. */
void region_save(struct engine *kv, struct engine_batch *batch, enum peer_state state,
                 const struct region *region, const struct applying *applying);
const struct region_peer *region_find_peer(const struct region *region, uint64_t peer_id);

/* StoreIdent, instance kv: who the data directory belongs to. */
struct store_ident {
    uint64_t cluster_id;
    uint64_t store_id;
    uint64_t incarnation; /* of the last start: grows, and never comes twice */
    uint64_t data_id;     /* of the data directory: random, never 0 */
    char name[STORE_NAME_MAX + 1];
};
int store_ident_load(struct engine *kv, struct store_ident *ret_ident, struct err *e);
void store_ident_save(struct engine *kv, struct engine_batch *batch,
                      const struct store_ident *ident);
/* The identity to come: of a directory that asks to join, its data id alone; of one
 * that is being recovered, the new one beside the old. Gone once it is in force. */
int store_ident_load_prepared(struct engine *kv, struct store_ident *ret_ident, struct err *e);
void store_ident_save_prepared(struct engine *kv, struct engine_batch *batch,
                               const struct store_ident *ident);
void store_ident_delete_prepared(struct engine *kv, struct engine_batch *batch);

/* metapb.Store rows, instance kv: the members and where they are reached. */
int members_load(struct engine *kv, struct store_member *members, size_t *ret_count, struct err *e);
void member_save(struct engine *kv, struct engine_batch *batch, const struct store_member *member);

#endif
