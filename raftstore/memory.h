/* Memory that is always there: out of memory ends the process with a sentence.
 *
 * Only for sizes that our own limits bound; a size that a peer or a client chose
 * is checked first. Freed with free(). Any thread may call.
 */
#ifndef KEELFS_RAFTSTORE_MEMORY_H
#define KEELFS_RAFTSTORE_MEMORY_H

#include <stddef.h>

/* Never NULL, also for 0 bytes. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *old, size_t size) __attribute__((returns_nonnull));

/* Copies; `data` may be NULL when `size` is 0. */
void *mem_dup(const void *data, size_t size) __attribute__((malloc, returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));

#endif
