#include "raftstore/states.h"

#include "raftstore/keys.h"
#include "raftstore/memory.h"
#include "raftstore/region_pb.h"

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

static int applying_from_row(const RaftServerpb__ApplyingSnapshot *row,
                             struct applying *ret_applying, struct err *e)
{
    if (row == NULL || row->index == 0)
        return err_set(e, KE_CORRUPT, "RegionLocalState does not say which snapshot is applied");
    *ret_applying = (struct applying){
        .index = row->index,
        .term = row->term,
        .data = mem_dup(row->data.data, row->data.len),
        .size = row->data.len,
    };
    return 0;
}

static int region_from_row(const RaftServerpb__RegionLocalState *row, enum peer_state *ret_state,
                           struct region *ret_region, struct applying *ret_applying, struct err *e)
{
    struct region region;
    if (!region_pb_parse(row->region, &region))
        return err_set(e, KE_CORRUPT, "RegionLocalState describes no valid region");
    enum peer_state state;
    switch (row->state) {
    case RAFT_SERVERPB__PEER_STATE__Normal:
        state = PEER_NORMAL;
        break;
    case RAFT_SERVERPB__PEER_STATE__Applying:
        state = PEER_APPLYING;
        break;
    case RAFT_SERVERPB__PEER_STATE__Tombstone:
        state = PEER_TOMBSTONE;
        break;
    default:
        return err_set(e, KE_CORRUPT, "RegionLocalState has an unknown state, %d", (int)row->state);
    }
    if (state == PEER_APPLYING) {
        int rc = applying_from_row(row->applying, ret_applying, e);
        if (rc != 0)
            return rc;
    }
    *ret_state = state;
    *ret_region = region;
    return 0;
}

int region_load(struct engine *kv, uint64_t region_id, enum peer_state *ret_state,
                struct region *ret_region, struct applying *ret_applying, struct err *e)
{
    struct key key = key_region_state(region_id);
    ProtobufCMessage *message = NULL;
    int rc =
        state_get(kv, CF_META, &key, &raft_serverpb__region_local_state__descriptor, &message, e);
    if (rc != 0)
        return rc;
    assert(message != NULL);
    RaftServerpb__RegionLocalState *row = (RaftServerpb__RegionLocalState *)message;
    rc = region_from_row(row, ret_state, ret_region, ret_applying, e);
    protobuf_c_message_free_unpacked(message, NULL);
    return rc;
}

static const RaftServerpb__PeerState state_numbers[] = {
    [PEER_NORMAL] = RAFT_SERVERPB__PEER_STATE__Normal,
    [PEER_APPLYING] = RAFT_SERVERPB__PEER_STATE__Applying,
    [PEER_TOMBSTONE] = RAFT_SERVERPB__PEER_STATE__Tombstone,
};

void region_save(struct engine *kv, struct engine_batch *batch, enum peer_state state,
                 const struct region *region, const struct applying *applying)
{
    assert((state == PEER_APPLYING) == (applying != NULL));
    struct region_pb pb;
    region_pb_fill(&pb, region);
    RaftServerpb__RegionLocalState row = RAFT_SERVERPB__REGION_LOCAL_STATE__INIT;
    row.state = state_numbers[state];
    row.region = &pb.message;
    RaftServerpb__ApplyingSnapshot snapshot = RAFT_SERVERPB__APPLYING_SNAPSHOT__INIT;
    if (applying != NULL) {
        snapshot.index = applying->index;
        snapshot.term = applying->term;
        snapshot.data.data = applying->data;
        snapshot.data.len = applying->size;
        row.applying = &snapshot;
    }
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

static int ident_get(struct engine *kv, const struct key *key, struct store_ident *ret_ident,
                     struct err *e)
{
    ProtobufCMessage *message = NULL;
    int rc = state_get(kv, CF_META, key, &raft_serverpb__store_ident__descriptor, &message, e);
    if (rc != 0)
        return rc;
    assert(message != NULL);
    RaftServerpb__StoreIdent *row = (RaftServerpb__StoreIdent *)message;
    *ret_ident = (struct store_ident){
        .cluster_id = row->cluster_id,
        .store_id = row->store_id,
        .incarnation = row->incarnation,
        .data_id = row->data_id,
    };
    snprintf(ret_ident->name, sizeof(ret_ident->name), "%s", row->name);
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}

static void ident_put(struct engine *kv, struct engine_batch *batch, const struct key *key,
                      const struct store_ident *ident)
{
    RaftServerpb__StoreIdent row = RAFT_SERVERPB__STORE_IDENT__INIT;
    row.cluster_id = ident->cluster_id;
    row.store_id = ident->store_id;
    row.incarnation = ident->incarnation;
    row.data_id = ident->data_id;
    row.name = (char *)ident->name;
    state_put(kv, batch, CF_META, key, &row.base);
}

int store_ident_load(struct engine *kv, struct store_ident *ret_ident, struct err *e)
{
    struct key key = key_store_ident();
    return ident_get(kv, &key, ret_ident, e);
}

void store_ident_save(struct engine *kv, struct engine_batch *batch,
                      const struct store_ident *ident)
{
    struct key key = key_store_ident();
    ident_put(kv, batch, &key, ident);
}

int store_ident_load_prepared(struct engine *kv, struct store_ident *ret_ident, struct err *e)
{
    struct key key = key_prepare_bootstrap();
    return ident_get(kv, &key, ret_ident, e);
}

void store_ident_save_prepared(struct engine *kv, struct engine_batch *batch,
                               const struct store_ident *ident)
{
    struct key key = key_prepare_bootstrap();
    ident_put(kv, batch, &key, ident);
}

void store_ident_delete_prepared(struct engine *kv, struct engine_batch *batch)
{
    struct key key = key_prepare_bootstrap();
    engine_batch_delete(batch, kv, CF_META, key_bytes(&key));
}

/* --- members --- */

static int member_from_row(struct bytes value, struct store_member *ret_member, struct err *e)
{
    Metapb__Store *row = metapb__store__unpack(NULL, value.size, value.data);
    if (row == NULL)
        return err_set(e, KE_CORRUPT, "the list of members is damaged");
    bool parsed = member_pb_parse(row, ret_member);
    metapb__store__free_unpacked(row, NULL);
    return parsed ? 0 : err_set(e, KE_CORRUPT, "the list of members is damaged");
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
    Metapb__Store row;
    member_pb_fill(&row, member);
    struct key key = key_member(member->id);
    state_put(kv, batch, CF_META, &key, &row.base);
}
