/* `.keelfs/watch/PATH`: a read waits until PATH or something below it changes, and
 * returns lines "VERSION EVENT PATH". docs/decisions/0010 says how it is used and why it
 * is this way; watch_nodes.h has the names, watch_history.h the changes.
 */
#ifndef KEELFS_FS_WATCH_H
#define KEELFS_FS_WATCH_H

#include "fs/control_handle.h"

/* A watch of what `name` says: a path, with "@VERSION" behind it for one that goes on
 * there. NULL with a KE_ code: KE_INVALID for a version that is none, KE_BUSY when too
 * many are open. */
struct control_handle *watch_open(struct fs *fs, const char *name, int *ret_code);

#endif
