#include "ledger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A line is the operation's number in so many digits, and a line feed. */
#define LINE_DIGITS 8
#define LINE_SIZE   (LINE_DIGITS + 1)
/* Of eight random operations so many are. */
#define APPENDS 2
#define DELETES 1
/* Values differ in length up to this. */
#define FILLER_MAX 200

void ledger_init(struct ledger *ledger, unsigned client)
{
    memset(ledger, 0, sizeof(*ledger));
    ledger->client = client;
    ledger->next_seq = 1;
}

/* --- names and values --- */

void ledger_prefix(const struct ledger *ledger, char *path)
{
    snprintf(path, LEDGER_PATH_MAX, "c%03u/", ledger->client);
}

void ledger_dir(const struct ledger *ledger, char *path)
{
    snprintf(path, LEDGER_PATH_MAX, "c%03u", ledger->client);
}

void ledger_log_path(const struct ledger *ledger, unsigned log, char *path)
{
    snprintf(path, LEDGER_PATH_MAX, "c%03u/log%05u", ledger->client, log);
}

static void key_path(const struct ledger *ledger, uint32_t key, char *path)
{
    snprintf(path, LEDGER_PATH_MAX, "c%03u/k%03u", ledger->client, (unsigned)key);
}

void ledger_path(const struct ledger *ledger, const struct ledger_op *op, char *path)
{
    if (op->kind == LEDGER_APPEND)
        ledger_log_path(ledger, ledger->log, path);
    else
        key_path(ledger, op->key, path);
}

static void put_value(const struct ledger *ledger, uint64_t seq, char *value)
{
    int head = snprintf(value, LEDGER_VALUE_MAX, "%u.%" PRIu64 ".", ledger->client, seq);
    size_t filler = (size_t)(seq * 31 % FILLER_MAX);
    assert((size_t)head + filler < LEDGER_VALUE_MAX);
    memset(value + head, 'a' + (int)(seq % 26), filler);
    value[(size_t)head + filler] = '\0';
}

void ledger_value(const struct ledger *ledger, const struct ledger_op *op, char *value)
{
    assert(op->kind != LEDGER_DELETE);
    if (op->kind == LEDGER_PUT)
        put_value(ledger, op->seq, value);
    else
        snprintf(value, LEDGER_VALUE_MAX, "%0*" PRIu64 "\n", LINE_DIGITS, op->seq);
}

/* --- what the client does --- */

bool ledger_choose(const struct ledger *ledger, uint64_t random, struct ledger_op *ret_op)
{
    unsigned kind = (unsigned)(random % 8);
    *ret_op = (struct ledger_op){.seq = ledger->next_seq};
    if (kind < APPENDS && ledger->log != 0 && ledger->line_count < LEDGER_LINES_MAX) {
        ret_op->kind = LEDGER_APPEND;
        return true;
    }
    ret_op->kind = kind < APPENDS + DELETES ? LEDGER_DELETE : LEDGER_PUT;
    for (uint32_t i = 0; i < LEDGER_KEYS; i++) {
        ret_op->key = (uint32_t)(random / 8 + i) % LEDGER_KEYS;
        if (ledger->keys[ret_op->key].unknown_count < LEDGER_UNKNOWN_MAX)
            return true;
    }
    return false;
}

void ledger_begin(struct ledger *ledger, const struct ledger_op *op)
{
    assert(op->seq >= ledger->next_seq);
    ledger->next_seq = op->seq + 1;
    if (op->kind == LEDGER_APPEND) {
        assert(ledger->line_count < LEDGER_LINES_MAX);
        ledger->lines[ledger->line_count++] = (struct ledger_line){.seq = op->seq};
        return;
    }
    struct ledger_key *key = &ledger->keys[op->key];
    assert(key->unknown_count < LEDGER_UNKNOWN_MAX);
    key->unknown[key->unknown_count++] = *op;
}

/* It is unknown no more. */
static void forget_unknown(struct ledger_key *key, size_t i)
{
    key->unknown[i] = key->unknown[--key->unknown_count];
}

static size_t find_unknown(const struct ledger_key *key, uint64_t seq)
{
    size_t i = 0;
    while (i < key->unknown_count && key->unknown[i].seq != seq)
        i++;
    return i;
}

