/* An open directory: a listing of one version of it, which opendir(3) or rewinddir(3)
 * chose, and the places in it that seekdir(3) can name.
 *
 * Offsets are cookies as dir_trail.h has them; "." and ".." come first. A version is
 * let go when everything was listed, and when it is old: a snapshot keeps overwritten
 * data on disk. Who reads on gets a new one, and goes on behind the same name.
 *
 * Nothing here waits. Who needs a look at the store asks dir_needs_look() and brings
 * it by dir_look().
 */
#ifndef KEELFS_FS_DIR_H
#define KEELFS_FS_DIR_H

#include "fs/dir_trail.h"
#include "fs/file.h"
#include "fs/fs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct dir {
    struct fs_object object;
    struct fs *fs;
    struct inode *inode; /* pinned */

    bool is_kept; /* the kernel keeps what is read; see listing.h */

    pthread_mutex_t lock;   /* guards the rest */
    uint64_t version;       /* that it lists */
    uint64_t moment;        /* of the look that found it */
    struct tree_view *tree; /* NULL: at the end, or it got too old */
    uint64_t taken_ns;
    char *path; /* in that view */
    uint64_t parent_id;
    struct tree_list *list;
    bool is_at_end;
    uint64_t cookie;                        /* of the entry before the next one */
    char last_name[PATH_COMPONENT_MAX + 1]; /* its name; "" when it is none of a child */
    bool has_next;                          /* the next one has been read from the list: */
    const char *name;
    struct attr attr;
    struct dir_trail trail;
};

/* Opens what `look` found; it pins the inode again. KE_NOT_DIR. */
int dir_open(struct fs *fs, struct inode *inode, const struct look *look, struct dir **ret_dir);
void dir_close(struct dir *dir);

/* rewinddir(3) looks anew, and so does who goes on when there is no version. What the
 * kernel keeps is begun at the version of then, and goes on at that one. Who has listed
 * everything is at the end, whatever has come since: what fits one answer is the
 * directory at one moment. */
bool dir_needs_look(struct dir *dir, uint64_t cookie);
int dir_look(struct dir *dir, const struct look *look, uint64_t cookie);

/* --- under the lock --- */

/* Goes to behind the entry of `cookie`. KE_INVALID when nobody knows that any more;
 * KE_STALE when it takes a look first. */
int dir_seek(struct dir *dir, uint64_t cookie);

/* Makes the next entry that of `name` and `attr`: 1, or 0 at the end, or a KE_ code:
 * KE_STALE as above. Of "." and "..", only type and id. */
int dir_peek(struct dir *dir);
/* What the cookie is when the next entry has been passed. */
uint64_t dir_next_cookie(const struct dir *dir);
void dir_pass(struct dir *dir);
bool dir_is_at_dots(const struct dir *dir);

/* Everything was listed: the snapshot is not needed any more. */
void dir_end(struct dir *dir);

#endif
