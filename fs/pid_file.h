/* DATA_DIR/keelfs.pid: which process serves a data directory.
 *
 * The file is locked while its process lives, so a number left by a killed
 * daemon is never taken for a living one. For one thread.
 */
#ifndef KEELFS_FS_PID_FILE_H
#define KEELFS_FS_PID_FILE_H

#include "raftstore/err.h"

/* KE_BUSY, naming the process, when a daemon runs on `data_dir` and goes on to: one
 * that is about to end is waited for, for some seconds. The directory may be missing.
 * Changes nothing. */
int pid_file_check(const char *data_dir, struct err *e);

/* Writes and locks it. `data_dir` exists. `*ret_fd` is for pid_file_remove(). */
int pid_file_create(const char *data_dir, int *ret_fd, struct err *e);

void pid_file_remove(const char *data_dir, int fd);

#endif
