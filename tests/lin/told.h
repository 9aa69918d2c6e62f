/* Histories as tests write them: text, with times that are easy to read. */
#ifndef KEELFS_TESTS_LIN_TOLD_H
#define KEELFS_TESTS_LIN_TOLD_H

#include "check.h"

/* The verdict on the one key of a history in its text form. */
enum lin_verdict told_verdict(const char *text, uint64_t steps);

/* Fails the test unless the verdict is this, and, of what is not valid, the words
 * of the fault have `words` in them (NULL: any). */
void told_is_valid(const char *text);
void told_is_invalid(const char *text, const char *words);

#endif
