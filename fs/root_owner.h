/* Whose a new volume is.
 *
 * Its root directory belongs to root, and only root could put something in. A
 * daemon that another user runs makes it that user's, once: as long as nothing has
 * happened on the volume.
 */
#ifndef KEELFS_FS_ROOT_OWNER_H
#define KEELFS_FS_ROOT_OWNER_H

#include "raftstore/store.h"

/* After store_start(). Waits for the change, which needs a majority, for a moment;
 * then it goes on in the background. */
void root_owner_claim(struct store *store);

#endif
