/* Publishing: what was written through handles becomes one command, so that it
 * appears to every other node at once.
 *
 *     dirty --take--> in_flight --applied--> the file's view moves on
 *                         |
 *                         +--refused, timed out--> dropped; the handles whose
 *                                                  it was fail from now on
 *
 * One publish of a file is under way at a time. All handles that want one when
 * it starts go together; while it is under way the next one fills. When the
 * file was renamed meanwhile the command is sent again for the new path; when it
 * was removed, what was written stays with those who have the file open.
 */
#ifndef KEELFS_FS_PUBLISH_H
#define KEELFS_FS_PUBLISH_H

struct file;

/* Starts a publish of what handles want, unless one is under way or nothing is
 * wanted. Without the file's lock; the caller keeps the inode pinned. */
void publish_start(struct file *file);

#endif
