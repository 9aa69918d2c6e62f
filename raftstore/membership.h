/* Who belongs to the cluster: the region's peers with their parts in the
 * configuration, and the row of each store.
 *
 * Part of the replicated state: a function of the log. It changes with entries of
 * type CONF_CHANGE_V2, whose context is a keelfspb.MemberChange. Every node
 * judges an entry by membership_admits(), so all accept or refuse it alike. A
 * peer has the id of its store; peers and stores stand in the order of their ids.
 * Plain data, no owner.
 */
#ifndef KEELFS_RAFTSTORE_MEMBERSHIP_H
#define KEELFS_RAFTSTORE_MEMBERSHIP_H

#include "raft/raft.h"
#include "raftstore/err.h"
#include "raftstore/states.h"
#include "raftstore/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct membership {
    struct region region;
    size_t store_count; /* = region.peer_count once the region has peers */
    struct store_member stores[STORE_MEMBERS_MAX];
};

/* From the rows of `kv`. */
int membership_load(struct engine *kv, uint64_t region_id, struct membership *ret_membership,
                    struct err *e);
/* Puts the rows into `batch`, replacing those of before, in the engine and in the
 * batch. The peer is in state PEER_NORMAL then. */
void membership_save(struct engine *kv, struct engine_batch *batch,
                     const struct membership *membership);

const struct store_member *membership_find(const struct membership *membership, uint64_t store_id);
const struct store_member *membership_find_name(const struct membership *membership,
                                                const char *name);
/* MEMBER_* bits; 0: no member. */
uint32_t membership_role(const struct membership *membership, uint64_t store_id);
/* Was a member and is none: its id is below the next one to give. */
bool membership_has_removed(const struct membership *membership, uint64_t store_id);
bool membership_is_joint(const struct membership *membership);
size_t membership_voter_count(const struct membership *membership);
/* Voters, and learners that are to be voters without taking anybody's place: this is
 * what STORE_VOTERS_MAX limits, so that no promotion comes to nothing. */
size_t membership_voter_count_ahead(const struct membership *membership);

void membership_conf_state(const struct membership *membership, struct raft_conf_state *ret_conf);

/* What the context of an entry says. */
struct member_change {
    uint64_t request_id;
    size_t store_count;
    struct store_member stores[STORE_MEMBERS_MAX];
};

/* The change that carries out `op` (not MEMBER_REPLACE's second half, see below), or
 * the reason why it cannot be: KE_INVALID, KE_EXISTS, KE_NOT_FOUND, KE_BUSY while
 * the configuration is joint, KE_WIPED for a joiner whose name belongs to another
 * data directory. KE_OK with `ret_change->change_count` 0 when all is as wanted
 * already. `*ret_store_id` is the member's. The context of `*ret_change` is
 * malloc'ed. */
int membership_plan(const struct membership *membership, const struct member_op *op,
                    uint64_t request_id, struct raft_conf_change *ret_change,
                    uint64_t *ret_store_id, struct err *e);
/* Makes learner `store_id` a voter; of one that replaces another, removes that one
 * in the same joint change. */
void membership_plan_promotion(const struct membership *membership, uint64_t store_id,
                               uint64_t request_id, struct raft_conf_change *ret_change);
/* Puts these rows (data ids, addresses) on record; configuration stays. */
void membership_plan_update(const struct store_member *stores, size_t count, uint64_t request_id,
                            struct raft_conf_change *ret_change);

/* Whether a committed change may happen: ids known or next in line, names and
 * addresses distinct, limits kept, at least one voter left. Otherwise the change
 * is turned down, by all alike. `*ret_what` gets the context. */
bool membership_admits(const struct membership *membership, const struct raft_conf_change *change,
                       struct member_change *ret_what);
/* Carries it out: `conf` is what raft made of it. One that was turned down but is in
 * force in the core all the same, with no ids in it, has no rows in `what`. */
void membership_apply(struct membership *membership, const struct member_change *what,
                      const struct raft_conf_state *conf);
/* Both where no core is at hand: for one who reads a log that nobody runs. False: the
 * change is turned down. */
bool membership_follow(struct membership *membership, const struct raft_conf_change *change);

#endif
