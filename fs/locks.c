#include "fs/locks.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_CAPACITY_MIN 4

/* Exists while it has a range. */
struct locks_file {
    uint64_t ino;
    struct locks_file *next;    /* in its bucket */
    struct locks_range *ranges; /* by `first` */
    size_t count;
    size_t capacity;
};

void locks_init(struct locks *locks)
{
    *locks = (struct locks){0};
    locks->queue.prev = locks->queue.next = &locks->queue;
}

void locks_release(struct locks *locks)
{
    assert(locks->waiter_count == 0);
    for (size_t i = 0; i < LOCKS_BUCKETS; i++) {
        while (locks->buckets[i] != NULL) {
            struct locks_file *file = locks->buckets[i];
            locks->buckets[i] = file->next;
            free(file->ranges);
            free(file);
        }
    }
}

/* --- files --- */

/* Ids are given in turn: the lowest bits spread them. */
static struct locks_file **bucket_of(const struct locks *locks, uint64_t ino)
{
    return (struct locks_file **)&locks->buckets[ino % LOCKS_BUCKETS];
}

static struct locks_file *file_find(const struct locks *locks, uint64_t ino)
{
    struct locks_file *file = *bucket_of(locks, ino);

    while (file != NULL && file->ino != ino)
        file = file->next;
    return file;
}

static struct locks_file *file_make(struct locks *locks, uint64_t ino)
{
    struct locks_file *file = file_find(locks, ino);

    if (file == NULL) {
        struct locks_file **bucket = bucket_of(locks, ino);
        file = mem_zalloc(sizeof(*file));
        file->ino = ino;
        file->next = *bucket;
        *bucket = file;
    }
    return file;
}

static void file_free_if_empty(struct locks *locks, struct locks_file *file)
{
    struct locks_file **link = bucket_of(locks, file->ino);

    if (file->count > 0)
        return;
    while (*link != file)
        link = &(*link)->next;
    *link = file->next;
    free(file->ranges);
    free(file);
}

static void file_insert(struct locks *locks, struct locks_file *file,
                        const struct locks_range *range)
{
    size_t at = file->count;

    if (file->count == file->capacity) {
        file->capacity = file->capacity == 0 ? RANGES_CAPACITY_MIN : file->capacity * 2;
        file->ranges = mem_realloc(file->ranges, file->capacity * sizeof(*file->ranges));
    }
    while (at > 0 && file->ranges[at - 1].first > range->first)
        at--;
    memmove(&file->ranges[at + 1], &file->ranges[at], (file->count - at) * sizeof(*file->ranges));
    file->ranges[at] = *range;
    file->count++;
    locks->count++;
}

/* Keeps the order of the others. */
static void file_remove(struct locks *locks, struct locks_file *file, size_t at)
{
    file->count--;
    locks->count--;
    memmove(&file->ranges[at], &file->ranges[at + 1], (file->count - at) * sizeof(*file->ranges));
}

/* --- ranges --- */

static bool is_same_owner(const struct locks_range *one, const struct locks_range *other)
{
    return one->kind == other->kind && one->owner == other->owner;
}

static bool overlaps(const struct locks_range *one, const struct locks_range *other)
{
    return one->first <= other->last && other->first <= one->last;
}

static bool touches(const struct locks_range *one, const struct locks_range *other)
{
    return overlaps(one, other) || (one->last != UINT64_MAX && one->last + 1 == other->first) ||
           (other->last != UINT64_MAX && other->last + 1 == one->first);
}

static bool is_in_the_way(const struct locks_range *held, const struct locks_range *wanted)
{
    return held->kind == wanted->kind && held->owner != wanted->owner &&
           wanted->mode != LOCKS_NONE &&
           (held->mode == LOCKS_EXCLUSIVE || wanted->mode == LOCKS_EXCLUSIVE) &&
           overlaps(held, wanted);
}

static const struct locks_range *find_in_the_way(const struct locks_file *file,
                                                 const struct locks_range *wanted)
{
    for (size_t i = 0; file != NULL && i < file->count; i++) {
        if (is_in_the_way(&file->ranges[i], wanted))
            return &file->ranges[i];
    }
    return NULL;
}

bool locks_find(const struct locks *locks, uint64_t ino, const struct locks_range *range,
                struct locks_range *ret_range)
{
    const struct locks_range *found = find_in_the_way(file_find(locks, ino), range);

    if (found != NULL)
        *ret_range = *found;
    return found != NULL;
}

/* --- who waits --- */

