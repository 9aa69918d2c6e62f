/* What one client knows of the keys that nobody but it writes, and whether what a
 * store shows of them can be.
 *
 * A client has LEDGER_KEYS keys, which it puts and deletes, and a log file to which
 * it appends. Values and lines are unique: they name the operation. An operation is
 * begun, and then acknowledged, or refused, or neither: then it may happen at any
 * later time, once, or never. A client has one operation at a time under way, so
 * that checking is linear:
 *   - a key shows the last acknowledged operation on it, or one of unknown outcome;
 *   - what has once been seen has happened;
 *   - the log has every acknowledged line once, a line of unknown outcome at most
 *     once, no other one, acknowledged ones in the order of their acknowledgement;
 *     and it only ever grows.
 *
 * Plain data of one thread; the client (client.h) or who reads its history.
 */
#ifndef KEELFS_TESTS_STORE_LEDGER_H
#define KEELFS_TESTS_STORE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_KEYS 64
/* Operations of unknown outcome on one key; then the client leaves it alone. */
#define LEDGER_UNKNOWN_MAX 8
/* Lines in one log; then the client appends no more until it begins another. */
#define LEDGER_LINES_MAX   1000
#define LEDGER_PATH_MAX    32
#define LEDGER_VALUE_MAX   512
#define LEDGER_FAILURE_MAX 256

enum ledger_kind { LEDGER_PUT, LEDGER_DELETE, LEDGER_APPEND };

struct ledger_op {
    enum ledger_kind kind;
    uint32_t key; /* of a put or delete */
    uint64_t seq; /* from 1 on; never comes twice */
};

struct ledger_key {
    uint64_t value; /* of the put that it shows, as far as is known; 0: it is absent */
    size_t unknown_count;
    struct ledger_op unknown[LEDGER_UNKNOWN_MAX];
};

struct ledger_line {
    uint64_t seq;
    bool acknowledged;
    size_t shows; /* in the check under way */
};

struct ledger {
    unsigned client;
    uint64_t next_seq;
    struct ledger_key keys[LEDGER_KEYS];

    unsigned log; /* its number; 0: there is none yet */
    size_t line_count;
    struct ledger_line lines[LEDGER_LINES_MAX]; /* in the order in which they were begun */
    size_t seen_count; /* lines of the log when it was last seen, in its order */
    uint64_t seen[LEDGER_LINES_MAX];

    /* The check under way. */
    bool shown[LEDGER_KEYS];
    bool log_shown;
    char last_path[LEDGER_PATH_MAX];
    char failure[LEDGER_FAILURE_MAX]; /* "": none so far; the first one stays */
};

void ledger_init(struct ledger *ledger, unsigned client);

/* --- what the client does --- */

/* The next operation by a random number. False: the keys and lines are used up. */
bool ledger_choose(const struct ledger *ledger, uint64_t random, struct ledger_op *ret_op);
/* Where an operation works, and the value or line it writes; NUL-terminated. */
void ledger_path(const struct ledger *ledger, const struct ledger_op *op, char *path);
void ledger_value(const struct ledger *ledger, const struct ledger_op *op, char *value);
/* What the paths of this client, and of no other one, begin with. */
void ledger_prefix(const struct ledger *ledger, char *path);
void ledger_dir(const struct ledger *ledger, char *path);
void ledger_log_path(const struct ledger *ledger, unsigned log, char *path);

void ledger_begin(struct ledger *ledger, const struct ledger_op *op);
void ledger_acknowledge(struct ledger *ledger, const struct ledger_op *op);
/* It has not happened and never will. */
void ledger_refuse(struct ledger *ledger, const struct ledger_op *op);

/* A log with the next number is there, empty, and the one before is not looked at
 * any more. */
void ledger_begin_log(struct ledger *ledger);

/* --- what a linearizable scan of the prefix shows --- */

void ledger_check_begin(struct ledger *ledger);
/* In the order of the scan. False: it cannot be. */
bool ledger_check_row(struct ledger *ledger, const void *key, size_t key_size, const void *value,
                      size_t value_size);
bool ledger_check_end(struct ledger *ledger);
/* Nothing is under way anywhere: what the last check has not seen never comes. */
void ledger_settle(struct ledger *ledger);

#endif
