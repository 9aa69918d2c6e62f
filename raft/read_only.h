#ifndef KEEL_RAFT_READ_ONLY_H
#define KEEL_RAFT_READ_ONLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/raft.h"

// Reads that wait on the leader (dissertation 6.4).
//
// A read is safe at the commit index of its arrival once a heartbeat sent after
// it has been answered by a quorum: the leader then still was the leader. Reads
// are numbered in order of arrival; a heartbeat carries the number of the newest
// one, its answer confirms all up to that number. So one round serves every read
// that waits, however many.
//
// Before the leader has committed an entry of its own term it does not know the
// commit index (paper 8): reads that come earlier are held back.

struct raft_read_request {
    uint64_t from; // who asked: RAFT_NONE or own id for the local application
    uint64_t index;
    uint8_t context_size;
    uint8_t context[RAFT_CONTEXT_MAX];
};

struct raft_read_only {
    struct raft_read_request *waiting; // in order; at most RAFT_READS_MAX
    size_t count;
    size_t capacity;
    size_t held;        // the last `held` of them have no index yet
    uint64_t confirmed; // how many left the front since the term began
};

void raft_read_only_release(struct raft_read_only *r);
void raft_read_only_reset(struct raft_read_only *r); // forgets all, keeps the memory

// RAFT_E_TOO_MANY, RAFT_E_NO_MEMORY. `held`: the index is not known yet.
int raft_read_only_add(struct raft_read_only *r, const struct raft_message *m, uint64_t index,
                       bool held);
// The commit index is known now: numbers the held reads.
void raft_read_only_unhold(struct raft_read_only *r, uint64_t index);

// The number of the newest read that has an index; `confirmed` when none waits.
uint64_t raft_read_only_newest(const struct raft_read_only *r);

// How many reads at the front a quorum has confirmed, its acknowledgement being `acked`.
size_t raft_read_only_ready(const struct raft_read_only *r, uint64_t acked);
void raft_read_only_drop(struct raft_read_only *r, size_t count);

#endif
