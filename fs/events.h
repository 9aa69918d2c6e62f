/* `.keelfs/events`: what happened lately, a line each, the store's events and slow
 * operations in the order of their times. A read at the end returns what has
 * happened since, and one at the start all that is kept by then; with the size and the
 * time that stat(2) shows, `tail -f` follows it like a log that is rotated.
 */
#ifndef KEELFS_FS_EVENTS_H
#define KEELFS_FS_EVENTS_H

#include "fs/control_handle.h"

#include <stdint.h>
#include <sys/stat.h>

/* Never fails. */
struct control_handle *events_open(struct fs *fs, int *ret_code);

/* Size and time of the file as it is now. */
void events_fill_stat(struct fs *fs, struct stat *st);

#endif
