#include <string.h>

#include "check.h"
#include "world.h"

static unsigned draw(struct world *w, unsigned most)
{
    // Often nothing of a kind: a fault may need quiet around it to show.
    return random_chance(&w->random, 300) ? 0 : (unsigned)random_below(&w->random, most + 1);
}

// Much of one thing: rare chains of events need all their links close together.
static void add_storm(struct world *w)
{
    struct weather *weather = &w->weather;
    switch (random_below(&w->random, 6)) {
    case 0:
        weather->crash = 5 + draw(w, 40);
        break;
    case 1:
        weather->change = 40 + draw(w, 100);
        weather->partition = 5 + draw(w, 40);
        break;
    case 2:
        weather->partition = 20 + draw(w, 60);
        weather->delay_max = draw(w, 6);
        weather->disk_max = draw(w, 6);
        break;
    case 3:
        // Leaders that hardly get to replicate what they have (figure 8).
        weather->strike = 10 + draw(w, 50);
        weather->single = true;
        weather->delay_max = draw(w, 8);
        weather->disk_max = draw(w, 8);
        weather->crash = 0;
        weather->partition = 0;
        weather->pause = 0;
        // A disk on which writes of several leaders wait one behind the other.
        weather->slow = random_below(&w->random, 6);
        break;
    default:
        break;
    }
}

void trouble_pick_weather(struct world *w)
{
    w->weather = (struct weather){
        .loss = draw(w, 150),
        .duplicate = draw(w, 100),
        .delay_max = draw(w, 24),
        // Now and then so slow that several elections pass meanwhile.
        .disk_max = draw(w, random_chance(&w->random, 200) ? 300 : 24),
        .apply_max = draw(w, 24),
        .crash = draw(w, 6),
        .partition = draw(w, 20),
        .pause = draw(w, 10),
        .change = draw(w, 40),
        .transfer = draw(w, 20),
        .compact = draw(w, 60),
        .write = 20 + draw(w, 400),
        .read = 20 + draw(w, 300),
    };
    add_storm(w);
}

struct member *trouble_leader(struct world *w)
{
    struct member *found = NULL;
    uint64_t term = 0;
    for (uint64_t id = 1; id <= w->count; id++) {
        struct member *m = &w->members[id];
        struct raft_status s;
        if (member_runs(m) && raft_node_status(m->node, &s) == 0 && s.role == RAFT_LEADER &&
            s.hard_state.term > term) {
            found = m;
            term = s.hard_state.term;
        }
    }
    return found;
}

static struct member *anyone(struct world *w)
{
    return &w->members[1 + random_below(&w->random, w->count)];
}

static void cut_between(struct world *w, uint64_t a, uint64_t b, bool both)
{
    w->cut[a][b] = true;
    if (both) {
        w->cut[b][a] = true;
    }
}

static void partition(struct world *w)
{
    memset(w->cut, 0, sizeof(w->cut));
    uint64_t kind = random_below(&w->random, 5);
    uint64_t chosen = 1 + random_below(&w->random, w->count);
    uint64_t sides = random_below(&w->random, 1u << w->count);
    for (uint64_t a = 1; a <= w->count; a++) {
        for (uint64_t b = 1; b <= w->count; b++) {
            bool apart = (sides >> (a - 1) & 1) != (sides >> (b - 1) & 1);
            if (kind == 1 && apart) { // two sides
                cut_between(w, a, b, true);
            } else if (kind == 2 && apart && a != chosen && b != chosen) { // with a bridge
                cut_between(w, a, b, true);
            } else if (kind == 3 && a == chosen) { // one way: it hears, nobody hears it
                cut_between(w, a, b, false);
            } else if (kind == 4 && (a == chosen) != (b == chosen)) { // alone
                cut_between(w, a, b, true);
            }
        }
    }
    world_trace(w, "partition of kind %llu", (unsigned long long)kind);
}

static void pause(struct world *w)
{
    struct member *m = anyone(w);
    if (member_runs(m)) {
        m->paused = true;
        m->resume_at = w->step + 1 + random_below(&w->random, 160);
        world_trace(w, "%llu pauses", (unsigned long long)m->id);
    }
}

static void resume(struct member *m)
{
    m->paused = false;
    for (; m->missed_ticks > 0 && member_runs(m); m->missed_ticks--) {
        raft_node_tick(m->node);
        check_node(m);
    }
    m->missed_ticks = 0;
}

static int propose_change(struct world *w, struct member *m, const struct raft_conf_change *change)
{
    int rc = raft_node_propose_conf_change(m->node, change);
    check_node(m);
    (void)w;
    return rc;
}

bool trouble_leave_joint(struct world *w)
{
    struct member *leader = trouble_leader(w);
    struct raft_conf_change change;
    memset(&change, 0, sizeof(change));
    return leader != NULL && propose_change(w, leader, &change) == 0;
}

