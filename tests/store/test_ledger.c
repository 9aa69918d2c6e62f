/* The checker of histories finds what is wrong in them. */
#include "ledger.h"

#include <criterion/criterion.h>
#include <string.h>

static struct ledger ledger;

static void init(void)
{
    ledger_init(&ledger, 7);
    ledger_begin_log(&ledger);
}

TestSuite(ledger, .init = init);

enum outcome { ACKNOWLEDGED, UNKNOWN, REFUSED };

static struct ledger_op run(enum ledger_kind kind, uint32_t key, enum outcome outcome)
{
    struct ledger_op op = {.kind = kind, .key = key, .seq = ledger.next_seq};
    ledger_begin(&ledger, &op);
    if (outcome == ACKNOWLEDGED)
        ledger_acknowledge(&ledger, &op);
    else if (outcome == REFUSED)
        ledger_refuse(&ledger, &op);
    return op;
}

static bool row(const char *path, const char *value)
{
    return ledger_check_row(&ledger, path, strlen(path), value, strlen(value));
}

static bool row_of(const struct ledger_op *op)
{
    char path[LEDGER_PATH_MAX], value[LEDGER_VALUE_MAX];
    ledger_path(&ledger, op, path);
    ledger_value(&ledger, op, value);
    return row(path, value);
}

/* A scan that shows the put `op` (NULL: no key) and the log `content`. */
static bool scan(const struct ledger_op *op, const char *content)
{
    char path[LEDGER_PATH_MAX];
    ledger_check_begin(&ledger);
    if (op != NULL && !row_of(op))
        return false;
    ledger_log_path(&ledger, ledger.log, path);
    return row(path, content) && ledger_check_end(&ledger);
}

Test(ledger, the_last_acknowledged_put_is_what_must_be_shown)
{
    struct ledger_op first = run(LEDGER_PUT, 3, ACKNOWLEDGED);
    struct ledger_op second = run(LEDGER_PUT, 3, ACKNOWLEDGED);
    cr_assert(scan(&second, ""));
    cr_assert_not(scan(&first, ""));
}

Test(ledger, an_acknowledged_put_must_not_be_missing)
{
    run(LEDGER_PUT, 3, ACKNOWLEDGED);
    cr_assert_not(scan(NULL, ""));
}

Test(ledger, an_acknowledged_delete_must_not_come_undone)
{
    struct ledger_op put = run(LEDGER_PUT, 3, ACKNOWLEDGED);
    run(LEDGER_DELETE, 3, ACKNOWLEDGED);
    cr_assert(scan(NULL, ""));
    cr_assert_not(scan(&put, ""));
}

Test(ledger, an_unknown_put_may_be_shown_or_not_but_seen_it_stays)
{
    struct ledger_op known = run(LEDGER_PUT, 3, ACKNOWLEDGED);
    struct ledger_op unknown = run(LEDGER_PUT, 3, UNKNOWN);
    cr_assert(scan(&known, ""));
    cr_assert(scan(&unknown, ""));
    cr_assert(scan(&unknown, ""));
    cr_assert_not(scan(&known, ""));
}

Test(ledger, an_unknown_delete_may_have_happened)
{
    struct ledger_op put = run(LEDGER_PUT, 3, ACKNOWLEDGED);
    run(LEDGER_DELETE, 3, UNKNOWN);
    cr_assert(scan(&put, ""));
    cr_assert(scan(NULL, ""));
    cr_assert_not(scan(&put, ""));
}

Test(ledger, what_a_settled_cluster_has_not_shown_never_comes)
{
    struct ledger_op known = run(LEDGER_PUT, 3, ACKNOWLEDGED);
    struct ledger_op unknown = run(LEDGER_PUT, 3, UNKNOWN);
    cr_assert(scan(&known, ""));
    ledger_settle(&ledger);
    cr_assert_not(scan(&unknown, ""));
}

Test(ledger, a_refused_put_must_not_be_shown)
{
    struct ledger_op put = run(LEDGER_PUT, 3, REFUSED);
    cr_assert_not(scan(&put, ""));
}

Test(ledger, a_changed_value_and_a_foreign_key_are_found)
{
    run(LEDGER_PUT, 3, ACKNOWLEDGED);
    ledger_check_begin(&ledger);
    cr_assert_not(row("c007/k003", "7.1.bbb"));
    init();
    ledger_check_begin(&ledger);
    cr_assert_not(row("c007/k9999", ""));
}

Test(ledger, rows_come_in_order_and_once)
{
    struct ledger_op second = run(LEDGER_PUT, 3, ACKNOWLEDGED);
    struct ledger_op first = run(LEDGER_PUT, 2, ACKNOWLEDGED);
    ledger_check_begin(&ledger);
    cr_assert(row_of(&first));
    cr_assert(row_of(&second));
    cr_assert_not(row_of(&first));
}

Test(ledger, the_log_has_acknowledged_lines_once_and_in_order)
{
    for (int i = 0; i < 3; i++)
        run(LEDGER_APPEND, 0, ACKNOWLEDGED);
    cr_assert(scan(NULL, "00000001\n00000002\n00000003\n"));
    const char *const wrong[] = {
        "00000001\n00000002\n",                     /* one is missing */
        "00000001\n00000003\n00000003\n",           /* one is there twice */
        "00000002\n00000001\n00000003\n",           /* another order */
        "00000001\n00000002\n00000004\n",           /* one that nobody wrote */
        "00000001\n00000002\n0000000\n3",           /* torn */
        "00000001\n00000002\n00000003\n00000003\n", /* one too many */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        init();
        for (int k = 0; k < 3; k++)
            run(LEDGER_APPEND, 0, ACKNOWLEDGED);
        cr_assert_not(scan(NULL, wrong[i]), "%s", wrong[i]);
    }
}

Test(ledger, an_unknown_line_may_come_late_but_once)
{
    run(LEDGER_APPEND, 0, UNKNOWN);
    run(LEDGER_APPEND, 0, ACKNOWLEDGED);
    cr_assert(scan(NULL, "00000002\n"));
    cr_assert(scan(NULL, "00000002\n00000001\n"));
    cr_assert_not(scan(NULL, "00000002\n00000001\n00000001\n"));
}

Test(ledger, an_acknowledged_line_does_not_come_before_one_it_waited_for)
{
    run(LEDGER_APPEND, 0, ACKNOWLEDGED);
    run(LEDGER_APPEND, 0, UNKNOWN);
    cr_assert_not(scan(NULL, "00000002\n00000001\n"));
}

Test(ledger, the_log_only_grows)
{
    run(LEDGER_APPEND, 0, UNKNOWN);
    run(LEDGER_APPEND, 0, UNKNOWN);
    cr_assert(scan(NULL, "00000002\n"));
    cr_assert_not(scan(NULL, "00000001\n00000002\n"));
    init();
    run(LEDGER_APPEND, 0, UNKNOWN);
    cr_assert(scan(NULL, "00000001\n"));
    cr_assert_not(scan(NULL, ""));
}

Test(ledger, the_log_must_not_be_missing)
{
    ledger_check_begin(&ledger);
    cr_assert_not(ledger_check_end(&ledger));
}
