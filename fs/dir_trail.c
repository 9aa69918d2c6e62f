#include "fs/dir_trail.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define GROUPS_CAPACITY_MIN 4

uint64_t dir_cookie(const char *name)
{
    uint64_t cookie = XXH3_64bits(name, strlen(name)) >> 1;

    return cookie > DIR_COOKIE_DOT_DOT ? cookie : cookie + DIR_COOKIE_DOT_DOT + 1;
}

static void group_free(struct dir_group *group)
{
    free(group->after);
    free(group->last);
    free(group);
}

void dir_trail_clear(struct dir_trail *trail)
{
    for (size_t i = 0; i < trail->count; i++)
        group_free(trail->groups[i]);
    free(trail->groups);
    *trail = (struct dir_trail){0};
}

/* The name that the newest group ends with, for those who look for it. */
static void close_group(struct dir_trail *trail)
{
    if (trail->is_open)
        trail->groups[trail->newest]->last = mem_strdup(trail->last_name);
    trail->is_open = false;
}

static void grow(struct dir_trail *trail)
{
    if (trail->count < trail->capacity)
        return;
    trail->capacity = trail->capacity == 0 ? GROUPS_CAPACITY_MIN : trail->capacity * 2;
    trail->groups = mem_realloc(trail->groups, trail->capacity * sizeof(*trail->groups));
}

static void open_group(struct dir_trail *trail, const char *after)
{
    struct dir_group *group = mem_zalloc(sizeof(*group));

    close_group(trail);
    group->after = mem_strdup(after);
    if (trail->count < DIR_TRAIL_GROUPS_MAX) {
        grow(trail);
        trail->newest = trail->count++;
    } else {
        trail->newest = (trail->newest + 1) % DIR_TRAIL_GROUPS_MAX;
        group_free(trail->groups[trail->newest]);
    }
    trail->groups[trail->newest] = group;
    trail->is_open = true;
}

/* The number of cookies up to and with `cookie`; 0 when it is not there. */
static size_t find_in_group(const struct dir_group *group, uint64_t cookie)
{
    size_t i = 0;

    while (i < group->count && group->cookies[i] != cookie)
        i++;
    return i < group->count ? i + 1 : 0;
}

/* The kernel asks for the end of a page again when its reader has no room for it. */
static bool is_repeated(const struct dir_trail *trail, const char *after, const char *name)
{
    if (trail->count == 0)
        return false;
    const struct dir_group *group = trail->groups[trail->newest];
    size_t next = strcmp(after, group->after) == 0 ? 0 : find_in_group(group, dir_cookie(after));
    bool is_in = next > 0 || strcmp(after, group->after) == 0;
    return is_in && next < group->count && group->cookies[next] == dir_cookie(name);
}

void dir_trail_add(struct dir_trail *trail, const char *after, const char *name)
{
    bool goes_on = trail->is_open && strcmp(after, trail->last_name) == 0;

    if (!goes_on && is_repeated(trail, after, name))
        return;
    if (!goes_on || trail->groups[trail->newest]->count == DIR_TRAIL_GROUP_ENTRIES)
        open_group(trail, after);
    struct dir_group *group = trail->groups[trail->newest];
    group->cookies[group->count++] = dir_cookie(name);
    memcpy(trail->last_name, name, strlen(name) + 1);
}

bool dir_trail_find(const struct dir_trail *trail, uint64_t cookie, struct dir_place *ret_place)
{
    for (size_t back = 0; back < trail->count; back++) {
        size_t at = (trail->newest + trail->count - back) % trail->count;
        const struct dir_group *group = trail->groups[at];
        size_t count = find_in_group(group, cookie);
        if (count == 0)
            continue;
        *ret_place = (struct dir_place){
            .after = group->after,
            .last = group->last != NULL ? group->last : trail->last_name,
            .cookies = group->cookies,
            .count = count,
        };
        return true;
    }
    return false;
}

bool dir_place_has(const struct dir_place *place, uint64_t cookie)
{
    for (size_t i = 0; i < place->count; i++) {
        if (place->cookies[i] == cookie)
            return true;
    }
    return false;
}
