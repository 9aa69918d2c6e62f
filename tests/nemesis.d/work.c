#include "work.h"

#include "content.h"

#include "raftstore/op.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GENERATION_NS 4000000000ull
#define KEY_MAX       64
#define SMALL_FILLER  60
#define LARGE_FILLER  200000
#define LARGE_ONE_OF  40
#define NS_PER_MS     1000000ull
#define NS_PER_US     1000ull

/* The first letter of a key's name. */
enum sort {
    SORT_REPLACED = 'r',
    SORT_IN_PLACE = 'i',
    SORT_EXCLUSIVE = 'x',
    SORT_LOG = 'l',
};

static const enum sort sorts[] = {SORT_REPLACED, SORT_IN_PLACE, SORT_EXCLUSIVE, SORT_LOG};
#define SORT_COUNT (sizeof(sorts) / sizeof(sorts[0]))

static uint64_t random_below(struct work *work, uint64_t bound)
{
    uint64_t x = work->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    work->random = x;
    return x % bound;
}

/* ---- one operation ---- */

static void name_value(struct work *work, char name[CONTENT_NAME_MAX])
{
    bool large = random_below(work, LARGE_ONE_OF) == 0;
    uint64_t filler = random_below(work, large ? LARGE_FILLER : SMALL_FILLER);
    content_name(name, work->process, work->written++, (uint32_t)filler);
}

/* Notes what came of the operation, which is over now. False when it has failed. */
static bool note(struct work *work, struct lin_op *op, struct answer *answer)
{
    bool looks = op->kind == LIN_GET || op->kind == LIN_READ;
    op->process = work->process;
    op->result = answer->result;
    op->return_ns = answer->result == LIN_UNKNOWN ? LIN_NEVER : clock_ns();
    if (looks)
        op->value = answer->value;
    /* A look without an answer says nothing. */
    if (!answer->is_refused && !(looks && answer->result == LIN_UNKNOWN))
        lin_op_write(op, work->history);
    free(answer->value);
    return !answer->is_refused && answer->result != LIN_UNKNOWN;
}

static bool do_get(struct work *work, const char *key)
{
    struct lin_op op = {.kind = LIN_GET, .key = key, .call_ns = clock_ns()};
    struct answer answer = work->access->ops->get(work->access, key);
    return note(work, &op, &answer);
}

static bool do_read(struct work *work, const char *key)
{
    struct lin_op op = {.kind = LIN_READ, .key = key, .call_ns = clock_ns()};
    struct answer answer = work->access->ops->read(work->access, key);
    return note(work, &op, &answer);
}

static bool do_put(struct work *work, const char *key)
{
    char name[CONTENT_NAME_MAX];
    name_value(work, name);
    if (!work->access->ops->prepare(work->access, key, name))
        return false;
    struct lin_op op = {.kind = LIN_PUT, .key = key, .value = name, .call_ns = clock_ns()};
    struct answer answer = work->access->ops->put(work->access, key);
    return note(work, &op, &answer);
}

static bool do_remove(struct work *work, const char *key)
{
    struct lin_op op = {.kind = LIN_REMOVE, .key = key, .call_ns = clock_ns()};
    struct answer answer = work->access->ops->remove(work->access, key);
    return note(work, &op, &answer);
}

static bool do_create(struct work *work, const char *key)
{
    struct lin_op op = {.kind = LIN_CREATE, .key = key, .value = "", .call_ns = clock_ns()};
    struct answer answer = work->access->ops->create(work->access, key);
    return note(work, &op, &answer);
}

static bool do_append(struct work *work, const char *key)
{
    char name[CONTENT_NAME_MAX];
    content_name(name, work->process, work->written++, 0);
    struct lin_op op = {.kind = LIN_APPEND, .key = key, .value = name, .call_ns = clock_ns()};
    struct answer answer = work->access->ops->append(work->access, key, name);
    return note(work, &op, &answer);
}

/* Through a mount it is two: first an empty file is made where there is none. */
static bool do_overwrite(struct work *work, const char *key)
{
    char name[CONTENT_NAME_MAX];
    struct lin_op open = {.kind = LIN_ENSURE, .key = key, .value = "", .call_ns = clock_ns()};
    struct answer answer = work->access->ops->ensure(work->access, key);
    if (!note(work, &open, &answer))
        return false;
    name_value(work, name);
    struct lin_op op = {.kind = LIN_PUT, .key = key, .value = name, .call_ns = clock_ns()};
    answer = work->access->ops->overwrite(work->access, key, name);
    return note(work, &op, &answer);
}

/* ---- at random ---- */

static bool step_on(struct work *work, enum sort sort, const char *key)
{
    const struct access_ops *ops = work->access->ops;
    uint64_t chance = random_below(work, 100);
    switch (sort) {
    case SORT_REPLACED:
        if (chance < 50)
            return do_get(work, key);
        return chance < 85 ? do_put(work, key) : do_remove(work, key);
    case SORT_IN_PLACE:
        if (chance < 50)
            return do_get(work, key);
        return ops->ensure != NULL ? do_overwrite(work, key) : do_put(work, key);
    case SORT_EXCLUSIVE:
        if (ops->create != NULL && chance < 50)
            return do_create(work, key);
        return chance < 75 ? do_remove(work, key) : do_get(work, key);
    case SORT_LOG:
        return ops->append != NULL && chance < 60 ? do_append(work, key) : do_read(work, key);
    }
    return false;
}

void work_step(struct work *work)
{
    char key[KEY_MAX];
    uint64_t generation = clock_ns() / GENERATION_NS;
    enum sort sort = sorts[random_below(work, SORT_COUNT)];
    int size = snprintf(key, sizeof(key), "g%" PRIu32 "/%c%" PRIu64 "-%" PRIu64, work->group,
                        (int)sort, generation, random_below(work, work->keys));
    assert(size > 0 && size < KEY_MAX);
    if (!step_on(work, sort, key))
        work->access->ops->recover(work->access);
    if (work->pause_us == 0)
        return;
    uint64_t pause_ns = random_below(work, 2 * work->pause_us) * NS_PER_US;
    struct timespec pause = {.tv_nsec = (long)pause_ns};
    (void)nanosleep(&pause, NULL);
}

static bool is_log(const char *key)
{
    const char *slash = strrchr(key, '/');
    return (slash != NULL ? slash[1] : key[0]) == SORT_LOG;
}

bool work_read_key(struct work *work, const char *key, uint64_t timeout_ms)
{
    uint64_t end_ns = clock_ns() + timeout_ms * NS_PER_MS;
    bool done;
    while (!(done = is_log(key) ? do_read(work, key) : do_get(work, key)) && clock_ns() < end_ns)
        work->access->ops->recover(work->access);
    return done;
}
