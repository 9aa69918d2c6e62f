#include "raftstore/snapshot_hash.h"

#include "raftstore/log.h"

#include <endian.h>
#include <xxhash.h>

/* The lengths keep two rows apart that differ only in where the key ends. */
static int hash_row(void *ctx, struct bytes key, struct bytes value, struct err *e)
{
    XXH3_state_t *hash = ctx;
    uint64_t lengths[2] = {htobe64(key.size), htobe64(value.size)};

    (void)e;
    (void)XXH3_64bits_update(hash, lengths, sizeof lengths);
    (void)XXH3_64bits_update(hash, key.data, key.size);
    (void)XXH3_64bits_update(hash, value.data, value.size);
    return 0;
}

int snapshot_hash(const struct snapshot_rows *rows, uint64_t *ret_hash, struct err *e)
{
    XXH3_state_t *hash = XXH3_createState();
    int code = 0;

    if (hash == NULL) {
        log_fatal("out of memory: the state of a hash");
    }
    (void)XXH3_64bits_reset(hash);
    for (int cf = 0; cf < CF_COUNT && code == 0; cf++) {
        uint64_t number = htobe64((uint64_t)cf);

        (void)XXH3_64bits_update(hash, &number, sizeof number);
        code = snapshot_rows_walk(rows, (enum engine_cf)cf, hash_row, hash, e);
    }
    if (code == 0) {
        *ret_hash = XXH3_64bits_digest(hash);
    }
    (void)XXH3_freeState(hash);
    return code;
}
