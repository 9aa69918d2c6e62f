/* One call on a mount: from what is asked to what was told. */
#ifndef KEELFS_TESTS_STRESS_D_ACT_H
#define KEELFS_TESTS_STRESS_D_ACT_H

#include "op.h"

#include <stddef.h>
#include <sys/stat.h>

#define ACT_PATH_MAX 512

/* Opens a directory of a mount and names it in `out`, so that what is done below that
 * name is done on this mount or fails with it: while a daemon starts again, an empty
 * directory lies where its mount will be. Returns the descriptor, or -1 with errno. */
int act_open_root(const char *path, char out[ACT_PATH_MAX]);

/* Whether it may or may not have been done, now or later. */
bool act_is_unknown(int error);

/* The path of something below `root`. */
void act_path(const char *root, struct model_path path, char out[ACT_PATH_MAX]);

void act_attr_of(const struct stat *st, struct model_attr *ret_attr);
/* Fills what is there by its name. 0 or errno. */
int act_list(const char *path, struct model_op *op);

/* Asks, and fills the times and what was told. `fds` are the handles of the process, -1
 * where none is open. */
void act(const char *root, struct model_op *op, int fds[MODEL_HANDLES]);

#endif
