#include "raftstore/lease_reads.h"

#include "raftstore/memory.h"

#include <stdlib.h>

/* Readers share the line that this is in: it is written no more often. */
#define READ_AT_STEP_NS 50000000ull

struct lease_reads *lease_reads_new(void)
{
    return mem_zalloc(sizeof(struct lease_reads));
}

void lease_reads_free(struct lease_reads *reads)
{
    free(reads);
}

uint64_t lease_reads_until(struct lease_reads *reads, const uint64_t *keys, size_t count,
                           uint64_t applied, uint64_t now)
{
    uint64_t read_at = atomic_load_explicit(&reads->read_at, memory_order_relaxed);
    if (now - read_at > READ_AT_STEP_NS)
        atomic_store_explicit(&reads->read_at, now, memory_order_relaxed);
    /* The lease first: what was told to others while it was alive is applied or marked. */
    uint64_t end = atomic_load(&reads->end);
    if (end <= now || in_flight_has(&reads->in_flight, keys, count, applied))
        return 0;
    return end;
}

void lease_reads_publish(struct lease_reads *reads, uint64_t end)
{
    atomic_store(&reads->end, end);
}

bool lease_reads_are_recent(const struct lease_reads *reads, uint64_t now)
{
    uint64_t read_at = atomic_load_explicit(&reads->read_at, memory_order_relaxed);
    return read_at != 0 && (read_at >= now || now - read_at < LEASE_READS_RECENT_NS);
}
