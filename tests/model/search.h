/* Whether what the processes of a window were told can have come about: whether its
 * calls have an order, each at points between its call and its return, in which a
 * file system that does one thing at a time says and leaves the same.
 *
 * Searches as Wing and Gong (1993) do, with Lowe's (2017) memory of what has been
 * tried. A window begins and ends with nobody in a call and no file open, and what is
 * there is known before and after: so windows are searched alone, and stay small.
 * What keeps the search small, none of which changes the answer: what fits and changes
 * nothing is placed at once, without an alternative; what a call makes has its place
 * in the state by the call, so that orders that come to the same are one.
 *
 * A call with an unknown outcome may take effect at any time after it began, or
 * never; what its process did next does not wait for it.
 */
#ifndef KEELFS_TESTS_MODEL_SEARCH_H
#define KEELFS_TESTS_MODEL_SEARCH_H

#include "op.h"
#include "state.h"
#include "texts.h"

#include <stddef.h>
#include <stdint.h>

#define SEARCH_STEPS_MAX   3000000u
#define SEARCH_UNKNOWN_MAX 32
#define SEARCH_LANES_MAX   (MODEL_PROCESSES + SEARCH_UNKNOWN_MAX)

enum search_verdict {
    SEARCH_VALID,
    SEARCH_INVALID,
    SEARCH_UNDECIDED, /* too much to search; never to be taken for valid */
};

struct search_window {
    struct state before;
    struct state after;   /* its open files and layers are not looked at */
    struct texts *texts;  /* of both and of the search; grows */
    struct model_op *ops; /* by process, and those of one in their order */
    size_t count;
};

struct search_result {
    enum search_verdict verdict;
    uint64_t steps;
    /* The farthest that any order came: which calls have taken effect. */
    size_t placed;
    bool is_placed[MODEL_PROCESSES * MODEL_OPS_MAX];
    struct state state;
};

void search_window(struct search_window *window, uint64_t steps_max, struct search_result *result);

#endif
