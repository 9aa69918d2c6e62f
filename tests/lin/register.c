#include "register.h"

#include "register_ops.h"

#include "raftstore/memory.h"

#include <stdlib.h>

#define MEMO_MIN 1024u
#define MEMO_MAX (1u << 22) /* configurations: 128 MiB */

/* The list of calls and returns, in the order of their times, of what is not
 * placed yet. Node 0 is its head; op i has the nodes 2i+1 and 2i+2. */
#define HEAD ((size_t)0)

struct node {
    size_t prev;
    size_t next;
    uint64_t at_ns;
};

struct placed {
    size_t op;
    uint32_t state_before;
    bool is_forced; /* to try another in its place is no use */
};

/* A set of 128-bit numbers, open addressing; zero stands for a free slot. */
struct memo {
    uint64_t (*slots)[2];
    size_t capacity;
    size_t count;
};

struct search {
    struct register_op *ops;
    size_t count;
    struct node *nodes; /* 2 * count + 2, the last one being the end */
    size_t end;
    bool *is_placed;
    struct placed *stack;
    size_t depth;
    uint32_t state;
    uint64_t hash[2]; /* of the set of what is placed */
    struct memo memo;
    size_t deepest;
    size_t stuck_at; /* the op whose return could not be passed there */
};

/* ---- memory ---- */

static uint64_t mix(uint64_t x)
{
    /* splitmix64's finalizer (Steele, Lea and Flood, 2014) */
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static bool memo_put(struct memo *memo, uint64_t a, uint64_t b)
{
    size_t i = (size_t)a & (memo->capacity - 1);
    while (memo->slots[i][0] != 0 || memo->slots[i][1] != 0) {
        if (memo->slots[i][0] == a && memo->slots[i][1] == b)
            return false;
        i = (i + 1) & (memo->capacity - 1);
    }
    memo->slots[i][0] = a;
    memo->slots[i][1] = b;
    memo->count++;
    return true;
}

static void memo_grow(struct memo *memo)
{
    struct memo grown = {.capacity = memo->capacity > 0 ? 2 * memo->capacity : MEMO_MIN};
    grown.slots = mem_zalloc(grown.capacity * sizeof(*grown.slots));
    for (size_t i = 0; i < memo->capacity; i++) {
        if (memo->slots[i][0] != 0 || memo->slots[i][1] != 0)
            (void)memo_put(&grown, memo->slots[i][0], memo->slots[i][1]);
    }
    free(memo->slots);
    *memo = grown;
}

/* Whether this is the first time that these are placed with this outcome. */
static bool remember(struct search *s, uint32_t state)
{
    if (2 * (s->memo.count + 1) > s->memo.capacity)
        memo_grow(&s->memo);
    /* Never zero twice. */
    return memo_put(&s->memo, s->hash[0] ^ mix(state), (s->hash[1] + state) | 1u);
}

/* ---- the list ---- */

static size_t call_of(size_t op)
{
    return 2 * op + 1;
}

static size_t return_of(size_t op)
{
    return 2 * op + 2;
}

static size_t op_of(size_t node)
{
    return (node - 1) / 2;
}

static bool is_call(size_t node)
{
    return node % 2 == 1;
}

static void unlink_node(struct search *s, size_t node)
{
    s->nodes[s->nodes[node].prev].next = s->nodes[node].next;
    s->nodes[s->nodes[node].next].prev = s->nodes[node].prev;
}

/* The reverse of unlink_node(), in the reverse order. */
static void relink_node(struct search *s, size_t node)
{
    s->nodes[s->nodes[node].prev].next = node;
    s->nodes[s->nodes[node].next].prev = node;
}

struct event {
    uint64_t at_ns;
    size_t node;
};

/* At the same time calls come first: operations that touch are concurrent. */
static int compare_events(const void *a, const void *b)
{
    const struct event *left = a, *right = b;
    if (left->at_ns != right->at_ns)
        return left->at_ns > right->at_ns ? 1 : -1;
    if (is_call(left->node) != is_call(right->node))
        return is_call(left->node) ? -1 : 1;
    return left->node > right->node ? 1 : -1;
}

static void link_nodes(struct search *s)
{
    struct event *events = mem_alloc(2 * s->count * sizeof(*events));
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        events[count++] = (struct event){s->ops[i].call_ns, call_of(i)};
        if (s->ops[i].return_ns != LIN_NEVER)
            events[count++] = (struct event){s->ops[i].return_ns, return_of(i)};
    }
    qsort(events, count, sizeof(*events), compare_events);
    size_t last = HEAD;
    for (size_t i = 0; i < count; i++) {
        s->nodes[last].next = events[i].node;
        s->nodes[events[i].node].prev = last;
        last = events[i].node;
    }
    s->nodes[last].next = s->end;
    s->nodes[s->end].prev = last;
    free(events);
}

