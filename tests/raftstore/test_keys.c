#include "raftstore/keys.h"
#include "raftstore/path.h"

#include <criterion/criterion.h>
#include <string.h>

static void assert_key(struct key key, const char *bytes, size_t size)
{
    cr_assert_eq(key.size, size);
    cr_assert_eq(memcmp(key.data, bytes, size), 0);
    cr_assert_eq(key_bytes(&key).size, size);
    cr_assert_eq(key_bytes(&key).data, key.data);
}

#define ASSERT_KEY(key, literal) assert_key((key), (literal), sizeof(literal) - 1)

Test(keys, rows_are_named_as_the_wire_format_says)
{
    ASSERT_KEY(key_raft_log(1, 0x0102030405060708),
               "\x01\x02\0\0\0\0\0\0\0\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08");
    ASSERT_KEY(key_raft_state(0x1122), "\x01\x02\0\0\0\0\0\0\x11\x22\x02");
    ASSERT_KEY(key_apply_state(1), "\x01\x02\0\0\0\0\0\0\0\x01\x03");
    ASSERT_KEY(key_region_state(1), "\x01\x03\0\0\0\0\0\0\0\x01\x01");
    ASSERT_KEY(key_prepare_bootstrap(), "\x01\x01");
    ASSERT_KEY(key_store_ident(), "\x01\x02");
    ASSERT_KEY(key_session(1, 2), "\x01\x02\0\0\0\0\0\0\0\x01\x10\0\0\0\0\0\0\0\x02");
    ASSERT_KEY(key_member(3), "\x01\x04\0\0\0\0\0\0\0\x03");
    ASSERT_KEY(key_usage(), "\x01\x05");
    ASSERT_KEY(key_content(1, 0x01020304), "\0\0\0\0\0\0\0\x01\x01\x02\x03\x04");
    ASSERT_KEY(key_hole_map(1, 5), "\0\0\0\0\0\0\0\x01\x80\0\0\x05");
}

static void assert_row(struct bytes row, const char *text)
{
    cr_assert_eq(row.size, strlen(text));
    cr_assert_eq(memcmp(row.data, text, row.size), 0);
}

Test(keys, a_directory_has_a_slash_at_its_end)
{
    uint8_t out[PATH_ROW_MAX];

    assert_row(key_attr("a/b", false, out), "a/b");
    assert_row(key_attr("a/b", true, out), "a/b/");
    assert_row(key_attr("", true, out), "/");
    assert_row(key_attr_end("a/b", out), "a/b0");
}

Test(keys, the_longest_path_fits_a_row)
{
    char path[PATH_BYTES_MAX + 1];
    uint8_t out[PATH_ROW_MAX];

    memset(path, 'a', PATH_BYTES_MAX);
    path[PATH_BYTES_MAX] = '\0';
    cr_assert_eq(key_attr(path, true, out).size, PATH_BYTES_MAX + 1);
}

Test(keys, column_families_have_their_raw_names)
{
    enum engine_cf cf = CF_META;

    cr_assert_eq(key_parse_cf("", &cf), 0);
    cr_assert_eq(cf, CF_DEFAULT);
    cr_assert_eq(key_parse_cf("lock", &cf), 0);
    cr_assert_eq(cf, CF_LOCK);
    cr_assert_eq(key_parse_cf("write", &cf), 0);
    cr_assert_eq(cf, CF_WRITE);
    cr_assert_eq(key_parse_cf("default", &cf), 0);
    cr_assert_eq(cf, CF_DEFAULT);
    cr_assert_eq(key_parse_cf("meta", &cf), KE_INVALID);
    cr_assert_eq(key_parse_cf("attr", &cf), KE_INVALID);
}
