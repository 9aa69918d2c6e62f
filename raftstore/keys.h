/* Names of rows (WIRE: keys in RocksDB; numbers are big-endian). */
#ifndef KEELFS_RAFTSTORE_KEYS_H
#define KEELFS_RAFTSTORE_KEYS_H

#include "raftstore/engine.h"

#include <stddef.h>
#include <stdint.h>

/* A fixed-size row name and its length. */
#define KEY_FIXED_MAX 24
struct key {
    uint8_t data[KEY_FIXED_MAX];
    size_t size;
};

struct bytes key_bytes(const struct key *key);

/* Instance `raft`. */
struct key key_raft_log(uint64_t region_id, uint64_t index);
struct key key_raft_state(uint64_t region_id);
struct key key_store_ident(void);
struct key key_prepare_bootstrap(void);

/* Instance `kv`, column family CF_META. */
struct key key_apply_state(uint64_t region_id);
struct key key_region_state(uint64_t region_id);
struct key key_session(uint64_t region_id, uint64_t store_id); /* 01 02 region 10 store */
struct key key_member(uint64_t store_id);                      /* 01 04 store */

/* Instance `kv`: rows of a path. `out` has PATH_ROW_MAX bytes. */
#define PATH_ROW_MAX (4096 + 8)
struct bytes key_content(const char *path, uint32_t chunk, uint8_t *out); /* path \0 be32 */
struct bytes key_attr(const char *path, int directory, uint8_t *out);     /* path or path/ */

#endif
