/* Members come and go while clients write. */
#include "scenario.h"

#include "raftstore/err.h"

#include <stdio.h>

#define NS_PER_S 1000000000ull
/* Voters; and one more at most for as long as a change takes. */
#define VOTERS_MIN 3
#define VOTERS_MAX 5

/* --- who is there --- */

static uint32_t role_of(struct run *run, size_t i)
{
    struct store_status status;
    if (atomic_load(&run->cluster->slots[i].gone) != 0 || !cluster_status(run->cluster, i, &status))
        return 0;
    for (size_t k = 0; k < status.member_count; k++) {
        if (status.members[k].member.id == status.store_id)
            return status.members[k].role;
    }
    return 0;
}

static size_t voter_count(struct run *run)
{
    size_t count = 0;
    for (size_t i = 0; i < run->cluster->count; i++)
        count += role_of(run, i) == MEMBER_VOTER;
    return count;
}

static size_t some_voter(struct run *run)
{
    size_t i = (size_t)run_random(run, run->cluster->count);
    while (role_of(run, i) != MEMBER_VOTER)
        i = (i + 1) % run->cluster->count;
    return i;
}

/* --- single changes --- */

static bool change(struct run *run, enum member_change_kind kind, size_t i, const char *old_name)
{
    const struct cluster_slot *slot = &run->cluster->slots[i];
    struct member_op what = {.kind = kind};
    struct err e = {0};
    snprintf(what.name, sizeof(what.name), "%s", slot->name);
    snprintf(what.address, sizeof(what.address), "%s", slot->address);
    snprintf(what.old_name, sizeof(what.old_name), "%s", old_name);
    int rc = cluster_change_members(run->cluster, &what, SCENARIO_PATIENCE_MS, &e);
    if (rc != 0)
        return run_fail("change %d of %s: %s (%s)", (int)kind, slot->name, e.text, ke_text(rc));
    return true;
}

static bool join(struct run *run, size_t i)
{
    int rc = cluster_join(run->cluster, i);
    if (rc != 0)
        return run_fail("%s cannot join: %s", run->cluster->slots[i].name, ke_text(rc));
    return true;
}

/* Trouble goes on for a while, but a store that is cut off cannot hear of the change. */
static bool wait_role(struct run *run, size_t i, uint32_t role)
{
    if (cluster_wait_role(run->cluster, i, role, SCENARIO_ELECTION_MS))
        return true;
    cluster_heal(run->cluster);
    if (!cluster_wait_role(run->cluster, i, role, SCENARIO_PATIENCE_MS))
        return run_fail("%s did not get role %u everywhere", run->cluster->slots[i].name,
                        (unsigned)role);
    return true;
}

static bool wait_gone(struct run *run, size_t i)
{
    struct cluster_slot *slot = &run->cluster->slots[i];
    cluster_heal(run->cluster);
    if (!cluster_wait_gone(run->cluster, i, SCENARIO_PATIENCE_MS))
        return run_fail("%s was removed and does not know it", slot->name);
    if (atomic_load(&slot->gone) != KE_REMOVED)
        return run_fail("%s was removed and says: %s", slot->name, ke_text(slot->gone));
    cluster_stop(run->cluster, i);
    run->removed = i;
    return wait_role(run, i, 0);
}

/* Is told of first, then comes. */
static bool add(struct run *run)
{
    size_t i = cluster_add_slot(run->cluster, false);
    return change(run, MEMBER_ADD, i, "") && join(run, i) && wait_role(run, i, MEMBER_VOTER);
}

/* Comes by itself. */
static bool come(struct run *run)
{
    size_t i = cluster_add_slot(run->cluster, false);
    return join(run, i) && wait_role(run, i, MEMBER_VOTER);
}

static bool add_learner_and_promote(struct run *run)
{
    size_t i = cluster_add_slot(run->cluster, true);
    return join(run, i) && wait_role(run, i, MEMBER_LEARNER) &&
           change(run, MEMBER_PROMOTE, i, "") && wait_role(run, i, MEMBER_VOTER);
}

static bool remove_one(struct run *run)
{
    size_t i = some_voter(run);
    return change(run, MEMBER_REMOVE, i, "") && wait_gone(run, i);
}

static bool replace_one(struct run *run)
{
    size_t old = some_voter(run);
    size_t i = cluster_add_slot(run->cluster, false);
    return change(run, MEMBER_REPLACE, i, run->cluster->slots[old].name) && join(run, i) &&
           wait_role(run, i, MEMBER_VOTER) && wait_gone(run, old);
}

static bool transfer(struct run *run)
{
    size_t i = some_voter(run);
    int rc =
        cluster_transfer_leader(run->cluster, run->cluster->slots[i].name, SCENARIO_OP_TIMEOUT_MS);
    /* Whether the target is fit for it at this moment is not for us to say. */
    return rc == 0 || rc == KE_TIMEOUT || run_fail("transfer: %s", ke_text(rc));
}

/* --- all of them --- */

static bool change_something(struct run *run)
{
    bool (*const growing[])(struct run *) = {add, come, add_learner_and_promote};
    bool (*const shrinking[])(struct run *) = {remove_one, remove_one, transfer};
    size_t voters = voter_count(run);
    uint64_t choice = run_random(run, 3);
    if (voters <= VOTERS_MIN)
        return growing[choice](run);
    if (voters >= VOTERS_MAX)
        return choice == 0 ? replace_one(run) : shrinking[choice](run);
    return choice == 0   ? growing[run_random(run, 3)](run)
           : choice == 1 ? replace_one(run)
                         : shrinking[run_random(run, 3)](run);
}

/* Who was removed and is started again must not serve, nor disturb. The last one knows
 * members that are still there and tell it. */
static bool removed_store_stays_out(struct run *run)
{
    if (run->removed == CLUSTER_STORES_MAX)
        return true;
    struct cluster_slot *slot = &run->cluster->slots[run->removed];
    atomic_store(&slot->gone, 0);
    int rc = cluster_try_start(run->cluster, run->removed);
    if (rc == 0)
        return wait_gone(run, run->removed);
    atomic_store(&slot->gone, rc);
    return rc == KE_REMOVED || run_fail("a removed store says: %s", ke_text(rc));
}

static bool change_for_a_while(struct run *run, bool in_trouble)
{
    uint64_t end_ns = clock_ns() + run->seconds * NS_PER_S;
    while (clock_ns() < end_ns && !run_has_failed(run) &&
           run->cluster->count < CLUSTER_STORES_MAX) {
        cluster_heal(run->cluster);
        if (in_trouble) {
            cluster_set_loss(run->cluster, (unsigned)run_random(run, 10));
            if (run_random(run, 2) == 0) {
                cluster_isolate(run->cluster, some_voter(run));
                run_sleep_ms(SCENARIO_ELECTION_MS);
            }
        }
        if (!change_something(run))
            return false;
    }
    return true;
}

static bool run_members(struct run *run, bool in_trouble)
{
    if (!run_start_clients(run))
        return false;
    bool good = change_for_a_while(run, in_trouble);
    run_stop_clients(run);
    return good && run_settle(run) && removed_store_stays_out(run) && run_settle(run);
}

bool script_members(struct run *run)
{
    return run_members(run, false);
}

bool script_members_in_trouble(struct run *run)
{
    return run_members(run, true);
}
