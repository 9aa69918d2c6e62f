#include "fs/listing.h"

#include <assert.h>

enum listing_use listing_open(struct listing *listing, uint64_t version)
{
    bool has_pages = listing->version == version;

    if (listing->handles > 0 && (listing->open_version != version || !has_pages))
        return LISTING_PASS;
    if (listing->handles == 0)
        listing->seen = version;
    listing->handles++;
    listing->open_version = version;
    return has_pages ? LISTING_KEEP : LISTING_FILL;
}

void listing_close(struct listing *listing)
{
    assert(listing->handles > 0);
    listing->handles--;
}

void listing_read(struct listing *listing, uint64_t version, bool is_start)
{
    bool is_known = is_start ? version == listing->open_version : version == listing->version;

    listing->version = is_known ? version : 0;
}

bool listing_has_moved(const struct listing *listing, uint64_t version)
{
    return listing->version != version;
}

bool listing_look(struct listing *listing, uint64_t version)
{
    if (listing->handles == 0 || listing->seen == version)
        return false;
    listing->seen = version;
    listing->version = 0;
    return true;
}
