/* Which writes reach the disk: the program's own fdatasync() stands in front of the
 * C library's, so that RocksDB's calls can be seen, counted and made to fail. */
#ifndef KEELFS_TESTS_RAFTSTORE_SYNCS_H
#define KEELFS_TESTS_RAFTSTORE_SYNCS_H

/* Of this process so far. */
int syncs_count(void);
/* Those of files whose path has `part` in it fail with EIO from now on. */
void syncs_fail(const char *part);

/* Called before each one, on the thread that asks for it, with the file's path. */
typedef void syncs_hook_fn(void *ctx, const char *path);
void syncs_set_hook(syncs_hook_fn *hook, void *ctx);

#endif
