/* The text form of histories. */
#include "history.h"
#include "told.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int read_text(struct lin_history *history, const char *text, struct err *e)
{
    FILE *file = fmemopen((char *)(uintptr_t)text, strlen(text), "r");
    cr_assert_not_null(file);
    int code = lin_history_read(history, file, "text", e);
    (void)fclose(file);
    return code;
}

Test(history, what_is_written_is_read)
{
    static const char text[] = "1 put k 10 20 ok v\n"
                               "2 get k 10 20 ok \n"
                               "3 get k 10 20 absent\n"
                               "4 remove k 10 20 present\n"
                               "5 create k 10 20 present v\n"
                               "6 ensure k 10 - unknown \n"
                               "7 append l 10 - unknown t\n"
                               "8 read l 10 20 ok t,u\n";
    struct lin_history history = {0};
    struct err e;
    cr_assert_eq(read_text(&history, text, &e), 0, "%s", e.text);
    cr_assert_eq(history.count, 8);
    char *again;
    size_t size;
    FILE *file = open_memstream(&again, &size);
    for (size_t i = 0; i < history.count; i++)
        lin_op_write(&history.ops[i], file);
    (void)fclose(file);
    cr_assert_str_eq(again, text);
    free(again);
    lin_history_release(&history);
}

Test(history, nonsense_is_refused_with_its_line)
{
    static const char *const lines[] = {
        "1 put k 10 20 ok\n",        /* no value */
        "1 get k 10 20 absent v\n",  /* a value */
        "1 put k 10 20 absent v\n",  /* no such answer */
        "1 put k 20 10 ok v\n",      /* ends before it begins */
        "1 put k 10 20 unknown v\n", /* a time at which nothing was known */
        "1 put k 10 - ok v\n",       /* no time */
        "1 push k 10 20 ok v\n",     /* no such kind */
        "1 put k 10 20 fine v\n",    /* no such result */
        "x put k 10 20 ok v\n",      /* no process */
        "1 put k -1 20 ok v\n",      /* no time */
        "1 put k\n",                 /* half a line */
        "1 put k 10 20 ok v",        /* a line without its end */
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[128];
        struct lin_history history = {0};
        struct err e;
        (void)snprintf(text, sizeof(text), "1 put k 1 2 ok u\n%s", lines[i]);
        cr_assert_eq(read_text(&history, text, &e), KE_INVALID, "%s", lines[i]);
        cr_assert(strncmp(e.text, "text:2: ", 8) == 0, "%s", e.text);
        lin_history_release(&history);
    }
}

Test(history, each_key_has_a_verdict_of_its_own)
{
    told_is_valid("1 put a 10 20 ok v\n"
                  "1 put b 30 40 ok w\n"
                  "1 get b 50 60 ok w\n"
                  "1 get a 50 60 ok v\n");
    told_is_invalid("1 put a 10 20 ok v\n"
                    "1 put b 30 40 ok w\n"
                    "1 get b 50 60 ok w\n"
                    "1 get a 50 60 absent\n",
                    NULL);
}

Test(history, a_key_is_not_both_register_and_log)
{
    told_is_invalid("1 put k 10 20 ok v\n"
                    "1 append k 30 40 ok t\n",
                    "not both");
}
