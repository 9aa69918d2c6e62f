/* Which version of a directory the kernel's pages are of. */
#include "fs/listing.h"

#include <criterion/criterion.h>

Test(listing, the_first_fills_and_the_next_keep_what_was_read)
{
    struct listing listing = {0};

    cr_assert_eq(listing_open(&listing, 5), LISTING_FILL);
    cr_assert_eq(listing_open(&listing, 5), LISTING_PASS, "the first may be filling");
    listing_read(&listing, 5, true);
    cr_assert_eq(listing_open(&listing, 5), LISTING_KEEP);
    for (int i = 0; i < 2; i++)
        listing_close(&listing);
    cr_assert_eq(listing_open(&listing, 5), LISTING_KEEP, "also when all have closed it");
}

Test(listing, another_version_waits_until_all_have_closed_the_first)
{
    struct listing listing = {0};

    listing_open(&listing, 5);
    listing_read(&listing, 5, true);
    cr_assert_eq(listing_open(&listing, 6), LISTING_PASS);
    listing_close(&listing);
    cr_assert_eq(listing_open(&listing, 6), LISTING_FILL);
    listing_read(&listing, 6, true);
    cr_assert_eq(listing_open(&listing, 6), LISTING_KEEP);
}

Test(listing, pages_that_somebody_could_go_back_to_are_dropped_at_the_first_look_at_another_version)
{
    struct listing listing = {0};

    cr_assert_not(listing_look(&listing, 4), "nobody has any");
    listing_open(&listing, 5);
    listing_read(&listing, 5, true);
    cr_assert_not(listing_look(&listing, 5));
    cr_assert(listing_look(&listing, 6));
    cr_assert_not(listing_look(&listing, 6), "once");
    cr_assert_eq(listing_open(&listing, 5), LISTING_PASS, "nothing is left to be kept");
    listing_read(&listing, 6, true);
    cr_assert(listing_look(&listing, 7), "what was read after that too");
    listing_close(&listing);
    cr_assert_not(listing_look(&listing, 8), "who opens it next drops them");
}

Test(listing, pages_that_two_versions_were_read_into_are_of_none)
{
    struct listing listing = {0};

    listing_open(&listing, 5);
    listing_read(&listing, 5, true);
    listing_read(&listing, 6, false);
    listing_close(&listing);
    cr_assert_eq(listing_open(&listing, 5), LISTING_FILL);
    listing_close(&listing);
    cr_assert_eq(listing_open(&listing, 6), LISTING_FILL);
}

Test(listing, who_rewinds_to_another_version_leaves_pages_of_none)
{
    struct listing listing = {0};

    listing_open(&listing, 5);
    listing_read(&listing, 5, true);
    listing_read(&listing, 6, true);
    cr_assert(listing_has_moved(&listing, 5), "others look before they go on");
    listing_read(&listing, 6, false);
    listing_close(&listing);
    cr_assert_eq(listing_open(&listing, 6), LISTING_FILL);
}
