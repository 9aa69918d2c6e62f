#include "history.h"

#include "raftstore/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 1024
#define WORDS_MAX    7
#define WORDS_MIN    6

/* The results a kind may have, beside unknown, and which of them come with a value. */
struct kind {
    const char *name;
    bool takes_value; /* with the call, whatever the result */
    bool ret_value;   /* with LIN_OK */
    bool results[LIN_PRESENT + 1];
};

static const struct kind kinds[] = {
    [LIN_PUT] = {.name = "put", .takes_value = true, .results = {[LIN_OK] = true}},
    [LIN_GET] = {.name = "get",
                 .ret_value = true,
                 .results = {[LIN_OK] = true, [LIN_ABSENT] = true, [LIN_PRESENT] = true}},
    [LIN_REMOVE] = {.name = "remove",
                    .results = {[LIN_OK] = true, [LIN_ABSENT] = true, [LIN_PRESENT] = true}},
    [LIN_CREATE] = {.name = "create",
                    .takes_value = true,
                    .results = {[LIN_OK] = true, [LIN_PRESENT] = true}},
    [LIN_ENSURE] = {.name = "ensure", .takes_value = true, .results = {[LIN_OK] = true}},
    [LIN_APPEND] = {.name = "append", .takes_value = true, .results = {[LIN_OK] = true}},
    [LIN_READ] = {.name = "read",
                  .ret_value = true,
                  .results = {[LIN_OK] = true, [LIN_ABSENT] = true}},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static const char *const results[] = {
    [LIN_UNKNOWN] = "unknown",
    [LIN_OK] = "ok",
    [LIN_ABSENT] = "absent",
    [LIN_PRESENT] = "present",
};
#define RESULT_COUNT (sizeof(results) / sizeof(results[0]))

/* The operations own what the public struct shows as const. */
static void free_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } pointer = {.in = text};
    free(pointer.out);
}

void lin_history_release(struct lin_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        free_text(history->ops[i].key);
        free_text(history->ops[i].value);
    }
    free(history->ops);
    *history = (struct lin_history){0};
}

static int check_op(const struct lin_op *op, struct err *e)
{
    const struct kind *kind = &kinds[op->kind];
    bool has_value = kind->takes_value || (kind->ret_value && op->result == LIN_OK);

    if (op->result != LIN_UNKNOWN && !kind->results[op->result])
        return err_set(e, KE_INVALID, "a %s cannot be answered '%s'", kind->name,
                       results[op->result]);
    if (has_value != (op->value != NULL))
        return err_set(e, KE_INVALID, "a %s, %s, has %s value", kind->name, results[op->result],
                       has_value ? "a" : "no");
    if ((op->result == LIN_UNKNOWN) != (op->return_ns == LIN_NEVER))
        return err_set(e, KE_INVALID, "what is known of a %s has a time, and nothing else has",
                       kind->name);
    if (op->return_ns < op->call_ns)
        return err_set(e, KE_INVALID, "a %s returned before it was called", kind->name);
    return 0;
}

int lin_history_add(struct lin_history *history, const struct lin_op *op, struct err *e)
{
    int code = check_op(op, e);
    if (code)
        return code;
    if (history->count == LIN_OPS_MAX)
        return err_set(e, KE_TOO_LARGE, "more than %u operations", LIN_OPS_MAX);
    if (history->count == history->capacity) {
        history->capacity = history->capacity > 0 ? 2 * history->capacity : CAPACITY_MIN;
        history->ops = mem_realloc(history->ops, history->capacity * sizeof(*history->ops));
    }
    struct lin_op *added = &history->ops[history->count++];
    *added = *op;
    added->key = mem_strdup(op->key);
    added->value = op->value != NULL ? mem_strdup(op->value) : NULL;
    return 0;
}

/* ---- text ---- */

static int find_word(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0)
            return (int)i;
    }
    return -1;
}

static int find_kind(const char *word)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, word) == 0)
            return (int)i;
    }
    return -1;
}

static bool parse_number(const char *word, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(word, &end, 10);
    if (errno != 0 || *end != '\0' || word[0] < '0' || word[0] > '9')
        return false;
    *ret_number = number;
    return true;
}

/* Cuts the line at its blanks. The value, the last word, may be empty. */
static size_t cut_words(char *line, char *words[WORDS_MAX])
{
    size_t count = 0;
    while (count < WORDS_MAX) {
        words[count++] = line;
        char *blank = strchr(line, ' ');
        if (blank == NULL)
            break;
        *blank = '\0';
        line = blank + 1;
    }
    return count;
}

static int parse_line(struct lin_history *history, char *line, struct err *e)
{
    char *words[WORDS_MAX] = {NULL};
    uint64_t process;
    struct lin_op op = {.return_ns = LIN_NEVER};

    size_t count = cut_words(line, words);
    if (count < WORDS_MIN)
        return err_set(e, KE_INVALID, "%zu words, at least %d", count, WORDS_MIN);
    int kind = find_kind(words[1]);
    int result = find_word(words[5], results, RESULT_COUNT);
    if (kind < 0 || result < 0)
        return err_set(e, KE_INVALID, "no such kind or result: %s %s", words[1], words[5]);
    if (!parse_number(words[0], &process) || process > UINT32_MAX ||
        !parse_number(words[3], &op.call_ns) ||
        (strcmp(words[4], "-") != 0 && !parse_number(words[4], &op.return_ns)))
        return err_set(e, KE_INVALID, "not a process or time: %s %s %s", words[0], words[3],
                       words[4]);
    op.process = (uint32_t)process;
    op.kind = (enum lin_kind)kind;
    op.result = (enum lin_result)result;
    op.key = words[2];
    op.value = words[6];
    return lin_history_add(history, &op, e);
}

int lin_history_read(struct lin_history *history, FILE *file, const char *name, struct err *e)
{
    char *line = NULL;
    size_t capacity = 0, number = 0;
    int code = 0;
    ssize_t size;

    while (code == 0 && (size = getline(&line, &capacity, file)) > 0) {
        number++;
        if (size > LIN_LINE_MAX || line[size - 1] != '\n') {
            code = err_set(e, KE_INVALID, "the line is too long, or has no end");
        } else {
            line[size - 1] = '\0';
            code = parse_line(history, line, e);
        }
    }
    free(line);
    if (code)
        return err_wrap(e, code, "%s:%zu", name, number);
    if (ferror(file))
        return err_set(e, KE_IO, "%s: %s", name, strerror(errno));
    return 0;
}

void lin_op_write(const struct lin_op *op, FILE *file)
{
    (void)fprintf(file, "%" PRIu32 " %s %s %" PRIu64 " ", op->process, kinds[op->kind].name,
                  op->key, op->call_ns);
    if (op->return_ns == LIN_NEVER)
        (void)fputs("-", file);
    else
        (void)fprintf(file, "%" PRIu64, op->return_ns);
    (void)fprintf(file, " %s", results[op->result]);
    if (op->value != NULL)
        (void)fprintf(file, " %s", op->value);
    (void)fputc('\n', file);
}

const char *lin_op_describe(const struct lin_op *op, char text[LIN_OP_TEXT_MAX])
{
    (void)snprintf(text, LIN_OP_TEXT_MAX, "%s%s%.100s: %s, by process %" PRIu32,
                   kinds[op->kind].name, op->value != NULL ? " " : "",
                   op->value != NULL ? op->value : "", results[op->result], op->process);
    return text;
}
