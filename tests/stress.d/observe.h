/* What is there, through one mount, while nothing changes. */
#ifndef KEELFS_TESTS_STRESS_D_OBSERVE_H
#define KEELFS_TESTS_STRESS_D_OBSERVE_H

#include "state.h"
#include "texts.h"

#include <stdbool.h>
#include <stdio.h>

#define OBSERVE_WHY_MAX 1024

/* Everything below `root`. False, with words in `why`: it cannot be read. */
bool observe(const char *root, struct texts *texts, struct state *ret_state,
             char why[OBSERVE_WHY_MAX]);

/* For people, a line for each name. */
void observe_show(const struct state *state, const struct texts *texts, FILE *out);

#endif
