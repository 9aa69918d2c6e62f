#include "raftstore/usage_row.h"

#include "raftstore/err.h"

#include <endian.h>
#include <string.h>

void usage_row_pack(const struct tree_usage *usage, uint8_t out[USAGE_ROW_SIZE])
{
    uint64_t numbers[4] = {htobe64(usage->files), htobe64(usage->bytes),
                           htobe64(usage->quota.files), htobe64(usage->quota.bytes)};

    memcpy(out, numbers, USAGE_ROW_SIZE);
}

int usage_row_unpack(struct bytes row, struct tree_usage *ret_usage)
{
    uint64_t numbers[4];

    if (row.size != USAGE_ROW_SIZE) {
        return KE_CORRUPT;
    }
    memcpy(numbers, row.data, USAGE_ROW_SIZE);
    ret_usage->files = be64toh(numbers[0]);
    ret_usage->bytes = be64toh(numbers[1]);
    ret_usage->quota.files = be64toh(numbers[2]);
    ret_usage->quota.bytes = be64toh(numbers[3]);
    return 0;
}
