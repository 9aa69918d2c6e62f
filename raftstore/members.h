/* The list of initial members as a person writes it, and what follows from it.
 *
 *     n1=10.0.0.1:20160,n2=10.0.0.2:20160,n3=10.0.0.3:20160
 *
 * Every node of a new cluster gets the same list and derives from it, without
 * talking to anybody, the same ids (rank by name, from 1) and the same cluster
 * id (a hash of the sorted list).
 */
#ifndef KEELFS_RAFTSTORE_MEMBERS_H
#define KEELFS_RAFTSTORE_MEMBERS_H

#include "raftstore/err.h"
#include "raftstore/store.h"

#include <stddef.h>
#include <stdint.h>

/* Fills `members` (room for STORE_MEMBERS_MAX) in the order of their ids; all will be
 * voters, so there are STORE_VOTERS_MAX at most.
 * KE_INVALID says what is wrong with the text. */
int members_parse(const char *text, struct store_member *members, size_t *ret_count, struct err *e);

/* The id of the cluster these members found; never 0. */
uint64_t members_cluster_id(const struct store_member *members, size_t count);

/* NULL when there is none of that name. */
const struct store_member *members_find_name(const struct store_member *members, size_t count,
                                             const char *name);

/* Letters, digits, '.', '-' and '_'; 1 to STORE_NAME_MAX. */
int member_check_name(const char *name, struct err *e);
/* "host:port" with a port from 1 to 65535. */
int member_check_address(const char *address, struct err *e);

#endif
