/* Stands in for raftstore/store.h under the calls that change members and compare
 * replicas: the test says what a node answers, and sees what it was asked. Calls are
 * for the test's thread.
 */
#ifndef KEELFS_TESTS_TOOLS_FAKE_CLUSTER_H
#define KEELFS_TESTS_TOOLS_FAKE_CLUSTER_H

#include "raftstore/store.h"

#include <stdint.h>

/* A follower without a leader, store 1 of a cluster of its own. */
struct store *fake_node_new(void);
void fake_node_free(struct store *store);

/* What store_status() shows. */
void fake_node_set_status(struct store *store, const struct store_status *status);
/* What a change of members ends with, and the words for it. KE_NOT_LEADER: with
 * `leader_address`. */
void fake_node_set_answer(struct store *store, int code, const char *words);
void fake_node_set_leader(struct store *store, const char *leader_address);
/* From the call of that number on (the first is 1) the node leads: it succeeds. */
void fake_node_lead_after(struct store *store, unsigned calls);
/* Changes are left without an answer. */
void fake_node_hold(struct store *store);
/* The node's hash at every index; 0: it has none. */
void fake_node_set_hash(struct store *store, uint64_t hash);

/* The last change that was asked for, and how many there were. */
struct member_op fake_node_last_change(struct store *store);
unsigned fake_node_changes(struct store *store);

#endif
