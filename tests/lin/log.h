/* Whether what was appended to one log and read from it is linearizable.
 *
 * Tokens are unique, so reads say nearly all: every read must be the beginning of
 * the longest one, and that gives the order of all that is in it. The earliest
 * moment at which each could have taken effect follows from the one before; each
 * must be within its call and return. What is not in the longest read must have
 * been able to come after all reads. One pass, never undecided.
 */
#ifndef KEELFS_TESTS_LIN_LOG_H
#define KEELFS_TESTS_LIN_LOG_H

#include "check.h"

/* Fills `fault` unless valid. */
enum lin_verdict lin_log_check(const struct lin_key *key, struct lin_fault *fault);

#endif
