/* Histories: what clients asked of keys, when, and what they were told.
 *
 * A key is one of two things. A register holds a value or is absent; a log is a
 * file of tokens to which is only ever appended. Nothing is there at first.
 *
 *   kind     results, and what they say of the moment at which it took effect
 *   put      ok: the key has this value now
 *   get      ok: it had this value; absent; present: it was there, not looked at
 *   remove   ok: gone, there or not before; present: it was there; absent: it was not
 *   create   ok: was absent and has this value now; present: was there (O_EXCL)
 *   ensure   ok: has this value now if it was absent, else unchanged (O_CREAT)
 *   append   ok: this token is the last one now
 *   read     ok: these tokens, separated by commas, are all; absent: none
 *
 * `unknown` may be the result of each: it may have taken effect at any time
 * after the call, or never. What was refused for certain is left out.
 *
 * As text an operation is a line of words: PROCESS KIND KEY CALL RETURN RESULT
 * [VALUE]. Times are nanoseconds of one clock that all processes share; RETURN is
 * `-` when the result is unknown. VALUE has no blanks and may be empty.
 */
#ifndef KEELFS_TESTS_LIN_HISTORY_H
#define KEELFS_TESTS_LIN_HISTORY_H

#include "raftstore/err.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LIN_LINE_MAX    (4u << 20)
#define LIN_OPS_MAX     (64u << 20)
#define LIN_NEVER       UINT64_MAX
#define LIN_OP_TEXT_MAX 256

enum lin_kind {
    LIN_PUT,
    LIN_GET,
    LIN_REMOVE,
    LIN_CREATE,
    LIN_ENSURE,
    LIN_APPEND,
    LIN_READ,
};

enum lin_result { LIN_UNKNOWN, LIN_OK, LIN_ABSENT, LIN_PRESENT };

struct lin_op {
    uint32_t process;
    enum lin_kind kind;
    enum lin_result result;
    const char *key;
    const char *value; /* written or seen; NULL where there is none */
    uint64_t call_ns;
    uint64_t return_ns; /* LIN_NEVER when the result is unknown */
};

/* All zeros is an empty history. Owns its operations and their texts. */
struct lin_history {
    struct lin_op *ops;
    size_t count;
    size_t capacity;
};

void lin_history_release(struct lin_history *history);

/* Copies. KE_INVALID, with words in `e`, when the kind has no such result, a
 * value is missing or too much, or it returned before it was called. */
int lin_history_add(struct lin_history *history, const struct lin_op *op, struct err *e);

/* Adds what is in the file; `name` is for the words of an error. A last line
 * without its end, from a process that was killed, is an error too. */
int lin_history_read(struct lin_history *history, FILE *file, const char *name, struct err *e);

/* Writes a line. The stream keeps the error, if any. */
void lin_op_write(const struct lin_op *op, FILE *file);

/* For people: the kind, value and result, cut to fit. Returns `text`. */
const char *lin_op_describe(const struct lin_op *op, char text[LIN_OP_TEXT_MAX]);

#endif
