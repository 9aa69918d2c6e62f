/* How much room the file system of the data directory has left.
 *
 * The log must never fill the disk: a failed log write ends the process. So there
 * are two marks. Below DISK_LOW nothing that takes space is proposed; what gives
 * space back still is, and uses the room between the marks. Below DISK_FULL this
 * node takes no entry at all into its log, not even as a follower. Above the
 * first mark again, all goes on by itself. Owned by the raft thread.
 */
#ifndef KEELFS_RAFTSTORE_DISK_WATCH_H
#define KEELFS_RAFTSTORE_DISK_WATCH_H

#include "raftstore/err.h"

#include <stdint.h>

enum disk_room { DISK_ROOM, DISK_LOW, DISK_FULL };

/* The upper mark: a twentieth of the file system, within these. The lower is half of
 * it. */
#define DISK_RESERVE_MIN (128ull << 20)
#define DISK_RESERVE_MAX (1ull << 30)

struct disk_watch {
    int fd; /* of the data directory */
    enum disk_room room;
};

int disk_watch_open(const char *data_dir, struct disk_watch *ret_watch, struct err *e);
void disk_watch_close(struct disk_watch *watch);
/* Looks again, and logs a change of state with figures. A mark is left only with an
 * eighth more than it, so that the state does not flicker. */
enum disk_room disk_watch_update(struct disk_watch *watch);

#endif