static void queue_remove(struct locks *locks, struct locks_waiter *waiter)
{
    waiter->prev->next = waiter->next;
    waiter->next->prev = waiter->prev;
    waiter->prev = waiter->next = NULL;
    waiter->is_queued = false;
    locks->waiter_count--;
}

void locks_forget(struct locks *locks, struct locks_waiter *waiter)
{
    if (waiter->is_queued)
        queue_remove(locks, waiter);
}

/* Something of `ino` was given back. */
static void wake(struct locks *locks, uint64_t ino, struct locks_waiter **woken)
{
    const struct locks_file *file = file_find(locks, ino);
    struct locks_waiter *waiter = locks->queue.next;

    while (*woken != NULL)
        woken = &(*woken)->next;
    while (waiter != &locks->queue) {
        struct locks_waiter *next = waiter->next;
        if (waiter->ino == ino && find_in_the_way(file, &waiter->range) == NULL) {
            queue_remove(locks, waiter);
            *woken = waiter;
            woken = &waiter->next;
        }
        waiter = next;
    }
}

void locks_drop_waiters(struct locks *locks, struct locks_waiter **woken)
{
    while (*woken != NULL)
        woken = &(*woken)->next;
    struct locks_waiter *waiter = locks->queue.next;
    while (waiter != &locks->queue) {
        struct locks_waiter *next = waiter->next;
        queue_remove(locks, waiter);
        *woken = waiter;
        woken = &waiter->next;
        waiter = next;
    }
}

/* --- circles --- */

/* Owners that the one who asks would wait for, directly or through others. */
struct circle {
    uint64_t asker;
    uint64_t owners[LOCKS_CIRCLE_MAX];
    size_t count;
    bool is_closed;
};

static void circle_add(struct circle *circle, uint64_t owner)
{
    size_t i = 0;

    while (i < circle->count && circle->owners[i] != owner)
        i++;
    if (owner == circle->asker)
        circle->is_closed = true;
    else if (i == circle->count && i < LOCKS_CIRCLE_MAX)
        circle->owners[circle->count++] = owner;
}

static void circle_add_all_in_the_way(struct circle *circle, const struct locks *locks,
                                      const struct locks_waiter *waiter)
{
    const struct locks_file *file = file_find(locks, waiter->ino);

    for (size_t i = 0; file != NULL && i < file->count; i++) {
        if (is_in_the_way(&file->ranges[i], &waiter->range))
            circle_add(circle, file->ranges[i].owner);
    }
}

static bool closes_a_circle(const struct locks *locks, const struct locks_waiter *asker)
{
    struct circle circle = {.asker = asker->range.owner};

    circle_add_all_in_the_way(&circle, locks, asker);
    for (size_t i = 0; i < circle.count; i++) {
        for (const struct locks_waiter *waiter = locks->queue.next; waiter != &locks->queue;
             waiter = waiter->next) {
            if (waiter->range.kind == LOCKS_RANGE && waiter->range.owner == circle.owners[i])
                circle_add_all_in_the_way(&circle, locks, waiter);
        }
    }
    return circle.is_closed;
}

enum locks_answer locks_wait(struct locks *locks, struct locks_waiter *waiter)
{
    assert(!waiter->is_queued);
    if (find_in_the_way(file_find(locks, waiter->ino), &waiter->range) == NULL)
        return LOCKS_DONE;
    if (waiter->range.kind == LOCKS_RANGE && closes_a_circle(locks, waiter))
        return LOCKS_DEADLOCK;
    if (locks->waiter_count == LOCKS_WAITERS_MAX)
        return LOCKS_FULL;
    waiter->prev = locks->queue.prev;
    waiter->next = &locks->queue;
    waiter->prev->next = waiter;
    waiter->next->prev = waiter;
    waiter->is_queued = true;
    locks->waiter_count++;
    return LOCKS_BUSY;
}

/* --- taking and giving back --- */

/* What of the owner's own ranges the new one swallows widens it. */
static struct locks_range widen(const struct locks_file *file, const struct locks_range *range)
{
    struct locks_range wide = *range;

    for (size_t i = 0; i < file->count; i++) {
        const struct locks_range *own = &file->ranges[i];
        if (!is_same_owner(own, range) || own->mode != range->mode || !touches(own, range))
            continue;
        wide.first = own->first < wide.first ? own->first : wide.first;
        wide.last = own->last > wide.last ? own->last : wide.last;
    }
    return wide;
}

