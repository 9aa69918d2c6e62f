#include "raftstore/membership.h"

#include "raftstore/arena.h"
#include "raftstore/keys.h"
#include "raftstore/log.h"
#include "raftstore/members.h"
#include "raftstore/region_pb.h"

#include "keelfspb.pb-c.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a context may take once it is unpacked. A fixed limit, so that all nodes fail
 * alike on one that is out of all proportion. */
#define CONTEXT_UNPACKED_MAX (256u << 10)

/* --- rows --- */

static bool membership_is_consistent(const struct membership *m)
{
    const struct region *region = &m->region;
    if (region->peer_count == 0)
        return true;
    if (region->peer_count != m->store_count)
        return false;
    for (size_t i = 0; i < region->peer_count; i++) {
        const struct region_peer *peer = &region->peers[i];
        if (peer->store_id != m->stores[i].id || peer->peer_id != peer->store_id ||
            peer->store_id >= region->next_store_id)
            return false;
    }
    return true;
}

int membership_load(struct engine *kv, uint64_t region_id, struct membership *ret_membership,
                    struct err *e)
{
    struct membership loaded = {0};
    enum peer_state state;
    struct applying applying = {0};
    int rc = region_load(kv, region_id, &state, &loaded.region, &applying, e);
    if (rc != 0)
        return rc;
    free(applying.data);
    rc = members_load(kv, loaded.stores, &loaded.store_count, e);
    if (rc != 0)
        return rc;
    if (!membership_is_consistent(&loaded))
        return err_set(e, KE_CORRUPT, "the region and the list of members do not fit together");
    *ret_membership = loaded;
    return 0;
}

static void delete_unless_member(struct engine *kv, struct engine_batch *batch,
                                 const struct membership *m, uint64_t store_id)
{
    struct key key = key_member(store_id);
    if (membership_find(m, store_id) == NULL)
        engine_batch_delete(batch, kv, CF_META, key_bytes(&key));
}

/* The rows in the engine, and the next id there; 0 when there is none yet. */
static void load_old(struct engine *kv, uint64_t region_id, struct store_member *rows,
                     size_t *ret_count, uint64_t *ret_next_id)
{
    struct err e = {0};
    if (members_load(kv, rows, ret_count, &e) != 0)
        log_fatal("%s", e.text);
    enum peer_state state;
    struct region region;
    struct applying applying = {0};
    int rc = region_load(kv, region_id, &state, &region, &applying, &e);
    if (rc != 0 && rc != KE_NOT_FOUND)
        log_fatal("%s", e.text);
    free(applying.data);
    *ret_next_id = rc == 0 ? region.next_store_id : 0;
}

/* Rows of stores that are no members any more are in the engine, or in `batch` itself:
 * then of a store that was added since the engine was last written, so that its id is
 * not below the next id there. */
static void delete_old_rows(struct engine *kv, struct engine_batch *batch,
                            const struct membership *m)
{
    struct store_member rows[STORE_MEMBERS_MAX];
    size_t count;
    uint64_t next_id;
    load_old(kv, m->region.id, rows, &count, &next_id);
    for (size_t i = 0; i < count; i++)
        delete_unless_member(kv, batch, m, rows[i].id);
    if (next_id == 0)
        return;
    for (uint64_t id = next_id; id < m->region.next_store_id; id++)
        delete_unless_member(kv, batch, m, id);
}

void membership_save(struct engine *kv, struct engine_batch *batch,
                     const struct membership *membership)
{
    delete_old_rows(kv, batch, membership);
    for (size_t i = 0; i < membership->store_count; i++)
        member_save(kv, batch, &membership->stores[i]);
    region_save(kv, batch, PEER_NORMAL, &membership->region, NULL);
}

/* --- looking --- */

const struct store_member *membership_find(const struct membership *membership, uint64_t store_id)
{
    for (size_t i = 0; i < membership->store_count; i++) {
        if (membership->stores[i].id == store_id)
            return &membership->stores[i];
    }
    return NULL;
}

const struct store_member *membership_find_name(const struct membership *membership,
                                                const char *name)
{
    return members_find_name(membership->stores, membership->store_count, name);
}

