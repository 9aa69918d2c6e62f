/* `.keelfs/members` and `.keelfs/leader`: who is in the cluster, for scripts. */
#ifndef KEELFS_FS_CONTROL_MEMBERS_H
#define KEELFS_FS_CONTROL_MEMBERS_H

#include <stdio.h>

struct fs;

/* A line for each: "NAME STORE ADDRESS ROLE STATE", the role leader, voter, learner or
 * leaving, the state as far as this node knows it: self, active, silent (not heard of),
 * new (never started), snapshot (gets one) or unknown. */
void control_write_members(struct fs *fs, FILE *out);

/* "NAME ADDRESS", or nothing while no leader is known. */
void control_write_leader(struct fs *fs, FILE *out);

#endif