/* How many pieces of `own` lie outside of `range`. */
static size_t count_pieces(const struct locks_range *own, const struct locks_range *range)
{
    return (size_t)(own->first < range->first) + (size_t)(own->last > range->last);
}

static bool has_room(const struct locks *locks, const struct locks_file *file,
                     const struct locks_range *wide)
{
    size_t gone = 0;
    size_t made = wide->mode == LOCKS_NONE ? 0 : 1;

    for (size_t i = 0; i < file->count; i++) {
        if (is_same_owner(&file->ranges[i], wide) && overlaps(&file->ranges[i], wide)) {
            gone++;
            made += count_pieces(&file->ranges[i], wide);
        }
    }
    return locks->count + made <= LOCKS_MAX + gone;
}

/* Takes `wide` out of the owner's ranges. */
static void cut(struct locks *locks, struct locks_file *file, const struct locks_range *wide)
{
    /* At most the first and the last that it meets leave a piece. */
    struct locks_range pieces[2];
    size_t count = 0;
    size_t i = 0;

    while (i < file->count) {
        struct locks_range own = file->ranges[i];
        if (!is_same_owner(&own, wide) || !overlaps(&own, wide)) {
            i++;
            continue;
        }
        file_remove(locks, file, i);
        assert(count + count_pieces(&own, wide) <= 2);
        if (own.first < wide->first) {
            pieces[count] = own;
            pieces[count++].last = wide->first - 1;
        }
        if (own.last > wide->last) {
            pieces[count] = own;
            pieces[count++].first = wide->last + 1;
        }
    }
    for (i = 0; i < count; i++)
        file_insert(locks, file, &pieces[i]);
}

static enum locks_answer set_in_file(struct locks *locks, struct locks_file *file,
                                     const struct locks_range *range)
{
    const struct locks_range wide = widen(file, range);

    if (!has_room(locks, file, &wide))
        return LOCKS_FULL;
    /* flock(2) changes its mode in two steps. */
    if (range->kind == LOCKS_FLOCK)
        cut(locks, file, &wide);
    if (find_in_the_way(file, range) != NULL)
        return LOCKS_BUSY;
    cut(locks, file, &wide);
    if (wide.mode != LOCKS_NONE)
        file_insert(locks, file, &wide);
    return LOCKS_DONE;
}

enum locks_answer locks_set(struct locks *locks, uint64_t ino, const struct locks_range *range,
                            struct locks_waiter **woken)
{
    assert(range->first <= range->last);
    struct locks_file *file = file_make(locks, ino);
    enum locks_answer answer = set_in_file(locks, file, range);
    file_free_if_empty(locks, file);
    wake(locks, ino, woken);
    return answer;
}

/* --- closing --- */

void locks_close(struct locks *locks, uint64_t ino, uint64_t owner, uint64_t handle,
                 struct locks_waiter **woken)
{
    const struct locks_range all = {.kind = LOCKS_RANGE, .owner = owner, .last = UINT64_MAX};
    struct locks_file *file = file_find(locks, ino);

    if (file == NULL)
        return;
    cut(locks, file, &all);
    for (size_t i = 0; i < file->count; i++) {
        if (file->ranges[i].handle == handle)
            file->ranges[i].is_closing = true;
    }
    file_free_if_empty(locks, file);
    wake(locks, ino, woken);
}

void locks_drop(struct locks *locks, uint64_t ino, uint64_t handle, struct locks_waiter **woken)
{
    struct locks_file *file = file_find(locks, ino);
    size_t i = 0;

    if (file == NULL)
        return;
    while (i < file->count) {
        if (file->ranges[i].handle == handle)
            file_remove(locks, file, i);
        else
            i++;
    }
    file_free_if_empty(locks, file);
    wake(locks, ino, woken);
}

bool locks_is_closing(const struct locks *locks, uint64_t ino, const struct locks_range *range)
{
    const struct locks_file *file = file_find(locks, ino);
    size_t closing = 0;

    for (size_t i = 0; file != NULL && i < file->count; i++) {
        if (!is_in_the_way(&file->ranges[i], range))
            continue;
        if (!file->ranges[i].is_closing)
            return false;
        closing++;
    }
    return closing > 0;
}

void locks_settle(struct locks *locks, uint64_t ino, const struct locks_range *range)
{
    struct locks_file *file = file_find(locks, ino);

    for (size_t i = 0; file != NULL && i < file->count; i++) {
        if (is_in_the_way(&file->ranges[i], range))
            file->ranges[i].is_closing = false;
    }
}
