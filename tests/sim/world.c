#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "raft/random.h"

uint64_t random_below(struct random *r, uint64_t bound)
{
    return raft_random_below(&r->state, bound);
}

bool random_chance(struct random *r, unsigned per_mille)
{
    return random_below(r, 1000) < per_mille;
}

void world_fail(struct world *w, const char *format, ...)
{
    if (w->failed) {
        return;
    }
    w->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(w->failure, sizeof(w->failure), format, args);
    va_end(args);
}

void world_trace(struct world *w, const char *format, ...)
{
    if (w->trace == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    fprintf(w->trace, "%6llu ", (unsigned long long)w->step);
    vfprintf(w->trace, format, args);
    fprintf(w->trace, "\n");
    va_end(args);
}

// The founders are an odd or even number of voters, sometimes with a learner;
// the rest of the members wait to be added.
static void found(struct world *w)
{
    struct raft_conf_state founders;
    memset(&founders, 0, sizeof(founders));
    w->count = 3 + random_below(&w->random, MEMBERS_MAX - 2);
    size_t voters = 3 + random_below(&w->random, w->count - 2);
    for (uint64_t id = 1; id <= w->count; id++) {
        if (id <= voters) {
            raft_id_set_add(&founders.voters, id);
        } else if (random_chance(&w->random, 500)) {
            raft_id_set_add(&founders.learners, id);
        }
    }
    struct history *h = w->history;
    h->committed = FIRST_INDEX;
    h->applied = FIRST_INDEX;
    h->term[FIRST_INDEX] = 1;
    h->conf[FIRST_INDEX] = malloc(sizeof(founders));
    *h->conf[FIRST_INDEX] = founders;
    for (uint64_t id = 1; id <= w->count; id++) {
        member_init(w, id, raft_conf_state_has(&founders, id) ? &founders : NULL);
        member_start(&w->members[id]);
    }
}

struct world *world_new(uint64_t seed, FILE *trace)
{
    struct world *w = calloc(1, sizeof(*w));
    w->history = calloc(1, sizeof(*w->history));
    w->seed = seed;
    w->trace = trace;
    w->random.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->next_op = 1;
    w->floor = FIRST_INDEX;
    trouble_pick_weather(w);
    found(w);
    return w;
}

void world_free(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        member_release(&w->members[id]);
    }
    network_release(w);
    for (size_t i = 0; i < INDEX_MAX; i++) {
        free(w->history->conf[i]);
    }
    free(w->history);
    free(w);
}

static void one_step(struct world *w)
{
    w->step++;
    for (uint64_t id = 1; id <= w->count; id++) {
        if ((w->step + id) % STEPS_PER_TICK == 0) {
            member_tick(&w->members[id]);
        }
    }
    network_deliver(w);
    // Not always the same one first.
    uint64_t first = random_below(&w->random, w->count);
    for (uint64_t i = 0; i < w->count && !w->failed; i++) {
        struct member *m = &w->members[1 + (first + i) % w->count];
        if (member_runs(m)) {
            member_work(m);
        }
        if (member_runs(m) && random_chance(&w->random, 700)) {
            member_ready(m);
        }
    }
    client_act(w);
}

// Has everybody in the configuration applied `index`?
static bool all_have(struct world *w, uint64_t index, const struct raft_conf_state *conf)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        if (raft_conf_state_has(conf, id) && w->members[id].applied < index) {
            return false;
        }
    }
    return true;
}

// Unless a removed leader steps down by itself its application has to end it: it
// would go on to lead a group that it is no part of. Who is a member runs.
static void mind_members(struct world *w, const struct raft_conf_state *conf)
{
    struct member *leader = trouble_leader(w);
    if (leader != NULL && !raft_id_set_has(&conf->voters, leader->id) &&
        !raft_id_set_has(&conf->voters_outgoing, leader->id)) {
        member_crash(leader);
    }
    for (uint64_t id = 1; id <= w->count; id++) {
        if (w->members[id].node == NULL && raft_conf_state_has(conf, id) && !w->failed) {
            member_start(&w->members[id]);
        }
    }
}

// After the trouble a write must get through within bounded time, the group
// must come out of any joint configuration, and everybody must catch up.
static void heal(struct world *w)
{
    trouble_end(w);
    uint64_t end = w->step + (uint64_t)HEALING_TICKS * STEPS_PER_TICK;
    uint64_t before = w->writes_done;
    bool well = false;
    uint64_t target = 0;
    while (!w->failed && !well && w->step < end) {
        one_step(w);
        uint64_t id;
        const struct raft_conf_state *conf = world_conf_at(w, w->history->applied);
        mind_members(w, conf);
        struct member *leader = trouble_leader(w);
        if (leader == NULL) {
            continue;
        }
        bool joint = conf->voters_outgoing.count > 0;
        if (joint && !conf->auto_leave && w->step % (20 * STEPS_PER_TICK) == 0) {
            trouble_leave_joint(w);
        }
        if (w->step % (10 * STEPS_PER_TICK) == 0) {
            client_write(w, leader, &id);
        }
        if (w->writes_done > before && target == 0) {
            target = w->history->committed;
        }
        well = target > 0 && !joint && all_have(w, target, conf);
    }
    if (!well) {
        world_fail(w, "no progress in %d ticks after the trouble: applied %llu of %llu",
                   HEALING_TICKS, (unsigned long long)w->history->applied,
                   (unsigned long long)w->history->committed);
    }
}

bool world_run(struct world *w)
{
    while (!w->failed && w->step < TROUBLE_STEPS) {
        trouble_act(w);
        one_step(w);
    }
    if (!w->failed) {
        heal(w);
    }
    world_trace(w, "end: %llu committed, %llu writes, %llu reads%s%s",
                (unsigned long long)w->history->committed, (unsigned long long)w->writes_done,
                (unsigned long long)w->reads_done, w->failed ? ", FAILED: " : "", w->failure);
    return !w->failed;
}
