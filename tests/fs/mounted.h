/* A mount over a fake store, for one test. Whatever becomes of the test, the
 * mount is taken away.
 */
#ifndef KEELFS_TESTS_FS_MOUNTED_H
#define KEELFS_TESTS_FS_MOUNTED_H

#include "fake_store.h"
#include "fs/mount.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

struct mounted {
    char dir[64]; /* temporary, with all below */
    char mountpoint[96];
    struct store *store;
    struct fs *fs;
    struct fs_mount *mount;
    pthread_t runner;
    int cleaner; /* a pipe: its end tells the cleaning child that we are gone */
    pid_t cleaner_pid;
};

/* Skips the test, with words, where nothing can be mounted. `op_timeout_ms` is
 * how long calls on the mount wait. */
void mounted_start(struct mounted *mounted, uint32_t op_timeout_ms);
void mounted_stop(struct mounted *mounted);
/* The last part of it, for a test that has ended the mount itself. */
void mounted_clean(struct mounted *mounted);

/* The path of `name` in the mount; valid for the next few calls. */
const char *mounted_path(const struct mounted *mounted, const char *name);

/* open, write or read all, close; false with errno when one fails. */
int mounted_write(const struct mounted *mounted, const char *name, int flags, const char *text);
/* Zero-terminated, or NULL with errno. */
char *mounted_read(const struct mounted *mounted, const char *name);

/* What a call returned and left in errno. */
void mounted_assert_fails(int result, int expected);
void mounted_assert_content(const struct mounted *mounted, const char *name, const char *expected);

/* --- what other nodes do --- */

/* Makes or replaces the file `name`. */
void remote_put(struct mounted *mounted, const char *name, const void *data, size_t size);
void remote_append(struct mounted *mounted, const char *name, const char *text);
void remote_rename(struct mounted *mounted, const char *from, const char *to);
void remote_remove(struct mounted *mounted, const char *name);
void remote_mkdir(struct mounted *mounted, const char *name);

/* Whether what other nodes read of `name` is `text`; NULL: there is none. */
bool remote_is(struct mounted *mounted, const char *name, const char *text);

#endif
