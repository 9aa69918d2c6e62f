/* The checker against a simple one that tries every order, on small histories made
 * at random, right and wrong; and long right ones, made by doing one thing at a
 * time. KEELFS_TEST_SEED repeats a run. */
#include "check.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPS_MAX    7
#define TIMES      12
#define HISTORIES  60000
#define STATE_MAX  64
#define LONG_OPS   3000
#define PROCESSES  6
#define VALUE_TEXT 12

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

static void seed_random(void)
{
    const char *given = getenv("KEELFS_TEST_SEED");
    random_state = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    random_state |= 1;
    cr_log_info("KEELFS_TEST_SEED=%llu", (unsigned long long)random_state);
}

/* ---- every order ---- */

/* "-" is absent; otherwise "=" and the value, or the tokens. */
static bool apply(const struct lin_op *op, char state[STATE_MAX])
{
    bool absent = state[0] == '-';
    char seen[STATE_MAX];
    (void)snprintf(seen, sizeof(seen), "=%s", op->value != NULL ? op->value : "");
    switch (op->kind) {
    case LIN_GET:
    case LIN_READ:
        if (op->result == LIN_OK)
            return strcmp(state, seen) == 0 || (op->kind == LIN_READ && absent && seen[1] == '\0');
        if (op->kind == LIN_READ && op->result == LIN_ABSENT)
            return absent;
        return op->result == LIN_UNKNOWN || (op->result == LIN_ABSENT) == absent;
    case LIN_PUT:
        strcpy(state, seen);
        return true;
    case LIN_REMOVE:
        if ((op->result == LIN_ABSENT && !absent) || (op->result == LIN_PRESENT && absent))
            return false;
        strcpy(state, "-");
        return true;
    case LIN_CREATE:
        if (op->result != LIN_UNKNOWN && (op->result == LIN_OK) != absent)
            return false;
        if (absent)
            strcpy(state, seen);
        return true;
    case LIN_ENSURE:
        if (absent)
            strcpy(state, seen);
        return true;
    case LIN_APPEND:
        if (absent || state[1] == '\0')
            strcpy(state, seen);
        else
            (void)snprintf(state + strlen(state), STATE_MAX - strlen(state), ",%s", op->value);
        return true;
    }
    return false;
}

static bool has_order(const struct lin_history *history, unsigned placed, const char *state)
{
    uint64_t first_return = LIN_NEVER;
    bool done = true;
    for (size_t i = 0; i < history->count; i++) {
        if (placed & (1u << i) || history->ops[i].result == LIN_UNKNOWN)
            continue;
        done = false;
        if (history->ops[i].return_ns < first_return)
            first_return = history->ops[i].return_ns;
    }
    if (done)
        return true;
    for (size_t i = 0; i < history->count; i++) {
        char next[STATE_MAX];
        strcpy(next, state);
        if (!(placed & (1u << i)) && history->ops[i].call_ns <= first_return &&
            apply(&history->ops[i], next) && has_order(history, placed | (1u << i), next))
            return true;
    }
    return false;
}

/* ---- small histories ---- */

static const enum lin_result results[][3] = {
    [LIN_PUT] = {LIN_OK, LIN_OK, LIN_UNKNOWN},
    [LIN_GET] = {LIN_OK, LIN_ABSENT, LIN_PRESENT},
    [LIN_REMOVE] = {LIN_OK, LIN_ABSENT, LIN_PRESENT},
    [LIN_CREATE] = {LIN_OK, LIN_PRESENT, LIN_UNKNOWN},
    [LIN_ENSURE] = {LIN_OK, LIN_OK, LIN_UNKNOWN},
    [LIN_APPEND] = {LIN_OK, LIN_OK, LIN_UNKNOWN},
    [LIN_READ] = {LIN_OK, LIN_OK, LIN_ABSENT},
};

static void add(struct lin_history *history, const struct lin_op *op)
{
    struct err e;
    cr_assert_eq(lin_history_add(history, op, &e), 0, "%s", e.text);
}

static void random_read(char *text, size_t tokens)
{
    text[0] = '\0';
    size_t count = (size_t)random_below(tokens + 1);
    for (size_t i = 0; i < count; i++)
        (void)snprintf(text + strlen(text), STATE_MAX - strlen(text), "%s%c", i > 0 ? "," : "",
                       (int)('a' + random_below(tokens)));
}

