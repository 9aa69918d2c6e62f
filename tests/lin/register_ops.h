/* The operations on a register as the search takes them: values are numbers, and
 * times are what can be concluded from them. */
#ifndef KEELFS_TESTS_LIN_REGISTER_OPS_H
#define KEELFS_TESTS_LIN_REGISTER_OPS_H

#include "check.h"

#include <stdbool.h>
#include <stdint.h>

/* States of a register; the values that were seen by some get have other numbers. */
#define REGISTER_ABSENT 0u
#define REGISTER_UNSEEN 1u

#define REGISTER_NO_TWIN SIZE_MAX

struct register_op {
    enum lin_kind kind;
    enum lin_result result;
    uint32_t value;
    bool is_certain; /* must be placed; otherwise it may be left out */
    uint64_t call_ns;
    uint64_t return_ns; /* LIN_NEVER: whenever */
    size_t twin;        /* an uncertain one with the same effect, called before this one */
};

/* `ops` has room for all of the key's. LIN_INVALID, with the fault filled, when it
 * shows already. */
enum lin_verdict register_ops_make(const struct lin_key *key, struct register_op *ops,
                                   struct lin_fault *fault);

/* Whether the operation can come next when the register is in `state`, and what it
 * is in then. */
bool register_op_fits(const struct register_op *op, uint32_t state, uint32_t *ret_state);

/* Whether it never changes anything, wherever it comes. */
bool register_op_looks(const struct register_op *op);

#endif