uint32_t membership_role(const struct membership *membership, uint64_t store_id)
{
    const struct region_peer *peer = region_find_peer(&membership->region, store_id);
    return peer != NULL ? peer->role : 0;
}

bool membership_has_removed(const struct membership *membership, uint64_t store_id)
{
    return store_id != 0 && store_id < membership->region.next_store_id &&
           membership_role(membership, store_id) == 0;
}

bool membership_is_joint(const struct membership *membership)
{
    for (size_t i = 0; i < membership->region.peer_count; i++) {
        if ((membership->region.peers[i].role & MEMBER_VOTER_OUTGOING) != 0)
            return true;
    }
    return false;
}

size_t membership_voter_count(const struct membership *membership)
{
    size_t count = 0;
    for (size_t i = 0; i < membership->region.peer_count; i++)
        count += (membership->region.peers[i].role & MEMBER_VOTER) != 0;
    return count;
}

size_t membership_voter_count_ahead(const struct membership *membership)
{
    size_t count = membership_voter_count(membership);
    for (size_t i = 0; i < membership->store_count; i++) {
        const struct store_member *row = &membership->stores[i];
        count += row->promote && row->replaces == 0;
    }
    return count;
}

static const struct {
    uint32_t role;
    size_t set; /* offset in struct raft_conf_state */
} role_sets[] = {
    {MEMBER_VOTER, offsetof(struct raft_conf_state, voters)},
    {MEMBER_VOTER_OUTGOING, offsetof(struct raft_conf_state, voters_outgoing)},
    {MEMBER_LEARNER, offsetof(struct raft_conf_state, learners)},
    {MEMBER_LEARNER_NEXT, offsetof(struct raft_conf_state, learners_next)},
};
#define ROLE_COUNT (sizeof(role_sets) / sizeof(role_sets[0]))

static struct raft_id_set *role_set(struct raft_conf_state *conf, size_t role)
{
    return (struct raft_id_set *)((char *)conf + role_sets[role].set);
}

void membership_conf_state(const struct membership *membership, struct raft_conf_state *ret_conf)
{
    const struct region *region = &membership->region;
    *ret_conf = (struct raft_conf_state){.auto_leave = region->auto_leave};
    for (size_t i = 0; i < region->peer_count; i++) {
        for (size_t role = 0; role < ROLE_COUNT; role++) {
            if ((region->peers[i].role & role_sets[role].role) != 0)
                raft_id_set_add(role_set(ret_conf, role), region->peers[i].peer_id);
        }
    }
}

/* --- the configuration that a change leads to --- */

static void conf_make_learner(struct raft_conf_state *conf, uint64_t id)
{
    raft_id_set_remove(&conf->voters, id);
    bool waits = raft_id_set_has(&conf->voters_outgoing, id);
    raft_id_set_add(waits ? &conf->learners_next : &conf->learners, id);
}

/* As the core does it; a member that is no learner is a voter of one half. */
static void conf_make(struct raft_conf_state *conf, const struct raft_conf_change_single *single)
{
    switch (single->type) {
    case RAFT_CONF_ADD_NODE:
        raft_id_set_remove(&conf->learners, single->node);
        raft_id_set_remove(&conf->learners_next, single->node);
        raft_id_set_add(&conf->voters, single->node);
        break;
    case RAFT_CONF_ADD_LEARNER:
        conf_make_learner(conf, single->node);
        break;
    case RAFT_CONF_REMOVE_NODE:
        raft_id_set_remove(&conf->voters, single->node);
        raft_id_set_remove(&conf->learners, single->node);
        raft_id_set_remove(&conf->learners_next, single->node);
        break;
    case RAFT_CONF_UPDATE_NODE:
        break;
    }
}

static void conf_leave_joint(struct raft_conf_state *conf)
{
    for (uint32_t i = 0; i < conf->learners_next.count; i++)
        raft_id_set_add(&conf->learners, conf->learners_next.ids[i]);
    conf->learners_next.count = 0;
    conf->voters_outgoing.count = 0;
    conf->auto_leave = false;
}

