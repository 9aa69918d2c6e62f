/* The mount of a node: what main needs of fs/, in call order.
 *
 *     fs_mount_check()      before anything is started or made
 *     store_open()
 *     fs_new()              registers itself as the store's observer
 *     store_start()
 *     fs_mount_open()       the kernel mounts; requests queue
 *     fs_mount_run()        serves until unmounted or fs_mount_stop()
 *     fs_mount_close()      unmounts; every request has been answered
 *     store_close()
 *     fs_free()
 *
 * fs_mount_open() makes no thread, but may fork and exec the mount helper when
 * it does not run as root. All calls are for one thread, except
 * fs_mount_stop(): any thread, not a signal handler.
 */
#ifndef KEELFS_FS_MOUNT_H
#define KEELFS_FS_MOUNT_H

#include "raftstore/err.h"
#include "raftstore/store.h"

#include <stdbool.h>
#include <stdint.h>

#define FS_OP_TIMEOUT_MS_DEFAULT 5000

struct fs;
struct fs_mount;

/* Every string is copied by fs_new(). */
struct fs_config {
    const char *mountpoint;
    const char *data_dir; /* statfs shows the free space of its file system */
    /* Mount options as after `-o`, comma separated ("allow_other,noatime");
     * NULL: none. `default_permissions`, `fsname` and `subtype` are always set. */
    const char *options;
    /* The longest a call on the mount waits for the cluster. 0: the default. */
    uint32_t op_timeout_ms;
    /* Reads that no leader answers show what this node has, instead of failing. */
    bool stale_reads;
    /* Every look asks the cluster, and the kernel keeps nothing: no read lease. */
    bool no_cache;
};

/* Whether a file system can be mounted at `mountpoint`, in one clear line when
 * not: missing, not a directory, busy, no access to /dev/fuse. A dead mount
 * that a killed daemon left there is unmounted first. Changes nothing else. */
int fs_mount_check(const char *mountpoint, struct err *e);

/* The file system of `store` (borrowed until fs_free()). Before store_start().
 * Never fails. */
struct fs *fs_new(struct store *store, const struct fs_config *config);
/* NULL is fine. */
void fs_free(struct fs *fs);

/* Checks as fs_mount_check() does, then mounts. One mount a `fs`. KE_INVALID
 * for options that nobody knows. */
int fs_mount_open(struct fs *fs, struct fs_mount **ret_mount, struct err *e);

/* Serves requests. Returns 0 after an unmount or fs_mount_stop(), KE_IO when the
 * connection to the kernel failed. At most once a mount. */
int fs_mount_run(struct fs_mount *mount, struct err *e);

/* Makes fs_mount_run() return soon; before the run: makes it return at once. */
void fs_mount_stop(struct fs_mount *mount);

/* Waits until what is under way is answered (at most the operation timeout),
 * unmounts, and drops every view of the store. NULL is fine. */
void fs_mount_close(struct fs_mount *mount);

#endif
