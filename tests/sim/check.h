#ifndef KEEL_TESTS_SIM_CHECK_H
#define KEEL_TESTS_SIM_CHECK_H

#include "world.h"

// The properties of figure 3 of the paper, and those that a user relies on. Each
// function looks at what has just happened and fails the world on a violation.

// After any call into a node: election safety, leader append-only, leader
// completeness, monotonic commit, and agreement on what is committed.
void check_node(struct member *m);
// Entries are being written: log matching, and one configuration change at a time.
void check_written(struct member *m, struct raft_entry *const *entries, size_t count);
// An entry is being applied: state machine safety; in order; stable.
void check_applied(struct member *m, const struct raft_entry *entry);
// A configuration is in force after `index`: the same for everybody, one step
// from the one before.
void check_conf(struct member *m, uint64_t index, const struct raft_conf_state *conf);
// An operation that began when `floor` had been seen took effect at `position`.
void check_operation(struct world *w, const struct op *op, uint64_t position);
// The term of an entry, through the node's eyes.
uint64_t check_term_at(struct member *m, uint64_t index, bool *ret_known);

#endif
