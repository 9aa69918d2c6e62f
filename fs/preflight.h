/* What can be found wrong before anything is made, started or changed. */
#ifndef KEELFS_FS_PREFLIGHT_H
#define KEELFS_FS_PREFLIGHT_H

#include "fs/options.h"
#include "raftstore/err.h"

/* The mount point is fit, the data directory and the log lie outside of it and
 * nobody else uses the directory, and the port can be bound. One line for the
 * user when not. May run the unmount helper on a dead mount; starts no thread. */
int preflight_check(const struct options *options, struct err *e);

#endif
