#include "raftstore/err.h"

#include <criterion/criterion.h>
#include <string.h>

Test(err, every_code_has_a_text_of_its_own)
{
    for (int code = 0; code >= KE_CODE_MIN; code--) {
        cr_assert_str_neq(ke_text(code), "unknown error");
        for (int other = code + 1; other <= 0; other++) {
            cr_assert_str_neq(ke_text(code), ke_text(other));
        }
    }
    cr_assert_str_eq(ke_text(KE_CODE_MIN - 1), "unknown error");
    cr_assert_str_eq(ke_text(1), "unknown error");
}

Test(err, context_goes_before_the_text)
{
    struct err e;

    cr_assert_eq(err_set(&e, KE_IO, "disk %d failed", 3), KE_IO);
    cr_assert_eq(err_wrap(&e, KE_INVALID, "opening %s", "x"), KE_IO);
    cr_assert_eq(e.code, KE_IO);
    cr_assert_str_eq(e.text, "opening x: disk 3 failed");
}

Test(err, without_a_place_for_words_the_code_remains)
{
    cr_assert_eq(err_set(NULL, KE_BUSY, "x"), KE_BUSY);
    cr_assert_eq(err_wrap(NULL, KE_BUSY, "x"), KE_BUSY);
}

Test(err, a_long_text_is_cut)
{
    char text[2 * ERR_TEXT_MAX];
    struct err e;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&e, KE_IO, "%s", text);
    cr_assert_eq(strlen(e.text), ERR_TEXT_MAX - 1);
    err_wrap(&e, KE_IO, "context");
    cr_assert_eq(strlen(e.text), ERR_TEXT_MAX - 1);
    cr_assert_eq(strncmp(e.text, "context: xxx", 12), 0);
    err_wrap(&e, KE_IO, "%s", text);
    cr_assert_eq(strlen(e.text), ERR_TEXT_MAX - 1);
}
