/* Read leases, the leader's side: whom it has promised that nothing is committed without
 * them, whether it may promise, and how far it may commit:
 * docs/decisions/0009-read-leases.md.
 *
 * Pure bookkeeping. Times are nanoseconds of the leader's own clock_ns(), passed in; they
 * never go back. Owned by the raft thread. Members and what they have acknowledged are
 * told to it; all else it finds out by the calls below.
 *
 *     idle --grants_begin()--> leads --grants_end()--> idle
 */
#ifndef KEELFS_RAFTSTORE_GRANTS_H
#define KEELFS_RAFTSTORE_GRANTS_H

#include "raftstore/lease.h"
#include "raftstore/states.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRANTS_NO_LIMIT UINT64_MAX

/* A member that lacks more entries than this gets no new grant. */
#define GRANTS_BEHIND_MAX 256
/* Nor does one, for so many durations of a grant, that others have waited for longer than
 * this part of one. */
#define GRANTS_SUSPENDED_DURATIONS 10
#define GRANTS_PATIENCE_PART       5

struct grants_member {
    uint64_t id;
    uint32_t role; /* MEMBER_* bits */
    uint64_t match;
    uint64_t echoed;         /* the newest stamp that it has heard */
    struct lease_want want;  /* time 0: it does not ask */
    uint64_t until;          /* of its grant */
    bool has_none_of_before; /* it holds no grant of an earlier leader */
    uint64_t suspended_until;
    uint64_t owed; /* an entry that the others wait for, since: */
    uint64_t owed_since;
};

struct grants {
    struct lease_timing timing;
    uint64_t self;
    bool leads;
    uint64_t term;
    uint64_t given_to;     /* whom it told last, in this term, to campaign at once; 0: nobody */
    uint64_t first_index;  /* committed: all that was before this term is known to be */
    uint64_t all_until;    /* till then anybody may hold a grant of an earlier leader */
    uint64_t frozen_index; /* till then nothing behind it is committed; GRANTS_NO_LIMIT: no such */
    size_t count;
    struct grants_member members[STORE_MEMBERS_MAX];
};

void grants_init(struct grants *grants, uint64_t self, const struct lease_timing *timing);
/* Who belongs to the cluster from now on. */
void grants_set_members(struct grants *grants, const struct region *region);

/* This node leads in `term`. `last_index` is the end of its log, `commit` what is committed.
 * `strangers`: the log has a change of members that is not in force here, so that somebody
 * may hold a lease who is not known. */
void grants_begin(struct grants *grants, uint64_t term, uint64_t last_index, uint64_t commit,
                  bool strangers, uint64_t now);
/* Of this member it is known that it holds no grant of an earlier leader. After grants_begin(). */
void grants_free(struct grants *grants, uint64_t id);
/* Until when this node must vote for nobody, should it lead no more: it is one of the majority
 * that its grants rest on. 0: there is nothing to keep. */
uint64_t grants_promised(const struct grants *grants, uint64_t now);
/* It leads no more; what grants_promised() has said holds. */
void grants_end(struct grants *grants);
/* `to` is being told to campaign at once, whatever the others have promised. */
void grants_give_away(struct grants *grants, uint64_t to);

/* --- what comes from the members --- */

/* It echoes a stamp, in a message of this term. */
void grants_heard(struct grants *grants, uint64_t id, uint64_t stamp, uint64_t now);
void grants_asked(struct grants *grants, uint64_t id, const struct lease_want *want);
/* It has acknowledged everything up to there. */
void grants_acknowledged(struct grants *grants, uint64_t id, uint64_t match);

/* --- what follows --- */

/* The newest moment at which a majority is known to have heard this leader; 0: none. */
uint64_t grants_confirmed(const struct grants *grants, uint64_t now);
/* Until when this node itself can answer from what it has; 0: it cannot. */
uint64_t grants_own_end(const struct grants *grants, uint64_t now);

/* Whether the member waits for an answer that grants_give() could be. */
bool grants_wants(const struct grants *grants, uint64_t id);
/* The answer to what it asks, if it may have one. `commit` and `last_index` are those of
 * now, and what was acknowledged has been told. From now on grants_limit() counts it. */
bool grants_give(struct grants *grants, uint64_t id, uint64_t commit, uint64_t last_index,
                 uint64_t now, struct lease_grant *ret_grant);

/* Whether grants_limit() can say anything but GRANTS_NO_LIMIT. */
bool grants_hold_back(const struct grants *grants, uint64_t now);
/* How far it may commit. */
uint64_t grants_limit(const struct grants *grants, uint64_t now);

/* Once a tick: suspends who holds the others up. */
void grants_tick(struct grants *grants, uint64_t now);

/* --- for the status --- */

size_t grants_holders(const struct grants *grants, uint64_t now);
/* What a majority has. */
uint64_t grants_majority_index(const struct grants *grants);

#endif
