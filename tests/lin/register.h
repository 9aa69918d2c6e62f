/* Whether what was done with one register is linearizable.
 *
 * Searches for an order, as Wing and Gong (1993) do, with Lowe's (2017) memory of
 * what has been tried: at each point one of the operations that have been called,
 * before the first return of one that is not placed yet, comes next. What keeps
 * the search small, none of which changes the answer:
 *   - what fits and only looks is placed at once, without an alternative;
 *   - an unknown operation is placed only where it changes something, and of
 *     several that would do the same only the one that was called first;
 *   - a value that only one operation can have written was written before the
 *     first get that saw it returned, also when the writer was never told;
 *   - values that no get has seen are all the same.
 * Which configurations have been tried is remembered as a hash of 128 bits.
 */
#ifndef KEELFS_TESTS_LIN_REGISTER_H
#define KEELFS_TESTS_LIN_REGISTER_H

#include "check.h"

/* Fills `fault` unless valid. LIN_UNDECIDED after `steps`, or when the memory of
 * what has been tried is full. */
enum lin_verdict lin_register_check(const struct lin_key *key, uint64_t steps,
                                    struct lin_fault *fault);

#endif
