#include <string.h>

#include "check.h"
#include "world.h"

#define OP_EXPIRES_STEPS 400

static struct op *new_op(struct world *w, struct member *m, bool read)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        struct op *op = &w->ops[i];
        if (op->state == OP_FREE) {
            *op = (struct op){
                .state = OP_WAITING,
                .read = read,
                .id = w->next_op++,
                .at = m->id,
                .floor = w->floor,
                .expires = w->step + OP_EXPIRES_STEPS,
            };
            return op;
        }
    }
    return NULL;
}

static struct op *find_op(struct member *m, uint64_t id)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        struct op *op = &m->w->ops[i];
        if (op->state != OP_FREE && op->id == id && op->at == m->id) {
            return op;
        }
    }
    return NULL;
}

static void finish(struct world *w, struct op *op, uint64_t position)
{
    check_operation(w, op, position);
    world_trace(w, "%s %llu done at %llu, seen %llu", op->read ? "read" : "write",
                (unsigned long long)op->id, (unsigned long long)op->at,
                (unsigned long long)position);
    w->reads_done += op->read;
    w->writes_done += !op->read;
    if (w->floor < position) {
        w->floor = position;
    }
    op->state = OP_FREE;
}

int client_write(struct world *w, struct member *m, uint64_t *ret_id)
{
    struct op *op = new_op(w, m, false);
    if (op == NULL) {
        return RAFT_E_TOO_MANY;
    }
    uint8_t payload[40] = {0};
    memcpy(payload, &op->id, sizeof(op->id));
    size_t size = sizeof(op->id) + random_below(&w->random, 32);
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, payload, size);
    *ret_id = op->id;
    int rc = raft_node_propose(m->node, &entry, 1);
    raft_entry_unref(entry);
    if (rc != 0) {
        op->state = OP_FREE;
    }
    check_node(m);
    return rc;
}

static void read_somewhere(struct world *w, struct member *m)
{
    struct op *op = new_op(w, m, true);
    if (op == NULL) {
        return;
    }
    uint64_t id = op->id;
    int rc = raft_node_read_index(m->node, &id, sizeof(id));
    if (rc != 0) {
        op->state = OP_FREE;
    }
}

void client_act(struct world *w)
{
    struct member *m = &w->members[1 + random_below(&w->random, w->count)];
    uint64_t id;
    if (member_runs(m) && w->history->committed < INDEX_MAX - 200) {
        if (random_chance(&w->random, w->weather.write)) {
            client_write(w, m, &id);
        }
        if (random_chance(&w->random, w->weather.read)) {
            read_somewhere(w, m);
        }
    }
    if (w->step % 64 == 0) {
        for (size_t i = 0; i < OPS_MAX; i++) {
            if (w->ops[i].state != OP_FREE && w->ops[i].expires < w->step) {
                w->ops[i].state = OP_FREE; // the client went away; what became of it is unknown
            }
        }
    }
}

void client_applied(struct member *m, const struct raft_entry *entry)
{
    uint64_t id = m->w->history->payload[entry->index];
    struct op *op = id != 0 ? find_op(m, id) : NULL;
    if (op != NULL && !op->read) {
        finish(m->w, op, entry->index);
    }
}

void client_read_state(struct member *m, const struct raft_read_state *state)
{
    uint64_t id;
    memcpy(&id, state->context, sizeof(id));
    struct op *op = find_op(m, id);
    if (op != NULL && op->read && op->state == OP_WAITING) {
        op->state = OP_READABLE;
        op->index = state->index;
    }
    client_check_reads(m);
}

void client_check_reads(struct member *m)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        struct op *op = &m->w->ops[i];
        if (op->state == OP_READABLE && op->at == m->id && m->applied >= op->index) {
            finish(m->w, op, m->applied);
        }
    }
}

void client_forget(struct member *m)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (m->w->ops[i].at == m->id) {
            m->w->ops[i].state = OP_FREE;
        }
    }
}
