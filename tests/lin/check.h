/* Whether histories are linearizable: each operation must have taken effect at
 * one moment between its call and its return, and what all were told must be what
 * a store that does one thing at a time would have said.
 *
 * Linearizability is local (Herlihy and Wing, 1990, section 3.2): a history is
 * linearizable when what was done with each key is. A register is searched
 * (register.h), a log is gone through once (log.h).
 */
#ifndef KEELFS_TESTS_LIN_CHECK_H
#define KEELFS_TESTS_LIN_CHECK_H

#include "history.h"

#include <stddef.h>
#include <stdint.h>

#define LIN_STEPS_DEFAULT 20000000u
#define LIN_FAULT_MAX     512

enum lin_verdict {
    LIN_VALID,
    LIN_INVALID,
    LIN_UNDECIDED, /* within the steps of the limit; never to be taken for valid */
};

/* What is known of one key, in the order of the calls. Borrows from the history. */
struct lin_key {
    const char *name;
    const struct lin_op **ops;
    size_t count;
};

struct lin_fault {
    enum lin_verdict verdict;
    size_t at; /* the operation, of the key's, that shows it */
    char text[LIN_FAULT_MAX];
};

struct lin_summary {
    size_t keys;
    size_t invalid;
    size_t undecided;
};

/* Called for each key that is not valid. */
typedef void lin_tell_fn(void *ctx, const struct lin_key *key, const struct lin_fault *fault);

/* `steps` bounds the search for each key. */
struct lin_summary lin_check(const struct lin_history *history, uint64_t steps, lin_tell_fn *tell,
                             void *ctx);

/* Fills the fault and returns its verdict, for the checks of one key. */
enum lin_verdict lin_fault_set(struct lin_fault *fault, enum lin_verdict verdict, size_t at,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
