/* `mount -o remount`: other flags for a mount that is there.
 *
 * mount(8) hands the wish to the daemon's own program, as every mount of its type.
 * The kernel keeps the flags, so that nothing is told to the daemon that serves the
 * mount: what it was started with stays as it is.
 */
#ifndef KEELFS_FS_REMOUNT_H
#define KEELFS_FS_REMOUNT_H

#include "raftstore/err.h"

/* Sets the flags that `options`, as after `-o`, names (ro, nosuid, ...) for the mount
 * of keelfs at `mountpoint`; those that it does not name stay, and what is no flag is
 * passed over. One clear line when that cannot be. */
int remount_change(const char *mountpoint, const char *options, struct err *e);

#endif
