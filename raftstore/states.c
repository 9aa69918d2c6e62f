#include "raftstore/states.h"

#include "raftstore/keys.h"
#include "raftstore/memory.h"

#include "metapb.pb-c.h"
#include "raft_serverpb.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void state_put(struct engine *engine, struct engine_batch *batch, enum engine_cf cf,
                      const struct key *key, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = mem_alloc(size + 1);
    protobuf_c_message_pack(message, packed);
    engine_batch_put(batch, engine, cf, key_bytes(key), (struct bytes){packed, size});
    free(packed);
}

/* The parsed row, to be freed with protobuf_c_message_free_unpacked(). */
static int state_get(struct engine *engine, enum engine_cf cf, const struct key *key,
                     const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_message,
                     struct err *e)
{
    uint8_t *value;
    size_t size;
    int rc = engine_get(engine, NULL, cf, key_bytes(key), &value, &size);
    if (rc != 0)
        return err_set(e, rc, "%s cannot be read: %s", type->short_name, ke_text(rc));
    *ret_message = protobuf_c_message_unpack(type, NULL, size, value);
    free(value);
    if (*ret_message == NULL)
        return err_set(e, KE_CORRUPT, "%s is damaged", type->short_name);
    return 0;
}

/* --- RaftLocalState --- */

int raft_local_state_load(struct engine *raft, uint64_t region_id,
                          struct raft_local_state *ret_state, struct err *e)
{
    struct key key = key_raft_state(region_id);
    ProtobufCMessage *message = NULL;
    int rc = state_get(raft, CF_DEFAULT, &key, &raft_serverpb__raft_local_state__descriptor,
                       &message, e);
    if (rc != 0)
        return rc;
    assert(message != NULL);
    RaftServerpb__RaftLocalState *row = (RaftServerpb__RaftLocalState *)message;
    *ret_state = (struct raft_local_state){
        .last_index = row->last_index,
        .last_term = row->last_term,
    };
    if (row->hard_state != NULL)
        ret_state->hard_state = (struct raft_hard_state){
            .term = row->hard_state->term,
            .vote = row->hard_state->vote,
            .commit = row->hard_state->commit,
        };
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}

void raft_local_state_save(struct engine *raft, struct engine_batch *batch, uint64_t region_id,
                           const struct raft_local_state *state)
{
    Eraftpb__HardState hard = ERAFTPB__HARD_STATE__INIT;
    hard.term = state->hard_state.term;
    hard.vote = state->hard_state.vote;
    hard.commit = state->hard_state.commit;
    RaftServerpb__RaftLocalState row = RAFT_SERVERPB__RAFT_LOCAL_STATE__INIT;
    row.hard_state = &hard;
    row.last_index = state->last_index;
    row.last_term = state->last_term;
    struct key key = key_raft_state(region_id);
    state_put(raft, batch, CF_DEFAULT, &key, &row.base);
}

/* --- RaftApplyState --- */

