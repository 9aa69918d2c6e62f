#include "raftstore/compaction.h"

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t less(uint64_t index, uint64_t count)
{
    return index > count ? index - count : 0;
}

uint64_t compaction_choose(const struct compaction_limits *limits, const struct log_size *size,
                           uint64_t truncated, uint64_t applied, uint64_t needed)
{
    uint64_t entries = applied - truncated;
    if (entries <= limits->count && log_size_behind(size, truncated) <= limits->bytes)
        return 0;
    uint64_t wanted = max_of(less(applied, limits->count / 2),
                             min_of(applied, log_size_find(size, limits->bytes / 2)));
    wanted = min_of(wanted, needed);
    uint64_t least = max_of(less(applied, limits->count * 2), log_size_find(size, limits->bytes));
    uint64_t index = min_of(applied, max_of(wanted, least));
    return index > truncated ? index : 0;
}
