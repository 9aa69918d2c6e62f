#include "raftstore/promise.h"

void promise_heard(struct promise *promise, uint64_t from, uint64_t term, uint64_t stamp,
                   uint64_t now, uint64_t duration_ns)
{
    if (stamp == 0 || term < promise->term)
        return;
    if (term > promise->term)
        promise->stamp = 0;
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
