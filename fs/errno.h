/* Where a KE_ code becomes an errno: the only table of its kind. */
#ifndef KEELFS_FS_ERRNO_H
#define KEELFS_FS_ERRNO_H

/* `code` is 0 or a KE_ code; returns 0 or a positive errno. A code that nobody
 * knows is EIO. */
int errno_of(int code);

#endif
