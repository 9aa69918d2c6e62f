/* What the tests of membership have in common: making and comparing rows. */
#ifndef KEELFS_TESTS_MEMBERSHIP_ROWS_H
#define KEELFS_TESTS_MEMBERSHIP_ROWS_H

#include "raftstore/membership.h"

#include <stdbool.h>
#include <stdint.h>

/* Voters n1 .. nCOUNT at h:1 .. h:COUNT, ids from 1, data ids 101 ... */
struct membership rows_founding(size_t count);

struct member_op rows_op(enum member_change_kind kind, const char *name, const char *address);

bool rows_equal(const struct store_member *a, const struct store_member *b);
bool rows_membership_equal(const struct membership *a, const struct membership *b);

#endif