/* Only members change, except that one with the next id may be new. */
static bool change_names_known(const struct membership *m, const struct raft_conf_change *change)
{
    for (uint32_t i = 0; i < change->change_count; i++) {
        const struct raft_conf_change_single *single = &change->changes[i];
        bool adds = single->type == RAFT_CONF_ADD_NODE || single->type == RAFT_CONF_ADD_LEARNER;
        bool known = membership_role(m, single->node) != 0 ||
                     (adds && single->node == m->region.next_store_id);
        if (!known)
            return false;
    }
    return true;
}

/* False when the core would not take the change, or nobody would end the joint
 * configuration that it begins. */
static bool conf_follow(const struct membership *m, const struct raft_conf_change *change,
                        struct raft_conf_state *ret_conf)
{
    bool joint = membership_is_joint(m);
    membership_conf_state(m, ret_conf);
    if (raft_conf_change_leaves_joint(change)) {
        conf_leave_joint(ret_conf);
        return joint;
    }
    if (joint || change->change_count == 0 || change->transition == RAFT_CONF_JOINT_EXPLICIT)
        return false;
    if (change->transition != RAFT_CONF_AUTO || change->change_count > 1) {
        ret_conf->voters_outgoing = ret_conf->voters;
        ret_conf->auto_leave = true;
    }
    for (uint32_t i = 0; i < change->change_count; i++)
        conf_make(ret_conf, &change->changes[i]);
    return true;
}

/* All ids that the configuration names, each once, in order. */
static void conf_members(const struct raft_conf_state *conf, struct raft_id_set *ret_ids)
{
    *ret_ids = conf->voters;
    const struct raft_id_set *others[] = {&conf->voters_outgoing, &conf->learners,
                                          &conf->learners_next};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        for (uint32_t k = 0; k < others[i]->count; k++)
            raft_id_set_add(ret_ids, others[i]->ids[k]);
    }
}

/* --- the context --- */

static const struct store_member *what_find(const struct member_change *what, uint64_t store_id)
{
    for (size_t i = 0; i < what->store_count; i++) {
        if (what->stores[i].id == store_id)
            return &what->stores[i];
    }
    return NULL;
}

static bool what_from_message(const Keelfspb__MemberChange *message, struct member_change *ret_what)
{
    ret_what->request_id = message->request_id;
    if (message->n_stores > STORE_MEMBERS_MAX)
        return false;
    for (size_t i = 0; i < message->n_stores; i++) {
        struct store_member row;
        if (!member_pb_parse(message->stores[i], &row) || what_find(ret_what, row.id) != NULL)
            return false;
        ret_what->stores[ret_what->store_count++] = row;
    }
    return true;
}

static bool what_parse(const struct raft_conf_change *change, struct member_change *ret_what)
{
    struct arena arena;
    arena_init(&arena, CONTEXT_UNPACKED_MAX);
    ProtobufCAllocator allocator = arena_allocator(&arena);
    Keelfspb__MemberChange *message =
        keelfspb__member_change__unpack(&allocator, change->context_size, change->context);
    bool parsed = message != NULL && what_from_message(message, ret_what);
    arena_release(&arena);
    return parsed;
}

/* --- the judgement --- */

/* Every member has a row, and no other store gets one. */
static bool rows_are_complete(const struct membership *m, const struct member_change *what,
                              const struct raft_id_set *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        uint64_t id = members->ids[i];
        if (membership_find(m, id) == NULL && what_find(what, id) == NULL)
            return false;
    }
    for (size_t i = 0; i < what->store_count; i++) {
        if (!raft_id_set_has(members, what->stores[i].id))
            return false;
    }
    return true;
}

/* A member keeps its name, and its data directory once that is known. */
static bool rows_keep_identity(const struct membership *m, const struct member_change *what)
{
    for (size_t i = 0; i < what->store_count; i++) {
        const struct store_member *row = &what->stores[i];
        const struct store_member *old = membership_find(m, row->id);
        if (old != NULL && (strcmp(old->name, row->name) != 0 ||
                            (old->data_id != 0 && old->data_id != row->data_id)))
            return false;
    }
    return true;
}

