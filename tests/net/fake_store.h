/* Stands in for raftstore/store.h and raftstore/tree.h under the RPC server: the
 * test answers each operation itself, and says what the tree holds. */
#ifndef KEELFS_TESTS_NET_FAKE_STORE_H
#define KEELFS_TESTS_NET_FAKE_STORE_H

#include "raftstore/store.h"

#include <stddef.h>

struct store *fake_store_new(void);
/* No operation is left. */
void fake_store_free(struct store *store);

/* Answers every operation at once with `code` from now on. */
void fake_store_answer_all(struct store *store, int code);

/* The next operation that came in, oldest first, waited for. */
struct op *fake_store_take(struct store *store);
/* Ends one that was taken; nothing happens when its caller has cancelled it. */
void fake_store_end(struct op *op, int code);

/* Operations that came in so far. */
unsigned fake_store_op_total(struct store *store);
/* Bytes of the last command that was proposed. */
size_t fake_store_last_command_size(struct store *store);

/* What the tree holds in all. Its quota is what the last command that says one set. */
void fake_store_set_usage(struct store *store, uint64_t bytes, uint64_t files);
/* What every tree_get() finds: `value` (borrowed) or, when NULL, nothing. */
void fake_store_set_value(struct store *store, const void *value, size_t size);
/* What every tree_scan() finds: `count` pairs, k000000 and so on, with values of
 * `value_size` zeros. */
void fake_store_set_pairs(struct store *store, uint32_t count, size_t value_size);

#endif
