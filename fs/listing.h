/* The listing of a directory that the kernel keeps, in one set of pages for all who have
 * it open: which version it is of, and who may fill and use it.
 *
 * The kernel fills its pages from what it reads through handles that were opened for it,
 * in order, and drops them when a handle is opened that is not to keep them. So
 *   - handles that are open for it at one time were opened at one version;
 *   - pages are of that version when all that was read through them, from a start on,
 *     was: who rewinds finds a newer one, and the kernel may go on filling pages that
 *     were begun before;
 *   - a new handle keeps the pages when they are of the version it was opened at;
 *   - pages are dropped by an open only when nobody else has them: the kernel never ends
 *     a listing whose first pages went while it was filling the next.
 * That something was read says that the answer to the open got there, and that older
 * pages are gone.
 *
 * Who rewinds without a new open gets the pages again when the directory's time of change
 * is what it was, and that can be set back: as archives are unpacked. So pages that somebody
 * could go back to are dropped when a look first sees another version, before it is answered:
 * without attributes that are current the kernel does not begin a listing.
 *
 * A plain value; the lock of the inode table guards it (inode.h).
 */
#ifndef KEELFS_FS_LISTING_H
#define KEELFS_FS_LISTING_H

#include <stdbool.h>
#include <stdint.h>

/* All zeros to begin with. */
struct listing {
    unsigned handles;      /* that fill and use the pages */
    uint64_t open_version; /* that they were opened at */
    uint64_t version;      /* of the pages; 0: of none, or not known */
    uint64_t seen;         /* by the latest look while there are handles */
};

enum listing_use {
    LISTING_PASS, /* the handle has nothing to do with the pages, and leaves them */
    LISTING_FILL, /* they are dropped, and it fills them */
    LISTING_KEEP, /* they are its listing */
};

/* A handle is opened at `version`. */
enum listing_use listing_open(struct listing *listing, uint64_t version);
/* One that is not LISTING_PASS is closed. */
void listing_close(struct listing *listing);

/* Such a handle reads on at `version`; `is_start`: from the first entry. */
void listing_read(struct listing *listing, uint64_t version, bool is_start);
/* Whether it has to look for the current version before it goes on at `version`: others
 * have begun another one. */
bool listing_has_moved(const struct listing *listing, uint64_t version);

/* A look finds the directory at `version`. True: the pages are to be dropped first. */
bool listing_look(struct listing *listing, uint64_t version);

#endif
