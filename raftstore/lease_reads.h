/* What readers see of this node's lease: the raft thread writes it, any thread asks,
 * nobody waits. See store_current_until() and docs/decisions/0009-read-leases.md.
 */
#ifndef KEELFS_RAFTSTORE_LEASE_READS_H
#define KEELFS_RAFTSTORE_LEASE_READS_H

#include "raftstore/in_flight.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A node asks for leases while it has read within so long. */
#define LEASE_READS_RECENT_NS 10000000000ull

struct lease_reads {
    atomic_uint_least64_t end;     /* of the lease; 0: none */
    atomic_uint_least64_t read_at; /* when somebody asked, to about a tick; 0: never */
    struct in_flight in_flight;
};

struct lease_reads *lease_reads_new(void);
void lease_reads_free(struct lease_reads *reads);

/* Any thread. Until when what is applied is all there is to see of
 * these keys; 0: it may not be. To be asked before the data is looked at. `now`: clock_ns()
 * of the call. */
uint64_t lease_reads_until(struct lease_reads *reads, const uint64_t *keys, size_t count,
                           uint64_t applied, uint64_t now);

/* The raft thread. */
void lease_reads_publish(struct lease_reads *reads, uint64_t end);
bool lease_reads_are_recent(const struct lease_reads *reads, uint64_t now);

#endif
