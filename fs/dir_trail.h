/* Where the listing of a directory has been: what telldir(3) has given out, so that
 * seekdir(3) finds the way back although names have come and gone since.
 *
 * A cookie stands for one name, of which it is a hash, and means "behind that name".
 * Directories are listed in byte order of their names, so a cookie says nothing about
 * the place by itself. The trail keeps the cookies in the order in which they were
 * given out, in groups, and the names at both ends of a group. To find a place again
 * the few names of its group are listed anew: it is behind the last of them that was
 * given out no later than the cookie. So a place stays right when its own name is
 * removed, too: every name that was there all the time is in front of it or behind it
 * as before.
 *
 * Rejected: counting entries (others come and go), the id of what is listed (two names
 * of a file share it), an index of each directory by hash (two rows to write for each
 * file that is made).
 *
 * Bounded: 8 bytes an entry, and only the last DIR_TRAIL_GROUPS_MAX groups. Pure; the
 * directory handle that embeds it guards it.
 */
#ifndef KEELFS_FS_DIR_TRAIL_H
#define KEELFS_FS_DIR_TRAIL_H

#include "raftstore/path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIR_TRAIL_GROUP_ENTRIES 128
#define DIR_TRAIL_GROUPS_MAX    4096

/* Cookies that stand for no name. */
#define DIR_COOKIE_START   0
#define DIR_COOKIE_DOT     1
#define DIR_COOKIE_DOT_DOT 2

/* Positive as an off_t, and none of the above. */
uint64_t dir_cookie(const char *name);

/* Names that were listed one behind the other. */
struct dir_group {
    char *after; /* the name in front of the first of them, or "" */
    char *last;
    size_t count;
    uint64_t cookies[DIR_TRAIL_GROUP_ENTRIES];
};

/* All zeros is an empty one. */
struct dir_trail {
    struct dir_group **groups; /* a ring, once it is full */
    size_t count;
    size_t capacity;
    size_t newest;
    bool is_open;                           /* the newest group goes on: */
    char last_name[PATH_COMPONENT_MAX + 1]; /* its last name */
};

/* Forgets everything. */
void dir_trail_clear(struct dir_trail *trail);

/* The name `name` was listed; `after` is the one in front of it. */
void dir_trail_add(struct dir_trail *trail, const char *after, const char *name);

/* A place that was found. Valid until the next change. */
struct dir_place {
    const char *after; /* behind this, and */
    const char *last;  /* not behind this */
    const uint64_t *cookies;
    size_t count; /* those up to the place */
};

/* The newest place of `cookie`. False: it was never given out, or is forgotten. */
bool dir_trail_find(const struct dir_trail *trail, uint64_t cookie, struct dir_place *ret_place);

/* Whether the name of `cookie` is in front of the place. */
bool dir_place_has(const struct dir_place *place, uint64_t cookie);

#endif
