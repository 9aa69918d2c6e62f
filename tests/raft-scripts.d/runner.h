#ifndef KEEL_TESTS_RAFT_SCRIPTS_D_RUNNER_H
#define KEEL_TESTS_RAFT_SCRIPTS_D_RUNNER_H

#include <stdbool.h>

#include "script.h"

// What a script talks to: one cluster and one configuration that last for the
// whole script. Which kind of script it is shows in its commands.

struct cluster; // interaction.c
struct changes; // conf_script.c

struct cluster *cluster_new(void);
void cluster_free(struct cluster *c);
// false: not a command of this kind.
bool cluster_handle(struct cluster *c, const struct script_step *step, struct text *answer);

struct changes *changes_new(void);
void changes_free(struct changes *c);
bool changes_handle(struct changes *c, const struct script_step *step, struct text *answer);

bool quorum_handle(const struct script_step *step, struct text *answer);

struct script_result {
    int steps;
    int differing;
};

// Runs the script; differences go to `report` unless that is NULL. After each
// step `look` sees the cluster, unless that is NULL.
struct script_result run_script(const char *content, const char *name, struct text *report,
                                void (*look)(struct cluster *c));

#endif
