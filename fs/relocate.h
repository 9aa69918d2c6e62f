/* Where the inodes are after a snapshot replaced all data: files and directories
 * were renamed and removed, and nobody told the inode table. */
#ifndef KEELFS_FS_RELOCATE_H
#define KEELFS_FS_RELOCATE_H

struct fs;

/* Finds every inode's path again by its id; one that is nowhere is removed. On the
 * apply thread: the data does not change meanwhile. Costs a look at each inode, or
 * at worst one walk over the names, which is little beside the snapshot. */
void relocate_inodes(struct fs *fs);

#endif
