#include "raftstore/in_flight.h"

#include "raftstore/touch.h"

#include <assert.h>

/* The lowest bit of a key is a mark. */
static size_t in_flight_slot(uint64_t key)
{
    return (size_t)(key >> 1) % IN_FLIGHT_SLOTS;
}

static void in_flight_raise(atomic_uint_least64_t *slot, uint64_t index)
{
    if (atomic_load_explicit(slot, memory_order_relaxed) < index)
        atomic_store_explicit(slot, index, memory_order_release);
}

void in_flight_mark(struct in_flight *flight, const uint64_t *keys, size_t count, uint64_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (touch_is_everything(keys[i]))
            in_flight_raise(&flight->everything, index);
        else
            in_flight_raise(&flight->slots[in_flight_slot(keys[i])], index);
    }
}

static void in_flight_lower(atomic_uint_least64_t *slot, uint64_t index)
{
    if (atomic_load_explicit(slot, memory_order_relaxed) > index)
        atomic_store_explicit(slot, index, memory_order_release);
}

/* A slot may have been marked for an earlier entry too, which is not known any more: it
 * is taken for the last one that stays. */
void in_flight_cut(struct in_flight *flight, uint64_t index)
{
    assert(index > 0);
    in_flight_lower(&flight->everything, index - 1);
    for (size_t i = 0; i < IN_FLIGHT_SLOTS; i++)
        in_flight_lower(&flight->slots[i], index - 1);
}

bool in_flight_has(const struct in_flight *flight, const uint64_t *keys, size_t count,
                   uint64_t applied)
{
    if (atomic_load_explicit(&flight->everything, memory_order_acquire) > applied)
        return true;
    for (size_t i = 0; i < count; i++) {
        const atomic_uint_least64_t *slot = &flight->slots[in_flight_slot(keys[i])];
        if (atomic_load_explicit(slot, memory_order_acquire) > applied)
            return true;
    }
    return false;
}
