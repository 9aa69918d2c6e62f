/* What the system tells of the thread that made a call. */
#ifndef KEELFS_FS_THREAD_STAT_H
#define KEELFS_FS_THREAD_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct thread_stat {
    uint64_t start_ns; /* of clock_ns(), rounded down to a tick of 10 ms */
    bool is_exiting;
    int signal; /* of one that is exiting: what killed it, or 0 */
};

/* False when nothing can be known, as of threads in other namespaces. `signal` stays 0
 * when this process may not know it. */
bool thread_stat_read(pid_t tid, struct thread_stat *ret_stat);

/* Whether `gid` is among its supplementary groups; false when nothing can be known. (What
 * libfuse offers for it reads behind the end of its buffer.) */
bool thread_has_group(pid_t tid, gid_t gid);

#endif
