/* libfuse's low-level interface, at the version that keelfs is written for. */
#ifndef KEELFS_FS_FUSE_H
#define KEELFS_FS_FUSE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#endif
