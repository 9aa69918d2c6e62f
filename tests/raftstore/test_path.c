#include "raftstore/path.h"

#include <criterion/criterion.h>
#include <string.h>

static int check(const char *key)
{
    return path_check(key, strlen(key), NULL);
}

/* "aaa/aaa/..." of `size` bytes, with components of `component` bytes. */
static void fill(char *out, size_t size, size_t component)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = i % (component + 1) == component ? '/' : 'a';
    }
    out[size] = '\0';
}

Test(path, accepts_relative_paths_of_any_bytes)
{
    cr_assert_eq(check("a"), 0);
    cr_assert_eq(check("a/b/c"), 0);
    cr_assert_eq(check("..."), 0);
    cr_assert_eq(check("..a/.b/c.."), 0);
    cr_assert_eq(check("\x01\xff\xfe/\xc3\x28/new\nline"), 0);
    cr_assert_eq(check("a/.keelfs"), 0);
    cr_assert_eq(check(".keelfsx"), 0);
}

Test(path, refuses_what_is_no_path_with_words)
{
    static const char *const bad[] = {"/",   "/a",  "a/",   "a//b",   ".",       "..",
                                      "a/.", "./a", "../a", "a/../b", ".keelfs", ".keelfs/status"};
    struct err e;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(&e, 0, sizeof e);
        cr_assert_eq(path_check(bad[i], strlen(bad[i]), &e), KE_INVALID, "%s", bad[i]);
        cr_assert_eq(e.code, KE_INVALID);
        cr_assert_gt(strlen(e.text), 10);
    }
    cr_assert_eq(path_check("", 0, &e), KE_INVALID);
    cr_assert_eq(path_check(NULL, 0, &e), KE_INVALID);
    cr_assert_eq(path_check("a\0b", 3, &e), KE_INVALID);
    cr_assert_eq(path_check("a/\0", 3, &e), KE_INVALID);
}

Test(path, refuses_long_components_and_paths)
{
    char key[PATH_BYTES_MAX + 8];
    struct err e;

    fill(key, PATH_COMPONENT_MAX, 1000);
    cr_assert_eq(check(key), 0);
    fill(key, PATH_COMPONENT_MAX + 1, 1000);
    cr_assert_eq(check(key), KE_NAME_TOO_LONG);
    fill(key, PATH_BYTES_MAX, 100);
    cr_assert_eq(check(key), 0);
    fill(key, PATH_BYTES_MAX + 1, 100);
    cr_assert_eq(path_check(key, PATH_BYTES_MAX + 1, &e), KE_NAME_TOO_LONG);
    cr_assert_not_null(strstr(e.text, "4096"));
}

Test(path, an_error_shows_no_byte_that_a_terminal_obeys)
{
    struct err e;

    cr_assert_eq(path_check("\x1b[2J//\xff", 7, &e), KE_INVALID);
    for (const char *c = e.text; *c != '\0'; c++) {
        cr_assert(*c >= ' ' && *c <= '~');
    }
    cr_assert_not_null(strstr(e.text, "\\x1b[2J//\\xff"), "%s", e.text);
}

Test(path, names_the_parent_and_the_last_component)
{
    cr_assert_eq(path_parent_length("a"), 0);
    cr_assert_eq(path_parent_length("ab/c"), 2);
    cr_assert_eq(path_parent_length("a/b/c"), 3);
    cr_assert_str_eq(path_base_name("a"), "a");
    cr_assert_str_eq(path_base_name("a/b/cd"), "cd");
}

Test(path, is_within_goes_by_components)
{
    cr_assert(path_is_within("a", "a"));
    cr_assert(path_is_within("a/b", "a"));
    cr_assert(path_is_within("a/b/c", "a/b"));
    cr_assert(path_is_within("a", ""));
    cr_assert(path_is_within("", ""));
    cr_assert_not(path_is_within("ab", "a"));
    cr_assert_not(path_is_within("a", "a/b"));
    cr_assert_not(path_is_within("a-b", "a"));
}

Test(path, joins_a_directory_and_a_name)
{
    char out[PATH_BYTES_MAX + 1];

    cr_assert_eq(path_join("", "a", out), 0);
    cr_assert_str_eq(out, "a");
    cr_assert_eq(path_join("a/b", "c", out), 0);
    cr_assert_str_eq(out, "a/b/c");
    cr_assert_eq(path_join("a", ".keelfs", out), 0);
}

Test(path, does_not_join_what_makes_no_path)
{
    char dir[PATH_BYTES_MAX + 1];
    char name[PATH_COMPONENT_MAX + 2];
    char out[PATH_BYTES_MAX + 1];

    cr_assert_eq(path_join("a", "", out), KE_INVALID);
    cr_assert_eq(path_join("a", ".", out), KE_INVALID);
    cr_assert_eq(path_join("a", "..", out), KE_INVALID);
    cr_assert_eq(path_join("a", "b/c", out), KE_INVALID);
    cr_assert_eq(path_join("", ".keelfs", out), KE_INVALID);
    fill(name, PATH_COMPONENT_MAX + 1, 1000);
    cr_assert_eq(path_join("a", name, out), KE_NAME_TOO_LONG);
    fill(dir, PATH_BYTES_MAX - 2, 100);
    cr_assert_eq(path_join(dir, "b", out), 0);
    cr_assert_eq(strlen(out), PATH_BYTES_MAX);
    cr_assert_eq(path_join(dir, "bb", out), KE_NAME_TOO_LONG);
}