static void change_members(struct world *w)
{
    struct member *m = random_chance(&w->random, 800) ? trouble_leader(w) : anyone(w);
    if (m == NULL || !member_runs(m)) {
        return;
    }
    struct raft_conf_change change;
    memset(&change, 0, sizeof(change));
    change.change_count = (uint32_t)random_below(&w->random, 4);
    change.transition = (enum raft_conf_transition)random_below(&w->random, 3);
    if (change.change_count == 0) {
        change.transition = RAFT_CONF_AUTO; // leave the joint configuration
    }
    for (uint32_t i = 0; i < change.change_count; i++) {
        change.changes[i].node = 1 + random_below(&w->random, w->count);
        change.changes[i].type =
            (enum raft_conf_change_type)random_below(&w->random, RAFT_CONF_UPDATE_NODE + 1);
    }
    // A change that leaves no voter is refused by everybody at apply; a careful
    // application does not propose it.
    struct raft_status s;
    if (raft_node_status(m->node, &s) != 0) {
        return;
    }
    size_t removed = 0;
    for (uint32_t i = 0; i < change.change_count; i++) {
        removed += change.changes[i].type == RAFT_CONF_REMOVE_NODE ||
                   change.changes[i].type == RAFT_CONF_ADD_LEARNER;
    }
    if (s.conf.voters.count <= removed + 1) {
        return;
    }
    world_trace(w, "%llu proposes %u changes", (unsigned long long)m->id, change.change_count);
    propose_change(w, m, &change);
}

static void transfer(struct world *w)
{
    struct member *leader = trouble_leader(w);
    struct member *to = anyone(w);
    if (leader != NULL) {
        world_trace(w, "%llu shall lead", (unsigned long long)to->id);
        raft_node_transfer_leader(leader->node, to->id);
        check_node(leader);
        if (random_chance(&w->random, 300)) {
            // The old leader does not hear of the new one.
            memset(w->cut, 0, sizeof(w->cut));
            for (uint64_t id = 1; id <= w->count; id++) {
                cut_between(w, id, leader->id, false);
            }
        }
    }
    struct member *m = anyone(w);
    if (member_runs(m) && random_chance(&w->random, 200)) {
        raft_node_forget_leader(m->node);
        check_node(m);
    }
    if (member_runs(m) && random_chance(&w->random, 200)) {
        raft_node_campaign(m->node);
        check_node(m);
    }
}

static void crash(struct world *w)
{
    struct member *m = anyone(w);
    if (m->node != NULL && !m->paused) {
        m->restart_at = w->step + 1 + random_below(&w->random, 200);
        member_crash(m);
    }
}

// The leader crashes, or only some still hear it, or it hears nobody.
static void strike(struct world *w)
{
    struct member *leader = trouble_leader(w);
    memset(w->cut, 0, sizeof(w->cut));
    if (leader == NULL) {
        return;
    }
    uint64_t heard_by = random_below(&w->random, 1u << w->count);
    uint64_t kind = random_below(&w->random, 3);
    for (uint64_t id = 1; kind > 0 && id <= w->count; id++) {
        if (kind == 1 || !(heard_by >> (id - 1) & 1)) {
            cut_between(w, leader->id, id, true);
        }
    }
    if (kind == 0) {
        leader->restart_at = w->step + 1 + random_below(&w->random, 100);
        member_crash(leader);
    }
    world_trace(w, "%llu is struck in way %llu", (unsigned long long)leader->id,
                (unsigned long long)kind);
}

static void wake(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct member *m = &w->members[id];
        if (m->paused && m->resume_at <= w->step) {
            resume(m);
        }
        if (m->node == NULL && m->restart_at <= w->step && !w->failed) {
            world_trace(w, "%llu starts", (unsigned long long)id);
            member_start(m);
        }
    }
}

void trouble_act(struct world *w)
{
    const struct weather *weather = &w->weather;
    wake(w);
    if (random_chance(&w->random, weather->partition)) {
        partition(w);
    }
    if (random_chance(&w->random, weather->pause)) {
        pause(w);
    }
    if (random_chance(&w->random, weather->crash)) {
        crash(w);
    }
    if (random_chance(&w->random, weather->strike)) {
        strike(w);
    }
    if (random_chance(&w->random, weather->change)) {
        change_members(w);
    }
    if (random_chance(&w->random, weather->transfer)) {
        transfer(w);
    }
    struct member *m = anyone(w);
    if (member_runs(m) && random_chance(&w->random, weather->compact)) {
        member_compact(m);
    }
}

void trouble_end(struct world *w)
{
    world_trace(w, "the trouble is over");
    w->calm = true;
    // Fewer clients: a group tuned to one entry at a time has a backlog to work off.
    w->weather.write /= 16;
    memset(w->cut, 0, sizeof(w->cut));
    for (uint64_t id = 1; id <= w->count; id++) {
        struct member *m = &w->members[id];
        if (m->paused) {
            resume(m);
        }
        if (m->node == NULL && !w->failed) {
            member_start(m);
        }
    }
}
