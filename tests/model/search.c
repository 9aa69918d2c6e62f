#include "search.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PHASES_MAX   4
#define DEPTH_MAX    (MODEL_PROCESSES * MODEL_OPS_MAX * PHASES_MAX + 2)
#define MEMORY_SLOTS (1u << 20)
#define NEVER        UINT64_MAX

/* Calls that follow each other: those of a process, or an unknown one alone. */
struct lane {
    uint16_t ops[MODEL_OPS_MAX]; /* indices into the window's */
    uint8_t count;
    bool is_unknown;
};

/* A point of an order: what has been placed, and what came of it. */
struct point {
    struct state state;
    uint8_t at[SEARCH_LANES_MAX];
    struct state_cursor cursors[SEARCH_LANES_MAX];
    uint16_t placed;
};

struct search {
    struct search_window *window;
    struct search_result *result;
    uint64_t steps_max;
    struct lane lanes[SEARCH_LANES_MAX];
    size_t lane_count;
    struct state_call calls[MODEL_PROCESSES * MODEL_OPS_MAX];
    struct point *points;  /* one for each depth, and one to try */
    XXH128_hash_t *memory; /* open addressing; zeros: free */
    size_t remembered;
    bool is_cut_short;
};

/* --- before --- */

static bool makes(const struct model_op *op)
{
    bool can = op->kind == KIND_MKDIR || op->kind == KIND_SYMLINK ||
               (op->kind == KIND_OPEN && (op->flags & O_CREAT) != 0);

    return can && (op->is_unknown || op->error == 0);
}

static bool is_of_handle(const struct model_op *op)
{
    return op->kind == KIND_OPEN || (op->kind >= KIND_CLOSE && op->kind <= KIND_FSTAT);
}

/* False: there are more calls than the state has room for. */
static bool prepare_calls(struct search *search)
{
    struct search_window *window = search->window;
    struct state *state = &search->points[0].state;
    bool is_uncertain[MODEL_NODES] = {false};

    for (size_t i = 0; i < window->count; i++) {
        if (window->ops[i].is_unknown && is_of_handle(&window->ops[i]))
            is_uncertain[window->ops[i].node] = true;
    }
    for (size_t i = 0; i < window->count; i++) {
        const struct model_op *op = &window->ops[i];
        search->calls[i] = (struct state_call){
            .op = op,
            .texts = window->texts,
            .node_is_uncertain = is_uncertain[op->node],
        };
        if (!makes(op))
            continue;
        if (state->inode_count == STATE_INODES_MAX)
            return false;
        search->calls[i].made = state->inode_count++;
    }
    return true;
}

static bool prepare_lanes(struct search *search)
{
    search->lane_count = MODEL_PROCESSES;
    for (size_t i = 0; i < search->window->count; i++) {
        const struct model_op *op = &search->window->ops[i];
        struct lane *lane = &search->lanes[op->process];
        if (op->is_unknown) {
            if (search->lane_count == SEARCH_LANES_MAX)
                return false;
            lane = &search->lanes[search->lane_count++];
            lane->is_unknown = true;
        }
        assert(lane->count < MODEL_OPS_MAX);
        lane->ops[lane->count++] = (uint16_t)i;
    }
    return true;
}

/* --- what has been tried --- */

static XXH128_hash_t hash_point(const struct search *search, const struct point *point)
{
    const struct state *state = &point->state;
    const XXH128_hash_t parts[] = {
        XXH3_128bits(point->at, search->lane_count),
        XXH3_128bits(point->cursors, search->lane_count * sizeof(point->cursors[0])),
        XXH3_128bits(state->inodes, state->inode_count * sizeof(state->inodes[0])),
        XXH3_128bits(state->handles, sizeof(state->handles)),
        XXH3_128bits(state->layers, sizeof(state->layers)),
        XXH3_128bits(state->left, sizeof(state->left)),
    };

    return XXH3_128bits(parts, sizeof(parts));
}

/* False: it was there already. */
static bool remember(struct search *search, const struct point *point)
{
    XXH128_hash_t hash = hash_point(search, point);
    size_t slot = hash.low64 % MEMORY_SLOTS;

    while (search->memory[slot].low64 != 0 || search->memory[slot].high64 != 0) {
        if (XXH128_isEqual(search->memory[slot], hash))
            return false;
        slot = (slot + 1) % MEMORY_SLOTS;
    }
    if (search->remembered == MEMORY_SLOTS / 2) {
        search->is_cut_short = true;
        return false;
    }
    search->memory[slot] = hash;
    search->remembered++;
    return true;
}

/* --- the search --- */

static const struct model_op *next_op(const struct search *search, const struct point *point,
                                      size_t lane)
{
    const struct lane *calls = &search->lanes[lane];

    return point->at[lane] < calls->count ? &search->window->ops[calls->ops[point->at[lane]]]
                                          : NULL;
}

/* By then the first of those that are still to be placed has returned. */
static uint64_t first_return(const struct search *search, const struct point *point)
{
    uint64_t first = NEVER;

    for (size_t lane = 0; lane < MODEL_PROCESSES; lane++) {
        const struct model_op *op = next_op(search, point, lane);
        if (op != NULL && op->return_ns < first)
            first = op->return_ns;
    }
    return first;
}

