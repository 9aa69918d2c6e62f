#include <string.h>

#include "world.h"

// A snapshot's sender must be told what became of it.
static void report(struct world *w, const struct raft_message *m, bool succeeded)
{
    struct member *from = &w->members[m->from];
    // Paused or not: the report waits for it in its process.
    if (m->type == RAFT_MESSAGE_SNAPSHOT && from->node != NULL) {
        raft_node_report_snapshot(from->node, m->to, succeeded);
    } else if (!succeeded && member_runs(from) && random_chance(&w->random, 100)) {
        raft_node_report_unreachable(from->node, m->to);
    }
}

static void enqueue(struct world *w, struct raft_message *m)
{
    if (w->wire_count == WIRE_MAX) {
        raft_message_release(m); // the queue of a real transport has an end, too
        return;
    }
    struct packet *p = &w->wire[w->wire_count++];
    raft_message_move(&p->m, m);
    unsigned most = w->calm ? 1 : w->weather.delay_max;
    p->due = w->step + 1 + random_below(&w->random, most + 1);
}

void network_send(struct world *w, struct raft_message *m)
{
    if (m->to == RAFT_NONE || m->to > w->count) {
        raft_message_release(m);
        return;
    }
    if (!w->calm && random_chance(&w->random, w->weather.duplicate)) {
        struct raft_message twin;
        if (raft_message_copy(&twin, m) == 0) {
            enqueue(w, &twin);
        }
    }
    enqueue(w, m);
}

static void deliver(struct world *w, struct raft_message *m)
{
    struct member *to = &w->members[m->to];
    bool lost = w->cut[m->from][m->to] || (!w->calm && random_chance(&w->random, w->weather.loss));
    if (lost || to->node == NULL) {
        report(w, m, false);
    } else {
        member_step(to, m);
        report(w, m, true);
    }
    raft_message_release(m);
}

void network_deliver(struct world *w)
{
    size_t kept = 0;
    size_t count = w->wire_count;
    for (size_t i = 0; i < count && !w->failed; i++) {
        struct raft_message m;
        bool waits = w->wire[i].due > w->step || w->members[w->wire[i].m.to].paused;
        if (waits) {
            if (kept != i) {
                w->wire[kept] = w->wire[i];
                memset(&w->wire[i], 0, sizeof(w->wire[i]));
            }
            kept++;
            continue;
        }
        raft_message_move(&m, &w->wire[i].m);
        deliver(w, &m);
    }
    if (!w->failed) {
        w->wire_count = kept;
    }
}

void network_release(struct world *w)
{
    for (size_t i = 0; i < w->wire_count; i++) {
        raft_message_release(&w->wire[i].m);
    }
    w->wire_count = 0;
}
