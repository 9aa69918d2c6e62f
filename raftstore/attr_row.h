/* Rows of column family `attr`: struct attr and the target of a symbolic link as
 * a keelfspb.Attr. Any thread may call.
 */
#ifndef KEELFS_RAFTSTORE_ATTR_ROW_H
#define KEELFS_RAFTSTORE_ATTR_ROW_H

#include "raftstore/attr.h"
#include "raftstore/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a symbolic link. */
#define ATTR_TARGET_MAX 4095
/* The fourteen numbers take at most 121 bytes, the target three more than its own. */
#define ATTR_ROW_MAX (ATTR_TARGET_MAX + 128)

struct attr_row {
    struct attr attr;
    /* The file has, or had, several names. Of the row of a name, as unpacked: only
     * attr.id counts, and names the home row. Of the home row, as its readers get it:
     * what is written goes there (key_home). */
    bool linked;
    size_t target_size;
    char target[ATTR_TARGET_MAX + 1]; /* NUL-terminated */
};

/* Packs into `out` (ATTR_ROW_MAX bytes). */
struct bytes attr_row_pack(const struct attr_row *row, uint8_t *out);
/* The row of a name of file `id`, whose attributes are in its home row. */
struct bytes attr_row_pack_link(uint64_t id, uint8_t *out);

/* 0 or KE_CORRUPT. */
int attr_row_unpack(struct bytes bytes, struct attr_row *ret_row);

#endif
