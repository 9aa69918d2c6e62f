#include "raftstore/region_pb.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* --- region --- */

void region_pb_fill(struct region_pb *pb, const struct region *region)
{
    assert(region->peer_count <= STORE_MEMBERS_MAX);
    metapb__region__init(&pb->message);
    metapb__region_epoch__init(&pb->epoch);
    pb->epoch.conf_ver = region->conf_ver;
    pb->epoch.version = region->version;
    for (size_t i = 0; i < region->peer_count; i++) {
        metapb__peer__init(&pb->peers[i]);
        pb->peers[i].id = region->peers[i].peer_id;
        pb->peers[i].store_id = region->peers[i].store_id;
        pb->peers[i].role = region->peers[i].role;
        pb->peer_pointers[i] = &pb->peers[i];
    }
    pb->message.id = region->id;
    pb->message.region_epoch = &pb->epoch;
    pb->message.n_peers = region->peer_count;
    pb->message.peers = pb->peer_pointers;
    pb->message.auto_leave = region->auto_leave;
    pb->message.next_store_id = region->next_store_id;
}

/* A voter may be one in both halves of a joint configuration; only an outgoing voter
 * becomes a learner at its end. */
static bool is_role(uint32_t role)
{
    return role == MEMBER_VOTER || role == MEMBER_VOTER_OUTGOING ||
           role == (MEMBER_VOTER | MEMBER_VOTER_OUTGOING) || role == MEMBER_LEARNER ||
           role == (MEMBER_VOTER_OUTGOING | MEMBER_LEARNER_NEXT);
}

static bool parse_peer(const Metapb__Peer *message, struct region *region)
{
    uint32_t role = message->role != 0 ? message->role : MEMBER_VOTER;

    if (message->id == 0 || message->store_id == 0 || !is_role(role) ||
        region_find_peer(region, message->id) != NULL) {
        return false;
    }
    region->peers[region->peer_count++] = (struct region_peer){
        .peer_id = message->id,
        .store_id = message->store_id,
        .role = role,
    };
    return true;
}

bool region_pb_parse(const Metapb__Region *message, struct region *ret_region)
{
    struct region region;

    if (message == NULL || message->id == 0 || message->n_peers > STORE_MEMBERS_MAX) {
        return false;
    }
    region = (struct region){
        .id = message->id,
        .auto_leave = message->auto_leave,
        .next_store_id = message->next_store_id,
    };
    if (message->region_epoch != NULL) {
        region.conf_ver = message->region_epoch->conf_ver;
        region.version = message->region_epoch->version;
    }
    for (size_t i = 0; i < message->n_peers; i++) {
        if (!parse_peer(message->peers[i], &region)) {
            return false;
        }
    }
    *ret_region = region;
    return true;
}

/* --- store --- */

void member_pb_fill(Metapb__Store *message, const struct store_member *member)
{
    metapb__store__init(message);
    message->id = member->id;
    message->state = METAPB__STORE_STATE__Up;
    /* protobuf-c has no const strings; packing only reads them. */
    message->name = (char *)member->name;
    message->address = (char *)member->address;
    message->data_id = member->data_id;
    message->promote = member->promote;
    message->replaces = member->replaces;
}

bool member_pb_parse(const Metapb__Store *message, struct store_member *ret_member)
{
    size_t name_size = strlen(message->name);
    size_t address_size = strlen(message->address);

    if (message->id == 0 || name_size > STORE_NAME_MAX || address_size > STORE_ADDRESS_MAX) {
        return false;
    }
    *ret_member = (struct store_member){
        .id = message->id,
        .data_id = message->data_id,
        .promote = message->promote,
        .replaces = message->replaces,
    };
    memcpy(ret_member->name, message->name, name_size);
    memcpy(ret_member->address, message->address, address_size);
    return true;
}
