#include "fs/reply.h"

#include "fs/reply_guard.h"
#include "raftstore/tree.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S        1000000000
#define STAT_BLOCK      512
#define PREFERRED_IO    4096
#define OWN_LINK        1 /* of a directory: its "." */
#define NO_TIMEOUT      0.0
#define ONLY_GENERATION 1 /* ids are never used twice */

static mode_t type_bits(enum file_type type)
{
    switch (type) {
    case FILE_REGULAR:
        return S_IFREG;
    case FILE_DIRECTORY:
        return S_IFDIR;
    case FILE_SYMLINK:
        return S_IFLNK;
    case FILE_FIFO:
        return S_IFIFO;
    case FILE_SOCKET:
        return S_IFSOCK;
    case FILE_CHAR_DEVICE:
        return S_IFCHR;
    case FILE_BLOCK_DEVICE:
        return S_IFBLK;
    }
    return S_IFREG;
}

/* Rounds towards the past: the nanoseconds are never negative. */
static struct timespec timespec_of(int64_t ns)
{
    int64_t rest = ns % NS_PER_S;
    int64_t seconds = ns / NS_PER_S;

    if (rest < 0) {
        rest += NS_PER_S;
        seconds--;
    }
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)rest};
}

/* A hole takes no room, a chunk with a row all of its part of the file. */
static blkcnt_t blocks_of(const struct attr *attr)
{
    uint64_t whole = (attr->size + STAT_BLOCK - 1) / STAT_BLOCK;
    uint64_t rows = tree_chunk_count(attr->size) - attr->hole_chunks;
    uint64_t taken = rows * (TREE_CHUNK_SIZE / STAT_BLOCK);

    return (blkcnt_t)(taken < whole ? taken : whole);
}

void reply_fill_stat(const struct attr *attr, nlink_t links, struct stat *ret_stat)
{
    *ret_stat = (struct stat){
        .st_ino = attr->id,
        .st_mode = type_bits(attr->type) | attr->mode,
        .st_nlink = links,
        .st_uid = attr->uid,
        .st_gid = attr->gid,
        .st_rdev = attr->rdev,
        .st_size = (off_t)attr->size,
        .st_blksize = PREFERRED_IO,
        .st_blocks = blocks_of(attr),
        .st_atim = timespec_of(attr->atime_ns),
        .st_mtim = timespec_of(attr->mtime_ns),
        .st_ctim = timespec_of(attr->ctime_ns),
    };
}

nlink_t reply_links(const struct attr *attr)
{
    return attr->type == FILE_DIRECTORY ? attr->nlink + OWN_LINK : attr->nlink;
}

static double timeout_if(bool keeps)
{
    return keeps ? REPLY_GUARD_SOME_S : NO_TIMEOUT;
}

void reply_attr(fuse_req_t req, const struct attr *attr, nlink_t links, const struct keep *keep)
{
    struct stat st;

    reply_fill_stat(attr, links, &st);
    if (keep->attr)
        reply_guard_begin(REPLY_ATTR, keep->until_ns);
    fuse_reply_attr(req, &st, timeout_if(keep->attr));
}

void reply_fill_entry(struct inode *inode, const struct attr *attr, const struct keep *keep,
                      struct fuse_entry_param *ret_entry)
{
    /* Before the answer: the kernel may forget it at once. */
    bool was_known = inode_add_lookup(inode);

    *ret_entry = (struct fuse_entry_param){
        .ino = inode->id,
        .generation = ONLY_GENERATION,
        /* What is taken back from an inode that the kernel is about to make is lost. */
        .attr_timeout = timeout_if(keep->attr && was_known),
        .entry_timeout = timeout_if(keep->name),
    };
    reply_fill_stat(attr, reply_links(attr), &ret_entry->attr);
}

void reply_entry(fuse_req_t req, struct inode *inode, const struct attr *attr,
                 const struct keep *keep)
{
    struct fuse_entry_param entry;

    reply_fill_entry(inode, attr, keep, &entry);
    if (keep->name || keep->attr)
        reply_guard_begin(REPLY_ENTRY, keep->until_ns);
    if (fuse_reply_entry(req, &entry) != 0)
        inode_forget(inode->table, inode->id, 1);
}

void reply_missing(fuse_req_t req, const struct keep *keep)
{
    const struct fuse_entry_param nothing = {.entry_timeout = timeout_if(keep->name)};

    if (!keep->name) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    reply_guard_begin(REPLY_ENTRY, keep->until_ns);
    fuse_reply_entry(req, &nothing);
}
