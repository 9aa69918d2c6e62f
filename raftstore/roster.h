/* Who the members are and how stores have introduced themselves: what the network
 * threads need of the membership. Any thread.
 */
#ifndef KEELFS_RAFTSTORE_ROSTER_H
#define KEELFS_RAFTSTORE_ROSTER_H

#include "raftstore/err.h"
#include "raftstore/membership.h"
#include "raftstore/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct roster;

struct roster *roster_new(const struct membership *membership);
void roster_free(struct roster *roster); /* NULL is fine */

/* Stores that were members, or had introduced themselves, and have been removed. */
struct roster_change {
    size_t gone_count;
    uint64_t gone[2 * STORE_MEMBERS_MAX];
};
void roster_set(struct roster *roster, const struct membership *membership,
                struct roster_change *ret_change);

/* A store wants to talk. 0, and its words are kept; KE_REMOVED; KE_WIPED when the
 * cluster knows it by another data directory. One that is unknown here may be new:
 * this node can be behind. */
int roster_admit(struct roster *roster, const struct transport_identity *from, struct err *e);

/* What the store said last; false when it has not been here. `ret_address` has
 * STORE_ADDRESS_MAX + 1 bytes: where it says it should be reached, "" when it does not. */
bool roster_introduced(struct roster *roster, uint64_t store_id, uint64_t *ret_data_id,
                       char *ret_address);

/* Of a member as recorded, of another store as it said; false when unknown. */
bool roster_address(struct roster *roster, uint64_t store_id, char *ret_address);

void roster_members(struct roster *roster, struct store_member *members, size_t *ret_count);

#endif
