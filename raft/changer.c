#include "raft/changer.h"

#include <assert.h>

static bool add_member(struct raft_tracker *t, uint64_t last_index, uint64_t id, bool learner)
{
    struct raft_progress *p = raft_tracker_insert(t, id);
    if (p == NULL) {
        return false;
    }
    p->next = last_index > 1 ? last_index : 1;
    p->learner = learner;
    // Else the next check of the quorum could fail for want of a word of a
    // member that had no time to speak.
    p->recent_active = true;
    return raft_id_set_add(learner ? &t->conf.learners : &t->conf.voters, id);
}

static void remove_member(struct raft_tracker *t, uint64_t id)
{
    raft_id_set_remove(&t->conf.voters, id);
    raft_id_set_remove(&t->conf.learners, id);
    raft_id_set_remove(&t->conf.learners_next, id);
    // A voter of the outgoing half is needed until the joint ends.
    if (!raft_id_set_has(&t->conf.voters_outgoing, id)) {
        raft_tracker_remove(t, id);
    }
}

static bool make_voter(struct raft_tracker *t, uint64_t last_index, uint64_t id)
{
    struct raft_progress *p = raft_tracker_find(t, id);
    if (p == NULL) {
        return add_member(t, last_index, id, false);
    }
    p->learner = false;
    raft_id_set_remove(&t->conf.learners, id);
    raft_id_set_remove(&t->conf.learners_next, id);
    return raft_id_set_add(&t->conf.voters, id);
}

static bool make_learner(struct raft_tracker *t, uint64_t last_index, uint64_t id)
{
    struct raft_progress *p = raft_tracker_find(t, id);
    if (p == NULL) {
        return add_member(t, last_index, id, true);
    }
    if (p->learner) {
        return true;
    }
    raft_id_set_remove(&t->conf.voters, id);
    raft_id_set_remove(&t->conf.learners_next, id);
    if (raft_id_set_has(&t->conf.voters_outgoing, id)) {
        return raft_id_set_add(&t->conf.learners_next, id);
    }
    p->learner = true;
    return raft_id_set_add(&t->conf.learners, id);
}

static enum raft_change_result make_changes(struct raft_tracker *t, uint64_t last_index,
                                            const struct raft_conf_change_single *changes,
                                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = changes[i].node;
        bool fits = true;
        if (id == RAFT_NONE) {
            continue;
        }
        switch (changes[i].type) {
        case RAFT_CONF_ADD_NODE:
            fits = make_voter(t, last_index, id);
            break;
        case RAFT_CONF_ADD_LEARNER:
            fits = make_learner(t, last_index, id);
            break;
        case RAFT_CONF_REMOVE_NODE:
            if (raft_tracker_find(t, id) != NULL) {
                remove_member(t, id);
            }
            break;
        case RAFT_CONF_UPDATE_NODE:
            break;
        }
        if (!fits) {
            return RAFT_CHANGER_TOO_MANY_MEMBERS;
        }
    }
    return t->conf.voters.count == 0 ? RAFT_CHANGER_NO_VOTERS_LEFT : RAFT_CHANGER_OK;
}

// What every configuration in force satisfies; a violation is a bug here.
static void check(const struct raft_tracker *t)
{
    const struct raft_conf_state *c = &t->conf;
    for (uint32_t i = 0; i < c->learners.count; i++) {
        uint64_t id = c->learners.ids[i];
        assert(!raft_id_set_has(&c->voters, id));
        assert(!raft_id_set_has(&c->voters_outgoing, id));
        assert(raft_tracker_peek(t, id)->learner);
    }
    for (uint32_t i = 0; i < c->learners_next.count; i++) {
        assert(raft_id_set_has(&c->voters_outgoing, c->learners_next.ids[i]));
        assert(!raft_tracker_peek(t, c->learners_next.ids[i])->learner);
    }
    for (uint32_t i = 0; i < c->voters.count; i++) {
        assert(raft_tracker_peek(t, c->voters.ids[i]) != NULL);
    }
    for (uint32_t i = 0; i < c->voters_outgoing.count; i++) {
        assert(raft_tracker_peek(t, c->voters_outgoing.ids[i]) != NULL);
    }
    if (c->voters_outgoing.count == 0) {
        assert(c->learners_next.count == 0);
        assert(!c->auto_leave);
    }
}

static uint32_t difference(const struct raft_id_set *a, const struct raft_id_set *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        n += !raft_id_set_has(b, a->ids[i]);
    }
    return n;
}

enum raft_change_result raft_changer_simple(struct raft_tracker *next, uint64_t last_index,
                                            const struct raft_conf_change_single *changes,
                                            uint32_t count)
{
    if (raft_tracker_is_joint(next)) {
        return RAFT_CHANGER_SIMPLE_IN_JOINT;
    }
    struct raft_id_set before = next->conf.voters;
    enum raft_change_result result = make_changes(next, last_index, changes, count);
    if (result != RAFT_CHANGER_OK) {
        return result;
    }
    // Only then do majorities before and after overlap (dissertation 4.1).
    if (difference(&before, &next->conf.voters) + difference(&next->conf.voters, &before) > 1) {
        return RAFT_CHANGER_TOO_FAR;
    }
    check(next);
    return RAFT_CHANGER_OK;
}