void ledger_acknowledge(struct ledger *ledger, const struct ledger_op *op)
{
    if (op->kind == LEDGER_APPEND) {
        struct ledger_line *line = &ledger->lines[ledger->line_count - 1];
        assert(ledger->line_count > 0 && line->seq == op->seq);
        line->acknowledged = true;
        return;
    }
    struct ledger_key *key = &ledger->keys[op->key];
    size_t i = find_unknown(key, op->seq);
    assert(i < key->unknown_count);
    forget_unknown(key, i);
    key->value = op->kind == LEDGER_PUT ? op->seq : 0;
}

void ledger_refuse(struct ledger *ledger, const struct ledger_op *op)
{
    if (op->kind == LEDGER_APPEND) {
        assert(ledger->line_count > 0);
        ledger->line_count--;
        return;
    }
    struct ledger_key *key = &ledger->keys[op->key];
    size_t i = find_unknown(key, op->seq);
    assert(i < key->unknown_count);
    forget_unknown(key, i);
}

void ledger_begin_log(struct ledger *ledger)
{
    ledger->log++;
    ledger->line_count = 0;
    ledger->seen_count = 0;
}

/* --- checking --- */

static bool fail(struct ledger *ledger, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool fail(struct ledger *ledger, const char *format, ...)
{
    if (ledger->failure[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(ledger->failure, sizeof(ledger->failure), format, arguments);
        va_end(arguments);
    }
    return false;
}

void ledger_check_begin(struct ledger *ledger)
{
    memset(ledger->shown, 0, sizeof(ledger->shown));
    ledger->log_shown = false;
    ledger->last_path[0] = '\0';
}

/* The key shows this value: what that says of the operations on it. */
static bool check_key(struct ledger *ledger, uint32_t number, const char *value, size_t size)
{
    struct ledger_key *key = &ledger->keys[number];
    char expected[LEDGER_VALUE_MAX];
    if (key->value != 0) {
        put_value(ledger, key->value, expected);
        if (strlen(expected) == size && memcmp(expected, value, size) == 0)
            return true;
    }
    for (size_t i = 0; i < key->unknown_count; i++) {
        if (key->unknown[i].kind != LEDGER_PUT)
            continue;
        put_value(ledger, key->unknown[i].seq, expected);
        if (strlen(expected) == size && memcmp(expected, value, size) == 0) {
            key->value = key->unknown[i].seq;
            forget_unknown(key, i);
            return true;
        }
    }
    return fail(ledger, "c%03u/k%03u shows \"%.*s\" (%zu bytes), should be %" PRIu64 " or %zu more",
                ledger->client, (unsigned)number, (int)(size < 24 ? size : 24), value, size,
                key->value, key->unknown_count);
}

/* A key that is not shown must not be, or a delete of unknown outcome has happened. */
static bool check_absent(struct ledger *ledger, uint32_t number)
{
    struct ledger_key *key = &ledger->keys[number];
    if (key->value == 0)
        return true;
    for (size_t i = 0; i < key->unknown_count; i++) {
        /* Of several it stays unknown which one it was. */
        if (key->unknown[i].kind == LEDGER_DELETE) {
            key->value = 0;
            return true;
        }
    }
    return fail(ledger, "c%03u/k%03u is gone, %" PRIu64 " was acknowledged", ledger->client,
                (unsigned)number, key->value);
}

/* They were begun in order. */
static struct ledger_line *find_line(struct ledger *ledger, uint64_t seq)
{
    size_t from = 0, to = ledger->line_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (ledger->lines[middle].seq < seq)
            from = middle + 1;
        else
            to = middle;
    }
    return from < ledger->line_count && ledger->lines[from].seq == seq ? &ledger->lines[from]
                                                                       : NULL;
}

/* Line `position` of the log says `seq`. */
static bool check_line(struct ledger *ledger, size_t position, uint64_t seq)
{
    struct ledger_line *line = find_line(ledger, seq);
    if (line == NULL)
        return fail(ledger, "c%03u's log has line %" PRIu64 ", which nobody wrote", ledger->client,
                    seq);
    if (++line->shows > 1)
        return fail(ledger, "c%03u's log has line %" PRIu64 " twice", ledger->client, seq);
    if (position < ledger->seen_count && ledger->seen[position] != seq)
        return fail(ledger, "c%03u's log has line %" PRIu64 " where %" PRIu64 " was seen",
                    ledger->client, seq, ledger->seen[position]);
    ledger->seen[position] = seq;
    return true;
}

/* Whoever was begun after an acknowledgement comes after it. */
static bool check_line_order(struct ledger *ledger)
{
    uint64_t latest = 0;
    for (size_t i = 0; i < ledger->seen_count; i++) {
        uint64_t seq = ledger->seen[i];
        if (seq < latest && find_line(ledger, seq)->acknowledged)
            return fail(ledger, "c%03u's log has line %" PRIu64 " behind %" PRIu64, ledger->client,
                        seq, latest);
        latest = seq > latest ? seq : latest;
    }
    for (size_t i = 0; i < ledger->line_count; i++) {
        const struct ledger_line *line = &ledger->lines[i];
        if (line->acknowledged && line->shows == 0)
            return fail(ledger, "c%03u's log lacks line %" PRIu64 ", which was acknowledged",
                        ledger->client, line->seq);
    }
    return true;
}

static bool check_log(struct ledger *ledger, const char *content, size_t size)
{
    size_t count = size / LINE_SIZE;
    if (size % LINE_SIZE != 0 || count > ledger->line_count || count < ledger->seen_count)
        return fail(ledger, "c%03u's log has %zu bytes, %zu lines were seen and %zu begun",
                    ledger->client, size, ledger->seen_count, ledger->line_count);
    for (size_t i = 0; i < ledger->line_count; i++)
        ledger->lines[i].shows = 0;
    for (size_t i = 0; i < count; i++) {
        char line[LINE_SIZE + 1] = {0};
        uint64_t seq;
        int used = 0;
        memcpy(line, content + i * LINE_SIZE, LINE_SIZE);
        if (sscanf(line, "%8" SCNu64 "%n", &seq, &used) != 1 || used != LINE_DIGITS ||
            line[LINE_DIGITS] != '\n')
            return fail(ledger, "c%03u's log is torn at line %zu: %s", ledger->client, i, line);
        if (!check_line(ledger, i, seq))
            return false;
    }
    ledger->seen_count = count;
    return check_line_order(ledger);
}

/* The current log; one that is being made, still empty; or an old one. */
static bool check_log_row(struct ledger *ledger, unsigned log, const char *content, size_t size)
{
    if (log == ledger->log) {
        ledger->log_shown = true;
        return check_log(ledger, content, size);
    }
    if (log < ledger->log || (log == ledger->log + 1 && size == 0))
        return true;
    return fail(ledger, "c%03u has log %u with %zu bytes, the latest is %u", ledger->client, log,
                size, ledger->log);
}

bool ledger_check_row(struct ledger *ledger, const void *key, size_t key_size, const void *value,
                      size_t value_size)
{
    char path[LEDGER_PATH_MAX] = {0};
    char expected[LEDGER_PATH_MAX];
    unsigned number = 0;
    memcpy(path, key, key_size < LEDGER_PATH_MAX ? key_size : LEDGER_PATH_MAX - 1);
    if (strcmp(path, ledger->last_path) <= 0)
        return fail(ledger, "%s comes behind %s", path, ledger->last_path);
    memcpy(ledger->last_path, path, sizeof(path));
    const char *name = strchr(path, '/');
    if (name != NULL && sscanf(name, "/k%u", &number) == 1 && number < LEDGER_KEYS) {
        key_path(ledger, number, expected);
        if (strcmp(path, expected) == 0) {
            ledger->shown[number] = true;
            return check_key(ledger, number, value, value_size);
        }
    }
    if (name != NULL && sscanf(name, "/log%u", &number) == 1) {
        ledger_log_path(ledger, number, expected);
        if (strcmp(path, expected) == 0)
            return check_log_row(ledger, number, value, value_size);
    }
    return fail(ledger, "%s is there, which nobody wrote", path);
}

bool ledger_check_end(struct ledger *ledger)
{
    if (ledger->failure[0] != '\0')
        return false;
    if (ledger->log != 0 && !ledger->log_shown)
        return fail(ledger, "c%03u's log %u is gone", ledger->client, ledger->log);
    for (uint32_t i = 0; i < LEDGER_KEYS; i++) {
        if (!ledger->shown[i] && !check_absent(ledger, i))
            return false;
    }
    return true;
}

void ledger_settle(struct ledger *ledger)
{
    for (size_t i = 0; i < LEDGER_KEYS; i++)
        ledger->keys[i].unknown_count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < ledger->line_count; i++) {
        if (ledger->lines[i].shows > 0)
            ledger->lines[kept++] = ledger->lines[i];
    }
    ledger->line_count = kept;
}
