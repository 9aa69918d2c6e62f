#include "told.h"

#include <criterion/criterion.h>
#include <string.h>

struct told {
    struct lin_fault fault;
    size_t faults;
};

static void note(void *ctx, const struct lin_key *key, const struct lin_fault *fault)
{
    struct told *told = ctx;
    cr_assert_lt(fault->at, key->count);
    told->fault = *fault;
    told->faults++;
}

static struct told check(const char *text, uint64_t steps)
{
    struct told told = {.fault.verdict = LIN_VALID};
    struct lin_history history = {0};
    struct err e;
    FILE *file = fmemopen((char *)(uintptr_t)text, strlen(text), "r");
    cr_assert_not_null(file);
    cr_assert_eq(lin_history_read(&history, file, "told", &e), 0, "%s", e.text);
    struct lin_summary summary = lin_check(&history, steps, note, &told);
    cr_assert_eq(summary.invalid + summary.undecided, told.faults);
    (void)fclose(file);
    lin_history_release(&history);
    return told;
}

enum lin_verdict told_verdict(const char *text, uint64_t steps)
{
    return check(text, steps).fault.verdict;
}

void told_is_valid(const char *text)
{
    struct told told = check(text, LIN_STEPS_DEFAULT);
    cr_assert_eq(told.fault.verdict, LIN_VALID, "%s", told.fault.text);
}

void told_is_invalid(const char *text, const char *words)
{
    struct told told = check(text, LIN_STEPS_DEFAULT);
    cr_assert_eq(told.fault.verdict, LIN_INVALID, "taken for valid");
    cr_assert(words == NULL || strstr(told.fault.text, words) != NULL, "%s", told.fault.text);
}
