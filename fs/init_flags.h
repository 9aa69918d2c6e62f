/* What the kernel and keelfs agree on when the mount starts.
 *
 * libfuse 3.14 does not pass some flags on to the kernel even where it shows
 * them as wanted. They are added to its answer to FUSE_INIT on the way out:
 *
 *   PARALLEL_DIROPS     lookups in one directory go on side by side
 *   HANDLE_KILLPRIV_V2  a write does not first ask for security.capability; in
 *                       return keelfs clears the set-user-id bits
 *   DIRECT_IO_ALLOW_MMAP  files opened for direct I/O can be mapped shared
 *
 * Only what the kernel offered is asked for.
 */
#ifndef KEELFS_FS_INIT_FLAGS_H
#define KEELFS_FS_INIT_FLAGS_H

#include "fs/fuse.h"

/* The handler of init: what libfuse does pass on. */
void init_flags_want(void *userdata, struct fuse_conn_info *conn);

/* Puts hooks between a mounted session and the kernel, for these flags and for
 * op_trace.h. 0, or KE_IO. */
int init_flags_install(struct fuse_session *session);

#endif
