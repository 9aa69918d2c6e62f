#include "raftstore/promise.h"

void promise_heard(struct promise *promise, uint64_t from, uint64_t term, uint64_t stamp,
                   uint64_t now, uint64_t duration_ns)
{
    if (stamp == 0 || term < promise->term)
        return;
    if (term > promise->term) {
        promise->stamp = 0;
        promise->since = now;
    }
    promise->from = from;
    promise->term = term;
    if (promise->stamp < stamp)
        promise->stamp = stamp;
    promise_extend(promise, now + duration_ns);
}

void promise_extend(struct promise *promise, uint64_t until)
{
    if (promise->until < until)
        promise->until = until;
}

void promise_handed_over(struct promise *promise, uint64_t term)
{
    promise->handed_over_in = term;
}

uint64_t promise_leaseless(const struct promise *promise, uint64_t term, uint64_t now,
                           uint64_t duration_ns)
{
    bool led_before = promise->term != 0 && promise->term + 1 == term;
    bool was_elected = promise->handed_over_in != promise->term;

    return led_before && was_elected && now - promise->since >= duration_ns ? promise->from : 0;
}

/* A message of another term says that this node has moved on: what it promised then is no
 * help to the leader of that term any more. */
uint64_t promise_echo(const struct promise *promise, uint64_t to, uint64_t term)
{
    return to == promise->from && term == promise->term ? promise->stamp : 0;
}

bool promise_forbids(const struct promise *promise, uint64_t now)
{
    return now < promise->until;
}
