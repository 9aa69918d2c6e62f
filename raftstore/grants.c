#include "raftstore/grants.h"

#include "raftstore/store.h"

#include <assert.h>

static struct grants_member *grants_find(struct grants *grants, uint64_t id)
{
    for (size_t i = 0; i < grants->count; i++) {
        if (grants->members[i].id == id)
            return &grants->members[i];
    }
    return NULL;
}

void grants_init(struct grants *grants, uint64_t self, const struct lease_timing *timing)
{
    *grants = (struct grants){.self = self, .timing = *timing, .frozen_index = GRANTS_NO_LIMIT};
}

void grants_set_members(struct grants *grants, const struct region *region)
{
    struct grants before = *grants;
    grants->count = region->peer_count;
    for (size_t i = 0; i < region->peer_count; i++) {
        const struct grants_member *old = grants_find(&before, region->peers[i].peer_id);
        struct grants_member *member = &grants->members[i];
        *member = old != NULL ? *old : (struct grants_member){.id = region->peers[i].peer_id};
        member->role = region->peers[i].role;
    }
}

void grants_begin(struct grants *grants, uint64_t term, uint64_t last_index, uint64_t commit,
                  bool strangers, uint64_t now)
{
    grants->leads = true;
    grants->term = term;
    grants->given_to = 0;
    grants->first_index = last_index;
    grants->all_until = now + grants->timing.duration_ns;
    grants->frozen_index = strangers ? commit : GRANTS_NO_LIMIT;
    for (size_t i = 0; i < grants->count; i++) {
        struct grants_member *member = &grants->members[i];
        *member = (struct grants_member){.id = member->id, .role = member->role};
    }
}

void grants_free(struct grants *grants, uint64_t id)
{
    struct grants_member *member = grants_find(grants, id);
    if (member != NULL)
        member->has_none_of_before = true;
}

uint64_t grants_promised(const struct grants *grants, uint64_t now)
{
    if (!grants->leads || grants->given_to != 0)
        return 0;
    uint64_t confirmed = grants_confirmed(grants, now);
    return confirmed != 0 ? confirmed + grants->timing.promise_ns : 0;
}

void grants_end(struct grants *grants)
{
    assert(grants->leads);
    grants->leads = false;
}

void grants_give_away(struct grants *grants, uint64_t to)
{
    grants->given_to = to;
}

/* --- what comes from the members --- */

void grants_heard(struct grants *grants, uint64_t id, uint64_t stamp, uint64_t now)
{
    struct grants_member *member = grants_find(grants, id);
    if (member != NULL && stamp > member->echoed && stamp <= now)
        member->echoed = stamp;
}

void grants_asked(struct grants *grants, uint64_t id, const struct lease_want *want)
{
    struct grants_member *member = grants_find(grants, id);
    if (member != NULL && want->time != 0)
        member->want = *want;
}

void grants_acknowledged(struct grants *grants, uint64_t id, uint64_t match)
{
    struct grants_member *member = grants_find(grants, id);
    if (member != NULL)
        member->match = match;
}

/* --- majorities --- */

static uint64_t grants_echoed(const struct grants *grants, const struct grants_member *member,
                              uint64_t now)
{
    return member->id == grants->self ? now : member->echoed;
}

static uint64_t grants_match(const struct grants *grants, const struct grants_member *member,
                             uint64_t now)
{
    (void)grants;
    (void)now;
    return member->match;
}

typedef uint64_t grants_value_fn(const struct grants *grants, const struct grants_member *member,
                                 uint64_t now);

/* The largest value that a majority of those with this role has or exceeds;
 * UINT64_MAX when there is none with it. */
