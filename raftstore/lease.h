/* Read leases, the side of the node that holds one: docs/decisions/0009-read-leases.md.
 *
 * Pure bookkeeping. Times are nanoseconds of the node's own clock_ns(), passed in; they
 * never go back. Owned by the raft thread.
 *
 *     nothing --lease_ask()--> wanted --lease_take(): a grant--> waits for its commit index
 *             --applied that far--> counts, until its end or lease_cut()
 *
 * While one waits the one before goes on counting, and newer ones are passed over.
 */
#ifndef KEELFS_RAFTSTORE_LEASE_H
#define KEELFS_RAFTSTORE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

/* Of a duration, one part is taken off where two clocks may run apart. */
#define LEASE_RATE_MARGIN 100

/* What the configuration of the elections makes of leases. */
struct lease_timing {
    uint64_t tick_ns;
    uint64_t duration_ns; /* of a grant, from when it was asked for */
    /* From when a majority has heard the leader: for so long it votes for nobody else. 0:
     * elections are too quick for leases. */
    uint64_t promise_ns;
};

/* A thread that is late takes up to `ticks_behind` ticks at once. */
void lease_timing_init(struct lease_timing *timing, uint32_t tick_ms, uint32_t election_ticks,
                       uint32_t ticks_behind);
/* `duration_ns` by a clock that may be faster than this one. */
uint64_t lease_less_margin(uint64_t duration_ns);

/* A node asks; the answer names the question. */
struct lease_want {
    uint64_t time; /* its clock; 0: it does not ask */
    uint64_t life; /* of its process: clocks and questions of an earlier one are others */
};

struct lease_grant {
    struct lease_want want; /* time 0: none is granted */
    uint64_t duration_ns;   /* from want.time on */
    uint64_t commit;        /* counts once this is applied */
};

struct lease {
    uint64_t life;
    uint64_t since; /* what was asked for earlier does not count */
    uint64_t asked; /* when last */
    bool suspended;
    uint64_t end; /* of what counts */
    uint64_t waiting_end;
    uint64_t waiting_commit;
};

/* `life` is different in each process that ever runs on this data. */
void lease_init(struct lease *lease, uint64_t life, uint64_t now);

/* True: the next message to the leader should carry `*ret_want`. No more often than each
 * `interval_ns`. */
bool lease_ask(struct lease *lease, uint64_t now, uint64_t interval_ns,
               struct lease_want *ret_want);
void lease_take(struct lease *lease, const struct lease_grant *grant, uint64_t applied,
                uint64_t now);
/* This node has applied so much. */
void lease_applied(struct lease *lease, uint64_t applied, uint64_t now);

/* Until when it counts; may be over. 0: there is none. */
uint64_t lease_end(const struct lease *lease);
/* Nothing counts or waits, and nothing can come without being asked for. */
bool lease_is_over(const struct lease *lease, uint64_t now);

/* Ends it, and all that was asked for so far. */
void lease_cut(struct lease *lease, uint64_t now);
/* The same, until lease_resume(): nothing is asked for, nothing counts. */
void lease_suspend(struct lease *lease, uint64_t now);
void lease_resume(struct lease *lease, uint64_t now);

#endif