int apply_state_load(struct engine *kv, uint64_t region_id, struct apply_state *ret_state,
                     struct err *e)
{
    struct key key = key_apply_state(region_id);
    ProtobufCMessage *message = NULL;
    int rc =
        state_get(kv, CF_META, &key, &raft_serverpb__raft_apply_state__descriptor, &message, e);
    if (rc != 0)
        return rc;
    assert(message != NULL);
    RaftServerpb__RaftApplyState *row = (RaftServerpb__RaftApplyState *)message;
    *ret_state = (struct apply_state){
        .applied_index = row->applied_index,
        .applied_term = row->applied_term,
        .revision = row->revision,
    };
    if (row->truncated_state != NULL) {
        ret_state->truncated_index = row->truncated_state->index;
        ret_state->truncated_term = row->truncated_state->term;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}

void apply_state_save(struct engine *kv, struct engine_batch *batch, uint64_t region_id,
                      const struct apply_state *state)
{
    RaftServerpb__RaftTruncatedState truncated = RAFT_SERVERPB__RAFT_TRUNCATED_STATE__INIT;
    truncated.index = state->truncated_index;
    truncated.term = state->truncated_term;
    RaftServerpb__RaftApplyState row = RAFT_SERVERPB__RAFT_APPLY_STATE__INIT;
    row.applied_index = state->applied_index;
    row.applied_term = state->applied_term;
    row.revision = state->revision;
    row.truncated_state = &truncated;
    struct key key = key_apply_state(region_id);
    state_put(kv, batch, CF_META, &key, &row.base);
}

/* --- RegionLocalState --- */

static int region_from_row(const Metapb__Region *row, struct region *ret_region, struct err *e)
{
    if (row == NULL || row->n_peers == 0 || row->n_peers > STORE_MEMBERS_MAX)
        return err_set(e, KE_CORRUPT, "RegionLocalState names no or too many peers");
    *ret_region = (struct region){.id = row->id, .peer_count = row->n_peers};
    if (row->region_epoch != NULL) {
        ret_region->conf_ver = row->region_epoch->conf_ver;
        ret_region->version = row->region_epoch->version;
    }
    for (size_t i = 0; i < row->n_peers; i++)
        ret_region->peers[i] = (struct region_peer){
            .peer_id = row->peers[i]->id,
            .store_id = row->peers[i]->store_id,
        };
    return 0;
}

int region_load(struct engine *kv, uint64_t region_id, struct region *ret_region, struct err *e)
{
    struct key key = key_region_state(region_id);
    ProtobufCMessage *message = NULL;
    int rc =
        state_get(kv, CF_META, &key, &raft_serverpb__region_local_state__descriptor, &message, e);
    if (rc != 0)
        return rc;
    assert(message != NULL);
    RaftServerpb__RegionLocalState *row = (RaftServerpb__RegionLocalState *)message;
    rc = region_from_row(row->region, ret_region, e);
    protobuf_c_message_free_unpacked(message, NULL);
    return rc;
}

void region_save(struct engine *kv, struct engine_batch *batch, const struct region *region)
{
    assert(region->peer_count <= STORE_MEMBERS_MAX);
    Metapb__Peer peers[STORE_MEMBERS_MAX];
    Metapb__Peer *peer_pointers[STORE_MEMBERS_MAX];
    for (size_t i = 0; i < region->peer_count; i++) {
        metapb__peer__init(&peers[i]);
        peers[i].id = region->peers[i].peer_id;
        peers[i].store_id = region->peers[i].store_id;
        peer_pointers[i] = &peers[i];
    }
    Metapb__RegionEpoch epoch = METAPB__REGION_EPOCH__INIT;
    epoch.conf_ver = region->conf_ver;
    epoch.version = region->version;
    Metapb__Region meta = METAPB__REGION__INIT;
    meta.id = region->id;
    meta.region_epoch = &epoch;
    meta.n_peers = region->peer_count;
    meta.peers = peer_pointers;
    RaftServerpb__RegionLocalState row = RAFT_SERVERPB__REGION_LOCAL_STATE__INIT;
    row.state = RAFT_SERVERPB__PEER_STATE__Normal;
    row.region = &meta;
    struct key key = key_region_state(region->id);
    state_put(kv, batch, CF_META, &key, &row.base);
}

const struct region_peer *region_find_peer(const struct region *region, uint64_t peer_id)
{
    for (size_t i = 0; i < region->peer_count; i++) {
        if (region->peers[i].peer_id == peer_id)
            return &region->peers[i];
    }
    return NULL;
}

/* --- StoreIdent --- */

int store_ident_load(struct engine *kv, struct store_ident *ret_ident, struct err *e)
{
    struct key key = key_store_ident();
    ProtobufCMessage *message = NULL;
    int rc = state_get(kv, CF_META, &key, &raft_serverpb__store_ident__descriptor, &message, e);
    if (rc != 0)
        return rc;
    assert(message != NULL);
    RaftServerpb__StoreIdent *row = (RaftServerpb__StoreIdent *)message;
    *ret_ident = (struct store_ident){
        .cluster_id = row->cluster_id,
        .store_id = row->store_id,
        .incarnation = row->incarnation,
    };
    snprintf(ret_ident->name, sizeof(ret_ident->name), "%s", row->name);
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}

void store_ident_save(struct engine *kv, struct engine_batch *batch,
                      const struct store_ident *ident)
{
    RaftServerpb__StoreIdent row = RAFT_SERVERPB__STORE_IDENT__INIT;
    row.cluster_id = ident->cluster_id;
    row.store_id = ident->store_id;
    row.incarnation = ident->incarnation;
    row.name = (char *)ident->name;
    struct key key = key_store_ident();
    state_put(kv, batch, CF_META, &key, &row.base);
}

/* --- members --- */

static int member_from_row(struct bytes value, struct store_member *ret_member, struct err *e)
{
    Metapb__Store *row = metapb__store__unpack(NULL, value.size, value.data);
    if (row == NULL)
        return err_set(e, KE_CORRUPT, "the list of members is damaged");
    *ret_member = (struct store_member){.id = row->id};
    snprintf(ret_member->name, sizeof(ret_member->name), "%s", row->name);
    snprintf(ret_member->address, sizeof(ret_member->address), "%s", row->address);
    metapb__store__free_unpacked(row, NULL);
    return 0;
}

int members_load(struct engine *kv, struct store_member *members, size_t *ret_count, struct err *e)
{
    struct key from = key_member(0);
    struct key to = key_member(UINT64_MAX);
    struct engine_iterator *it = engine_iterator_new(kv, NULL, NULL, CF_META, key_bytes(&to));
    size_t count = 0;
    int rc = 0;
    engine_iterator_seek(it, key_bytes(&from));
    for (; rc == 0 && engine_iterator_valid(it); engine_iterator_next(it)) {
        if (count == STORE_MEMBERS_MAX) {
            rc = err_set(e, KE_CORRUPT, "more than %d members are recorded", STORE_MEMBERS_MAX);
            break;
        }
        rc = member_from_row(engine_iterator_value(it), &members[count], e);
        count++;
    }
    if (rc == 0 && engine_iterator_status(it) != 0)
        rc = err_set(e, engine_iterator_status(it), "the list of members cannot be read");
    engine_iterator_free(it);
    if (rc == 0)
        *ret_count = count;
    return rc;
}

void member_save(struct engine *kv, struct engine_batch *batch, const struct store_member *member)
{
    Metapb__Store row = METAPB__STORE__INIT;
    row.id = member->id;
    row.state = METAPB__STORE_STATE__Up;
    row.name = (char *)member->name;
    row.address = (char *)member->address;
    struct key key = key_member(member->id);
    state_put(kv, batch, CF_META, &key, &row.base);
}
