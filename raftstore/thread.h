/* The little of threads that is used in several places. */
#ifndef KEELFS_RAFTSTORE_THREAD_H
#define KEELFS_RAFTSTORE_THREAD_H

#include <pthread.h>
#include <stdint.h>

/* Starts a thread with every signal blocked and this name (15 bytes at most)
 * in ps and gdb. Ends the process when the system has no thread to give. */
void thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg);

/* A condition whose waits are measured by the monotonic clock. */
void thread_cond_init(pthread_cond_t *cond);

/* Waits up to `ms`; may wake early. Returns 0 or ETIMEDOUT. */
int thread_cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t ms);

#endif
