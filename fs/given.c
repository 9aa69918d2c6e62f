#include "fs/given.h"

#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/touch.h"

#include <stdlib.h>

/* A state: touches in the upper half, a generation, and what is known of the name. */
#define TOUCH_SHIFT      32
#define GENERATION_SHIFT 2
#define GENERATION_MASK  0x3fffffffull
#define NAME_MASK        3ull

enum name_state { NAME_NEW, NAME_ASKED, NAME_GIVEN };

#define NOBODY UINT32_MAX

/* --- states --- */

static _Atomic uint64_t *state_of(struct given *given, uint64_t key)
{
    /* The lowest bit of a key is none of the hash. */
    return &given->states[(key >> 1) & (GIVEN_STATES - 1)];
}

static uint64_t touches(uint64_t state)
{
    return state >> TOUCH_SHIFT;
}

/* What is known of the name, in this generation. One that was given in another has been
 * dropped since, and has been asked for. */
static enum name_state name_state(uint64_t state, uint64_t generation)
{
    enum name_state name = (enum name_state)(state & NAME_MASK);

    if (((state >> GENERATION_SHIFT) & GENERATION_MASK) == (generation & GENERATION_MASK))
        return name;
    return name == NAME_NEW ? NAME_NEW : NAME_ASKED;
}

static uint64_t with_name(uint64_t state, uint64_t generation, enum name_state name)
{
    return touches(state) << TOUCH_SHIFT | (generation & GENERATION_MASK) << GENERATION_SHIFT |
           (uint64_t)name;
}

struct given_look given_begin(struct given *given, uint64_t key)
{
    uint64_t now_ns = clock_ns();

    return (struct given_look){
        .key = key,
        .generation = atomic_load(&given->generation),
        .everything = atomic_load(&given->everything),
        .state = atomic_load(state_of(given, key)),
        .begun_ns = now_ns,
        .life_ns = now_ns + GIVEN_LIFE_NS,
    };
}

static bool is_untouched(struct given *given, const struct given_look *look)
{
    return touches(atomic_load(state_of(given, look->key))) == touches(look->state) &&
           atomic_load(&given->everything) == look->everything;
}

bool given_name(struct given *given, const struct given_look *look)
{
    _Atomic uint64_t *at = state_of(given, look->key);
    uint64_t state = atomic_load(at);

    /* In another generation than the look's it may have been given, which is not to be
     * forgotten: the generation is compared after the state was taken. */
    while (touches(state) == touches(look->state) &&
           atomic_load(&given->generation) == look->generation) {
        enum name_state name = name_state(state, look->generation);
        enum name_state next = name == NAME_NEW ? NAME_ASKED : NAME_GIVEN;
        if (next == name ||
            atomic_compare_exchange_weak(at, &state, with_name(state, look->generation, next)))
            return next == NAME_GIVEN && atomic_load(&given->everything) == look->everything;
    }
    return false;
}

/* Whether the name was given. */
static bool touch_state(struct given *given, uint64_t key)
{
    _Atomic uint64_t *at = state_of(given, key);
    uint64_t generation = atomic_load(&given->generation);
    uint64_t state = atomic_load(at);
    enum name_state name;
    uint64_t next;

    do {
        name = name_state(state, generation);
        next = with_name(state, generation, touch_changes_names(key) ? NAME_NEW : name) +
               (1ull << TOUCH_SHIFT);
    } while (!atomic_compare_exchange_weak(at, &state, next));
    return name == NAME_GIVEN && touch_changes_names(key);
}

bool given_touch(struct given *given, const uint64_t *keys, size_t count)
{
    bool drops = false;

    for (size_t i = 0; i < count; i++) {
        if (touch_is_everything(keys[i])) {
            atomic_fetch_add(&given->everything, 1);
            drops = true;
        } else if (touch_state(given, keys[i])) {
            drops = true;
        }
    }
    /* Before the kernel drops them: what it asks for after that counts anew. */
    if (drops)
        atomic_fetch_add(&given->generation, 1);
    return drops;
}

/* --- attributes; under the lock --- */

static uint32_t *bucket_of(struct given *given, uint64_t key)
{
    return &given->buckets[(key >> 1) & (GIVEN_BUCKETS - 1)];
}

