/* Answers that carry attributes, and how attributes become a struct stat.
 *
 * The kernel may keep what `struct keep` says, which resolve.h finds out; see
 * docs/decisions/0009-read-leases.md.
 */
#ifndef KEELFS_FS_REPLY_H
#define KEELFS_FS_REPLY_H

#include "fs/fuse.h"
#include "fs/inode.h"
#include "raftstore/attr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* What the kernel may keep of an answer. All zeros: nothing. */
struct keep {
    uint64_t until_ns; /* clock_ns() */
    bool name;
    bool attr;
};

/* `links` is 0 for a removed file. */
void reply_fill_stat(const struct attr *attr, nlink_t links, struct stat *ret_stat);

/* The number of links of what exists. */
nlink_t reply_links(const struct attr *attr);

/* The answer to getattr and setattr. */
void reply_attr(fuse_req_t req, const struct attr *attr, nlink_t links, const struct keep *keep);

/* Fills `ret_entry`, with one more reference for the kernel, which the caller
 * gives back with inode_forget() when the answer does not get there. With a timeout
 * where `keep` has something, for reply_guard.h. */
void reply_fill_entry(struct inode *inode, const struct attr *attr, const struct keep *keep,
                      struct fuse_entry_param *ret_entry);

/* The answer to lookup and what makes files. Does not end the request. */
void reply_entry(fuse_req_t req, struct inode *inode, const struct attr *attr,
                 const struct keep *keep);

/* There is nothing of that name. */
void reply_missing(fuse_req_t req, const struct keep *keep);

#endif