/* ---- the search ---- */

static void toggle(struct search *s, size_t op)
{
    s->is_placed[op] = !s->is_placed[op];
    s->hash[0] ^= mix(2 * op);
    s->hash[1] ^= mix(2 * op + 1);
}

/* Places the operation next when it fits there and that has not been tried. */
static bool place(struct search *s, size_t op)
{
    const struct register_op *o = &s->ops[op];
    uint32_t state;
    if (o->twin != REGISTER_NO_TWIN && !s->is_placed[o->twin])
        return false;
    if (!register_op_fits(o, s->state, &state))
        return false;
    toggle(s, op);
    if (!remember(s, state)) {
        toggle(s, op);
        return false;
    }
    s->stack[s->depth++] =
        (struct placed){.op = op, .state_before = s->state, .is_forced = register_op_looks(o)};
    s->state = state;
    unlink_node(s, call_of(op));
    if (o->return_ns != LIN_NEVER)
        unlink_node(s, return_of(op));
    return true;
}

/* Takes back the last one for which another could have been placed; the search
 * goes on behind its call. False when there is none. */
static bool take_back(struct search *s, size_t *ret_node)
{
    bool is_forced = true;
    while (is_forced) {
        if (s->depth == 0)
            return false;
        const struct placed *last = &s->stack[--s->depth];
        is_forced = last->is_forced;
        s->state = last->state_before;
        toggle(s, last->op);
        if (s->ops[last->op].return_ns != LIN_NEVER)
            relink_node(s, return_of(last->op));
        relink_node(s, call_of(last->op));
        *ret_node = s->nodes[call_of(last->op)].next;
    }
    return true;
}

static enum lin_verdict run(struct search *s, uint64_t steps)
{
    size_t node = s->nodes[HEAD].next;
    for (uint64_t step = 0; step < steps && s->memo.count < MEMO_MAX; step++) {
        if (node == s->end)
            return LIN_VALID; /* no return is left: what is not placed need not be */
        if (is_call(node)) {
            node = place(s, op_of(node)) ? s->nodes[HEAD].next : s->nodes[node].next;
            continue;
        }
        if (s->depth >= s->deepest) {
            s->deepest = s->depth;
            s->stuck_at = op_of(node);
        }
        if (!take_back(s, &node))
            return LIN_INVALID;
    }
    return LIN_UNDECIDED;
}

static enum lin_verdict search_order(struct search *s, uint64_t steps, struct lin_fault *fault)
{
    link_nodes(s);
    enum lin_verdict verdict = run(s, steps);
    if (verdict == LIN_INVALID)
        return lin_fault_set(fault, verdict, s->stuck_at,
                             "no order explains it: at most %zu of %zu operations can be placed "
                             "before this one had to be",
                             s->deepest, s->count);
    if (verdict == LIN_UNDECIDED)
        return lin_fault_set(fault, verdict, s->stuck_at,
                             "not decided: %zu operations are too many at once for the limits of "
                             "the search",
                             s->count);
    return verdict;
}

enum lin_verdict lin_register_check(const struct lin_key *key, uint64_t steps,
                                    struct lin_fault *fault)
{
    struct search s = {.count = key->count, .end = 2 * key->count + 1};
    s.ops = mem_alloc(key->count * sizeof(*s.ops));
    s.nodes = mem_zalloc((2 * key->count + 2) * sizeof(*s.nodes));
    s.is_placed = mem_zalloc(key->count * sizeof(*s.is_placed));
    s.stack = mem_alloc(key->count * sizeof(*s.stack));
    enum lin_verdict verdict = register_ops_make(key, s.ops, fault);
    if (verdict == LIN_VALID)
        verdict = search_order(&s, steps, fault);
    free(s.ops);
    free(s.nodes);
    free(s.is_placed);
    free(s.stack);
    free(s.memo.slots);
    return verdict;
}
