/* Names of rows (WIRE: keys in RocksDB; numbers are big-endian). */
#ifndef KEELFS_RAFTSTORE_KEYS_H
#define KEELFS_RAFTSTORE_KEYS_H

#include "raftstore/engine.h"

#include <stdbool.h>
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
struct key key_session_end(uint64_t region_id);                /* behind all of them */
struct key key_member(uint64_t store_id);                      /* 01 04 store */
struct key key_usage(void);                                    /* 01 05 */
struct key key_usage_end(void);                                /* behind it */

/* Instance `kv`, column family CF_DEFAULT: a chunk of the content of the file
 * with this id, be64(id) be32(chunk). Content is named after the file, not after
 * its path: a rename moves no content, whatever the size. */
struct key key_content(uint64_t id, uint32_t chunk);
/* And a map of the file's holes, behind all its chunks (hole_map.h). */
struct key key_hole_map(uint64_t id, uint32_t group);

/* Instance `kv`, column family CF_ATTR: `path` of a file or symbolic link, `path/`
 * of a directory, `/` of the root. `out` has PATH_ROW_MAX bytes. */
#define PATH_ROW_MAX (4096 + 8)
struct bytes key_attr(const char *path, bool directory, uint8_t *out);
/* The end of the rows of a directory and all below it: `path0`, '0' being the
 * byte after '/'. Not of the root. */
struct bytes key_attr_end(const char *dir, uint8_t *out);

/* Behind every row of any column family, for a range that needs an end. `out` has
 * PATH_ROW_MAX bytes. */
struct bytes key_end(uint8_t *out);

/* Column families as snapshots name them. */
const char *key_cf_name(enum engine_cf cf);
/* Instance `kv`, column family CF_ATTR, before all paths: 00 id, the attributes of a
 * file with several names. */
struct key key_home(uint64_t id);
/* And 00 id 01 name: an extended attribute. `out` has XATTR_KEY_MAX bytes. */
#define XATTR_NAME_MAX 255
#define XATTR_KEY_MAX  (XATTR_NAME_MAX + 16)
struct bytes key_xattr(uint64_t id, const void *name, size_t name_size, uint8_t *out);
/* The end of the extended attributes of `id`. */
struct key key_xattr_end(uint64_t id);
/* The first row that is of a path. */
#define KEY_PATHS_BEGIN "\001"

/* Column families as raw clients name them: "default" (also when empty), "lock",
 * "write". KE_INVALID for another. */
int key_parse_cf(const char *name, enum engine_cf *ret_cf);

#endif
