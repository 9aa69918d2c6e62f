/* struct region and struct store_member as the metapb messages that stand in rows
 * and in snapshots.
 *
 * Packing borrows: the message points into what it was made from and into the
 * caller's storage, so that nothing is allocated. Any thread may call.
 */
#ifndef KEELFS_RAFTSTORE_REGION_PB_H
#define KEELFS_RAFTSTORE_REGION_PB_H

#include "raftstore/states.h"
#include "raftstore/store.h"

#include "metapb.pb-c.h"

#include <stdbool.h>

/* A metapb.Region and what it points to; not to be copied. */
struct region_pb {
    Metapb__Region message;
    Metapb__RegionEpoch epoch;
    Metapb__Peer peers[STORE_MEMBERS_MAX];
    Metapb__Peer *peer_pointers[STORE_MEMBERS_MAX];
};

void region_pb_fill(struct region_pb *pb, const struct region *region);
/* False when it breaks a limit, names a peer twice or gives one an impossible role.
 * `message` may be NULL: false. */
bool region_pb_parse(const Metapb__Region *message, struct region *ret_region);

/* Strings are borrowed from `member`. */
void member_pb_fill(Metapb__Store *message, const struct store_member *member);
/* False when it has no id or a text is too long. */
bool member_pb_parse(const Metapb__Store *message, struct store_member *ret_member);

#endif
