/* One process of the stress: what it asks in a window is drawn from the seed, the
 * window and its number, and from what it has open. */
#ifndef KEELFS_TESTS_STRESS_D_WORKER_H
#define KEELFS_TESTS_STRESS_D_WORKER_H

#include "op.h"

#include <stdint.h>

/* xorshift64*; the state is never 0. */
uint32_t random_below(uint64_t *state, uint32_t limit);
uint64_t random_seed(uint64_t seed, uint64_t window, uint64_t lane);

struct worker_window {
    uint64_t seed;
    uint64_t number;
    uint8_t process;
    const char *root; /* the model's root, on the process' mount */
    struct model_op ops[MODEL_OPS_MAX];
    uint8_t count;
};

/* Works through the window; nothing is open at its end. */
void worker_run(struct worker_window *window);

#endif
