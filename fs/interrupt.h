/* Which signals end a wait with EINTR.
 *
 * The kernel reports any signal that a waiting caller handles, SIGCHLD and
 * SIGWINCH too. On a local disk none of them ends a stat() or an open(), and
 * programs do not expect it. So only what means "stop" counts: a signal that
 * kills, and SIGINT, SIGTERM, SIGHUP and SIGQUIT whether they are handled or not.
 */
#ifndef KEELFS_FS_INTERRUPT_H
#define KEELFS_FS_INTERRUPT_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether the thread `tid`, which a signal has interrupted, is meant to stop. True
 * where that cannot be told. Reads /proc; waits for nothing. */
bool interrupt_means_stop(pid_t tid);

#endif
