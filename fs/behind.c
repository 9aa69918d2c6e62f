#include "fs/behind.h"

#include "fs/thread_stat.h"
#include "raftstore/op.h"

/* More than the tick to which starts are rounded. */
#define START_MARGIN_NS 20000000ull

void behind_note(struct behind *behind)
{
    atomic_store(&behind->last_ns, clock_ns());
}

bool behind_is_likely(const struct behind *behind)
{
    uint64_t last_ns = atomic_load(&behind->last_ns);

    return last_ns != 0 && clock_ns() - last_ns < BEHIND_AGE_NS;
}

bool behind_was_there(const struct behind *behind, pid_t tid)
{
    struct thread_stat stat;

    /* Of whom nothing is known, most have waited. */
    return !thread_stat_read(tid, &stat) ||
           stat.start_ns + START_MARGIN_NS < atomic_load(&behind->last_ns);
}
