/* Access control lists by themselves. */
#include "raftstore/acl.h"
#include "raftstore/err.h"

#include <criterion/criterion.h>
#include <string.h>

#define NO_ID 0xffffffffu

/* As the kernel lays it out: tag, permissions and id of each entry. */
static struct bytes raw(const uint32_t (*entries)[3], size_t count, uint8_t *out)
{
    memcpy(out, "\2\0\0\0", 4);
    for (size_t i = 0; i < count; i++) {
        uint8_t *to = out + 4 + 8 * i;

        to[0] = (uint8_t)entries[i][0];
        to[1] = 0;
        to[2] = (uint8_t)entries[i][1];
        to[3] = 0;
        for (int byte = 0; byte < 4; byte++) {
            to[4 + byte] = (uint8_t)(entries[i][2] >> (8 * byte));
        }
    }
    return (struct bytes){.data = out, .size = 4 + 8 * count};
}

static int unpack(const uint32_t (*entries)[3], size_t count, struct acl *ret_acl)
{
    uint8_t bytes[200];

    return acl_unpack(raw(entries, count, bytes), ret_acl);
}

/* rw- for the owner, rw- for user 1000, r-- for the group, mask rwx, --- for others. */
static const uint32_t with_user[5][3] = {
    {ACL_USER_OBJ, 6, NO_ID}, {ACL_USER, 6, 1000},   {ACL_GROUP_OBJ, 4, NO_ID},
    {ACL_MASK, 7, NO_ID},     {ACL_OTHER, 0, NO_ID},
};
static const uint32_t plain[3][3] = {
    {ACL_USER_OBJ, 6, NO_ID}, {ACL_GROUP_OBJ, 4, NO_ID}, {ACL_OTHER, 1, NO_ID}};

Test(acl, what_is_packed_is_what_was_unpacked)
{
    uint8_t bytes[ACL_BYTES_MAX];
    uint8_t packed[ACL_BYTES_MAX];
    struct bytes list = raw(with_user, 5, bytes);
    struct acl acl;

    cr_assert_eq(acl_unpack(list, &acl), 0);
    cr_assert_eq(acl.count, 5);
    cr_assert_eq(acl.entries[1].id, 1000);
    struct bytes again = acl_pack(&acl, packed);
    cr_assert_eq(again.size, list.size);
    cr_assert_eq(memcmp(again.data, list.data, list.size), 0);
}

Test(acl, the_group_bits_of_the_mode_are_those_of_the_mask)
{
    struct acl acl;

    cr_assert_eq(unpack(with_user, 5, &acl), 0);
    cr_assert_eq(acl_mode(&acl), 0670);
    cr_assert_not(acl_is_mode(&acl));
    acl_set_mode(&acl, 0504);
    cr_assert_eq(acl_mode(&acl), 0504);
    cr_assert_eq(acl.entries[1].permissions, 6);
    cr_assert_eq(acl.entries[2].permissions, 4);
    cr_assert_eq(acl.entries[3].permissions, 0);
    cr_assert_eq(unpack(plain, 3, &acl), 0);
    cr_assert_eq(acl_mode(&acl), 0641);
    cr_assert(acl_is_mode(&acl));
    acl_set_mode(&acl, 0770);
    cr_assert_eq(acl.entries[1].permissions, 7);
}

Test(acl, what_is_made_gets_no_more_than_its_mode)
{
    struct acl acl;

    cr_assert_eq(unpack(with_user, 5, &acl), 0);
    acl_restrict(&acl, 0440);
    cr_assert_eq(acl_mode(&acl), 0440);
    cr_assert_eq(acl.entries[1].permissions, 6);
    cr_assert_eq(acl.entries[2].permissions, 4);
}

Test(acl, a_list_that_makes_no_sense_is_refused)
{
    static const struct {
        size_t count;
        uint32_t entries[6][3];
    } bad[] = {
        {1, {{ACL_USER_OBJ, 6, NO_ID}}},
        {2, {{ACL_USER_OBJ, 6, NO_ID}, {ACL_OTHER, 4, NO_ID}}},
        {3, {{ACL_GROUP_OBJ, 6, NO_ID}, {ACL_USER_OBJ, 4, NO_ID}, {ACL_OTHER, 4, NO_ID}}},
        {3, {{ACL_USER_OBJ, 8, NO_ID}, {ACL_GROUP_OBJ, 4, NO_ID}, {ACL_OTHER, 4, NO_ID}}},
        {3, {{ACL_USER_OBJ, 6, NO_ID}, {0x40, 4, NO_ID}, {ACL_OTHER, 4, NO_ID}}},
        /* A user needs a mask, and an id. */
        {4,
         {{ACL_USER_OBJ, 6, NO_ID}, {ACL_USER, 6, 5}, {ACL_GROUP_OBJ, 4, NO_ID}, {ACL_OTHER, 4}}},
        {5,
         {{ACL_USER_OBJ, 6, NO_ID},
          {ACL_USER, 6, NO_ID},
          {ACL_GROUP_OBJ, 4, NO_ID},
          {ACL_MASK, 4, NO_ID},
          {ACL_OTHER, 4, NO_ID}}},
        {4,
         {{ACL_USER_OBJ, 6, NO_ID},
          {ACL_GROUP_OBJ, 4, NO_ID},
          {ACL_OTHER, 4, NO_ID},
          {ACL_OTHER, 4, NO_ID}}},
    };
    uint8_t bytes[100] = "\2\0\0\0";
    struct acl acl;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(unpack(bad[i].entries, bad[i].count, &acl), KE_INVALID, "list %zu", i);
    }
    cr_assert_eq(acl_unpack((struct bytes){.data = bytes, .size = 0}, &acl), KE_INVALID);
    cr_assert_eq(acl_unpack((struct bytes){.data = bytes, .size = 4}, &acl), KE_INVALID);
    struct bytes list = raw(plain, 3, bytes);
    list.size--;
    cr_assert_eq(acl_unpack(list, &acl), KE_INVALID);
    list.size++;
    bytes[0] = 1;
    cr_assert_eq(acl_unpack(list, &acl), KE_INVALID);
}

Test(acl, the_longest_is_one_page)
{
    static uint32_t entries[ACL_ENTRIES_MAX + 1][3];
    static uint8_t bytes[ACL_BYTES_MAX + 8];
    static uint8_t packed[ACL_BYTES_MAX];
    struct acl acl;
    size_t last = ACL_ENTRIES_MAX - 1;

    memcpy(entries[0], with_user[0], sizeof entries[0]);
    for (uint32_t i = 1; i < last - 2; i++) {
        entries[i][0] = ACL_USER;
        entries[i][2] = i;
    }
    memcpy(entries[last - 2], with_user[2], 3 * sizeof entries[0]);
    cr_assert_eq(acl_unpack(raw(entries, ACL_ENTRIES_MAX, bytes), &acl), 0);
    cr_assert_eq(acl_pack(&acl, packed).size, ACL_BYTES_MAX);
    cr_assert_eq(acl_unpack(raw(entries, ACL_ENTRIES_MAX + 1, bytes), &acl), KE_TOO_LARGE);
}