enum raft_change_result raft_changer_enter_joint(struct raft_tracker *next, uint64_t last_index,
                                                 bool auto_leave,
                                                 const struct raft_conf_change_single *changes,
                                                 uint32_t count)
{
    if (raft_tracker_is_joint(next)) {
        return RAFT_CHANGER_ALREADY_JOINT;
    }
    if (next->conf.voters.count == 0) {
        return RAFT_CHANGER_NO_VOTERS_YET;
    }
    next->conf.voters_outgoing = next->conf.voters;
    enum raft_change_result result = make_changes(next, last_index, changes, count);
    if (result != RAFT_CHANGER_OK) {
        return result;
    }
    next->conf.auto_leave = auto_leave;
    check(next);
    return RAFT_CHANGER_OK;
}

enum raft_change_result raft_changer_leave_joint(struct raft_tracker *next)
{
    if (!raft_tracker_is_joint(next)) {
        return RAFT_CHANGER_NOT_JOINT;
    }
    struct raft_conf_state *c = &next->conf;
    for (uint32_t i = 0; i < c->learners_next.count; i++) {
        uint64_t id = c->learners_next.ids[i];
        raft_tracker_find(next, id)->learner = true;
        bool fits = raft_id_set_add(&c->learners, id);
        assert(fits);
    }
    c->learners_next.count = 0;
    for (uint32_t i = 0; i < c->voters_outgoing.count; i++) {
        uint64_t id = c->voters_outgoing.ids[i];
        if (!raft_id_set_has(&c->voters, id) && !raft_id_set_has(&c->learners, id)) {
            raft_tracker_remove(next, id);
        }
    }
    c->voters_outgoing.count = 0;
    c->auto_leave = false;
    check(next);
    return RAFT_CHANGER_OK;
}

enum raft_change_result raft_changer_apply(struct raft_tracker *next, uint64_t last_index,
                                           const struct raft_conf_change *change)
{
    if (raft_conf_change_leaves_joint(change)) {
        return raft_changer_leave_joint(next);
    }
    if (change->transition != RAFT_CONF_AUTO || change->change_count > 1) {
        bool auto_leave = change->transition != RAFT_CONF_JOINT_EXPLICIT;
        return raft_changer_enter_joint(next, last_index, auto_leave, change->changes,
                                        change->change_count);
    }
    return raft_changer_simple(next, last_index, change->changes, change->change_count);
}

// Makes members one at a time, which is always a legal way to grow.
static enum raft_change_result add_all(struct raft_tracker *next, uint64_t last_index,
                                       const struct raft_id_set *set,
                                       enum raft_conf_change_type type)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct raft_conf_change_single one = {.type = type, .node = set->ids[i]};
        enum raft_change_result result = raft_changer_simple(next, last_index, &one, 1);
        if (result != RAFT_CHANGER_OK) {
            return result;
        }
    }
    return RAFT_CHANGER_OK;
}

static uint32_t list_changes(struct raft_conf_change_single *list, uint32_t at,
                             const struct raft_id_set *set, enum raft_conf_change_type type)
{
    for (uint32_t i = 0; i < set->count; i++) {
        list[at++] = (struct raft_conf_change_single){.type = type, .node = set->ids[i]};
    }
    return at;
}

enum raft_change_result raft_changer_restore(struct raft_tracker *next, uint64_t last_index,
                                             const struct raft_conf_state *conf)
{
    if (conf->voters_outgoing.count == 0) {
        enum raft_change_result result =
            add_all(next, last_index, &conf->voters, RAFT_CONF_ADD_NODE);
        if (result == RAFT_CHANGER_OK) {
            result = add_all(next, last_index, &conf->learners, RAFT_CONF_ADD_LEARNER);
        }
        return result;
    }
    // First the outgoing half alone, then the joint step that leads to the rest.
    enum raft_change_result result =
        add_all(next, last_index, &conf->voters_outgoing, RAFT_CONF_ADD_NODE);
    if (result != RAFT_CHANGER_OK) {
        return result;
    }
    struct raft_conf_change_single list[4 * RAFT_MEMBERS_MAX];
    uint32_t n = list_changes(list, 0, &conf->voters_outgoing, RAFT_CONF_REMOVE_NODE);
    n = list_changes(list, n, &conf->voters, RAFT_CONF_ADD_NODE);
    n = list_changes(list, n, &conf->learners, RAFT_CONF_ADD_LEARNER);
    n = list_changes(list, n, &conf->learners_next, RAFT_CONF_ADD_LEARNER);
    return raft_changer_enter_joint(next, last_index, conf->auto_leave, list, n);
}
