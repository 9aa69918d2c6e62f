#include "raftstore/lease.h"

#define NS_PER_MS 1000000ull

/* Ticks of an election timeout that are not real time: the one that is under way when it
 * begins, and the one that is when it ends. */
#define PARTIAL_TICKS 2

void lease_timing_init(struct lease_timing *timing, uint32_t tick_ms, uint32_t election_ticks,
                       uint32_t ticks_behind)
{
    uint32_t lost = ticks_behind + PARTIAL_TICKS;
    uint32_t promised = election_ticks > lost ? election_ticks - lost : 0;
    uint64_t tick_ns = tick_ms * NS_PER_MS;
    *timing = (struct lease_timing){
        .tick_ns = tick_ns,
        .duration_ns = election_ticks * tick_ns,
        .promise_ns = promised * tick_ns,
    };
}

uint64_t lease_less_margin(uint64_t duration_ns)
{
    return duration_ns - duration_ns / LEASE_RATE_MARGIN;
}

void lease_init(struct lease *lease, uint64_t life, uint64_t now)
{
    *lease = (struct lease){.life = life};
    lease_cut(lease, now);
}

bool lease_ask(struct lease *lease, uint64_t now, uint64_t interval_ns, struct lease_want *ret_want)
{
    if (lease->suspended || now < lease->since || now - lease->asked < interval_ns)
        return false;
    lease->asked = now;
    *ret_want = (struct lease_want){.time = now, .life = lease->life};
    return true;
}

/* The grant answers a question of now: not of another process, whose clock may even have
 * been another (the machine was started anew), nor one from before a cut. */
static bool lease_has_asked(const struct lease *lease, const struct lease_want *want, uint64_t now)
{
    return want->life == lease->life && want->time >= lease->since && want->time <= now;
}

void lease_take(struct lease *lease, const struct lease_grant *grant, uint64_t applied,
                uint64_t now)
{
    if (lease->suspended || !lease_has_asked(lease, &grant->want, now))
        return;
    lease_applied(lease, applied, now);
    bool waits = lease->waiting_end > now;
    uint64_t end = grant->want.time + lease_less_margin(grant->duration_ns);
    if (waits || end <= lease->end)
        return;
    lease->waiting_end = end;
    lease->waiting_commit = grant->commit;
    lease_applied(lease, applied, now);
}

void lease_applied(struct lease *lease, uint64_t applied, uint64_t now)
{
    if (lease->waiting_end == 0 || applied < lease->waiting_commit)
        return;
    if (lease->waiting_end > now && lease->waiting_end > lease->end)
        lease->end = lease->waiting_end;
    lease->waiting_end = 0;
}

uint64_t lease_end(const struct lease *lease)
{
    return lease->end;
}

bool lease_is_over(const struct lease *lease, uint64_t now)
{
    return lease->end <= now && lease->waiting_end <= now;
}

void lease_cut(struct lease *lease, uint64_t now)
{
    lease->end = 0;
    lease->waiting_end = 0;
    /* What was asked for in this very nanosecond is of before. */
    lease->since = now + 1;
    lease->asked = 0;
}

void lease_suspend(struct lease *lease, uint64_t now)
{
    lease_cut(lease, now);
    lease->suspended = true;
}

void lease_resume(struct lease *lease, uint64_t now)
{
    lease_cut(lease, now);
    lease->suspended = false;
}
