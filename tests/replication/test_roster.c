#include "raftstore/roster.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Members 1 and 3 of stores that were 1 to 3; 1 has its data directory on record. */
static struct membership two_members(void)
{
    struct membership membership = {.region = {.id = 1, .next_store_id = 4, .peer_count = 2},
                                    .store_count = 2};
    for (size_t i = 0; i < 2; i++) {
        uint64_t id = i == 0 ? 1 : 3;
        membership.region.peers[i] =
            (struct region_peer){.peer_id = id, .store_id = id, .role = MEMBER_VOTER};
        membership.stores[i].id = id;
        snprintf(membership.stores[i].name, sizeof(membership.stores[i].name), "n%d", (int)id);
        snprintf(membership.stores[i].address, sizeof(membership.stores[i].address), "host:%d",
                 (int)id);
    }
    membership.stores[0].data_id = 77;
    return membership;
}

static struct roster *roster;

static void setup(void)
{
    struct membership membership = two_members();
    roster = roster_new(&membership);
}

static void teardown(void)
{
    roster_free(roster);
}

TestSuite(roster, .init = setup, .fini = teardown);

static int admit(uint64_t store_id, uint64_t data_id, struct err *e)
{
    struct transport_identity from = {.store_id = store_id, .data_id = data_id};
    snprintf(from.address, sizeof(from.address), "said:%d", (int)store_id);
    from.advertised = store_id != 4;
    return roster_admit(roster, &from, e);
}

Test(roster, a_member_is_admitted_with_its_own_data_directory_only)
{
    struct err e;
    cr_assert_eq(admit(1, 77, &e), 0);
    cr_assert_eq(admit(1, 78, &e), KE_WIPED);
    cr_assert_not_null(strstr(e.text, "n1"), "%s", e.text);
}

Test(roster, a_member_without_a_record_and_a_store_to_come_are_admitted)
{
    struct err e;
    cr_assert_eq(admit(3, 5, &e), 0);
    cr_assert_eq(admit(4, 6, &e), 0);
}

Test(roster, a_removed_store_is_refused)
{
    struct err e;
    cr_assert_eq(admit(2, 5, &e), KE_REMOVED);
}

Test(roster, what_a_store_says_of_itself_is_kept)
{
    uint64_t data_id;
    char address[STORE_ADDRESS_MAX + 1];
    cr_assert_not(roster_introduced(roster, 3, &data_id, address));
    cr_assert_eq(admit(3, 5, NULL), 0);
    cr_assert(roster_introduced(roster, 3, &data_id, address));
    cr_assert_eq(data_id, 5);
    cr_assert_str_eq(address, "said:3");
    cr_assert_eq(admit(4, 6, NULL), 0);
    cr_assert(roster_introduced(roster, 4, &data_id, address));
    cr_assert_str_eq(address, "", "it does not say that it should be on record");
}

Test(roster, the_recorded_address_of_a_member_counts_more_than_what_it_says)
{
    char address[STORE_ADDRESS_MAX + 1];
    cr_assert_eq(admit(3, 5, NULL), 0);
    cr_assert_eq(admit(4, 6, NULL), 0);
    cr_assert(roster_address(roster, 3, address));
    cr_assert_str_eq(address, "host:3");
    cr_assert(roster_address(roster, 4, address));
    cr_assert_str_eq(address, "said:4");
    cr_assert_not(roster_address(roster, 9, address));
}

Test(roster, a_change_names_the_stores_that_it_removes)
{
    struct membership membership = two_members();
    struct roster_change change;
    cr_assert_eq(admit(3, 5, NULL), 0);
    membership.store_count = membership.region.peer_count = 1;
    roster_set(roster, &membership, &change);
    cr_assert_eq(change.gone_count, 1);
    cr_assert_eq(change.gone[0], 3);
    cr_assert_eq(admit(3, 5, NULL), KE_REMOVED);
    roster_set(roster, &membership, &change);
    cr_assert_eq(change.gone_count, 0);
}