static void unlink_by_time(struct given *given, uint32_t at)
{
    struct given_attr *attr = &given->attrs[at];

    if (attr->older != NOBODY)
        given->attrs[attr->older].newer = attr->newer;
    else
        given->oldest = attr->newer;
    if (attr->newer != NOBODY)
        given->attrs[attr->newer].older = attr->older;
    else
        given->newest = attr->older;
}

static void link_as_newest(struct given *given, uint32_t at)
{
    struct given_attr *attr = &given->attrs[at];

    attr->older = given->newest;
    attr->newer = NOBODY;
    if (given->newest != NOBODY)
        given->attrs[given->newest].newer = at;
    else
        given->oldest = at;
    given->newest = at;
}

static void drop_attr(struct given *given, uint32_t at)
{
    uint32_t *link = bucket_of(given, given->attrs[at].key);

    while (*link != at)
        link = &given->attrs[*link].next;
    *link = given->attrs[at].next;
    unlink_by_time(given, at);
    given->attrs[at].next = given->free;
    given->free = at;
}

static uint32_t find_attr(struct given *given, uint64_t key, uint64_t id)
{
    uint32_t at = *bucket_of(given, key);

    while (at != NOBODY && (given->attrs[at].key != key || given->attrs[at].id != id))
        at = given->attrs[at].next;
    return at;
}

/* NOBODY: there are too many. */
static uint32_t add_attr(struct given *given, uint64_t key, uint64_t id, uint64_t now_ns)
{
    uint32_t *bucket = bucket_of(given, key);

    while (given->oldest != NOBODY && given->attrs[given->oldest].until_ns < now_ns)
        drop_attr(given, given->oldest);
    uint32_t at = given->free;
    if (at == NOBODY)
        return NOBODY;
    given->free = given->attrs[at].next;
    given->attrs[at] = (struct given_attr){.key = key, .id = id, .next = *bucket};
    *bucket = at;
    link_as_newest(given, at);
    return at;
}

bool given_attr(struct given *given, const struct given_look *look, uint64_t id)
{
    uint64_t now_ns = clock_ns();

    pthread_mutex_lock(&given->lock);
    uint32_t at = find_attr(given, look->key, id);
    if (at == NOBODY)
        at = add_attr(given, look->key, id, now_ns);
    if (at != NOBODY) {
        unlink_by_time(given, at);
        link_as_newest(given, at);
        /* Not before the look's own end, which was taken earlier. */
        given->attrs[at].until_ns = now_ns + GIVEN_LIFE_NS;
    }
    pthread_mutex_unlock(&given->lock);
    return at != NOBODY && is_untouched(given, look);
}

size_t given_take(struct given *given, uint64_t key, uint64_t ids[GIVEN_TAKE_MAX])
{
    bool everything = touch_is_everything(key);
    uint64_t object = touch_object(key);
    size_t count = 0;

    pthread_mutex_lock(&given->lock);
    uint32_t at = everything ? given->oldest : *bucket_of(given, object);
    while (at != NOBODY && count < GIVEN_TAKE_MAX) {
        struct given_attr *attr = &given->attrs[at];
        uint32_t next = everything ? attr->newer : attr->next;
        if (everything || attr->key == object) {
            ids[count++] = attr->id;
            drop_attr(given, at);
        }
        at = next;
    }
    pthread_mutex_unlock(&given->lock);
    return count;
}

/* --- life --- */

void given_init(struct given *given)
{
    *given = (struct given){.oldest = NOBODY, .newest = NOBODY, .free = 0};
    pthread_mutex_init(&given->lock, NULL);
    given->states = mem_zalloc(GIVEN_STATES * sizeof(given->states[0]));
    given->attrs = mem_zalloc(GIVEN_ATTRS_MAX * sizeof(given->attrs[0]));
    given->buckets = mem_alloc(GIVEN_BUCKETS * sizeof(given->buckets[0]));
    for (uint32_t i = 0; i < GIVEN_BUCKETS; i++)
        given->buckets[i] = NOBODY;
    for (uint32_t i = 0; i < GIVEN_ATTRS_MAX; i++)
        given->attrs[i].next = i + 1 < GIVEN_ATTRS_MAX ? i + 1 : NOBODY;
    /* Zeros are no generation. */
    atomic_init(&given->generation, 1);
}

void given_release(struct given *given)
{
    free(given->states);
    free(given->attrs);
    free(given->buckets);
    pthread_mutex_destroy(&given->lock);
}
