/* Whether a directory can be mounted on, and clearing a dead mount off it. */
#ifndef KEELFS_FS_MOUNTPOINT_H
#define KEELFS_FS_MOUNTPOINT_H

#include "raftstore/err.h"

/* As the kernel shows it in the table of mounts. */
#define MOUNTPOINT_TYPE "fuse.keelfs"

/* See fs_mount_check(). */
int mountpoint_check(const char *mountpoint, struct err *e);

/* Whether a keelfs is mounted there: KE_NOT_FOUND in words when not. */
int mountpoint_check_mounted(const char *mountpoint, struct err *e);

#endif
