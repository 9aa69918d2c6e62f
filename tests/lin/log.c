#include "log.h"

#include "raftstore/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE SIZE_MAX

/* An append, to be found by its token. */
struct token {
    const char *text;
    size_t op;       /* of the key's */
    size_t position; /* in the longest read, from 1; 0 when it is not there */
};

/* A moment in the order that the reads give: behind `length` tokens. */
struct moment {
    uint64_t earliest_ns; /* at which the last of them can have been appended */
    uint64_t read_ns;     /* the latest call of a read that saw just these */
};

struct log {
    const struct lin_key *key;
    struct lin_fault *fault;
    struct token *tokens; /* by text */
    size_t token_count;
    const char *longest; /* read */
    size_t length;       /* its tokens */
    size_t *order;       /* of the longest read: indexes into `tokens` */
    struct moment *moments;
};

static const char *text_of(const struct lin_op *read)
{
    return read->value != NULL ? read->value : "";
}

static size_t count_tokens(const char *text)
{
    size_t count = text[0] != '\0';
    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

static int compare_tokens(const void *a, const void *b)
{
    const struct token *left = a, *right = b;
    return strcmp(left->text, right->text);
}

static enum lin_verdict collect_tokens(struct log *log)
{
    const struct lin_key *key = log->key;
    for (size_t i = 0; i < key->count; i++) {
        if (key->ops[i]->kind == LIN_APPEND)
            log->tokens[log->token_count++] = (struct token){.text = key->ops[i]->value, .op = i};
    }
    qsort(log->tokens, log->token_count, sizeof(*log->tokens), compare_tokens);
    for (size_t i = 1; i < log->token_count; i++) {
        if (strcmp(log->tokens[i - 1].text, log->tokens[i].text) == 0)
            return lin_fault_set(log->fault, LIN_INVALID, log->tokens[i].op,
                                 "the history is no use: '%.100s' is appended by two",
                                 log->tokens[i].text);
    }
    return LIN_VALID;
}

static size_t find_longest(struct log *log)
{
    size_t best = NOWHERE, best_size = 0;
    for (size_t i = 0; i < log->key->count; i++) {
        const struct lin_op *op = log->key->ops[i];
        if (op->kind != LIN_READ || op->result == LIN_UNKNOWN)
            continue;
        if (best == NOWHERE || strlen(text_of(op)) > best_size) {
            best = i;
            best_size = strlen(text_of(op));
        }
    }
    log->longest = best == NOWHERE ? "" : text_of(log->key->ops[best]);
    log->length = count_tokens(log->longest);
    return best;
}

/* Finds the appends of the longest read: each is there, and once. */
static enum lin_verdict order_tokens(struct log *log, size_t longest)
{
    char *copy = mem_strdup(log->longest), *rest = copy;
    enum lin_verdict verdict = LIN_VALID;
    for (size_t position = 1; position <= log->length && verdict == LIN_VALID; position++) {
        struct token wanted = {.text = strsep(&rest, ",")};
        struct token *token = NULL;
        if (log->token_count > 0)
            token = bsearch(&wanted, log->tokens, log->token_count, sizeof(wanted), compare_tokens);
        if (token == NULL) {
            verdict = lin_fault_set(log->fault, LIN_INVALID, longest,
                                    "'%.100s' is read, and nobody appended it", wanted.text);
        } else if (token->position != 0) {
            verdict = lin_fault_set(log->fault, LIN_INVALID, token->op,
                                    "'%.100s' is there twice: token %zu and token %zu", token->text,
                                    token->position, position);
        } else {
            token->position = position;
            log->order[position - 1] = (size_t)(token - log->tokens);
        }
    }
    free(copy);
    return verdict;
}

static enum lin_verdict check_prefixes(struct log *log)
{
    for (size_t i = 0; i < log->key->count; i++) {
        const struct lin_op *op = log->key->ops[i];
        if (op->kind != LIN_READ || op->result == LIN_UNKNOWN)
            continue;
        const char *text = text_of(op);
        size_t size = strlen(text);
        bool ends = log->longest[size] == '\0' || log->longest[size] == ',' || size == 0;
        if (strncmp(text, log->longest, size) != 0 || !ends)
            return lin_fault_set(log->fault, LIN_INVALID, i,
                                 "two reads disagree on what the log begins with");
        struct moment *moment = &log->moments[count_tokens(text)];
        if (moment->read_ns < op->call_ns)
            moment->read_ns = op->call_ns;
    }
    return LIN_VALID;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The appends of the longest read, one after the other. */
static enum lin_verdict place_appends(struct log *log)
{
    for (size_t position = 1; position <= log->length; position++) {
        const struct token *token = &log->tokens[log->order[position - 1]];
        const struct lin_op *op = log->key->ops[token->op];
        const struct moment *before = &log->moments[position - 1];
        uint64_t at_ns = later(later(before->earliest_ns, before->read_ns), op->call_ns);
        if (at_ns > op->return_ns)
            return lin_fault_set(log->fault, LIN_INVALID, token->op,
                                 "'%.100s' was acknowledged before what is ahead of it was asked "
                                 "for, or a later read has not seen it",
                                 token->text);
        log->moments[position].earliest_ns = at_ns;
    }
    return LIN_VALID;
}

static enum lin_verdict place_reads(struct log *log)
{
    for (size_t i = 0; i < log->key->count; i++) {
        const struct lin_op *op = log->key->ops[i];
        if (op->kind == LIN_READ && op->result != LIN_UNKNOWN &&
            log->moments[count_tokens(text_of(op))].earliest_ns > op->return_ns)
            return lin_fault_set(log->fault, LIN_INVALID, i,
                                 "the read saw what can only have been appended later");
    }
    return LIN_VALID;
}

/* What no read has seen comes behind all that reads have seen. */
static enum lin_verdict place_unread(struct log *log)
{
    const struct moment *last = &log->moments[log->length];
    uint64_t end_ns = later(last->earliest_ns, last->read_ns);
    for (size_t i = 0; i < log->token_count; i++) {
        const struct token *token = &log->tokens[i];
        if (token->position == 0 && log->key->ops[token->op]->return_ns < end_ns)
            return lin_fault_set(log->fault, LIN_INVALID, token->op,
                                 "'%.100s' was acknowledged and is not there", token->text);
    }
    return LIN_VALID;
}

static enum lin_verdict check_log(struct log *log)
{
    enum lin_verdict verdict = collect_tokens(log);
    size_t longest = find_longest(log);
    log->order = mem_alloc(log->length * sizeof(*log->order));
    log->moments = mem_zalloc((log->length + 1) * sizeof(*log->moments));
    if (verdict == LIN_VALID)
        verdict = order_tokens(log, longest);
    if (verdict == LIN_VALID)
        verdict = check_prefixes(log);
    if (verdict == LIN_VALID)
        verdict = place_appends(log);
    if (verdict == LIN_VALID)
        verdict = place_reads(log);
    if (verdict == LIN_VALID)
        verdict = place_unread(log);
    return verdict;
}

enum lin_verdict lin_log_check(const struct lin_key *key, struct lin_fault *fault)
{
    struct log log = {.key = key, .fault = fault};
    log.tokens = mem_alloc(key->count * sizeof(*log.tokens));
    enum lin_verdict verdict = check_log(&log);
    free(log.tokens);
    free(log.order);
    free(log.moments);
    return verdict;
}