static uint64_t grants_majority_of_half(const struct grants *grants, uint32_t role, uint64_t now,
                                        grants_value_fn *value)
{
    uint64_t sorted[STORE_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < grants->count; i++) {
        if ((grants->members[i].role & role) == 0)
            continue;
        uint64_t v = value(grants, &grants->members[i], now);
        size_t at = count++;
        for (; at > 0 && sorted[at - 1] < v; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = v;
    }
    return count > 0 ? sorted[count / 2] : UINT64_MAX;
}

/* Of both halves, in a joint configuration. */
static uint64_t grants_majority(const struct grants *grants, uint64_t now, grants_value_fn *value)
{
    uint64_t incoming = grants_majority_of_half(grants, MEMBER_VOTER, now, value);
    uint64_t outgoing = grants_majority_of_half(grants, MEMBER_VOTER_OUTGOING, now, value);
    uint64_t least = incoming < outgoing ? incoming : outgoing;
    return least != UINT64_MAX ? least : 0;
}

uint64_t grants_confirmed(const struct grants *grants, uint64_t now)
{
    return grants_majority(grants, now, grants_echoed);
}

uint64_t grants_majority_index(const struct grants *grants)
{
    return grants_majority(grants, 0, grants_match);
}

/* --- what follows --- */

uint64_t grants_own_end(const struct grants *grants, uint64_t now)
{
    if (!grants->leads || grants->given_to != 0 || grants->timing.promise_ns == 0)
        return 0;
    uint64_t confirmed = grants_confirmed(grants, now);
    return confirmed != 0 ? confirmed + lease_less_margin(grants->timing.promise_ns) : 0;
}

bool grants_wants(const struct grants *grants, uint64_t id)
{
    const struct grants_member *member = grants_find((struct grants *)grants, id);
    return grants->leads && member != NULL && member->want.time != 0;
}

/* Whether the leader may make promises at all. */
static bool grants_may_give(const struct grants *grants, uint64_t commit, uint64_t now)
{
    return commit >= grants->first_index && grants_own_end(grants, now) > now;
}

/* Whether the others can do with this member being waited for. One that has acknowledged
 * nothing may need a snapshot. */
static bool grants_is_fit(const struct grants_member *member, uint64_t last_index, uint64_t now)
{
    return member->suspended_until <= now && member->match > 0 &&
           member->match + GRANTS_BEHIND_MAX >= last_index;
}

bool grants_give(struct grants *grants, uint64_t id, uint64_t commit, uint64_t last_index,
                 uint64_t now, struct lease_grant *ret_grant)
{
    struct grants_member *member = grants_find(grants, id);
    assert(grants->leads && member != NULL && member->want.time != 0);
    if (!grants_may_give(grants, commit, now) || !grants_is_fit(member, last_index, now))
        return false;
    *ret_grant = (struct lease_grant){
        .want = member->want,
        .duration_ns = grants->timing.duration_ns,
        .commit = commit,
    };
    /* Once for each question: the end would be the same the second time. */
    member->want.time = 0;
    member->until = now + grants->timing.duration_ns;
    return true;
}

static bool grants_holds(const struct grants *grants, const struct grants_member *member,
                         uint64_t now)
{
    bool may_hold_of_before = grants->all_until > now && !member->has_none_of_before;
    return member->id != grants->self && (member->until > now || may_hold_of_before);
}

size_t grants_holders(const struct grants *grants, uint64_t now)
{
    size_t holders = 0;
    for (size_t i = 0; i < grants->count; i++)
        holders += grants->leads && grants_holds(grants, &grants->members[i], now);
    return holders;
}

bool grants_hold_back(const struct grants *grants, uint64_t now)
{
    return grants->leads && (grants->all_until > now || grants_holders(grants, now) > 0);
}

uint64_t grants_limit(const struct grants *grants, uint64_t now)
{
    uint64_t limit = grants->all_until > now ? grants->frozen_index : GRANTS_NO_LIMIT;
    for (size_t i = 0; i < grants->count; i++) {
        const struct grants_member *member = &grants->members[i];
        if (grants_holds(grants, member, now) && member->match < limit)
            limit = member->match;
    }
    return limit;
}

/* --- who holds the others up --- */

/* A majority has `majority` and is waiting for this member. */
static void grants_note_debt(struct grants *grants, struct grants_member *member, uint64_t majority,
                             uint64_t now)
{
    uint64_t patience = grants->timing.duration_ns / GRANTS_PATIENCE_PART;
    if (member->owed == 0 || member->match >= member->owed) {
        member->owed = majority;
        member->owed_since = now;
    } else if (now - member->owed_since > patience) {
        member->suspended_until = now + GRANTS_SUSPENDED_DURATIONS * grants->timing.duration_ns;
    }
}

void grants_tick(struct grants *grants, uint64_t now)
{
    uint64_t majority = grants_majority_index(grants);
    for (size_t i = 0; i < grants->count; i++) {
        struct grants_member *member = &grants->members[i];
        if (grants_holds(grants, member, now) && member->match < majority)
            grants_note_debt(grants, member, majority, now);
        else
            member->owed = 0;
    }
}