static bool rows_are_distinct(const struct store_member *a, const struct store_member *b)
{
    return strcmp(a->name, b->name) != 0 && strcmp(a->address, b->address) != 0 &&
           (a->data_id == 0 || a->data_id != b->data_id) &&
           (a->replaces == 0 || a->replaces != b->replaces);
}

static bool rows_are_valid(const struct membership *m)
{
    for (size_t i = 0; i < m->store_count; i++) {
        const struct store_member *row = &m->stores[i];
        if (member_check_name(row->name, NULL) != 0 ||
            member_check_address(row->address, NULL) != 0)
            return false;
        for (size_t k = 0; k < i; k++) {
            if (!rows_are_distinct(row, &m->stores[k]))
                return false;
        }
    }
    return true;
}

/* What the change makes of the membership, by our own reckoning of the configuration.
 * Of one that is turned down `*ret_what` has only the request's id. */
static bool membership_judge(const struct membership *m, const struct raft_conf_change *change,
                             struct member_change *ret_what, struct membership *ret_next)
{
    struct member_change what = {0};
    bool parsed = what_parse(change, &what);
    *ret_what = (struct member_change){.request_id = what.request_id};
    struct raft_conf_state conf;
    if (!parsed || !change_names_known(m, change) || !conf_follow(m, change, &conf))
        return false;
    struct raft_id_set members;
    conf_members(&conf, &members);
    if (conf.voters.count == 0 || members.count > STORE_MEMBERS_MAX ||
        !rows_are_complete(m, &what, &members) || !rows_keep_identity(m, &what))
        return false;
    *ret_next = *m;
    membership_apply(ret_next, &what, &conf);
    if (membership_voter_count_ahead(ret_next) > STORE_VOTERS_MAX || !rows_are_valid(ret_next))
        return false;
    *ret_what = what;
    return true;
}

bool membership_admits(const struct membership *membership, const struct raft_conf_change *change,
                       struct member_change *ret_what)
{
    struct membership next;
    return membership_judge(membership, change, ret_what, &next);
}

bool membership_follow(struct membership *membership, const struct raft_conf_change *change)
{
    struct member_change what;
    struct membership next;
    if (!membership_judge(membership, change, &what, &next))
        return false;
    *membership = next;
    return true;
}

/* --- carrying it out --- */

static uint32_t conf_role(struct raft_conf_state *conf, uint64_t id)
{
    uint32_t bits = 0;
    for (size_t role = 0; role < ROLE_COUNT; role++) {
        if (raft_id_set_has(role_set(conf, role), id))
            bits |= role_sets[role].role;
    }
    return bits;
}

/* What was planned for a learner ends when it is a voter, or when the one whose place
 * it should take has gone. */
static void membership_end_plans(struct membership *m)
{
    for (size_t i = 0; i < m->store_count; i++) {
        struct store_member *row = &m->stores[i];
        if ((m->region.peers[i].role & (MEMBER_LEARNER | MEMBER_LEARNER_NEXT)) == 0) {
            row->promote = false;
            row->replaces = 0;
        } else if ((membership_role(m, row->replaces) & MEMBER_VOTER) == 0) {
            row->replaces = 0;
        }
    }
}

void membership_apply(struct membership *membership, const struct member_change *what,
                      const struct raft_conf_state *conf)
{
    struct membership old = *membership;
    struct raft_conf_state sets = *conf;
    struct raft_id_set members;
    conf_members(conf, &members);
    assert(members.count <= STORE_MEMBERS_MAX);
    struct region *region = &membership->region;
    region->conf_ver++;
    region->auto_leave = conf->auto_leave;
    region->peer_count = members.count;
    membership->store_count = members.count;
    for (uint32_t i = 0; i < members.count; i++) {
        uint64_t id = members.ids[i];
        const struct store_member *row = what_find(what, id);
        if (row == NULL)
            row = membership_find(&old, id);
        assert(row != NULL);
        membership->stores[i] = *row;
        region->peers[i] =
            (struct region_peer){.peer_id = id, .store_id = id, .role = conf_role(&sets, id)};
        if (id >= region->next_store_id)
            region->next_store_id = id + 1;
    }
    membership_end_plans(membership);
}
