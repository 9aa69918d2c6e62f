/* The control directory `.keelfs` in the root: files that are text made at open. What
 * each of them is: control_handle.h.
 *
 * It lives outside the store: nothing here waits for the cluster, so that a node
 * without a majority can still be asked what is wrong. Nothing in it can be
 * changed. Its inode numbers have the top bit set, which no id of a file has.
 * The kernel may cache its names and attributes for long: they never change; but for
 * `watch`, which has a file for every path there could be (watch_nodes.h).
 *
 * The root does not list it. Handlers pass every request on a node that
 * control_owns() to the function of the same name here.
 */
#ifndef KEELFS_FS_CONTROL_H
#define KEELFS_FS_CONTROL_H

#include "fs/fuse.h"

#include <stdbool.h>
#include <stdint.h>

struct fs;

bool control_owns(fuse_ino_t ino);

/* True: the lookup is for the control directory, and answered. */
bool control_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);

/* The kernel dropped `count` references. */
void control_forget(struct fs *fs, fuse_ino_t ino, uint64_t count);

/* True: the change of that name is refused, and answered. */
bool control_refuses_change(fuse_req_t req, fuse_ino_t parent, const char *name);

void control_getattr(fuse_req_t req, fuse_ino_t ino);
void control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void control_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi);
void control_poll(fuse_req_t req, struct fuse_file_info *fi, struct fuse_pollhandle *notify);
void control_release(struct fuse_file_info *fi);
void control_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void control_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t offset, bool plus);

#endif
