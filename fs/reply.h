/* Answers that carry attributes, and how attributes become a struct stat.
 *
 * All timeouts are 0: without a read lease nothing may be answered from the
 * kernel's caches.
 */
#ifndef KEELFS_FS_REPLY_H
#define KEELFS_FS_REPLY_H

#include "fs/fuse.h"
#include "fs/inode.h"
#include "raftstore/attr.h"

#include <stdbool.h>
#include <sys/stat.h>

/* `links` is 0 for a removed file. */
void reply_fill_stat(const struct attr *attr, nlink_t links, struct stat *ret_stat);

/* The number of links of what exists. */
nlink_t reply_links(const struct attr *attr);

/* The answer to getattr and setattr. */
void reply_attr(fuse_req_t req, const struct attr *attr, nlink_t links);

/* Fills `ret_entry`, with one more reference for the kernel, which the caller
 * gives back with inode_forget() when the answer does not get there. */
void reply_fill_entry(struct inode *inode, const struct attr *attr,
                      struct fuse_entry_param *ret_entry);

/* The answer to lookup and what makes files. Does not end the request. */
void reply_entry(fuse_req_t req, struct inode *inode, const struct attr *attr);

#endif
