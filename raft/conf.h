#ifndef KEEL_RAFT_CONF_H
#define KEEL_RAFT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/entry.h"

// Who is a member: sets of ids, the configuration made of them, and the changes
// from one configuration to the next.
//
// A configuration is either simple (voters and learners) or joint (two sets of
// voters, each of which must agree). A change takes effect when the application
// has applied its entry and calls raft_node_apply_conf_change(), not when it is
// appended.

// Most members a configuration can name: voters, outgoing voters and learners together.
#define RAFT_MEMBERS_MAX 64

// Most single changes in one configuration change.
#define RAFT_CONF_CHANGES_MAX 64

// Ids in ascending order, each once.
struct raft_id_set {
    uint32_t count;
    uint64_t ids[RAFT_MEMBERS_MAX];
};

bool raft_id_set_has(const struct raft_id_set *set, uint64_t id);
// false when the set is full; true when `id` is in the set afterwards.
bool raft_id_set_add(struct raft_id_set *set, uint64_t id);
void raft_id_set_remove(struct raft_id_set *set, uint64_t id);

// What a storage keeps and a snapshot carries of the membership.
struct raft_conf_state {
    struct raft_id_set voters;          // the incoming half when joint
    struct raft_id_set voters_outgoing; // empty unless joint
    struct raft_id_set learners;
    struct raft_id_set learners_next; // outgoing voters that become learners when the joint ends
    bool auto_leave;                  // the leader proposes the end of the joint by itself
};

bool raft_conf_state_equal(const struct raft_conf_state *a, const struct raft_conf_state *b);
// Is `id` named in any of the sets?
bool raft_conf_state_has(const struct raft_conf_state *state, uint64_t id);

// The numbers are those of eraftpb.ConfChangeType.
enum raft_conf_change_type {
    RAFT_CONF_ADD_NODE = 0,
    RAFT_CONF_REMOVE_NODE = 1,
    RAFT_CONF_ADD_LEARNER = 2,
    RAFT_CONF_UPDATE_NODE = 3, // changes nothing here; carries the application's context
};

// Dissertation 4.3: an arbitrary change goes through a joint configuration.
enum raft_conf_transition {
    RAFT_CONF_AUTO = 0,           // simple when one change suffices, else implicit
    RAFT_CONF_JOINT_IMPLICIT = 1, // joint; the leader leaves it by itself
    RAFT_CONF_JOINT_EXPLICIT = 2, // joint; the application proposes an empty change to leave
};

struct raft_conf_change_single {
    enum raft_conf_change_type type;
    uint64_t node; // 0: ignored, as for a change that the application vetoed
};

struct raft_conf_change {
    // The v1 form: exactly one change, RAFT_CONF_AUTO. Its encoding is eraftpb.ConfChange.
    bool v1;
    enum raft_conf_transition transition;
    uint32_t change_count; // 0 with RAFT_CONF_AUTO: leave the joint configuration
    struct raft_conf_change_single changes[RAFT_CONF_CHANGES_MAX];
    const uint8_t *context; // the application's; borrowed
    size_t context_size;
};

// Makes the entry that proposes `change`; *ret_entry has one reference.
// RAFT_E_INVALID when v1 is set and the change has not exactly one part, or a
// count is over its limit.
int raft_conf_change_encode(const struct raft_conf_change *change, struct raft_entry **ret_entry);

// Reads the change out of an entry of type CONF_CHANGE or CONF_CHANGE_V2. The
// context of the result points into the entry. RAFT_E_INVALID when the entry is
// of another type or its data is malformed; *ret_change is untouched then.
int raft_conf_change_decode(const struct raft_entry *entry, struct raft_conf_change *ret_change);

// Does the change ask for the end of a joint configuration?
bool raft_conf_change_leaves_joint(const struct raft_conf_change *change);

#endif