static void make_small(struct lin_history *history, bool log)
{
    size_t count = 2 + (size_t)random_below(OPS_MAX - 1), tokens = 0;
    for (size_t i = 0; i < count; i++) {
        char value[STATE_MAX];
        struct lin_op op = {.process = (uint32_t)i, .key = "k"};
        op.kind = (enum lin_kind)random_below(LIN_APPEND);
        if (log)
            op.kind = random_below(2) ? LIN_APPEND : LIN_READ;
        op.result = results[op.kind][random_below(3)];
        if (op.kind == LIN_REMOVE && random_below(4) == 0)
            op.result = LIN_UNKNOWN;
        (void)snprintf(value, sizeof(value), "%c", (int)('a' + random_below(3)));
        if (op.kind == LIN_APPEND)
            value[0] = (char)('a' + tokens++);
        if (op.kind == LIN_READ)
            random_read(value, tokens > 0 ? tokens : 1);
        bool sees = op.kind == LIN_GET || op.kind == LIN_READ;
        if (op.kind != LIN_REMOVE && (!sees || op.result == LIN_OK))
            op.value = value;
        op.call_ns = random_below(TIMES);
        op.return_ns = LIN_NEVER;
        if (op.result != LIN_UNKNOWN)
            op.return_ns = op.call_ns + random_below(TIMES - op.call_ns);
        add(history, &op);
    }
}

static void ignore(void *ctx, const struct lin_key *key, const struct lin_fault *fault)
{
    (void)ctx;
    (void)key;
    (void)fault;
}

static bool is_valid(const struct lin_history *history)
{
    struct lin_summary summary = lin_check(history, LIN_STEPS_DEFAULT, ignore, NULL);
    cr_assert_eq(summary.undecided, 0);
    return summary.invalid == 0;
}

static void compare_with_every_order(bool log)
{
    size_t valid = 0;
    seed_random();
    for (size_t i = 0; i < HISTORIES; i++) {
        struct lin_history history = {0};
        make_small(&history, log);
        bool expected = has_order(&history, 0, "-");
        valid += expected;
        if (is_valid(&history) != expected) {
            for (size_t at = 0; at < history.count; at++)
                lin_op_write(&history.ops[at], stderr);
            cr_assert_fail("this is %s", expected ? "valid" : "not valid");
        }
        lin_history_release(&history);
    }
    /* Both sorts were among them. */
    cr_assert_gt(valid, HISTORIES / 50);
    cr_assert_lt(valid, HISTORIES - HISTORIES / 50);
}

Test(random, verdicts_on_registers_are_those_of_trying_every_order)
{
    compare_with_every_order(false);
}

Test(random, verdicts_on_logs_are_those_of_trying_every_order)
{
    compare_with_every_order(true);
}

/* ---- long ones ---- */

/* What is done with a register, one thing at a time; the calls around overlap. */
static void do_one(struct lin_op *op, char value[VALUE_TEXT], char state[VALUE_TEXT], bool *there)
{
    op->value = value;
    op->result = LIN_OK;
    switch (random_below(5)) {
    case 0:
        op->kind = LIN_PUT;
        strcpy(state, value);
        *there = true;
        break;
    case 1:
        op->kind = LIN_REMOVE;
        op->value = NULL;
        op->result = *there ? LIN_PRESENT : LIN_ABSENT;
        *there = false;
        break;
    case 2:
        op->kind = LIN_CREATE;
        op->result = *there ? LIN_PRESENT : LIN_OK;
        if (!*there)
            strcpy(state, value);
        *there = true;
        break;
    default:
        op->kind = LIN_GET;
        op->result = *there ? LIN_OK : LIN_ABSENT;
        op->value = *there ? state : NULL;
        break;
    }
}

Test(random, long_histories_of_a_real_register_are_valid)
{
    struct lin_history history = {0};
    uint64_t free_ns[PROCESSES] = {0}, now_ns = 1000;
    char state[VALUE_TEXT] = "";
    bool there = false;
    seed_random();
    for (unsigned i = 0; i < LONG_OPS; i++) {
        char value[VALUE_TEXT];
        struct lin_op op = {.key = "k"};
        (void)snprintf(value, sizeof(value), "v%u", i);
        do {
            now_ns += random_below(100);
            op.process = (uint32_t)random_below(PROCESSES);
        } while (free_ns[op.process] >= now_ns);
        do_one(&op, value, state, &there);
        op.call_ns = free_ns[op.process] + 1;
        op.return_ns = free_ns[op.process] = now_ns + random_below(300);
        if (op.kind != LIN_GET && random_below(20) == 0) {
            op.result = LIN_UNKNOWN;
            op.return_ns = LIN_NEVER;
        }
        add(&history, &op);
    }
    cr_assert(is_valid(&history));
    lin_history_release(&history);
}