static void copy_point(const struct search *search, struct point *to, const struct point *from)
{
    struct state *state = &to->state;

    memcpy(state->inodes, from->state.inodes,
           from->state.inode_count * sizeof(from->state.inodes[0]));
    state->inode_count = from->state.inode_count;
    state->is_overflown = from->state.is_overflown;
    memcpy(state->handles, from->state.handles, sizeof(state->handles));
    memcpy(state->layers, from->state.layers, sizeof(state->layers));
    memcpy(state->left, from->state.left, sizeof(state->left));
    memcpy(to->at, from->at, search->lane_count);
    memcpy(to->cursors, from->cursors, search->lane_count * sizeof(to->cursors[0]));
    to->placed = from->placed;
}

typedef enum state_step step_fn(struct state *state, struct state_cursor *cursor,
                                const struct state_call *call);

/* Makes the next step of the lane, from `from` to `to`. */
static enum state_step try_step(struct search *search, struct point *to, const struct point *from,
                                size_t lane, uint64_t limit_ns, step_fn *step_of)
{
    const struct model_op *op = next_op(search, from, lane);

    if (op == NULL || op->call_ns > limit_ns)
        return STEP_NO;
    copy_point(search, to, from);
    const struct state_call *call = &search->calls[op - search->window->ops];
    enum state_step step = step_of(&to->state, &to->cursors[lane], call);
    if (to->state.is_overflown)
        search->is_cut_short = true;
    /* An unknown one that changes nothing may as well not have been. */
    if (step == STEP_SEEN && search->lanes[lane].is_unknown)
        return STEP_NO;
    if (step == STEP_DONE || step == STEP_SEEN) {
        to->at[lane]++;
        to->placed++;
        to->cursors[lane] = (struct state_cursor){0};
    }
    return step;
}

/* Places what fits and changes nothing. */
static void place_seen(struct search *search, struct point *point, struct point *spare)
{
    bool goes_on = true;

    while (goes_on) {
        uint64_t limit_ns = first_return(search, point);
        goes_on = false;
        for (size_t lane = 0; lane < MODEL_PROCESSES && !goes_on; lane++) {
            if (try_step(search, spare, point, lane, limit_ns, state_step) == STEP_SEEN) {
                copy_point(search, point, spare);
                goes_on = true;
            }
        }
    }
}

static void note_farthest(struct search *search, const struct point *point)
{
    struct search_result *result = search->result;

    if (point->placed < result->placed)
        return;
    result->placed = point->placed;
    memset(result->is_placed, 0, sizeof(result->is_placed));
    for (size_t lane = 0; lane < search->lane_count; lane++) {
        for (size_t i = 0; i < point->at[lane]; i++)
            result->is_placed[search->lanes[lane].ops[i]] = true;
    }
    memcpy(&result->state, &point->state, sizeof(result->state));
}

/* Lanes in the order in which their calls returned: mostly that of their effect. */
static size_t sort_lanes(const struct search *search, const struct point *point, uint64_t limit_ns,
                         uint8_t lanes[SEARCH_LANES_MAX])
{
    uint64_t returns[SEARCH_LANES_MAX];
    size_t count = 0;

    for (size_t lane = 0; lane < search->lane_count; lane++) {
        const struct model_op *op = next_op(search, point, lane);
        if (op == NULL || op->call_ns > limit_ns)
            continue;
        uint64_t return_ns = op->is_unknown ? NEVER : op->return_ns;
        size_t at = count++;
        for (; at > 0 && returns[at - 1] > return_ns; at--) {
            returns[at] = returns[at - 1];
            lanes[at] = lanes[at - 1];
        }
        returns[at] = return_ns;
        lanes[at] = (uint8_t)lane;
    }
    return count;
}

static bool explore(struct search *search, size_t depth)
{
    struct point *point = &search->points[depth];
    struct point *next = &search->points[depth + 1];
    step_fn *const steps[] = {state_step, state_step_otherwise};
    uint8_t lanes[SEARCH_LANES_MAX];

    assert(depth + 1 < DEPTH_MAX);
    if (++search->result->steps > search->steps_max)
        search->is_cut_short = true;
    if (search->is_cut_short)
        return false;
    place_seen(search, point, next);
    if (!remember(search, point))
        return false;
    note_farthest(search, point);
    uint64_t limit_ns = first_return(search, point);
    if (limit_ns == NEVER && state_fits(&point->state, &search->window->after))
        return true;
    size_t count = sort_lanes(search, point, limit_ns, lanes);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            if (try_step(search, next, point, lanes[i], limit_ns, steps[j]) != STEP_NO &&
                explore(search, depth + 1))
                return true;
        }
    }
    return false;
}

void search_window(struct search_window *window, uint64_t steps_max, struct search_result *result)
{
    struct search *search = mem_zalloc(sizeof(*search));

    assert(window->count <= MODEL_PROCESSES * MODEL_OPS_MAX);
    *result = (struct search_result){.verdict = SEARCH_UNDECIDED};
    search->window = window;
    search->result = result;
    search->steps_max = steps_max;
    search->points = mem_zalloc(DEPTH_MAX * sizeof(struct point));
    search->memory = mem_zalloc(MEMORY_SLOTS * sizeof(XXH128_hash_t));
    memcpy(&search->points[0].state, &window->before, sizeof(window->before));
    if (prepare_calls(search) && prepare_lanes(search)) {
        if (explore(search, 0))
            result->verdict = SEARCH_VALID;
        else
            result->verdict = search->is_cut_short ? SEARCH_UNDECIDED : SEARCH_INVALID;
    }
    free(search->memory);
    free(search->points);
    free(search);
}
